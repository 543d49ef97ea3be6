"""A row on its way through the detector.

In: nothing. Out: `Row`, which verdicts read and learning takes in. Fails for nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec

HARD: Final = 8.0
"""Deviations are cut here where they are averaged, so that one row is no drift."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """A value, and what it is measured against."""

    local: float
    """Seconds of the clock on the wall."""
    hour: int
    value: float
    volume: float | None
    counts: bool
    held: list[float | None]
    """What each candidate holds for usual."""
    usual: float
    guesses: list[float]
    expected: float
    far: float
    """Usual distance from what is usual."""
    near: float
    """Usual distance from the forecast."""
    z: float
    """Distance from the forecast in usual ones."""
    off: float
    """Distance from what is usual, cut at `HARD`."""
