"""What a follower is: something that takes slices of the log, in order, and delivers them.

In: a slice of durable lines and the range it covers. Out: nothing, once the slice is delivered. The
driver keeps the cursor and decides by the error: `Transient` means the same slice again later,
`Rejected` means one record can never be delivered, `Terminal` means stop and say why.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from lakeward.followers.cursor import Cursor


class Slice(msgspec.Struct, frozen=True):
    """Lines between two places of one segment; the range names whatever is made of them, so that
    a repeated delivery makes the same thing again."""

    start: Cursor
    end: Cursor
    lines: tuple[bytes, ...]
    day: str = ""
    """Day of receipt (UTC) of the segment, YYYY-MM-DD."""

    @property
    def name(self) -> str:
        """A name for the range, the same on every attempt."""
        return (
            f"{self.start.epoch:06d}-{self.start.segment:08d}-{self.start.offset:012d}-"
            f"{self.end.offset:012d}"
        )


class Follower(Protocol):
    """Delivers the log somewhere, at least once and in order."""

    name: str

    def deliver(self, piece: Slice) -> None:
        """Deliver all of it or raise; it may be a repeat."""

    def close(self) -> None:
        """Let go of connections."""
