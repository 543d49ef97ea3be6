"""The log as it grows: where it durably ends, and blocks of its lines read forward.

In: a lake's folder. Out: `Position`s and `Block`s of decoded `Row`s. Everything here reads files
and is called in threads; only the table of segments is kept. Fails with OSError when the disk says
no, and with `Unreadable` when the table is damaged.

Erased lines count as bytes and not as rows. A line that is no record (someone wrote into the log)
becomes a row of type `(unreadable)`, so that it is seen. A segment without its file is passed over.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any

import msgspec

from lakeward.lakedir import LakeDir
from lakeward.log import Position, Published, Segment, read_published, read_segments

BLOCK_BYTES = 1 << 20
NOWHERE = Position()
"""The end of a log that is not there yet."""
UNREADABLE = "(unreadable)"

_POSITION = re.compile(r"(\d{1,9})-(\d{1,12})-(\d{1,15})\Z")


class Row(msgspec.Struct, gc=False):
    """What filters, the hour and who is online need of one record."""

    interaction_id: str | None = None
    timestamp: str | None = None
    received_at: str | None = None
    interaction_type: str | None = None
    method: str | None = None
    path: str | None = None
    url: str | None = None
    route: str | None = None
    user_id: str | None = None
    user_type: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    trace_id: str | None = None
    error_type: str | None = None
    service: str | None = None
    environment: str | None = None
    app_version: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    response_status: int | None = None
    response_time_ms: float | None = None


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A row, the line it was read from and the position where that line begins."""

    row: Row
    line: bytes
    at: Position


class Block(msgspec.Struct, frozen=True):
    """Rows of consecutive lines; reading goes on at `end`."""

    rows: list[Entry]
    end: Position


_decode_row = msgspec.json.Decoder(Row).decode


def write_position(position: Position) -> str:
    """`epoch-segment-offset`, the id of an event in the stream."""
    return f"{position.epoch}-{position.segment}-{position.offset}"


def parse_position(text: str) -> Position | None:
    """The position that `write_position` wrote, None for anything else."""
    found = _POSITION.match(text)
    return Position(*map(int, found.groups())) if found else None


def decode(line: bytes) -> Row:
    """The row of a line, whatever the line holds."""
    try:
        return _decode_row(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return Row(**_fitting(msgspec.json.decode(line)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Row(interaction_type=UNREADABLE)


def _fitting(found: Any) -> dict[str, Any]:
    """The fields that have the type they should have."""
    kept: dict[str, Any] = {}
    if not isinstance(found, dict):
        return {"interaction_type": UNREADABLE}
    for name in Row.__struct_fields__:
        value = found.get(name)
        if name == "response_status":
            fits = isinstance(value, int) and not isinstance(value, bool)
        elif name == "response_time_ms":
            fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        else:
            fits = isinstance(value, str)
        if fits:
            kept[name] = value
    return kept


class Tail:
    """Reads the raw log of one lake. `end` is for one caller at a time, the rest for many."""

    def __init__(self, lake: LakeDir) -> None:
        self._lake = lake
        self._path = lake.private / "published"
        self._segments: list[Segment] = []
        self._file: os.stat_result | None = None
        self.replaced = 0

    def end(self) -> Position | None:
        """The durable end; NOWHERE when there is no log, None when it is being written.

        `replaced` rises when another file stands in the place of `published`: a restored lake.
        """
        for _ in range(4):
            try:
                there = self._path.stat()
            except FileNotFoundError:
                self._notice(None)
                return NOWHERE
            self._notice(there)
            published = read_published(self._path)
            if published is not None:
                return _raw_end(published)
            if there.st_size == 0:
                return NOWHERE  # made, and nothing written yet
            time.sleep(0.002)
        return None

    def _notice(self, there: os.stat_result | None) -> None:
        before, self._file = self._file, there
        if before and there and (before.st_ino, before.st_dev) != (there.st_ino, there.st_dev):
            self.replaced += 1

    def read(self, start: Position, end: Position, limit: int = BLOCK_BYTES) -> Block:
        """About `limit` bytes of whole lines between `start` and `end`, of one segment."""
        found = self._segment(start, end)
        if found is None:
            return Block([], end)
        segment, offset, stop = found
        begin = Position(end.epoch, segment.number, offset)
        try:
            content = self._lines(segment, offset, stop, limit)
        except FileNotFoundError:
            content = b""  # deleted since: what it held is not there to be shown
        if not content:
            return Block([], Position(end.epoch, segment.number, stop))
        return Block(
            entries(content, begin),
            Position(end.epoch, segment.number, offset + len(content)),
        )

    def _segment(self, start: Position, end: Position) -> tuple[Segment, int, int] | None:
        """The first segment with bytes between `start` and `end`: (it, from, to)."""
        for segment in self.segments(end):
            if not start.segment <= segment.number <= end.segment:
                continue
            offset = start.offset if segment.number == start.segment else 0
            stop = _stop(segment, end)
            if offset < stop:
                return segment, offset, stop
        return None

    def segments(self, end: Position) -> list[Segment]:
        """The raw segments up to `end`; the table is read again only when it must have grown."""
        known = self._segments
        if (
            not known
            or known[-1].number < end.segment
            or known[-1].epoch > end.epoch
            or any(s.end is None and s.number < end.segment for s in known[-2:])
        ):
            known = [s for s in read_segments(self._lake)[0] if s.stream == "raw"]
            self._segments = known
        return [s for s in known if s.number <= end.segment]

    def forget(self) -> None:
        """Read the table of segments again at the next call: the past has changed."""
        self._segments = []

    def _lines(self, segment: Segment, offset: int, stop: int, limit: int) -> bytes:
        with (self._lake.root / segment.path).open("rb") as file:
            file.seek(offset)
            while True:
                content = file.read(min(limit, stop - offset))
                if limit >= stop - offset:
                    return content
                whole = content.rfind(b"\n") + 1
                if whole:
                    return content[:whole]
                limit *= 4  # one line is longer than that
                file.seek(offset)

    def holds(self, position: Position, end: Position) -> bool:
        """Whether `position` is between two lines of this log, at or before `end`."""
        segment = self._segment_of(position, end)
        return segment is not None and self._begins(segment, position.offset)

    def _segment_of(self, position: Position, end: Position) -> Segment | None:
        """The segment that holds a position."""
        if position.epoch != end.epoch or _order(position) > _order(end):
            return None
        segment = next((s for s in self.segments(end) if s.number == position.segment), None)
        if segment is None or position.offset > _stop(segment, end):
            return None
        return segment

    def _begins(self, segment: Segment, offset: int) -> bool:
        """Whether a line begins, or the last one ends, at `offset`."""
        if offset == 0:
            return True
        try:
            with (self._lake.root / segment.path).open("rb") as file:
                file.seek(offset - 1)
                return file.read(1) == b"\n"
        except FileNotFoundError:
            return False

    def between(self, start: Position, end: Position) -> int:
        """How many bytes of the log lie between two positions."""
        return sum(
            _stop(s, end) - (start.offset if s.number == start.segment else 0)
            for s in self.segments(end)
            if s.number >= start.segment
        )

    def before(self, end: Position, size: int, since: float = 0.0) -> tuple[Position, bool]:
        """A position at most `size` bytes before `end`, and whether more stands before it.

        Segments last written before `since` (seconds) are left out and do not count as more.
        """
        left = size
        best = end
        for segment in reversed(self.segments(end)):
            stop = _stop(segment, end)
            try:
                if (self._lake.root / segment.path).stat().st_mtime < since:
                    return best, False
            except FileNotFoundError:
                continue
            if stop > left:
                offset = self._next_line(segment, stop - left, stop)
                return Position(end.epoch, segment.number, offset), True
            left -= stop
            best = Position(end.epoch, segment.number, 0)
        return best, False

    def _next_line(self, segment: Segment, offset: int, stop: int) -> int:
        """Where the first line that begins at or behind `offset` begins."""
        with (self._lake.root / segment.path).open("rb") as file:
            file.seek(offset - 1)
            while offset < stop + 1:
                content = file.read(BLOCK_BYTES)
                found = content.find(b"\n")
                if found >= 0:
                    return min(offset + found, stop)
                if not content:
                    break
                offset += len(content)
        return stop

    def line(self, position: Position, end: Position) -> bytes | None:
        """The line that begins at `position`: b"" when it was erased, None when there is none."""
        segment = self._segment_of(position, end)
        if segment is None or not self._begins(segment, position.offset):
            return None
        stop = _stop(segment, end)
        if position.offset >= stop:
            return None
        with (self._lake.root / segment.path).open("rb") as file:
            file.seek(position.offset)
            return file.readline(stop - position.offset).strip()


def _raw_end(published: Published) -> Position:
    return Position(published.epoch, *published.ends["raw"])


def _order(position: Position) -> tuple[int, int]:
    return position.segment, position.offset


def _stop(segment: Segment, end: Position) -> int:
    """Where readers stop in `segment`; 0 for one that was never sealed although others follow."""
    if segment.number == end.segment:
        return end.offset
    return segment.end or 0


def entries(content: bytes, begin: Position) -> list[Entry]:
    """The entries of whole lines; `begin` is where the first stands."""
    found: list[Entry] = []
    offset = begin.offset
    for line in content.split(b"\n"):
        if line.strip():
            found.append(Entry(decode(line), line, Position(begin.epoch, begin.segment, offset)))
        offset += len(line) + 1
    return found
