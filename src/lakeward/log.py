"""The log: the lake's raw zone, dated folders of JSON Lines that any program can read.

In: whole lines as bytes. Out: files in order, and a durable end that no reader passes. Fails with
OSError when the disk says no; nothing then counts as written.

    .lakeward/segments.jsonl   one line when a file is opened, one when it is sealed; its order is
                               the log's order, whatever the folders and clocks say:
        {"segment":7,"stream":"raw","path":"raw/year=2025/month=08/day=14/daily_summary.jsonl","epoch":1}
        {"segment":7,"sealed":"day","bytes":52110,"lines":118}
    .lakeward/published        64 bytes: magic, epoch, batch, then (segment, end) of the raw log
                               and of the quarantine, then a CRC

Sealed files are never appended to again. A line of spaces is an erased record: it keeps its place
so that positions never move, and readers skip it. `docs/formats/log.md` has the whole format.
"""

from __future__ import annotations

import errno
import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal
from zlib import crc32

import msgspec

from lakeward.errors import Unreadable
from lakeward.interaction import clamp, iso
from lakeward.lakedir import LakeDir, make_folders, sync_folder, write_all
from lakeward.ledger import STREAMS, Part, State, Stream

Why = Literal["day", "size", "sync_failed", "gone", "recovered"]
NAMES: dict[Stream, str] = {"raw": "daily_summary", "quarantine": "quarantine"}
PUBLISHED: Final = struct.Struct("<8sIQQQQQ8x")
PUBLISHED_MAGIC: Final = b"LAKEEND1"


class Opened(msgspec.Struct, frozen=True):
    """A file was opened: line of segments.jsonl."""

    segment: int
    stream: Stream
    path: str
    epoch: int


class Sealed(msgspec.Struct, frozen=True):
    """A file was sealed at `bytes`: line of segments.jsonl."""

    segment: int
    sealed: Why
    bytes: int
    lines: int


class SegmentLine(msgspec.Struct, frozen=True):
    """Either kind of line, as decoded."""

    segment: int
    stream: Stream | None = None
    path: str = ""
    epoch: int = 0
    sealed: Why | None = None
    bytes: int = 0
    lines: int = 0


_decode_line = msgspec.json.Decoder(SegmentLine).decode


class Segment(msgspec.Struct):
    """One file of the log; `end` and `lines` are set once it is sealed."""

    number: int
    stream: Stream
    path: str
    epoch: int
    end: int | None = None
    lines: int = 0


class Published(msgspec.Struct, frozen=True):
    """The durable end: (segment, end) of each stream after batch `batch`."""

    epoch: int
    batch: int
    ends: dict[Stream, tuple[int, int]]


class Position(msgspec.Struct, frozen=True):
    """A place in the log between two lines."""

    epoch: int = 0
    segment: int = 0
    offset: int = 0


def day_folder(stream: Stream, ms: int) -> str:
    """The dated folder (UTC) for a receipt at `ms`, relative to the lake."""
    year, month, day = iso(clamp(ms))[:10].split("-")
    return f"{stream}/year={year}/month={month}/day={day}"


def read_segments(lake: LakeDir) -> tuple[list[Segment], int]:
    """All segments in log order, and how many bytes of segments.jsonl are whole."""
    try:
        content = (lake.private / "segments.jsonl").read_bytes()
    except FileNotFoundError:
        return [], 0
    good = content.rfind(b"\n") + 1
    segments: dict[int, Segment] = {}
    for line in content[:good].splitlines():
        try:
            row = _decode_line(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unreadable("segments.jsonl has a damaged line: restore it") from None
        if row.stream is not None:
            segments[row.segment] = Segment(row.segment, row.stream, row.path, row.epoch)
        elif row.segment in segments:
            segments[row.segment].end = row.bytes
            segments[row.segment].lines = row.lines
    return list(segments.values()), good


def encode_published(epoch: int, batch: int, ends: dict[str, tuple[int, int, int]]) -> bytes:
    """The 64 bytes of `published` for the ends of a ledger's state."""
    pairs = [ends.get(stream, (0, 0, 0))[:2] for stream in STREAMS]
    body = PUBLISHED.pack(PUBLISHED_MAGIC, epoch, batch, *pairs[0], *pairs[1])
    return body + struct.pack("<I", crc32(body))


def read_published(path: Path) -> Published | None:
    """The published end, or None when the file is absent or not whole."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(content) != 64 or crc32(content[:60]) != struct.unpack("<I", content[60:])[0]:
        return None
    magic, epoch, batch, raw, raw_end, bad, bad_end = PUBLISHED.unpack_from(content)
    if magic != PUBLISHED_MAGIC:
        return None
    return Published(epoch, batch, {"raw": (raw, raw_end), "quarantine": (bad, bad_end)})


def read_lines(
    lake: LakeDir, start: Position | None = None, stream: Stream = "raw"
) -> Iterator[tuple[bytes, Position]]:
    """Durable lines after `start`, each with the position behind it; erased ones are skipped."""
    published = read_published(lake.private / "published")
    if published is None:
        return
    start = start or Position()
    if start.epoch not in {0, published.epoch}:
        raise Unreadable(
            f"the position is of epoch {start.epoch} and the lake is in {published.epoch}: "
            "what it pointed to may be another record now; start again"
        )
    for segment, end in durable_files(lake, published, stream):
        if segment.number < start.segment:
            continue
        offset = start.offset if segment.number == start.segment else 0
        try:
            file = (lake.root / segment.path).open("rb")
        except FileNotFoundError:  # retention took it; `doctor` knows whether it did
            continue
        with file:
            file.seek(offset)
            while offset < end:
                line = file.readline(end - offset)
                if not line:
                    break
                offset += len(line)
                if line.strip():
                    yield line, Position(published.epoch, segment.number, offset)


def durable_files(
    lake: LakeDir, published: Published, stream: Stream = "raw"
) -> Iterator[tuple[Segment, int]]:
    """The files of a stream in log order, each with the end that no reader passes."""
    last, last_end = published.ends[stream]
    for segment in read_segments(lake)[0]:
        if segment.stream != stream or segment.number > last:
            continue
        if segment.number == last:
            yield segment, last_end
        elif segment.end is not None:
            yield segment, segment.end


def last_lines(lake: LakeDir, n: int, stream: Stream = "raw") -> list[tuple[bytes, Position]]:
    """The newest `n` durable lines, oldest first; reads no more segments than it needs."""
    newest: list[tuple[bytes, Position]] = []
    for segment in reversed([s for s in read_segments(lake)[0] if s.stream == stream]):
        rows: deque[tuple[bytes, Position]] = deque(maxlen=n)
        for line, position in read_lines(lake, Position(0, segment.number, 0), stream):
            if position.segment != segment.number:
                break
            rows.append((line, position))
        newest = [*rows, *newest][-n:] if n else []
        if len(newest) >= n:
            break
    return newest


class Log:
    """The writer's side: open segments, one per stream. Only the keeper has one."""

    def __init__(
        self, lake: LakeDir, segment_bytes: int, fdatasync: Callable[[int], None] = os.fdatasync
    ) -> None:
        self.lake = lake
        self._segment_bytes = segment_bytes
        self._fdatasync = fdatasync
        self._files: dict[Stream, int] = {}
        self._open: dict[Stream, Segment] = {}
        self._ends: dict[Stream, tuple[int, int]] = {}
        self._distrusted: set[Stream] = set()
        self.segments, good = read_segments(lake)
        path = lake.private / "segments.jsonl"
        self._table = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if os.fstat(self._table).st_size != good:
            os.ftruncate(self._table, good)
        self._table_size = good
        self._published = os.open(
            lake.private / "published", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        sync_folder(lake.private)

    def place(self, stream: Stream, size: int, now_ms: int) -> tuple[int, int]:
        """(segment, offset) where `size` bytes received at `now_ms` go; rolls when they must."""
        folder = day_folder(stream, now_ms)
        segment = self._open.get(stream)
        if segment is not None:
            end, _ = self._ends[stream]
            if stream in self._distrusted:
                self.seal(stream, "sync_failed")
            elif not segment.path.startswith(folder + "/"):
                self.seal(stream, "day")
            elif end and end + size > self._segment_bytes:
                self.seal(stream, "size")
            elif os.fstat(self._files[stream]).st_nlink == 0:
                self.seal(stream, "gone")
        if stream not in self._open:
            self._open_segment(stream, folder)
        return self._open[stream].number, self._ends[stream][0]

    def write(self, stream: Stream, data: bytes, lines: int) -> None:
        """Append whole lines and sync them; on OSError nothing of them stays."""
        fd = self._files[stream]
        end, before = self._ends[stream]
        try:
            write_all(fd, data)
        except OSError:
            self._cut(stream)
            raise
        try:
            self._fdatasync(fd)
        except OSError:
            # The kernel may have dropped the pages and called them clean: what follows `end` in
            # this file can never be trusted again.
            self._distrusted.add(stream)
            self._cut(stream)
            raise
        if os.fstat(fd).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "the file was deleted while it was written")
        self._ends[stream] = (end + len(data), before + lines)

    def take_back(self, part: Part) -> None:
        """Cut a part that was written although its batch failed in another stream."""
        if self._open.get(part.stream) is not None:
            end, lines = self._ends[part.stream]
            if end == part.end:
                self._ends[part.stream] = (part.start, lines - part.lines)
                self._cut(part.stream)

    def _cut(self, stream: Stream) -> None:
        try:
            os.ftruncate(self._files[stream], self._ends[stream][0])
        except OSError:
            self._distrusted.add(stream)

    def publish(self, state: State) -> bytes:
        """Let readers see everything up to the ends of `state`; the 64 bytes that say so."""
        content = encode_published(state.epoch, state.batch, state.ends)
        os.pwrite(self._published, content, 0)
        return content

    def seal(self, stream: Stream, why: Why) -> None:
        """Never append to the stream's open file again."""
        segment = self._open.get(stream)
        if segment is None:
            return
        end, lines = self._ends[stream]
        self._note(Sealed(segment.number, why, end, lines))
        segment.end, segment.lines = end, lines
        os.close(self._files.pop(stream))
        del self._open[stream], self._ends[stream]
        self._distrusted.discard(stream)

    def _open_segment(self, stream: Stream, folder: str) -> None:
        """Open the first free name of the day; name and entry are durable before any line."""
        parent = self.lake.root / folder
        make_folders(parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        for n in range(1_000_000):
            name = f"{NAMES[stream]}{f'-{n:04d}' if n else ''}.jsonl"
            try:
                fd = os.open(parent / name, flags, 0o640)
                break
            except FileExistsError:
                continue
        try:
            sync_folder(parent)
            number = max((s.number for s in self.segments), default=0) + 1
            path = f"{folder}/{name}"
            self._note(Opened(number, stream, path, self.lake.identity.epoch))
        except BaseException:
            os.close(fd)
            (parent / name).unlink(missing_ok=True)
            raise
        segment = Segment(number, stream, path, self.lake.identity.epoch)
        self.segments.append(segment)
        self._files[stream], self._open[stream], self._ends[stream] = fd, segment, (0, 0)

    def _note(self, row: Opened | Sealed) -> None:
        line = msgspec.json.encode(row) + b"\n"
        try:
            write_all(self._table, line)
            os.fsync(self._table)
        except OSError:
            os.ftruncate(self._table, self._table_size)
            raise
        self._table_size += len(line)

    def resume(self, segment: Segment, end: int, lines: int) -> None:
        """Go on appending to a segment that was open when the last keeper ended, at `end`."""
        fd = os.open(self.lake.root / segment.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_size != end:
                os.ftruncate(fd, end)
            self._fdatasync(fd)
        except BaseException:
            os.close(fd)
            raise
        stream = segment.stream
        self._files[stream], self._open[stream] = fd, segment
        self._ends[stream] = (end, lines)

    def note_sealed(self, segment: Segment, why: Why, end: int, lines: int) -> None:
        """Seal a segment that is not open in this process."""
        self._note(Sealed(segment.number, why, end, lines))
        segment.end, segment.lines = end, lines

    def close(self) -> None:
        """Close the files; open segments stay open in the table."""
        for fd in (*self._files.values(), self._table, self._published):
            os.close(fd)
        self._files.clear()
