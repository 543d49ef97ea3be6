"""All that a detector remembers: a few kilobytes, whatever comes, and the same after a restart.

In: a state. Out: its bytes (MessagePack, with the format's version), and the state of such bytes;
floats keep every bit. Fails with `Unreadable` for bytes of another version or damaged ones.
"""

from __future__ import annotations

from typing import Final

import msgspec

from lakeward.analysis.anomaly.novelty import Shapes
from lakeward.analysis.anomaly.residual import Residual, Spread
from lakeward.analysis.anomaly.season import Base
from lakeward.analysis.anomaly.tails import Tails, cautious
from lakeward.analysis.anomaly.verdict import Options
from lakeward.errors import Unreadable

VERSION: Final = 1
HISTORY: Final = 1536
"""Newest values, in which periods are looked for."""
MOST_BYTES: Final = 65_536


class Drift(msgspec.Struct):
    """An average of deviations over some rows, and how large it usually is."""

    pace: float
    mean: float = 0.0
    size: float = 0.0
    seen: float = 0.0
    """Of a count: the rows' own average, for exact tails."""
    due: float = 0.0
    tails: Tails = msgspec.field(default_factory=cautious)


class Calm(msgspec.Struct):
    """How restless a series is: the logarithm of short against long deviations."""

    short: float = 1.0
    size: float = 0.3
    tails: Tails = msgspec.field(default_factory=Tails)


class Episode(msgspec.Struct):
    """The alarm that goes on, and how many there were of late."""

    last: float = float("-inf")
    side: int = 0
    persisting: int = 0
    lasting: int = 0
    ordinary: int = 0
    before: float = 0.0
    """How far off the row before was."""
    tension: float = 0.0
    """The newest surprise as a share of the line."""
    weariness: float = 0.0
    moved: float = 0.0
    """How far the level moved by the newest lasting alarm, in usual sizes."""
    until: float = float("-inf")
    """When going back becomes news."""
    due: float = 0.0
    """What should have come since the last row that was not zero."""
    longest: float = 0.0
    """The most that was due in an ordinary run of zeros."""


class State(msgspec.Struct):
    """A detector's memory."""

    options: Options
    rows: int = 0
    first: float = 0.0
    last: float = float("-inf")
    late: int = 0
    step: float = 0.0
    deltas: list[float] = msgspec.field(default_factory=list)
    whole: bool = True
    """Whether every value was a whole number of at least 0."""
    recent: list[float] = msgspec.field(default_factory=list)
    base: Base = msgspec.field(default_factory=Base)
    residual: Residual = msgspec.field(default_factory=Residual)
    spread: Spread = msgspec.field(default_factory=Spread)
    point: Tails = msgspec.field(default_factory=Tails)
    drifts: list[Drift] = msgspec.field(
        default_factory=lambda: [Drift(0.3), Drift(0.1), Drift(0.03), Drift(0.01)]
    )
    calm: Calm = msgspec.field(default_factory=Calm)
    shapes: Shapes = msgspec.field(default_factory=Shapes)
    episode: Episode = msgspec.field(default_factory=Episode)


class Kept(msgspec.Struct, frozen=True):
    """What stands in the bytes."""

    version: int
    state: State


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Kept)


def packed(state: State) -> bytes:
    """The bytes of a state."""
    return _ENCODER.encode(Kept(VERSION, state))


def unpacked(data: bytes) -> State:
    """The state of these bytes."""
    try:
        kept = _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise Unreadable(f"This is no state of an anomaly detector: {error}") from None
    if kept.version != VERSION:
        raise Unreadable(
            f"The state of this detector is of version {kept.version}, not {VERSION}: "
            "let it learn anew."
        )
    return kept.state
