"""A slice of the log on its way into the table: in the order of ids, each id once.

In: a position in the log and how many bytes to take. Out: a `Batch` of lines by day, with counts of
what was left out and why. Fails with `Unreadable` for a position of another epoch.

Every line of the log begins with its id, in lower case, so lines sort by id as they are, without
being parsed; they come nearly in that order, which makes it cheap. Of several lines with one id the
first in the log stays.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import msgspec

from lakeward.errors import Unreadable
from lakeward.interaction import LATEST_MS, id_ms, iso
from lakeward.lakedir import LakeDir
from lakeward.log import Position, Published, durable_files, read_published
from lakeward.suppression import Suppressed, named

BEGIN: Final = b'{"interaction_id":"'
ID: Final = slice(len(BEGIN), len(BEGIN) + 36)
NEWER: Final = b'"schema_version":'
DAY_MS: Final = 86_400_000
HEAD: Final = slice(ID.start, ID.stop + 1)
SHAPE: Final = b'00000000-0000-0000-0000-000000000000"'
AS_ZERO: Final = bytes.maketrans(b"123456789abcdef", b"0" * 15)
BEHIND: Final = b"%08x-%04x-g" % divmod(LATEST_MS, 1 << 16)
"""What is greater than any id of a year that a lake has partitions for."""


class Taken(msgspec.Struct, frozen=True):
    """Bytes of whole lines between two positions of the log."""

    content: bytes
    start: Position
    end: Position
    holes: bool = False
    """Whether files between them are deleted already."""


class Batch(msgspec.Struct):
    """Lines in the order of their ids, none twice; `ids` go with `lines`."""

    lines: list[bytes]
    ids: list[bytes]
    read: int = 0
    """Lines that stand in the log, those that were left out included."""
    erased: int = 0
    duplicate: int = 0
    suppressed: int = 0
    odd: list[bytes] = []
    """Lines that do not begin as ours do, with an id in its one spelling."""

    def days(self) -> Iterator[tuple[str, Batch]]:
        """The batch in parts of one event date each."""
        start = 0
        while start < len(self.ids):
            ms = id_ms(self.ids[start].decode())
            behind = f"{(ms // DAY_MS + 1) * DAY_MS:012x}"
            end = bisect_left(self.ids, f"{behind[:8]}-{behind[8:]}".encode(), start)
            yield iso(ms)[:10], Batch(self.lines[start:end], self.ids[start:end])
            start = end

    def between(self, first: str, last: str) -> list[bytes]:
        """The ids whose millisecond, as twelve hex digits, is within the bounds."""
        low = f"{first[:8]}-{first[8:]}".encode()
        high = f"{last[:8]}-{last[8:]}~".encode()
        return self.ids[bisect_left(self.ids, low) : bisect_right(self.ids, high)]

    def without(self, ids: set[bytes]) -> Batch:
        """The batch less some ids."""
        lines = [line for line in self.lines if line[ID] not in ids]
        return Batch(lines, [line[ID] for line in lines])


def take(lake: LakeDir, start: Position, most: int) -> Taken | None:
    """At least one line after `start`, about `most` bytes; None when there is nothing yet."""
    published = read_published(lake.private / "published")
    if published is None:
        return None
    if start.epoch not in {0, published.epoch}:
        raise Unreadable("the lake's epoch rose meanwhile: compact again")
    if is_ahead(start, published):
        start = Position()
    pieces: list[bytes] = []
    size, end, holes = 0, start, False
    for segment, durable in durable_files(lake, published):
        offset = start.offset if segment.number == start.segment else 0
        if segment.number < start.segment or offset >= durable:
            continue
        try:
            with (lake.root / segment.path).open("rb") as file:
                file.seek(offset)
                piece = file.read(min(durable - offset, most - size))
                if offset + len(piece) < durable:
                    piece += file.readline()
        except FileNotFoundError:
            piece, holes = b"", True  # retention took it
            offset = durable
        pieces.append(piece)
        size += len(piece)
        end = Position(published.epoch, segment.number, offset + len(piece))
        if size >= most:
            break
    if end == start:
        return None
    return Taken(pieces[0] if len(pieces) == 1 else b"".join(pieces), start, end, holes)


def is_ahead(place: Position, published: Published) -> bool:
    """Whether a table has more of a log than there is: the disk is an older copy of itself. Then
    all of the log is looked at again, as what the place was of is not known."""
    return (place.segment, place.offset) > published.ends["raw"]


def batch_of(content: bytes) -> Batch:
    """The lines of `content` in the order of their ids, each id once, first in log order."""
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    read = len(lines)
    ordered = sorted(lines)
    # Spaces are before letters and braces, so what is erased stands in front.
    erased = bisect_left(ordered, b"!") if ordered and ordered[0][:1] in {b" ", b""} else 0
    ordered = ordered[erased:]
    odd: list[bytes] = []
    if not _all_begin(ordered):
        odd = [line for line in ordered if not begins(line)]
        ordered = [line for line in ordered if begins(line)]
    ids = [line[ID] for line in ordered]
    duplicate = len(ids) - len(set(ids))
    if duplicate:
        ordered = _firsts(lines, ordered, ids)
        ids = [line[ID] for line in ordered]
    return Batch(ordered, ids, read=read, erased=erased, duplicate=duplicate, odd=odd)


def _all_begin(ordered: list[bytes]) -> bool:
    """Whether each of some sorted lines begins with an id; all are looked at in one go."""
    if not ordered:
        return True
    heads = b"".join([line[HEAD] for line in ordered])
    return (
        ordered[0].startswith(BEGIN)
        and ordered[-1].startswith(BEGIN)
        and heads.translate(AS_ZERO) == SHAPE * len(ordered)
        and ordered[-1][ID] < BEHIND
    )


def begins(line: bytes) -> bool:
    """Whether a line begins with an id as ours do."""
    return _all_begin([line])


def _firsts(lines: list[bytes], ordered: list[bytes], ids: list[bytes]) -> list[bytes]:
    """Of sorted lines one for each id: the one that is first in log order."""
    repeated = {one for one, other in pairwise(ids) if one == other}
    firsts: dict[bytes, bytes] = {}
    for line in [line for line in lines if line[ID] in repeated]:
        firsts.setdefault(line[ID], line)
    once = [ordered[0]]
    once += [line for line, (one, other) in zip(ordered[1:], pairwise(ids), strict=True)
             if one != other]  # fmt: skip
    return [firsts.get(line[ID], line) for line in once]


def unsuppressed(lines: list[bytes], suppressed: Suppressed) -> tuple[list[bytes], list[bytes]]:
    """The lines without those of erased people, and those of which nobody can tell whose they
    are."""
    kept: list[bytes] = []
    dark: list[bytes] = []
    for line in lines:
        try:
            if not suppressed.covers(named(line)):
                kept.append(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            dark.append(line)
    return kept, dark


def has_newer_fields(content: bytes) -> bool:
    """Whether records of a newer version may be among the lines."""
    return NEWER in content
