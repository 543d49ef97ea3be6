"""A follower's place in the log, remembered so that neither a kill nor a restored lake misleads it.

In: a lake and positions in its log. Out: a cursor file that is replaced whole. `Terminal` when the
log before the cursor is not the log that the cursor was made of: delivering on would lose or repeat
records without anyone knowing.

    .lakeward/cursors/NAME.json
        {"done":{"epoch":1,"segment":7,"offset":52110,"crc":3735928559},"planned":{…}}

`crc` covers the 4 KB before the place. The planned end of a slice is synced into the file before
the first attempt to deliver it, so that every attempt has the same range and so the same name.
"""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import msgspec

from lakeward.errors import Terminal
from lakeward.lakedir import LakeDir, replace_file
from lakeward.log import Position, read_segments

BEHIND = 4096


class Cursor(msgspec.Struct, frozen=True):
    """A place in the log, with the CRC of what stands before it."""

    epoch: int = 0
    segment: int = 0
    offset: int = 0
    crc: int = 0

    def position(self) -> Position:
        """The place alone."""
        return Position(self.epoch, self.segment, self.offset)


class Progress(msgspec.Struct, frozen=True):
    """Content of a cursor file: everything before `done` is delivered; `planned` is under way."""

    done: Cursor = Cursor()
    planned: Cursor | None = None


_decode = msgspec.json.Decoder(Progress).decode


def place(lake: LakeDir, position: Position) -> Cursor:
    """The cursor for a position of this lake's log."""
    return Cursor(
        position.epoch, position.segment, position.offset, _crc(lake, position.segment,
                                                               position.offset)
    )  # fmt: skip


def verify(lake: LakeDir, cursor: Cursor) -> None:
    """Raise Terminal unless the log before `cursor` is still what it was."""
    if cursor == Cursor():
        return
    if cursor.epoch != lake.identity.epoch:
        raise Terminal(
            f"the cursor is of epoch {cursor.epoch} and the lake of {lake.identity.epoch}: "
            "the lake is another copy; restore the right one or reset the follower"
        )
    if _crc(lake, cursor.segment, cursor.offset) != cursor.crc:
        raise Terminal(
            f"the log before segment {cursor.segment}, offset {cursor.offset} is not what was "
            "delivered: compare the backup, or reset the follower"
        )


def _crc(lake: LakeDir, segment: int, offset: int) -> int:
    for known in read_segments(lake)[0]:
        if known.number == segment:
            start = max(offset - BEHIND, 0)
            with (lake.root / known.path).open("rb") as file:
                file.seek(start)
                return crc32(file.read(offset - start), offset)
    return 0


class CursorFile:
    """The remembered place of one follower."""

    def __init__(self, lake: LakeDir, name: str) -> None:
        folder = lake.private / "cursors"
        folder.mkdir(mode=0o700, exist_ok=True)
        self.path: Path = folder / f"{name}.json"
        try:
            self.progress = _decode(self.path.read_bytes())
        except FileNotFoundError:
            self.progress = Progress()
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Terminal(f"{self.path} is damaged: restore it or reset the follower") from None

    def plan(self, end: Cursor) -> Cursor:
        """Sync the end of the next slice before its first attempt; an end planned before stays."""
        if self.progress.planned is None:
            self._store(Progress(self.progress.done, end))
        assert self.progress.planned is not None
        return self.progress.planned

    def settle(self) -> None:
        """The planned slice is delivered."""
        if self.progress.planned is not None:
            self._store(Progress(self.progress.planned))

    def _store(self, progress: Progress) -> None:
        replace_file(self.path, msgspec.json.encode(progress) + b"\n")
        self.progress = progress
