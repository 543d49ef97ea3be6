"""The way back: what a bucket or a table has and a lake has not, comes into its log.

In: the raw archive of all hosts of a bucket, or the items of a table. Out: each record whose id the
lake does not have, as the line that it was, in the log of today; and a report. Of two lines with
one id the first that comes stays, and the other is counted. Whoever was erased in this lake stays
so: while lines are on their way, no erase ends. A kill at any point leaves nothing twice: what is
known is read from the log itself.

Fails as bucket and table do; `Transient` when the lake's disk lags. Run it again to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Protocol

import msgspec

from lakeward.aws.backfill.known import Known, id_of
from lakeward.aws.backfill.patience import Patience
from lakeward.aws.backfill.tally import Report
from lakeward.barrier import delivering
from lakeward.errors import Transient
from lakeward.lake.archive import KEY, RAW
from lakeward.lakedir import LakeDir
from lakeward.replay import framed
from lakeward.sinks.dynamodb import DynamoTable
from lakeward.sinks.objects import Bucket
from lakeward.suppression import load, who

LINES: Final = 2_000
BYTES: Final = 1 << 20
COMMIT_SECONDS: Final = 60.0


class Recorder(Protocol):
    """What is needed of a collector."""

    def put_batch(self, lines: list[bytes]) -> bool:
        """Finished lines into the ring, all or none."""

    def commit(self, timeout: float) -> None:
        """Return when they are durable."""


class Part(Protocol):
    """A part of a source that is taken whole: an object, or a page of items."""

    name: str

    def lines(self) -> Iterator[bytes]:
        """Its lines."""


class ObjectPart(msgspec.Struct):
    """One object of the archive."""

    name: str
    bucket: Bucket

    def lines(self) -> Iterator[bytes]:
        """As they were shipped."""
        return self.bucket.read(self.name)


class PagePart(msgspec.Struct):
    """One page of the table's items, by the key of its last one."""

    name: str
    table: DynamoTable
    page: list[dict[str, object]]

    def lines(self) -> Iterator[bytes]:
        """As they would have been shipped."""
        return map(self.table.line_of, self.page)


def objects(bucket: Bucket, known: Known) -> Iterator[Part]:
    """Objects of the archive that were not taken before."""
    for key, _, _ in bucket.listed(RAW):
        if KEY.fullmatch(key) and not known.is_done(key):
            yield ObjectPart(key, bucket)


def pages(table: DynamoTable, known: Known, patience: Patience) -> Iterator[Part]:
    """Pages of the table behind those that were taken before."""
    after = known.said("after")
    while True:
        page, last = patience(partial(table.page, after))
        yield PagePart(last, table, page)
        if not last:
            return
        known.say("after", last)
        after = last


def bring(
    lake: LakeDir, parts: Iterator[Part], known: Known, recorder: Recorder, report: Report,
    digest: Callable[[bytes], bytes], told: Callable[[Report], None], patience: Patience,
) -> None:  # fmt: skip
    """Take all parts; `digest` says what of a line is compared."""

    def taken(part: Part) -> Report:
        taking = _Taking(lake, known, recorder, Report(""), digest)
        for lines in _batches(part.lines()):
            taking.take(lines)
        return taking.report

    known.follow()
    for part in parts:
        report.plus(patience(lambda: taken(part)))  # noqa: B023 - called at once
        known.done(part.name, msgspec.json.encode(report).decode())
        told(report)


class _Taking:
    def __init__(
        self, lake: LakeDir, known: Known, recorder: Recorder, report: Report,
        digest: Callable[[bytes], bytes],
    ) -> None:  # fmt: skip
        self._lake, self._known, self._recorder = lake, known, recorder
        self.report, self._digest = report, digest

    def take(self, lines: list[bytes]) -> None:
        """Those of some lines that the lake has not got."""
        report = self.report
        report.read += len(lines)
        with delivering(self._lake):
            suppressed = load(self._lake)
            wanted: list[tuple[bytes, bytes]] = []
            for line in lines:
                key = id_of(line)
                if key is None:
                    report.leave("unreadable")
                elif suppressed and suppressed.covers(who(line)):
                    report.leave("suppressed")
                else:
                    wanted.append((key, line))
            have = self._known.marks([key for key, _ in wanted])
            fresh: dict[bytes, bytes] = {}
            for key, line in wanted:
                if key not in have and key not in fresh:
                    fresh[key] = line
            self._put(list(fresh.values()))
            self._known.follow()
        now = self._known.marks([key for key, _ in wanted])
        for key, line in wanted:
            self._count(fresh.get(key) is line, self._digest(line), now.get(key))

    def _count(self, put: bool, mark: bytes, there: bytes | None) -> None:
        """Whether the log has the line now, or another one of its id, which came first."""
        if not put and there is not None and there != mark:
            self.report.superseded += 1
            return
        self.report.ours.add(mark)
        if there is not None:
            self.report.theirs.add(there)
        if put:
            self.report.filled += 1
        else:
            self.report.there += 1

    def _put(self, lines: list[bytes]) -> None:
        for frame in framed(lines):
            if not self._recorder.put_batch(frame):
                raise Transient(
                    "the memory between this process and the lake's keeper is full or missing: see "
                    "`lakeward doctor`, and run this again to go on"
                )
            self._recorder.commit(COMMIT_SECONDS)


def _batches(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        whole = line.rstrip(b"\n")
        if not whole:
            continue
        if batch and (len(batch) == LINES or size + len(whole) > BYTES):
            yield batch
            batch, size = [], 0
        batch.append(whole)
        size += len(whole)
    if batch:
        yield batch
