"""Many series at once: buckets in, alarms out, and a file that carries it all over a restart.

In: buckets of series (calls of a route, a step of a flow, the cost of a model, a partner's leads),
in any order among series and in the order of time within each. Out: findings, one for each alarm.
Fails with `Unreadable` for a file that is none of its own; a damaged series in it starts anew.

Who makes buckets out of a lake, and who sends what is found, is not known here. A bucket that came
before (or is older than the newest of its series) is passed over, so buckets may be fed again
after a restart. Detectors are kept packed, and at most `most` of them: the one that was fed least
recently gives way, which is counted.

    the file: MessagePack {version, dropped, kept: [{series, state: bytes, newest}]}
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final

import msgspec

from lakeward.analysis.anomaly.detector import Detector
from lakeward.analysis.anomaly.verdict import Direction, Kind, Verdict
from lakeward.errors import Unreadable
from lakeward.lakedir import replace_file

VERSION: Final = 1
MOST: Final = 1_000


class Series(msgspec.Struct, frozen=True):
    """What is watched."""

    key: str
    kind: Kind = "count"
    season: str = "auto"
    step: float = 300.0
    direction: Direction = "both"
    min_volume: float = 0.0
    zone: str = "UTC"
    sensitivity: float = 1.0


class Bucket(msgspec.Struct, frozen=True):
    """A row of a series: what was counted or measured from `start` on for a step."""

    series: Series
    start: float
    value: float
    complete: bool = True
    volume: float | None = None


class Finding(msgspec.Struct, frozen=True):
    """An alarm of one series."""

    key: str
    start: float
    value: float | None
    score: float
    expected: float
    low: float
    high: float
    why: str


class Kept(msgspec.Struct, frozen=True):
    """A packed detector and what it was made for."""

    series: Series
    state: bytes
    newest: float = float("-inf")


def judged(kept: Kept | None, rows: Iterable[Bucket]) -> tuple[Kept, list[tuple[Bucket, Verdict]]]:
    """The buckets of one series that are new to its detector, with what it says of each; and the
    detector afterwards. One that is kept for other options gives way to a new one."""
    ordered = sorted(rows, key=attrgetter("start"))
    series = ordered[-1].series
    if kept is None or kept.series != series:
        kept = Kept(series, _detector(series).to_bytes())
    detector, newest = Detector.from_bytes(kept.state), kept.newest
    found = []
    for row in ordered:
        if row.start > newest and row.complete:
            newest = row.start
            found.append((row, detector.update(row.start, row.value, volume=row.volume)))
    return Kept(series, detector.to_bytes(), newest), found


class _File(msgspec.Struct):
    version: int
    dropped: int
    kept: list[Kept]


class Watch:
    """The detectors of many series."""

    def __init__(self, *, most: int = MOST) -> None:
        """Keep at most so many series."""
        self._most = most
        self._kept: dict[str, Kept] = {}
        self.dropped = 0
        """Series that gave way to others."""

    def __len__(self) -> int:
        return len(self._kept)

    def feed(self, buckets: Iterable[Bucket]) -> list[Finding]:
        """Judge new buckets; alarms in the order of time."""
        ordered = sorted(buckets, key=lambda bucket: (bucket.series.key, bucket.start))
        found: list[Finding] = []
        for key, rows in groupby(ordered, key=attrgetter("series.key")):
            found += self._feed(key, list(rows))
        return sorted(found, key=lambda finding: (finding.start, finding.key))

    def _feed(self, key: str, rows: list[Bucket]) -> list[Finding]:
        kept, verdicts = judged(self._kept.pop(key, None), rows)
        found = [
            Finding(key, row.start, row.value, verdict.score, verdict.expected,
                    verdict.low, verdict.high, verdict.why)
            for row, verdict in verdicts if verdict.alarm
        ]  # fmt: skip
        self._kept[key] = kept  # at the end: the first is the one that was fed least recently
        while len(self._kept) > self._most:
            self._kept.pop(next(iter(self._kept)))
            self.dropped += 1
        return found

    def silent(self, now: float) -> list[Finding]:
        """Series of which no bucket came that should have."""
        found = []
        for key, kept in self._kept.items():
            verdict = Detector.from_bytes(kept.state).silent(now)
            if verdict is not None:
                found.append(
                    Finding(key, kept.newest, None, verdict.score, verdict.expected,
                            verdict.low, verdict.high, verdict.why)
                )  # fmt: skip
        return found

    def save(self, path: Path) -> None:
        """Write everything, whole or not at all."""
        content = _File(VERSION, self.dropped, list(self._kept.values()))
        replace_file(path, msgspec.msgpack.encode(content))

    @classmethod
    def load(cls, path: Path, *, most: int = MOST) -> Watch:
        """The watch of this file; a new one where there is none."""
        found = cls(most=most)
        try:
            content = msgspec.msgpack.decode(path.read_bytes(), type=_File)
        except FileNotFoundError:
            return found
        except msgspec.DecodeError as error:
            raise Unreadable(f"{path} is no state of anomaly detectors: {error}") from None
        if content.version != VERSION:
            raise Unreadable(f"{path} is of version {content.version}, not {VERSION}: remove it")
        found.dropped = content.dropped
        for kept in content.kept[-most:]:
            try:
                Detector.from_bytes(kept.state)
            except Unreadable:
                continue
            found._kept[kept.series.key] = kept
        return found


def _detector(series: Series) -> Detector:
    return Detector(
        series.season, kind=series.kind, step=series.step, direction=series.direction,
        min_volume=series.min_volume, zone=series.zone, sensitivity=series.sensitivity,
    )  # fmt: skip
