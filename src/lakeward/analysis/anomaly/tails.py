"""How rare something is: tails learned from a series itself, and those of counts and shares.

In: deviations in units of their usual size. Out: surprise, the base-10 logarithm of how many rows
lie between two such deviations on average. Fails for nothing.

Beyond `U` a generalised Pareto law is fitted to the peaks of each excursion (peaks over threshold,
as in SPOT: Siffer et al., KDD 2017), by moments drawn towards a prior, so that it holds from the
first row. A peak counts no more than `MOST` surprise when it is learned: one catastrophe does not
make the next one ordinary, a dozen do.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

U: Final = 2.0
"""Where the tail begins, in usual sizes."""
LN10: Final = math.log(10)
PRIOR_ROWS, PRIOR_PEAKS, PRIOR_EXCESS = 250.0, 8.0, 0.5
PRIOR_SHAPE, SHAPE_WEIGHT = 0.06, 12.0
MEMORY: Final = 6000.0
"""Rows after which older ones begin to count half."""
MOST: Final = 5.0
LEAST_OFTEN: Final = 3.4
"""The same of averages, whose excursions are few."""


class Side(msgspec.Struct):
    """One tail: sums over its peaks, and the law fitted to them."""

    peaks: float = PRIOR_PEAKS
    excess: float = PRIOR_PEAKS * PRIOR_EXCESS
    squares: float = PRIOR_PEAKS * PRIOR_EXCESS * PRIOR_EXCESS * 2.0
    at_u: float = math.log10(PRIOR_ROWS / PRIOR_PEAKS)
    """Surprise at `U`."""
    shape: float = PRIOR_SHAPE
    scale: float = PRIOR_EXCESS * (1 - PRIOR_SHAPE)
    least: float = 0.02
    """Shape at least: averages of rows are few independent ones."""
    peak: float = 0.0
    """The highest of the excursion that goes on."""


class Tails(msgspec.Struct):
    """Both tails of one kind of deviation."""

    up: Side = msgspec.field(default_factory=Side)
    down: Side = msgspec.field(default_factory=Side)
    rows: float = PRIOR_ROWS


def cautious() -> Tails:
    """Tails for averages."""
    return Tails(Side(shape=0.12, least=0.12), Side(shape=0.12, least=0.12))


def surprise(side: Side, z: float) -> float:
    """Of a deviation of `z` usual sizes to this side."""
    if z <= 0.0:
        return 0.0
    if z < U:
        return side.at_u * z / U
    return side.at_u + math.log1p(side.shape * (z - U) / side.scale) / (side.shape * LN10)


def size_of(side: Side, wanted: float) -> float:
    """The deviation that has this surprise."""
    if wanted < side.at_u:
        return U * wanted / side.at_u
    return U + side.scale / side.shape * math.expm1(side.shape * LN10 * (wanted - side.at_u))


def learn(tails: Tails, z: float, most: float = MOST) -> None:
    """Take a deviation in; a peak counts when its excursion has ended."""
    tails.rows += 1.0
    up, down = tails.up, tails.down
    if z > U:
        if z > up.peak:
            up.peak = z
    elif up.peak and z < U * 0.5:
        _end(tails, up, most)
    if -z > U:
        if -z > down.peak:
            down.peak = -z
    elif down.peak and -z < U * 0.5:
        _end(tails, down, most)


def _end(tails: Tails, side: Side, most: float) -> None:
    excess = min(side.peak, size_of(side, most)) - U
    side.peak = 0.0
    side.peaks += 1.0
    side.excess += excess
    side.squares += excess * excess
    if tails.rows > MEMORY:
        tails.rows *= 0.5
        for each in (tails.up, tails.down):
            each.peaks *= 0.5
            each.excess *= 0.5
            each.squares *= 0.5
    for each in (tails.up, tails.down):
        _fit(tails.rows, each)


def _fit(rows: float, side: Side) -> None:
    mean = side.excess / side.peaks
    spread = max(side.squares / side.peaks - mean * mean, 1e-12)
    shape = 0.5 * (1.0 - mean * mean / spread)
    n = side.peaks
    shape = (n * shape + SHAPE_WEIGHT * PRIOR_SHAPE) / (n + SHAPE_WEIGHT)
    side.shape = min(max(shape, side.least), 0.45)
    side.scale = max(mean * (1.0 - side.shape), 0.05)
    side.at_u = max(math.log10(rows / side.peaks), 0.3)


def count_surprise(seen: float, mean: float) -> float:
    """At most what a Poisson count of this mean can be surprised by: Chernoff's bound."""
    mean = max(mean, 1e-6)
    if seen <= 0.0:
        return mean / LN10
    return (seen * math.log(seen / mean) - seen + mean) / LN10


def share_surprise(seen: float, mean: float, volume: float) -> float:
    """The same of a share of `volume` trials."""
    p = min(max(mean, 1e-6), 1 - 1e-6)
    q = min(max(seen, 0.0), 1.0)
    found = 0.0
    if q > 0.0:
        found += q * math.log(q / p)
    if q < 1.0:
        found += (1 - q) * math.log((1 - q) / (1 - p))
    return max(volume, 0.0) * found / LN10
