"""Ranking: which series are watched, those with the most in them, and in buckets of which length.

In: what was counted of each group over some days. Out: entries of the memory; those that are none
any more, or are watched in another way, are dropped, with a signal where something stood open. Pure
but for the memory.

A series has buckets of five minutes where it has about ten in each, else of an hour; it changes
from one to the other only when it is clearly of the other kind. What came a few times in a week is
not watched: nobody could say what is usual of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from lakeward.alerts.memory import Entry, Episode, Memory
from lakeward.alerts.rules import Watching
from lakeward.alerts.series import ALL, FAMILIES, Found, Track, key_of
from lakeward.alerts.signal import Signal
from lakeward.analysis.anomaly.watch import Series

FINE, HOUR = 300, 3600
"""Lengths of buckets, in seconds."""
FREQUENT: Final = 10.0
"""In five minutes: from here on a new series has such buckets."""
UP, DOWN = 12.0, 6.0
"""The same of one that has hours, and of one that has five minutes already."""
RARE: Final = 20
"""In all the days that are looked at: what is less is not watched."""
SOON_MS, LATER_MS = 3_600_000, 6 * 3_600_000
MANY: Final = 1_000_000
"""Interactions from which on it is done later."""


class Ranked(msgspec.Struct, frozen=True):
    """What the last ranking found."""

    at_ms: int = 0
    left_out: int = 0
    """Series for which there was no room."""
    rare: int = 0
    """Groups of which too little came."""
    rows: int = 0
    """Interactions that were counted for it."""
    watch: Watching = Watching()
    """What it was asked for."""

    def is_due(self, watch: Watching, now_ms: int) -> bool:
        """Whether to rank again: it reads days, which are little in a young lake."""
        after_ms = SOON_MS if self.rows < MANY else LATER_MS
        return watch != self.watch or now_ms - self.at_ms >= after_ms


class Candidate(msgspec.Struct, frozen=True):
    """A series that may be watched."""

    key: str
    track: Track
    hourly: float
    first_ms: int


def rank(
    found: Iterable[Found], watch: Watching, memory: Memory, now_ms: int
) -> tuple[Ranked, list[Signal], dict[str, int]]:
    """Choose; and which series have no detector yet, with the first moment of each."""
    rows = sorted(found, key=lambda row: (-row.count, row.name))
    several = len({row.b for row in rows if row.family == "place"}) > 1
    chosen: dict[str, Candidate] = {}
    left_out = rare = 0
    for row in rows:
        if row.family == ALL or (row.family == "place" and not several):
            continue
        if row.count < RARE:
            rare += 1
            continue
        tracks = list(_candidates(row, now_ms))
        if len(chosen) + len(tracks) > watch.most:
            left_out += len(tracks)
            continue
        chosen |= {each.key: each for each in tracks}
    now = now_ms - now_ms % (FINE * 1000)
    signals = [
        _ended(entry, now, "is watched no more, as too little came of it for days")
        for key, entry in memory.entries.items()
        if key not in chosen and entry.episode is not None
    ]
    memory.drop([key for key in memory.entries if key not in chosen])
    new = {}
    for key, candidate in chosen.items():
        before = memory.entries.get(key)
        after = _entry(candidate, before, watch)
        if before is None or before.series != after.series:
            new[key] = candidate.first_ms
            if before is not None and before.episode is not None:
                signals.append(_replaced(before, before.episode))
            memory.put(key, after, None)
        elif before != after:
            memory.rank(key, after)
    total = sum(row.count for row in rows if row.family == ALL)
    return Ranked(now_ms, left_out, rare, total, watch), signals, new


def _candidates(row: Found, now_ms: int) -> Iterator[Candidate]:
    hours = max((now_ms - row.first) / 3_600_000, 24.0)
    for track in FAMILIES[row.family].tracks:
        yield Candidate(key_of(row.name, track), track, row.count / hours, row.first)


def _entry(candidate: Candidate, before: Entry | None, watch: Watching) -> Entry:
    track, often = candidate.track, candidate.hourly / 12
    if before is None:
        fine = often >= FREQUENT
    else:
        fine = often >= (DOWN if before.seconds == FINE else UP)
    series = Series(
        candidate.key, track.kind, step=float(FINE if fine else HOUR), direction=track.direction,
        min_volume=float(track.least) if track.kind == "rate" else 0.0, zone=watch.zone,
        sensitivity=watch.sensitivity,
    )  # fmt: skip
    if before is not None and before.series == series:
        return msgspec.structs.replace(before, volume=candidate.hourly)
    return Entry(series, track.unit, candidate.hourly, track.zero)


def _replaced(entry: Entry, episode: Episode) -> Signal:
    """Of one whose next bucket, perhaps of long ago, is a new detector's."""
    at = episode.since if entry.last is None else entry.last.at
    return _ended(entry, at, "is watched in another way from now on")


def _ended(entry: Entry, at: int, why: str) -> Signal:
    """Of a series whose detector is gone."""
    assert entry.episode is not None
    return Signal(
        series=entry.series.key, kind=entry.episode.kind, wrong=False, begins=False,
        at=at, seconds=entry.series.step, unit=entry.unit,
        why=f"{entry.series.key}: {why}.",
    )  # fmt: skip
