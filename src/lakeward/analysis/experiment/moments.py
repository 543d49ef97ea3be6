"""Sufficient statistics of one arm, and the estimate they give.

In: counts, means and covariances over an arm's units, as SQL or a CSV gives them. Out: an
`Estimate`: a value and the variance that one unit brings into it. Pure.

    y   what is measured         d   what it is divided by (a mean: 1 for each unit)
    x   y before the exposure    z   d before the exposure

Every metric is a ratio of two means; a plain mean has d = 1. The variance is that of the linear
part of the ratio (delta method; Deng, Knoblich and Lu 2018, arXiv 1803.06336), so units
may have any number of events each. Covariances are the sample's (n - 1), already centred: raw sums
of squares of large values would lose their digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

FIELDS: Final = ("y", "d", "x", "z")
PAIRS: Final = tuple(a + b for n, a in enumerate(FIELDS) for b in FIELDS[n:])


class Moments(msgspec.Struct, frozen=True):
    """Means and sample covariances over the units of an arm."""

    units: int
    y: float = 0.0
    d: float = 1.0
    x: float = 0.0
    z: float = 1.0
    yy: float = 0.0
    yd: float = 0.0
    yx: float = 0.0
    yz: float = 0.0
    dd: float = 0.0
    dx: float = 0.0
    dz: float = 0.0
    xx: float = 0.0
    xz: float = 0.0
    zz: float = 0.0


class Estimate(msgspec.Struct, frozen=True):
    """What an arm shows. `variance` is per unit: the error of `value` squared is variance / units.

    `value` is None where it does not exist: no unit, or nothing to divide by.
    """

    units: int
    value: float | None
    variance: float
    top: float | None = None
    """What no value is above: 1 of a share."""

    @property
    def error(self) -> float | None:
        """The standard error; of fewer than two units nobody knows it."""
        if self.units < 2 or self.value is None:
            return None
        return math.sqrt(self.variance / self.units)

    @property
    def clearance(self) -> float:
        """Errors between the value and zero, or the top where that is nearer; of no error 0.

        Of a share it is about the root of how many did, or did not: what the error is known by.
        """
        if self.value is None or not self.error:
            return 0.0
        ends = [abs(self.value)] + ([] if self.top is None else [self.top - self.value])
        return min(ends) / self.error


def of_sums(units: int, total: float, squares: float) -> Moments:
    """Of Σ and Σ²; for values near zero, where no digits are lost."""
    if units == 0:
        return Moments(0)
    mean = total / units
    spread = max(0.0, (squares - total * mean) / (units - 1)) if units > 1 else 0.0
    return Moments(units, y=mean, yy=spread)


def of_share(units: int, successes: int) -> Moments:
    """Of units that did or did not."""
    return of_sums(units, float(successes), float(successes))


def of_rows(rows: Sequence[Sequence[float]], fields: Sequence[str]) -> Moments:
    """Of one row for each unit, whose values are the named fields; twice through, so exact."""
    units = len(rows)
    if units == 0:
        return Moments(0)
    means = [math.fsum(column) / units for column in zip(*rows, strict=True)]
    found: dict[str, float] = dict(zip(fields, means, strict=True))
    for n, one in enumerate(fields):
        for m in range(n, len(fields)):
            pairs = ((row[n] - means[n]) * (row[m] - means[m]) for row in rows)
            found[one + fields[m]] = math.fsum(pairs) / (units - 1) if units > 1 else 0.0
    return Moments(units, **found)


def pooled(arms: Sequence[Moments]) -> Moments:
    """The moments of all units together (Chan, Golub and LeVeque's update)."""
    held = [arm for arm in arms if arm.units]
    units = sum(arm.units for arm in held)
    if units == 0:
        return Moments(0)
    means = {
        f: math.fsum(arm.units * getattr(arm, f) for arm in held) / units for f in FIELDS
    }  # fmt: skip
    found: dict[str, float] = dict(means)
    for pair in PAIRS:
        one, other = pair[0], pair[1]
        total = math.fsum(
            (arm.units - 1) * getattr(arm, pair)
            + arm.units * (getattr(arm, one) - means[one]) * (getattr(arm, other) - means[other])
            for arm in held
        )
        found[pair] = total / (units - 1) if units > 1 else 0.0
    return Moments(units, **found)


def estimate(arm: Moments) -> Estimate:
    """The ratio of means, and its variance per unit by the delta method."""
    if arm.units == 0 or arm.d == 0:
        return Estimate(arm.units, None, 0.0)
    ratio = arm.y / arm.d
    spread = (arm.yy - 2 * ratio * arm.yd + ratio * ratio * arm.dd) / (arm.d * arm.d)
    return Estimate(arm.units, ratio, max(0.0, spread))


def share(arm: Moments) -> Estimate:
    """The share of units that did; its variance is p (1 - p), as of a proportion."""
    if arm.units == 0:
        return Estimate(0, None, 0.0)
    return Estimate(arm.units, arm.y, max(0.0, arm.y * (1 - arm.y)), 1.0)


def quantile(units: int, value: float | None, low: float | None, high: float | None, z: float
             ) -> Estimate:  # fmt: skip
    """Of a quantile and the order statistics at the ends of its interval of ±z errors.

    Deng, Knoblich and Lu 2018: the variance of the share of values below the quantile,
    with units as clusters, says which order statistics those are.
    """
    if value is None or low is None or high is None:
        return Estimate(units, None, 0.0)
    error = (high - low) / (2 * z)
    return Estimate(units, value, error * error * units)
