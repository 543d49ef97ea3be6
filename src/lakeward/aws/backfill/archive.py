"""The log against the raw archive: what the bucket has not got is put beside what it has.

In: a lake and a bucket, segments of the log and how far each is to be compared; the follower `s3`
is that far already. Out: every line of the log in an object of its day, counted. What is missing
(left out by a rollout's share, deleted by accident) becomes objects of a maker of its own, so that
none that is there is changed and `lakeward compact --archive` takes them as those of another host:

    raw/year=…/month=…/day=…/<16 digits of the lake><16 of the run>-<epoch>-<n>-<0>-<bytes>.jsonl.gz

An object that an erase wrote may lack lines that the log still has, when another host ran the
erase: those are not put back, unless somebody knows that erases ran `everywhere`. Fails as the
bucket does; may be killed and repeated anywhere.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from lakeward.aws.backfill.patience import Patience
from lakeward.aws.backfill.tally import Report
from lakeward.barrier import delivering
from lakeward.followers.slices import Lookout, Stretch, day_of
from lakeward.lake.archive import KEY
from lakeward.lakedir import LakeDir
from lakeward.log import Segment
from lakeward.sinks.objects import Bucket, mark
from lakeward.suppression import Suppressed, load, who

TRIES: Final = 3
"""Of a segment, when an erase changed log and bucket between two looks."""


class Held(msgspec.Struct):
    """An object of ours in memory: digests of its lines that no line of the log was found for."""

    key: str
    start: int
    end: int
    current: bool
    """Whether it is of the lake's epoch: of an earlier one it may hold what a restore lost."""
    marks: Counter[bytes]
    erased: bool | None = None

    def take(self, digest: bytes) -> bool:
        """Whether the line is here, once for each time that it is."""
        if not self.marks[digest]:
            return False
        self.marks[digest] -= 1
        return True


class Compared(msgspec.Struct):
    """A segment against the bucket, and the places of lines that are not there."""

    report: Report
    missing: list[tuple[int, int]] = []


class ArchiveFill:
    """One run."""

    def __init__(
        self, lake: LakeDir, bucket: Bucket, most: int, patience: Patience, *,
        everywhere: bool = False,
    ) -> None:  # fmt: skip
        self._everywhere = everywhere
        self._lake, self._bucket, self._most = lake, bucket, most
        self._patience = patience
        self._lookout = Lookout(lake)
        self._of_us = blake2b(lake.identity.lake_id.encode(), digest_size=8).hexdigest()
        self._writer = _as_uuid(self._of_us + os.urandom(8).hex())
        self._made = 0

    def fill(self, segment: Segment, end: int, report: Report) -> None:
        """Compare a segment as far as `end`, and put what is missing."""
        for _ in range(TRIES):
            found = self._patience(lambda: self._compared(segment, end))
            if not found.report.extra:
                break
        report.plus(found.report)
        for places in _grouped(found.missing, self._most):
            self._made += 1
            report.plus(self._patience(partial(self._put, segment, places)))

    def _compared(self, segment: Segment, end: int) -> Compared:
        found, missing = Report(""), list[tuple[int, int]]()
        waiting = self._objects(segment)
        # What was shipped is durable: an object that reaches beyond the end is compared whole.
        end = max([end, *(one[1] for one in waiting if one[0] < end and one[2])])
        beside = self._beside(segment)
        suppressed, near = load(self._lake), list[Held]()
        for start, stop, line in self._lookout.lines(Stretch(segment, 0, end, False, True)):
            while waiting and waiting[-1][0] <= start:
                near.append(self._hold(waiting.pop(), found))
            near = [held for held in near if held.end > start or self._let_go(held, found)]
            found.read += 1
            if line.isspace():
                found.leave("erased")
            elif why := self._without(line, near, beside, suppressed, found):
                found.leave(why)
            elif why is None:
                missing.append((start, stop))
        for held in near:
            self._let_go(held, found)
        return Compared(found, missing)

    def _without(
        self, line: bytes, near: list[Held], beside: Counter[bytes], suppressed: Suppressed,
        found: Report,
    ) -> str | None:  # fmt: skip
        """Find one line of the log among the objects that should have it: nothing when it is there,
        else why it is not; None when it should be."""
        digest = mark(line)
        holder = next((held for held in near if held.take(digest)), None)
        if holder is not None or beside[digest]:
            found.there += 1
            found.ours.add(digest)
            if holder is None:
                beside[digest] -= 1
            if holder is None or not holder.current:
                found.theirs.add(digest)
            return ""
        if suppressed and suppressed.covers(who(line)):
            return "suppressed"
        if self._everywhere or not any(self._erased(held) for held in near):
            return None
        return "erased_there"

    def _objects(self, segment: Segment) -> list[tuple[int, int, bool, str]]:
        """(start, end, of this epoch, key) of the objects of a segment, the first one last."""
        made, epoch = [], self._lake.identity.epoch
        prefix = f"{_folder(segment)}/{self._lake.identity.lake_id}-"
        for key, _, _ in self._bucket.listed(prefix):
            if (parts := KEY.fullmatch(key)) and int(parts[6]) == segment.number:
                made.append((int(parts[7]), int(parts[8]), int(parts[5]) == epoch, key))
        return sorted(made, reverse=True)

    def _beside(self, segment: Segment) -> Counter[bytes]:
        """What earlier runs put into the folder of the segment's day."""
        prefix = f"{_folder(segment)}/{_as_uuid(self._of_us + '0' * 16)[:19]}"
        keys = [key for key, _, _ in self._bucket.listed(prefix)]
        return Counter(mark(line) for key in keys for line in self._bucket.read(key))

    def _hold(self, one: tuple[int, int, bool, str], found: Report) -> Held:
        start, end, current, key = one
        marks = Counter(mark(line) for line in self._bucket.read(key))
        if current:
            for digest, times in marks.items():
                for _ in range(times):
                    found.theirs.add(digest)
        return Held(key, start, end, current, marks)

    def _let_go(self, held: Held, found: Report) -> bool:
        """Whatever of it is left, the log has not; always False."""
        if held.current:
            found.extra += held.marks.total()
        return False

    def _erased(self, held: Held) -> bool:
        if held.erased is None:
            stored = self._bucket.stored(held.key)
            held.erased = stored is not None and stored.erased
        return held.erased

    def _put(self, segment: Segment, places: list[tuple[int, int]]) -> Report:
        """Lines at these places as one object, unless they were erased since; read back."""
        report, lines = Report(""), list[bytes]()
        with delivering(self._lake):
            suppressed = load(self._lake)
            for line in _read(self._lake.root / segment.path, places):
                if line.isspace():
                    report.leave("erased")
                elif suppressed and suppressed.covers(who(line)):
                    report.leave("suppressed")
                else:
                    lines.append(line)
            if not lines:
                return report
            size, epoch = sum(map(len, lines)), self._lake.identity.epoch
            name = f"{self._writer}-{epoch:06d}-{self._made:08d}-{0:012d}-{size:012d}"
            key = f"{_folder(segment)}/{name}.jsonl.gz"
            self._bucket.put_once(key, tuple(lines))
            for line in lines:
                report.ours.add(mark(line))
            for line in self._bucket.read(key):
                report.theirs.add(mark(line))
            report.filled = len(lines)
        return report


def _folder(segment: Segment) -> str:
    year, month, day = day_of(segment).split("-")
    return f"raw/year={year}/month={month}/day={day}"


def _as_uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _grouped(places: list[tuple[int, int]], most: int) -> Iterator[list[tuple[int, int]]]:
    group: list[tuple[int, int]] = []
    size = 0
    for start, stop in places:
        if group and size + stop - start > most:
            yield group
            group, size = [], 0
        group.append((start, stop))
        size += stop - start
    if group:
        yield group


def _read(path: Path, places: list[tuple[int, int]]) -> Iterator[bytes]:
    with path.open("rb") as file:
        for start, stop in places:
            file.seek(start)
            yield file.read(stop - start)
