"""Lines that leave the log: overwritten in place with spaces, or deleted with their whole file.

In: places of durable lines, and why they go. Out: spaces of equal length, on the disk before this
returns; positions never move. Every removal is journalled first, so that a kill at any instant is
made good by whoever comes next, and counted, so that a line that someone else blanked shows.

    .lakeward/removals.jsonl   each line: CRC-32 of the JSON in hex, a blank, the JSON
        5a1f03c2 {"kind":"cut","number":7,"stream":"raw","why":"erased","cuts":[[3,52110,417],…]}
        0b7c11d9 {"kind":"done","number":7}
        77e0a2f1 {"kind":"gone","number":8,"stream":"raw","segments":[[1,118]]}

A cut is (segment, offset, length), the line feed included, which stays; a gone segment stands with
the lines in it that were not blanked before. `docs/formats/log.md` has the whole format.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal
from zlib import crc32

import msgspec

from lakeward.errors import Terminal, Unreadable
from lakeward.followers import cursor
from lakeward.lakedir import LakeDir, sync_folder, write_all
from lakeward.ledger import Stream
from lakeward.log import Segment, durable_files, read_published, read_segments
from lakeward.person import Gone, Person
from lakeward.suppression import who

Why = Literal["erased", "expired", "suppressed"]
WHYS: Final[tuple[Why, ...]] = ("erased", "expired", "suppressed")
MOST_CUTS: Final = 20_000
"""Cuts in one line of the journal."""


class Cut(msgspec.Struct, frozen=True, array_like=True):
    """The place of one line, its line feed included."""

    segment: int
    offset: int
    length: int


class Cutting(msgspec.Struct, frozen=True, tag_field="kind", tag="cut"):
    """Lines that are about to be blanked."""

    number: int
    stream: Stream
    why: Why
    cuts: list[Cut]


class Done(msgspec.Struct, frozen=True, tag_field="kind", tag="done"):
    """They are, and the cursors behind them agree with what stands there now."""

    number: int


class GoneFiles(msgspec.Struct, frozen=True, tag_field="kind", tag="gone"):
    """Sealed segments whose files are deleted, each with its lines that were not blank."""

    number: int
    stream: Stream
    segments: list[tuple[int, int]]


Event = Cutting | Done | GoneFiles
_decode: Callable[[bytes], Event] = msgspec.json.Decoder(Event).decode


class Removed(msgspec.Struct):
    """What was removed of one segment."""

    erased: int = 0
    expired: int = 0
    suppressed: int = 0
    gone: bool = False

    def blank(self) -> int:
        """Lines of spaces that stand in its file."""
        return self.erased + self.expired + self.suppressed


class Journal(msgspec.Struct):
    """What the journal says."""

    removed: dict[int, Removed] = {}
    pending: list[Cutting] = []
    number: int = 0
    whole: int = 0
    """Bytes of whole lines in it."""


def read_journal(lake: LakeDir) -> Journal:
    """Add the journal up; Unreadable when a line of it was changed."""
    try:
        content = (lake.private / "removals.jsonl").read_bytes()
    except FileNotFoundError:
        return Journal()
    journal = Journal(whole=content.rfind(b"\n") + 1)
    open_cuts: dict[int, Cutting] = {}
    for line in content[: journal.whole].splitlines():
        event = _checked(line)
        if event.number != journal.number + (not isinstance(event, Done)):
            raise Unreadable("removals.jsonl lacks a line: restore it")
        journal.number = event.number
        match event:
            case Cutting():
                open_cuts[event.number] = event
                for cut in event.cuts:
                    found = journal.removed.setdefault(cut.segment, Removed())
                    setattr(found, event.why, getattr(found, event.why) + 1)
            case Done():
                open_cuts.pop(event.number, None)
            case GoneFiles():
                for segment, lines in event.segments:
                    found = journal.removed.setdefault(segment, Removed())
                    found.expired += lines
                    found.gone = True
    journal.pending = list(open_cuts.values())
    return journal


def removed(lake: LakeDir) -> dict[int, Removed]:
    """What was removed, by segment."""
    return read_journal(lake).removed


def _checked(line: bytes) -> Event:
    try:
        if int(line[:8], 16) == crc32(line[9:]):
            return _decode(line[9:])
    except (ValueError, msgspec.MsgspecError):
        pass
    raise Unreadable("removals.jsonl has a damaged line: restore it")


class Remover:
    """The one who removes; holds the lock on removals."""

    def __init__(self, lake: LakeDir, pause: Callable[[str], None] = lambda point: None) -> None:
        self._lake = lake
        self._pause = pause
        self._journal = read_journal(lake)
        for cutting in self._journal.pending:
            self._blank(cutting)

    def remove_lines(self, cuts: Sequence[Cut], why: Why, stream: Stream) -> int:
        """Blank lines that are not blank yet; how many."""
        fresh = self._fresh(cuts, stream)
        for start in range(0, len(fresh), MOST_CUTS):
            some = fresh[start : start + MOST_CUTS]
            cutting = Cutting(self._journal.number + 1, stream, why, some)
            self._sync_published()
            self._append(cutting)
            self._pause("after intent")
            self._blank(cutting)
        return len(fresh)

    def remove_segments(self, numbers: Sequence[int], stream: Stream) -> int:
        """Delete the files of sealed segments; the lines that went with them."""
        known = self._segments(stream)
        blank = {number: found.blank() for number, found in self._journal.removed.items()}
        listed: list[tuple[int, int]] = []
        for number in numbers:
            segment = known.get(number)
            if segment is None or segment.end is None:
                raise Terminal(f"segment {number} is not sealed: only whole files can be deleted")
            found = self._journal.removed.get(number)
            if found is None or not found.gone:
                listed.append((number, segment.lines - blank.get(number, 0)))
        if listed:
            self._append(GoneFiles(self._journal.number + 1, stream, listed))
            self._pause("after intent")
        for number in numbers:
            self._unlink(known[number])
        return sum(lines for _, lines in listed)

    def _unlink(self, segment: Segment) -> None:
        path = self._lake.root / segment.path
        path.unlink(missing_ok=True)
        folder = path.parent
        while folder != self._lake.root and folder.is_dir():
            sync_folder(folder)
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent

    def _segments(self, stream: Stream) -> dict[int, Segment]:
        return {s.number: s for s in read_segments(self._lake)[0] if s.stream == stream}

    def _fresh(self, cuts: Sequence[Cut], stream: Stream) -> list[Cut]:
        """The cuts that are whole durable lines and not blank; Terminal for one that is no line."""
        published = read_published(self._lake.private / "published")
        if published is None:
            return []
        files = {s.number: (s, end) for s, end in durable_files(self._lake, published, stream)}
        fresh: list[Cut] = []
        with contextlib.ExitStack() as opened:
            fds: dict[int, int] = {}
            for cut in sorted(set(cuts), key=lambda c: (c.segment, c.offset)):
                segment, end = files.get(cut.segment, (None, 0))
                if segment is None or cut.offset + cut.length > end:
                    raise Terminal(f"there is no durable line at {cut.segment}:{cut.offset}")
                if cut.segment not in fds:
                    fd = os.open(self._lake.root / segment.path, os.O_RDONLY | os.O_CLOEXEC)
                    opened.callback(os.close, fd)
                    fds[cut.segment] = fd
                line = os.pread(fds[cut.segment], cut.length, cut.offset)
                if line.find(b"\n") != cut.length - 1:
                    raise Terminal(f"{cut.segment}:{cut.offset} is not the place of one line")
                if line.strip():
                    fresh.append(cut)
        return fresh

    def _blank(self, cutting: Cutting) -> None:
        """Overwrite, sync, and renew the cursors that looked at these bytes."""
        known = self._segments(cutting.stream)
        by_segment: dict[int, list[Cut]] = {}
        for cut in cutting.cuts:
            by_segment.setdefault(cut.segment, []).append(cut)
        if not by_segment.keys() <= known.keys():
            raise Unreadable(
                "removals.jsonl names a file that segments.jsonl lacks: restore both of one time"
            )
        with cursor.locked(self._lake):
            for number, cuts in by_segment.items():
                with contextlib.suppress(FileNotFoundError):
                    self._overwrite(self._lake.root / known[number].path, cuts)
                self._pause("between files")
            self._pause("before cursors")
            if cutting.stream == "raw":
                cursor.recompute(self._lake, frozenset(by_segment))
        self._append(Done(cutting.number))

    def _overwrite(self, path: os.PathLike[str], cuts: list[Cut]) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for cut in cuts:
                os.pwrite(fd, b" " * (cut.length - 1), cut.offset)
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def _sync_published(self) -> None:
        """A batch that was published stays settled after a power loss, although its bytes are not
        those that its checksum was made of any more."""
        with (self._lake.private / "published").open("rb") as file:
            os.fsync(file.fileno())

    def _append(self, event: Event) -> None:
        body = msgspec.json.encode(event)
        path = self._lake.private / "removals.jsonl"
        new = not path.exists()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, self._journal.whole)  # what a crash tore was not acted upon
            line = b"%08x %s\n" % (crc32(body), body)
            write_all(fd, line)
            os.fsync(fd)
        finally:
            os.close(fd)
        if new:
            sync_folder(self._lake.private)
        self._journal.whole += len(line)
        self._note(event)

    def _note(self, event: Event) -> None:
        self._journal.number = event.number
        if isinstance(event, Cutting):
            for cut in event.cuts:
                found = self._journal.removed.setdefault(cut.segment, Removed())
                setattr(found, event.why, getattr(found, event.why) + 1)


@contextlib.contextmanager
def paused(lake: LakeDir, *, wait: bool = True) -> Iterator[None]:
    """Nobody removes lines while this is held; BlockingIOError when somebody does and we may not
    `wait`."""
    fd = os.open(lake.private / "removals.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(fd)


def under_way(lake: LakeDir) -> bool:
    """Whether somebody removes lines just now, or keeps others from it. Writes nothing."""
    try:
        fd = os.open(lake.private / "removals.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def interrupted(lake: LakeDir) -> bool:
    """Whether a removal was begun and nobody is at it. Who takes the lock ends what is open before
    anything else, so what is open on both sides of a free lock was left by the dead."""
    begun = {cutting.number for cutting in read_journal(lake).pending}
    if not begun or under_way(lake):
        return False
    return not begun.isdisjoint(cutting.number for cutting in read_journal(lake).pending)


def remove_lines(
    lake: LakeDir,
    cuts: Sequence[Cut],
    why: Why,
    *,
    stream: Stream = "raw",
    pause: Callable[[str], None] = lambda point: None,
) -> int:
    """Blank durable lines in place; how many were not blank before. Terminal for what is no
    line."""
    with paused(lake):
        return Remover(lake, pause).remove_lines(cuts, why, stream)


def remove_segments(
    lake: LakeDir,
    numbers: Sequence[int],
    *,
    stream: Stream = "raw",
    pause: Callable[[str], None] = lambda point: None,
) -> int:
    """Delete whole sealed segments; how many lines expired with them."""
    with paused(lake):
        return Remover(lake, pause).remove_segments(numbers, stream)


def finish_pending(lake: LakeDir, *, wait: bool = True) -> bool:
    """Make good what a kill interrupted; whether nothing is left of it. Takes the lock only when
    there is something. Without `wait` it is left to whoever has the lock, or removes next."""
    if not (read_journal(lake).pending or _left_standing(lake)):
        return True
    try:
        with paused(lake, wait=wait):
            remover = Remover(lake)
            for segment in _left_standing(lake):
                remover._unlink(segment)
    except BlockingIOError:
        return False
    return True


def _left_standing(lake: LakeDir) -> list[Segment]:
    """Segments whose files are there although they are gone."""
    gone = {number for number, found in read_journal(lake).removed.items() if found.gone}
    return [
        segment
        for segment in (read_segments(lake)[0] if gone else [])
        if segment.number in gone and (lake.root / segment.path).exists()
    ]


def lines_of(lake: LakeDir, stream: Stream) -> Iterator[tuple[Cut, bytes]]:
    """Every durable line that is not blank, with its place."""
    published = read_published(lake.private / "published")
    if published is None:
        return
    for segment, end in durable_files(lake, published, stream):
        offset = 0
        with contextlib.suppress(FileNotFoundError), (lake.root / segment.path).open("rb") as file:
            for line in file:
                if offset + len(line) > end:
                    break
                if line[:1] != b" ":
                    yield Cut(segment.number, offset, len(line)), line
                offset += len(line)


class LogEraser:
    """Forgets people in one stream of the log."""

    def __init__(self, lake: LakeDir, stream: Stream) -> None:
        self.name = "log" if stream == "raw" else "quarantine"
        self._lake = lake
        self._stream = stream

    def find(self, person: Person) -> int:
        """Durable lines that name the person."""
        return len(self._places(person))

    def erase(self, person: Person) -> Gone:
        """Overwrite them in place."""
        places = self._places(person)
        return Gone(remove_lines(self._lake, places, "erased", stream=self._stream))

    def _places(self, person: Person) -> list[Cut]:
        """A line that names the person holds the value as our encoder spells it, which is quick to
        find; a line that others wrote may spell it with escapes of its own."""
        needle = msgspec.json.encode(person.value)[1:-1]
        return [
            cut
            for cut, line in lines_of(self._lake, self._stream)
            if (needle in line or b"\\u" in line or b"\\/" in line) and names(line, person)
        ]


def names(line: bytes, person: Person) -> bool:
    """Whether a line of log or quarantine names the person."""
    if person.matches(who(line)):
        return True
    try:
        record: Any = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    if not isinstance(record, dict):
        return False
    inner = record.get("record")
    return person.matches(record) or (isinstance(inner, dict) and person.matches(inner))
