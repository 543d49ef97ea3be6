"""The desk of a lake, opened when there is something for it to do.

In: a lake, settings, the rules of `alerts.toml`. Out: a `Desk` with its database, channels and a
collector, closed again at the end. Fails with `MissingExtra` where there is no app database to be
had, `SettingError` for tables that say nothing sensible, and as the database does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from lakeward.alerts.rules import Rules
from lakeward.alerts.signal import Signal
from lakeward.alerts.telling import Telling, telling_of
from lakeward.collector import Collector
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

if TYPE_CHECKING:
    from lakeward.alerts.desk import Desk
    from lakeward.alerts.notifier import Total

LINGER_SECONDS: Final = 120.0
"""How long a look may stay to try again what just failed; the next one does it later."""


def told_by(rules: Rules) -> Telling:
    """Who is told."""
    return telling_of(rules.tell, rules.digest, rules.where)


@contextmanager
def opened_desk(
    lake: LakeDir,
    settings: Settings,
    rules: Rules,
    *,
    environ: Mapping[str, str] | None = None,
    kept: bool = True,
    pause: Callable[[str], None] = lambda _: None,
) -> Iterator[Desk]:
    """The desk, for as long as it is needed; `kept` where the lake's keeper is known to run."""
    from lakeward.alerts.channels import Channels
    from lakeward.alerts.desk import Desk
    from lakeward.store.database import open_database

    telling = told_by(rules)
    own = msgspec.structs.replace(settings, lake_dir=lake.root, service="")
    if kept:
        own = msgspec.structs.replace(own, keeper="external", exit_seconds=0.0)
    collector = Collector(own)

    def totals(day: str, zone: str) -> Sequence[Total]:
        return _totals(lake, settings, day, zone)

    try:
        with (
            open_database(settings) as database,
            Channels(telling, own, lambda: collector, environ) as channels,
        ):
            yield Desk(
                database, telling, channels.named, collector, totals=totals, pause=pause,
                clock=lambda: time.time_ns() // 1_000_000,
            )  # fmt: skip
            channels.wake()
    finally:
        collector.detach() if kept else collector.close()


def _totals(lake: LakeDir, settings: Settings, day: str, zone: str) -> Sequence[Total]:
    from lakeward.alerts.digest import totals_of
    from lakeward.analysis.question import ask
    from lakeward.lake.reading import Reading
    from lakeward.lake.scratch import scratch

    memory = settings.query_memory
    with scratch(lake) as spill, Reading(lake, settings, memory=memory, spill=spill) as reading:
        return totals_of(lambda question: ask(reading, question), day, zone)


def take_all(
    lake: LakeDir,
    settings: Settings,
    rules: Rules,
    signals: Sequence[Signal],
    now_ms: int,
    *,
    pause: Callable[[str], None] = lambda _: None,
) -> None:
    """What a look found, and what time brings; where nothing ever was and nothing is due, nothing
    is opened or made."""
    if not signals and rules.digest is None and not has_store(lake, settings):
        return
    with opened_desk(lake, settings, rules, pause=pause) as desk:
        desk.take(signals, now_ms)


def linger(
    lake: LakeDir,
    settings: Settings,
    rules: Rules,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> None:
    """Try again what a channel did not take, while that is due soon; else the next look does."""
    if not rules.tell or not has_store(lake, settings):
        return
    left = LINGER_SECONDS
    with opened_desk(lake, settings, rules) as desk:
        while left > 0 and (due := desk.step(now_ms())) is not None:
            wait = max((due - now_ms()) / 1000, 1.0)
            if wait > left:
                return
            sleep(wait)
            left -= wait


def has_store(lake: LakeDir, settings: Settings) -> bool:
    """Whether there is an app database already."""
    return bool(settings.database_url) or (lake.private / "app.db").exists()
