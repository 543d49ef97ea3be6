"""A follower's place in the log, remembered so that neither a kill nor a restored lake misleads it.

In: a lake and positions in its log. Out: a cursor file that is replaced whole. `Terminal` when the
log before the cursor is not the log that the cursor was made of: delivering on would lose or repeat
records without anyone knowing.

    .lakeward/cursors/NAME.json
        {"done":{"epoch":1,"segment":7,"offset":52110,"crc":3735928559},"planned":{…},
         "share":10000,"inside":118,"counts":{"delivered":1180,"quarantined":2,…}}
    .lakeward/cursors/.lock     flocked around every change: an erase recomputes the CRCs

`crc` covers the 4 KB before the place. The planned end of a slice is synced into the file before
the first attempt to deliver it, with the rollout's share, so that every attempt has the same range
and users, and so the same name. `counts` are the lines of the log before `done`, by what became of
them; `inside` are those in the segment of `done`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import msgspec

from lakeward.errors import Terminal
from lakeward.lakedir import LakeDir, replace_file
from lakeward.log import Position, read_segments
from lakeward.rollout import ALL

BEHIND = 4096
NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Cursor(msgspec.Struct, frozen=True):
    """A place in the log, with the CRC of what stands before it."""

    epoch: int = 0
    segment: int = 0
    offset: int = 0
    crc: int = 0

    def position(self) -> Position:
        """The place alone."""
        return Position(self.epoch, self.segment, self.offset)


class Counts(msgspec.Struct, frozen=True):
    """What became of lines of the log, for one follower."""

    delivered: int = 0
    quarantined: int = 0
    sampled: int = 0
    suppressed: int = 0
    erased: int = 0
    expired: int = 0

    def plus(self, other: Counts) -> Counts:
        """The sum of both."""
        return Counts(*(getattr(self, n) + getattr(other, n) for n in self.__struct_fields__))

    def total(self) -> int:
        """All lines counted."""
        return sum(getattr(self, name) for name in self.__struct_fields__)


class Progress(msgspec.Struct, frozen=True):
    """Content of a cursor file: everything before `done` is settled; `planned` is under way."""

    done: Cursor = Cursor()
    planned: Cursor | None = None
    share: int = ALL
    inside: int = 0
    counts: Counts = Counts()


_decode = msgspec.json.Decoder(Progress).decode


def place(lake: LakeDir, position: Position) -> Cursor:
    """The cursor for a position of this lake's log."""
    crc = _crc(lake, position.segment, position.offset)
    return Cursor(position.epoch, position.segment, position.offset, max(crc or 0, 0))


def verify(lake: LakeDir, cursor: Cursor) -> None:
    """Raise Terminal unless the log before `cursor` is still what it was. A segment that retention
    deleted proves nothing and hides nothing: what was in it is counted."""
    if cursor == Cursor():
        return
    if cursor.epoch != lake.identity.epoch:
        raise Terminal(
            f"the cursor is of epoch {cursor.epoch} and the lake of {lake.identity.epoch}: "
            "the lake is another copy; restore the right one or reset the follower"
        )
    if _crc(lake, cursor.segment, cursor.offset) not in {cursor.crc, None}:
        raise Terminal(
            f"the log before segment {cursor.segment}, offset {cursor.offset} is not what was "
            "delivered: compare the backup, or delete the cursor to start again"
        )


def carried(lake: LakeDir, progress: Progress) -> Progress:
    """What a cursor of an earlier epoch is worth in this one. Ids are never made twice, so where
    the same 4 KB stand before the place, the same log does, and the follower goes on; else it
    starts again at the earliest record. What was under way gets a new plan, and so a new name."""
    if not 0 < progress.done.epoch < lake.identity.epoch:
        return progress
    if _crc(lake, progress.done.segment, progress.done.offset) != progress.done.crc:
        return Progress()
    done = msgspec.structs.replace(progress.done, epoch=lake.identity.epoch)
    return msgspec.structs.replace(progress, done=done, planned=None)


def _crc(lake: LakeDir, segment: int, offset: int) -> int | None:
    """None where the segment is known and its file is not there, -1 where it is not known."""
    for known in read_segments(lake)[0]:
        if known.number == segment:
            start = max(offset - BEHIND, 0)
            try:
                with (lake.root / known.path).open("rb") as file:
                    file.seek(start)
                    return crc32(file.read(offset - start), offset)
            except FileNotFoundError:
                return None
    return -1


@contextlib.contextmanager
def locked(lake: LakeDir) -> Iterator[Path]:
    """The folder of cursors, which nobody else changes meanwhile."""
    folder = lake.private / "cursors"
    folder.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(fd)


def cursor_names(lake: LakeDir) -> list[str]:
    """Followers that have a cursor in this lake."""
    return sorted(path.stem for path in (lake.private / "cursors").glob("[a-z]*.json"))


def read_progress(path: Path) -> Progress:
    """A cursor file's content; Terminal when it is damaged, the beginning when there is none."""
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        return Progress()
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Terminal(f"{path} is damaged: restore it, or delete it to start again") from None


def recompute(lake: LakeDir, segments: frozenset[int]) -> int:
    """After lines of these segments were overwritten on purpose, and under `locked`: give the
    cursors in them the CRC of what stands there now. Returns how many files changed."""
    changed = 0
    for name in cursor_names(lake):
        path = lake.private / "cursors" / f"{name}.json"
        before = read_progress(path)
        renewed = {
            which: msgspec.structs.replace(cursor, crc=place(lake, cursor.position()).crc)
            for which in ("done", "planned")
            if (cursor := getattr(before, which)) is not None and cursor.segment in segments
        }
        after = msgspec.structs.replace(before, **renewed)
        if after != before:
            replace_file(path, msgspec.json.encode(after) + b"\n")
            changed += 1
    return changed


class CursorFile:
    """The remembered place of one follower. The file is the truth: each change reads it first."""

    def __init__(self, lake: LakeDir, name: str) -> None:
        if not NAME.fullmatch(name):
            raise Terminal(f"{name!r} cannot be a follower's name: use a-z, 0-9, - and _")
        self._lake = lake
        with locked(lake) as folder:
            self.path: Path = folder / f"{name}.json"
            self.progress = read_progress(self.path)

    def change(self, function: Callable[[Progress], Progress]) -> Progress:
        """Replace what the file holds now by what `function` makes of it, durably."""
        with locked(self._lake):
            before = read_progress(self.path)
            self.progress = function(before)
            if self.progress != before:
                replace_file(self.path, msgspec.json.encode(self.progress) + b"\n")
        return self.progress

    def verified(self) -> Progress:
        """What the file holds now; Terminal when the log is another."""

        def check(progress: Progress) -> Progress:
            verify(self._lake, progress.done)
            if progress.planned is not None:
                verify(self._lake, progress.planned)
            return progress

        return self.change(check)

    def plan(self, end: Cursor, share: int = ALL) -> Cursor:
        """Sync the end of the next slice before its first attempt; an end planned before stays,
        and the share of its users."""

        def planning(progress: Progress) -> Progress:
            if progress.planned is not None:
                return progress
            fresh = place(self._lake, end.position())  # an erase may have come in between
            return msgspec.structs.replace(progress, planned=fresh, share=share)

        planned = self.change(planning).planned
        assert planned is not None
        return planned

    def settle(self, counts: Counts | None = None) -> None:
        """The planned slice is delivered; `counts` are its lines."""

        def settling(progress: Progress) -> Progress:
            if progress.planned is None:
                return progress
            more = counts or Counts()
            fresh = progress.planned.segment != progress.done.segment
            return Progress(
                progress.planned, None, ALL, more.total() + (0 if fresh else progress.inside),
                progress.counts.plus(more),
            )  # fmt: skip

        self.change(settling)
