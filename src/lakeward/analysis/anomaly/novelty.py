"""Whether the shape of the last rows was ever seen: distance to the nearest remembered shape.

In: deviations from the usual, in usual sizes. Out: how unlike the newest stretch is to all that are
remembered, every few rows. Fails for nothing.

A stretch of `LENGTH * WIDTH` rows is kept as `LENGTH` means (piecewise aggregate approximation,
Keogh et al., 2001); its novelty is the distance to the nearest of a bounded library, as the left
matrix profile gives it (DAMP: Lu et al., KDD 2022).
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from lakeward.analysis.anomaly.tails import Tails

WIDTH: Final = 3
LENGTH: Final = 8
LIBRARY: Final = 96


class Shapes(msgspec.Struct):
    """The library, and the stretch that is being filled."""

    library: list[list[float]] = msgspec.field(default_factory=list)
    oldest: int = 0
    means: list[float] = msgspec.field(default_factory=list)
    total: float = 0.0
    rows: int = 0
    usual: float = 0.0
    spread: float = 0.0
    count: int = 0
    score: float = 0.0
    """The latest novelty, in usual sizes above the usual one."""
    tails: Tails = msgspec.field(default_factory=Tails)


def add(of: Shapes, off: float) -> bool:
    """Take in a row; whether a new novelty was computed."""
    of.total += off
    of.rows += 1
    if of.rows < WIDTH:
        return False
    of.means.append(of.total / WIDTH)
    of.total, of.rows = 0.0, 0
    if len(of.means) <= LENGTH:
        return False
    del of.means[0]
    shape = list(of.means)
    distance = math.dist
    if len(of.library) >= 8:
        nearest = min([distance(shape, each) for each in of.library])
        _judge(of, nearest)
    if of.oldest % 2 == 0:
        _remember(of, shape)
    of.oldest += 1
    return True


def _judge(of: Shapes, nearest: float) -> None:
    of.count += 1
    pace = max(1 / 200, 1.0 / (of.count + 1))
    if of.count > 20:
        of.score = (nearest - of.usual) / (1.25 * of.spread + 0.05 * of.usual + 1e-9)
    off = nearest - of.usual
    off = min(off, 4.0 * of.spread) if of.count > 20 else off
    of.usual += off * pace
    of.spread += (abs(off) - of.spread) * pace


def _remember(of: Shapes, shape: list[float]) -> None:
    if len(of.library) < LIBRARY:
        of.library.append(shape)
    else:
        of.library[of.oldest // 2 % LIBRARY] = shape
