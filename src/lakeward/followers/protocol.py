"""What a follower is: something that takes slices of the log, in order, and delivers them.

In: a slice of durable lines and the range it covers. Out: nothing, once the slice is delivered. The
driver keeps the cursor and decides by the error: `Transient` means the same slice again later,
`Undeliverable` means that some of its records can never be delivered and all others were, another
`Rejected` that the driver shall find out which, `Terminal` means stop and say why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

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


@runtime_checkable
class Tidy(Protocol):
    """A follower that also has to clean up now and then, whether or not anything comes."""

    def tidy(self) -> None:
        """A bounded piece of it; called about once a minute between deliveries."""


class Pace(msgspec.Struct, frozen=True):
    """How much of the log one slice takes, and how long it may wait to become so much."""

    bytes: int = 1 << 20
    lines: int = 1000
    seconds: float = 0.0


class Subscription(msgspec.Struct, frozen=True):
    """A follower as settings describe it; `open` makes it, in its own thread, and may raise."""

    name: str
    open: Callable[[], Follower]
    pace: Pace = Pace()
    feature: int | None = None
    """The rollout's feature that says which users' records it gets; None means all."""
