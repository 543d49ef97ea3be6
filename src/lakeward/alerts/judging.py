"""Judging: what a detector says of the buckets of one series becomes signals.

In: an entry of the memory, its new buckets with their verdicts, and the moment before which an
alarm is too old to be told. Out: signals in the order of time, and the entry afterwards. Pure.

    verdicts   .  !  !  .  !  .  .  .     ! beyond the line
    signals       b  w     w        -     b begins, w wrong still, - well again

An alarm that is too old begins nothing; when all is not well by then, the first bucket of the last
hour does. A type of which nothing comes any more is `silent`. That nothing comes where nothing was
due is ordinary, whatever the detector makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from lakeward.alerts.memory import Entry, Episode, Last
from lakeward.alerts.signal import Severity, Signal
from lakeward.analysis.anomaly.verdict import Verdict
from lakeward.analysis.anomaly.watch import Bucket

CALM: Final = {300: 3, 3600: 2}
"""Ordinary buckets that end an episode, by their seconds."""
DUE: Final = 10.0
"""How many must have been due, for none to be an outage."""
LITTLE: Final = 0.05
"""Of what is expected, less than this is nothing: no series is watched that has not more than twice
as much in its usual bucket, so that one without anything is what such a time is like."""
HALF: Final = 0.5
"""Share of failed calls that cannot wait."""
Judged = Iterable[tuple[Bucket, Verdict]]


def signals_of(
    entry: Entry, judged: Judged, recent_ms: int, *, silent: bool
) -> tuple[Entry, list[Signal]]:
    """What is to be said of new buckets; `silent`: whether that is what it is called when
    nothing comes."""
    found: list[Signal] = []
    for bucket, verdict in judged:
        entry, signal = _step(entry, bucket, verdict, recent_ms, silent)
        if signal is not None:
            found.append(signal)
    return entry, found


def _step(
    entry: Entry, bucket: Bucket, verdict: Verdict, recent_ms: int, may_be_silent: bool
) -> tuple[Entry, Signal | None]:
    at = round(bucket.start * 1000)
    last = Last(at, bucket.value, verdict.expected, verdict.low, verdict.high)
    episode = entry.episode
    if not verdict.is_anomaly or is_idle(entry.series.kind, bucket.value, verdict):
        if episode is None:
            return msgspec.structs.replace(entry, last=last), None
        calm = episode.calm + 1
        if calm < CALM.get(entry.seconds, 2):
            going = msgspec.structs.replace(episode, calm=calm)
            return msgspec.structs.replace(entry, last=last, episode=going), None
        ended = msgspec.structs.replace(entry, last=last, episode=None)
        return ended, _signal(entry, bucket, verdict, episode, wrong=False)
    if episode is None:
        gone = may_be_silent and bucket.value == 0.0 and verdict.expected > 0.0
        side: Literal["up", "down"] = "down" if bucket.value < verdict.expected else "up"
        episode = Episode(at, "silent" if gone else "anomaly", side)
    episode = msgspec.structs.replace(episode, calm=0)
    told = entry.told and not verdict.alarm
    begins = not told and at + entry.seconds * 1000 >= recent_ms
    changed = msgspec.structs.replace(entry, last=last, episode=episode, told=told or begins)
    return changed, _signal(entry, bucket, verdict, episode, wrong=True, begins=begins)


def is_idle(kind: str, value: float, verdict: Verdict) -> bool:
    """Whether nothing came where nothing was due."""
    return kind == "count" and value == 0.0 and verdict.expected < LITTLE


def _signal(
    entry: Entry,
    bucket: Bucket,
    verdict: Verdict,
    episode: Episode,
    *,
    wrong: bool,
    begins: bool = False,
) -> Signal:
    key = entry.series.key
    why = verdict.why if wrong else f"{bucket.value:.6g} is as usual again"
    return Signal(
        series=key, kind=episode.kind, wrong=wrong, begins=begins, at=round(bucket.start * 1000),
        seconds=entry.series.step, severity=_severity(entry, bucket, verdict),
        direction=episode.direction, value=bucket.value,
        expected=verdict.expected, low=verdict.low, high=verdict.high, score=verdict.score,
        unit=entry.unit, why=f"{key}: {why}.",
    )  # fmt: skip


def _severity(entry: Entry, bucket: Bucket, verdict: Verdict) -> Severity:
    """An outage cannot wait: nothing comes where much was due, or most calls fail."""
    kind = entry.series.kind
    if kind == "count" and bucket.value == 0.0 and verdict.expected >= DUE:
        return "critical"
    return "critical" if kind == "rate" and bucket.value >= HALF else "warning"
