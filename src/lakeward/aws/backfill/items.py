"""The log against the items in DynamoDB: records that have none get theirs.

In: a lake and a table, segments of the log and how far each is to be compared; the follower
`dynamodb` is that far already. Out: every record of the log as an item, counted; what was put is
read back. Of two records with one id the later in the log stands. An item that holds another record
than the log's last one under its id (put by another host, or changed by hand) is left as it is, and
counted, unless the run is to `replace` it. What expires before today is not put. Fails as the table
does; may be killed and repeated anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import msgspec

from lakeward.aws.backfill.patience import Patience
from lakeward.aws.backfill.tally import ReachedFile, Report
from lakeward.barrier import delivering
from lakeward.errors import Terminal, Undeliverable
from lakeward.followers.cursor import Cursor
from lakeward.followers.protocol import Slice
from lakeward.followers.slices import Lookout, Stretch, day_of
from lakeward.interaction import JsonObject
from lakeward.lakedir import LakeDir
from lakeward.log import Segment
from lakeward.sinks.dynamodb import DynamoTable
from lakeward.sinks.item import Item, Unfit, record_of
from lakeward.sinks.objects import mark
from lakeward.suppression import Suppressed, load, who

LINES: Final = 500
BYTES: Final = 1 << 20
MOST_UNLIKE: Final = 100_000
"""Other records under our ids that are remembered; more of them means another lake's table."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class Line(msgspec.Struct, frozen=True):
    """A line of the log in its place, and the item that it should be."""

    start: int
    stop: int
    content: bytes
    item: Item


def content_of(attributes: JsonObject) -> bytes:
    """What an item says, the same however it came: its record, and what it has in the bucket."""
    own = attributes.get("lakeward", {}).get("M", {})
    return _encode([record_of(attributes), own.get("body_sha256", {}).get("S")])


class ItemsFill:
    """One run; `rate` bounds records a second, 0 does not."""

    def __init__(
        self, lake: LakeDir, table: DynamoTable, file: ReachedFile, patience: Patience, *,
        replace: bool = False, rate: float = 0, clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._lake, self._table, self._file = lake, table, file
        self._patience, self._replace, self._rate = patience, replace, rate
        self._clock, self._sleep = clock, sleep
        self._lookout = Lookout(lake)
        self._unlike: dict[str, tuple[int, int, int]] = {}

    def fill(self, segment: Segment, start: int, end: int, report: Report) -> Iterator[int]:
        """Compare a segment from `start` on as far as `end`, and put what is missing; yields each
        place before which all is settled."""
        while start < end:
            began = self._clock()
            start, done, unlike = self._patience(partial(self._step, segment, start, end))
            report.plus(done)
            self._file.reached.unlike = unlike
            yield start
            if self._rate:
                took = self._clock() - began
                self._sleep(max(done.read / self._rate - took, 0))

    def _step(
        self, segment: Segment, start: int, end: int
    ) -> tuple[int, Report, dict[str, tuple[int, int, int]]]:
        """Some lines; the place behind them, what became of them, and under which ids another
        record stands now."""
        report, self._unlike = Report(""), dict(self._file.reached.unlike)
        with delivering(self._lake):
            suppressed, lines, stop, count = load(self._lake), dict[str, Line](), start, 0
            stretch = Stretch(segment, start, end, False, True)
            for begin, stop, content in self._lookout.lines(stretch):
                count += 1
                line = self._wanted(begin, stop, content, suppressed, report)
                if line is not None:
                    if line.item.key in lines:
                        report.superseded += 1
                    lines[line.item.key] = line
                if count == LINES or stop - start >= BYTES:
                    break
            report.read += count
            self._settle(segment, lines, report)
        return stop, report, self._unlike

    def _wanted(
        self, start: int, stop: int, content: bytes, suppressed: Suppressed, report: Report
    ) -> Line | None:
        """The line, unless it has no item: then it is counted."""
        why = ""
        if content.isspace():
            why = "erased"
        elif suppressed and suppressed.covers(who(content)):
            why = "suppressed"
        else:
            try:
                item = self._table.expected(content)
            except Unfit:
                why = "unfit"
            else:
                expires = item.attributes.get("expires_at", {}).get("N")
                if expires is None or int(expires) > self._clock():
                    return Line(start, stop, content, item)
                why = "expired"
        report.leave(why)
        return None

    def _settle(self, segment: Segment, lines: dict[str, Line], report: Report) -> None:
        """Look for the items, put those that are not there, and look again."""
        absent: list[Line] = []
        found = self._table.look(list(lines))
        for key, line in lines.items():
            if key not in found:
                absent.append(line)
            elif self._alike(line, found[key]):
                report.there += 1
                self._counted(line, found[key], report)
                self._supersedes(key, report)
            elif self._replace:
                absent.append(line)
            else:
                self._supersedes(key, report)  # the earlier line counts no more: this one does
                self._unlike[key] = (segment.number, line.start, line.stop)
        if len(self._unlike) > MOST_UNLIKE:
            raise Terminal(
                f"the table has other records under {MOST_UNLIKE:,} ids of this lake: it is "
                "another lake's; mend INTERACTIONS_TABLE"
            )
        if absent:
            self._put(segment, absent, report)

    def _put(self, segment: Segment, absent: list[Line], report: Report) -> None:
        epoch = self._lake.identity.epoch
        start = Cursor(epoch, segment.number, absent[0].start)
        end = Cursor(epoch, segment.number, absent[-1].stop)
        refused: set[int] = set()
        try:
            content = tuple(line.content for line in absent)
            self._table.deliver(Slice(start, end, content, day_of(segment)))
        except Undeliverable as error:
            refused = {n for n, _ in error.records}
            report.leave("unfit", len(refused))
        put = [line for n, line in enumerate(absent) if n not in refused]
        found = self._table.look([line.item.key for line in put])
        for line in put:
            report.filled += 1
            report.ours.add(mark(content_of(line.item.attributes)))
            if line.item.key in found:
                report.theirs.add(mark(content_of(found[line.item.key])))
            self._supersedes(line.item.key, report)

    def _supersedes(self, key: str, report: Report) -> None:
        """An earlier line of this id, for which another item was found, is not the last one."""
        if self._unlike.pop(key, None):
            report.superseded += 1

    def _alike(self, line: Line, found: JsonObject) -> bool:
        return content_of(line.item.attributes) == content_of(found)

    def _counted(self, line: Line, found: JsonObject, report: Report) -> None:
        report.ours.add(mark(content_of(line.item.attributes)))
        report.theirs.add(mark(content_of(found)))

    def end(self, report: Report) -> None:
        """Nothing follows: what another record still stands for stays so."""
        report.other = len(self._file.reached.unlike)
