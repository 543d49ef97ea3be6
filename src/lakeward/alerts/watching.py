"""Watching: one look at what is new in the lake, and what is to be said of it.

In: a lake, the rules, who takes signals, and the time. Out: signals, handed over in the order of
time, and the memory as it is afterwards. Fails as a reading does, and with `LakeBusy` while another
process watches the lake.

    learned          judged, recorded          judged and told          not over
    ────────────────┼─────────────────────────┼────────────────────────┼──────────► time
    14 days at most  what a pause left, 7 days  the last hour            a minute for what is late

Signals are handed over before the memory is kept: a kill between the two gives the same signals
again, with the same `key` and `at`, so whoever takes them knows them. What comes late into a bucket
that was judged changes nothing. After a pause, moments of more than an hour ago in which there was
nothing at all in the lake are passed over: neither app nor watch ran.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from lakeward.alerts import budgets, silence, thresholds
from lakeward.alerts.feeding import Feed
from lakeward.alerts.limits import Held
from lakeward.alerts.memory import Memory, opened, throwaway
from lakeward.alerts.ranking import FINE, HOUR, Ranked, rank
from lakeward.alerts.rules import Rules
from lakeward.alerts.sight import Sight
from lakeward.alerts.signal import Signal
from lakeward.lake.reading import Reading
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

logger = logging.getLogger("lakeward.alerts")
SETTLE_MS: Final = 60_000
"""How long after its end a bucket is taken to be whole."""
RECENT_MS: Final = 3_600_000
"""How long after its end an alarm is told of."""
LEARN_MS: Final = 14 * 86_400_000
"""How far a new series is looked back for, to learn what is usual."""
BEHIND_MS: Final = 7 * 86_400_000
"""How much of a pause is judged afterwards."""
SLICE_MS: Final = 6 * 3_600_000
LEARNED_MS: Final = 43_200_000
MEMORY: Final = 384 << 20


class Takes(Protocol):
    """Who is given the signals; it knows those that it was given before."""

    def take(self, signals: Sequence[Signal], now_ms: int) -> object:
        """Take them, durably."""


class Position(msgspec.Struct, frozen=True):
    """Buckets before these moments were judged."""

    fine_ms: int = 0
    hour_ms: int = 0


class Begun(msgspec.Struct, frozen=True):
    """A look that was begun: it is not over before the position is there."""

    until_ms: int = 0
    recent_ms: int = 0


class Looked(msgspec.Struct, frozen=True):
    """What one look did."""

    signals: int
    series: int
    left_out: int


def look(
    lake: LakeDir, settings: Settings, rules: Rules, desk: Takes, *, now_ms: int,
    spill: Path | None = None, pause: Callable[[str], None] = lambda _: None,
) -> Looked:  # fmt: skip
    """Judge all that is new."""
    with (
        opened(lake) as memory,
        Reading(lake, settings, memory=MEMORY, threads=1, spill=spill) as reading,
    ):
        whole_ms = now_ms - SETTLE_MS
        sight = Sight(reading, settings, rules, memory, whole_ms, _begun(memory, whole_ms))
        return _Look(sight, desk, now_ms, pause).run()


def _begun(memory: Memory, whole_ms: int) -> int:
    """The moment before which nothing is told; after a kill that of the look that was killed, so
    that the same alarms begin at the same moments."""
    if memory.word(Position()).fine_ms > whole_ms + RECENT_MS:
        logger.warning("the clock has gone back: watching begins anew")
        memory.clear()
    begun = memory.word(Begun())
    if memory.word(Position()).fine_ms >= begun.until_ms:
        begun = Begun(_floor(whole_ms, FINE), whole_ms - RECENT_MS)
        memory.keep(begun)
        memory.commit()
    return begun.recent_ms


def replay(
    lake: LakeDir, settings: Settings, rules: Rules, *, since_ms: int, now_ms: int
) -> list[Signal]:
    """What would have been said from a moment on, in a memory that is thrown away. Budgets and
    silences are those of now."""
    desk, since = _Kept(), _floor(since_ms, HOUR)
    with (
        throwaway() as memory,
        Reading(lake, settings, memory=MEMORY, threads=1) as reading,
    ):
        memory.keep(Position(since, since))
        held = {rule.name: Held(rule, since) for rule in rules.thresholds}
        memory.keep(thresholds.Limits(held))
        sight = Sight(reading, settings, rules, memory, now_ms - SETTLE_MS, 0)
        _Look(sight, desk, now_ms, lambda _: None, now_ms).run()
    return desk.signals


class _Kept:
    def __init__(self) -> None:
        self.signals: list[Signal] = []

    def take(self, signals: Sequence[Signal], now_ms: int) -> None:
        """Keep them."""
        del now_ms
        self.signals += signals


class _Look:
    """Holds what one look works with."""

    def __init__(
        self, sight: Sight, desk: Takes, now_ms: int, pause: Callable[[str], None],
        behind_ms: int = BEHIND_MS,
    ) -> None:  # fmt: skip
        self._sight, self._rules, self._memory = sight, sight.rules, sight.memory
        self._desk, self._now_ms, self._pause = desk, now_ms, pause
        self._end_ms, self._behind_ms = _floor(sight.whole_ms, FINE), behind_ms
        self._feed = Feed(sight)
        self._said = 0

    def run(self) -> Looked:
        """Series, then limits."""
        self._series()
        signals: list[Signal] = []
        for ruled in (thresholds.signals_of, budgets.signals_of, silence.signals_of):
            signals += ruled(self._sight)
        self._deliver(signals)
        ranked = self._memory.word(Ranked())
        return Looked(self._said, len(self._memory.entries), ranked.left_out)

    def _deliver(self, signals: Iterable[Signal]) -> None:
        """Hand over, then keep."""
        ordered = sorted(signals, key=lambda signal: (signal.at, signal.key))
        self._pause("before take")
        if ordered:
            self._desk.take(ordered, self._now_ms)
        self._said += len(ordered)
        self._pause("before keep")
        self._memory.commit()
        self._pause("after keep")

    def _series(self) -> None:
        position = self._memory.word(Position())
        if self._end_ms - position.fine_ms > self._behind_ms:
            fine = self._end_ms - RECENT_MS
            position = Position(fine, _floor(fine, HOUR))
        signals = self._ranked(position)
        while True:
            until = min(position.fine_ms + SLICE_MS, self._end_ms)
            after = Position(
                max(until, position.fine_ms), max(_floor(until, HOUR), position.hour_ms)
            )
            signals += self._feed.fed(position.fine_ms, after.fine_ms, FINE)
            signals += self._feed.fed(position.hour_ms, after.hour_ms, HOUR)
            signals += self._feed.stale(after.fine_ms)
            self._memory.keep(position := after)
            self._deliver(signals)
            signals = []
            if position.fine_ms >= self._end_ms:
                return

    def _ranked(self, position: Position) -> list[Signal]:
        """Choose the series now and then; new ones learn from what is in the lake already."""
        watch = self._rules.watch
        ranked = self._memory.word(Ranked())
        if not ranked.is_due(watch, self._now_ms):
            return []
        since = position.fine_ms - (BEHIND_MS if ranked.at_ms else LEARN_MS)
        rows = self._feed.rows(since, self._now_ms, 0) if watch.series else []
        ranked, signals, new = rank(rows, watch, self._memory, self._now_ms)
        self._memory.keep(ranked)
        if new:
            first = min(new.values())
            if first < since + 86_400_000:  # it may have been there before
                first = position.fine_ms - LEARN_MS
            self._learn(new.keys(), _floor(first, HOUR), position)
        return signals

    def _learn(self, keys: Collection[str], since: int, position: Position) -> None:
        """What is usual of new series, without a word of what was wrong."""
        while since < position.fine_ms:
            until = since + LEARNED_MS
            self._feed.fed(since, min(until, position.fine_ms), FINE, keys)
            self._feed.fed(since, min(until, position.hour_ms), HOUR, keys)
            since = until


def _floor(ms: int, seconds: int) -> int:
    return ms - ms % (seconds * 1000)
