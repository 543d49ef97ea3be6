"""Where lines on their way into the table come from: a lake's own log.

In: a table, and how many bytes to take. Out: a piece of what the table has not got, with the places
behind it that the commit is to carry. Another source is the objects of hosts whose disk does not
last (`lake/archive.py`). Fails as reading does.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from lakeward.lake.batch import take
from lakeward.lake.delta import Origin, Table
from lakeward.lake.progress import Counts, ProgressFile
from lakeward.lakedir import LakeDir
from lakeward.log import Position


class Piece(msgspec.Struct, frozen=True):
    """Whole lines, and how far their logs are in the table once these are."""

    content: bytes
    reached: tuple[tuple[Origin, Position], ...]
    holes: bool = False


class Source(Protocol):
    """What a compactor takes lines from."""

    def reconcile(self, table: Table) -> None:
        """Believe the table: it says how far it is."""

    def take(self, table: Table, most: int) -> Piece | None:
        """About `most` bytes of what the table has not got; None when it has all."""

    def missed(self, piece: Piece, read: int) -> int:
        """Lines that were deleted before the table had them, of a piece with holes."""

    def plan(self, piece: Piece, counts: Counts) -> None:
        """What the next commit will make true."""

    def settle(self) -> None:
        """It is committed."""


class LogSource:
    """The log of one lake; how far it is, and what became of each line, stands in its folder."""

    def __init__(self, lake: LakeDir) -> None:
        self._lake = lake
        self.progress = ProgressFile(lake)

    def reconcile(self, table: Table) -> None:
        """Was the planned slice committed?"""
        self.progress.reconcile(table.reached(self._lake), table.storage.uri)

    def take(self, table: Table, most: int) -> Piece | None:
        """The next slice of the log."""
        taken = take(self._lake, table.reached(self._lake), most)
        if taken is None:
            return None
        return Piece(taken.content, ((self._lake, taken.end),), holes=taken.holes)

    def missed(self, piece: Piece, read: int) -> int:
        """Looked up in the segments' records."""
        return self.progress.lines_to(piece.reached[0][1]) - read

    def plan(self, piece: Piece, counts: Counts) -> None:
        """Into the file."""
        self.progress.plan(piece.reached[0][1], counts)

    def settle(self) -> None:
        """Into the file."""
        self.progress.settle()
