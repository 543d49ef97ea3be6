"""The keeper's task that watches the lake: a child process every five minutes, at most one.

In: settings and `alerts.toml`. Out: at each multiple of five minutes, and a minute for what is
late, one child, which looks at what is new and hands its signals over. A keeper that has just begun
waits a minute first. Where nothing is watched no child is started; a broken `alerts.toml` is logged
once and stops this task alone until it is mended. A child that fails is started again later.
"""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakeward.cli.child import Child, worked
from lakeward.errors import LakeBusy, SettingError
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

if TYPE_CHECKING:
    from lakeward.alerts.rules import Rules
    from lakeward.alerts.signal import Signal

logger = logging.getLogger("lakeward.alerts")

EVERY_MS: Final = 300_000
SETTLE_MS: Final = 65_000
"""A little more than a look waits for what is late."""
FIRST_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 60.0
FAREWELL_SECONDS: Final = 0.0
"""A kill at any point is safe, so nobody's stop waits for the child."""


class Alerting:
    """Starts the child when it is time."""

    def __init__(
        self,
        lake: LakeDir,
        ring_dir: Path,
        settings: Settings,
        now: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._settings = settings
        self._words = (str(lake.root), str(settings.source.env_file.parent), str(ring_dir))
        self._now, self._now_ms = now, now_ms
        self._child = Child(__name__, PAUSE_SECONDS, farewell=FAREWELL_SECONDS)
        self._child.not_before = now() + FIRST_SECONDS
        self._able = settings.collect and all(
            importlib.util.find_spec(name) for name in ("duckdb", "deltalake", "pyarrow")
        )
        self._looked = 0
        self._refused = ""

    def step(self, state: object) -> None:
        """Twice a second: reap, start."""
        del state
        now = self._now()
        if not self._able or now < self._child.not_before:
            return
        if self._child:
            code = self._child.reaped(now)
            if code is None:
                return
            if code != 0:
                self._looked = 0  # tried again after the pause
                return
        bucket = (self._now_ms() - SETTLE_MS) // EVERY_MS
        if bucket != self._looked:
            self._looked = bucket
            if self._asks():
                self._child.start(*self._words)

    def _asks(self) -> bool:
        """Whether there is anything to do."""
        from lakeward.alerts.opening import told_by
        from lakeward.alerts.rules import read

        try:
            rules, refused = read(self._settings), ""
            told_by(rules)
        except SettingError as error:
            rules, refused = None, str(error)
        if refused and refused != self._refused:
            logger.error("nothing is watched: %s", refused)
        self._refused = refused
        return rules is not None and not rules.asks_nothing

    def close(self) -> None:
        """End the child; what it did not do, the next one does."""
        self._child.close()


def child(lake_dir: str, env_folder: str, ring_dir: str) -> int:
    """What the child does: one look."""
    return worked(logger, "watching the lake", watch, lake_dir, env_folder, ring_dir)


def watch(
    lake: LakeDir,
    settings: Settings,
    *,
    now_ms: int | None = None,
    pause: Callable[[str], None] = lambda _: None,
) -> None:
    """One look at the lake as it is now."""
    from lakeward.alerts.rules import read
    from lakeward.alerts.watching import look
    from lakeward.lake.scratch import scratch

    rules = read(settings)
    if rules.asks_nothing or not settings.collect:
        return
    moment = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    desk = Handing(lake, settings, rules, pause)
    try:
        with scratch(lake) as spill:
            look(lake, settings, rules, desk, now_ms=moment, spill=spill, pause=pause)
    except LakeBusy:  # somebody looks already, and sees what we would
        return
    finally:  # whatever the lake is like: what waits to be told is told
        desk.step(moment)
    if now_ms is None:
        desk.linger()


class Handing:
    """Hands signals to the desk; where there is no app database to be had, to the log alone."""

    def __init__(
        self, lake: LakeDir, settings: Settings, rules: Rules, pause: Callable[[str], None]
    ) -> None:
        self._lake, self._settings, self._rules = lake, settings, rules
        self._pause = pause
        self._possible = all(importlib.util.find_spec(name) for name in ("sqlalchemy", "alembic"))
        self._stepped = False

    def take(self, signals: Sequence[Signal], now_ms: int) -> None:
        """A line for each that begins or ends, and all of them to the desk."""
        for signal in signals:
            if signal.begins or not signal.wrong:
                logger.warning("%s", signal.why)
        if self._possible and signals:
            from lakeward.alerts.opening import take_all

            take_all(self._lake, self._settings, self._rules, signals, now_ms, pause=self._pause)
            self._stepped = True

    def step(self, now_ms: int) -> None:
        """What time brings, unless that was seen to with the signals."""
        if self._possible and not self._stepped:
            from lakeward.alerts.opening import take_all

            take_all(self._lake, self._settings, self._rules, (), now_ms, pause=self._pause)

    def linger(self) -> None:
        """Try again what a channel did not take."""
        if self._possible:
            from lakeward.alerts.opening import linger

            linger(self._lake, self._settings, self._rules)
