"""Lakes that were lived in: weeks of interactions by a plan, written in one go, and looks at them.

In: a plan, how many of what come at a moment. Out: a real lake with all of it in its table, so that
a look at any moment of the past is a look with that clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from conftest import Lake
from lakeward.alerts.rules import Rules, parse
from lakeward.alerts.signal import Signal
from lakeward.alerts.watching import Looked, look
from lakeward.cli.compact import compact
from lakeward.interaction import iso
from lakeward.settings import Settings, load
from written_lakes import WrittenLog

FIVE, HOUR, DAY = 300_000, 3_600_000, 86_400_000
START = 1_762_732_800_000  # Monday 2025-11-10 00:00 UTC
Row = dict[str, Any]


class Desk:
    """Takes signals as an idempotent desk does: what it knows by key and moment is no news."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []
        self.calls = 0

    def take(self, signals: Sequence[Signal], now_ms: int) -> None:
        known = {(each.key, each.at) for each in self.signals}
        assert len({(each.key, each.at) for each in signals}) == len(signals)
        self.calls += 1
        assert [each.at for each in signals] == sorted(each.at for each in signals)
        self.signals += [each for each in signals if (each.key, each.at) not in known]

    def said(self, key: str = "") -> list[Signal]:
        """Of one series, or all."""
        return [each for each in self.signals if key in each.key]

    def begun(self, key: str = "") -> list[Signal]:
        """What a person would be told of."""
        return [each for each in self.said(key) if each.wrong and each.begins]


def line(n: int, row: Row) -> bytes:
    """A record of the log; `ms` is its time."""
    ms = row["ms"]
    fields = {
        "interaction_id": f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7000-8000-{n:012x}",
        "timestamp": iso(ms), "user_id": "u1", "user_type": "contractor", "environment": "test",
    }  # fmt: skip
    return msgspec.json.encode(fields | {name: v for name, v in row.items() if name != "ms"})


def written(lake: Lake, rows: Sequence[Row]) -> None:
    """The rows in the lake's table."""
    log = WrittenLog(lake.root)
    log.append(line(n, row) for n, row in enumerate(sorted(rows, key=lambda row: row["ms"])))
    log.close()
    compact(lake.open(), settings_of(lake))


def settings_of(lake: Lake) -> Settings:
    return load(lake.env, lake.root.parent)


def rules_of(text: str) -> Rules:
    return parse(text.encode(), "alerts.toml")


def spread(
    since: int, until: int, step: int, level: Callable[[int], float], seed: str, **fields: Any
) -> Iterator[Row]:
    """About `level` rows in each step, at moments in it."""
    dice = random.Random(seed)
    for at in range(since, until, step):
        wanted = level(at)
        count = max(0, round(dice.gauss(wanted, wanted**0.5 / 2))) if wanted else 0
        for _ in range(count):
            yield {"ms": at + dice.randrange(step), **fields}


def looked(
    lake: Lake, rules: Rules, desk: Any, now_ms: int,
    pause: Callable[[str], None] = lambda _: None,
) -> Looked:  # fmt: skip
    return look(lake.open(), settings_of(lake), rules, desk, now_ms=now_ms, pause=pause)
