"""The test that may be looked at always: intervals that hold at every moment at once.

In: estimates of two arms. Out: an `Effect` whose interval and p are valid however often and whenever
one looks, and whenever one stops. Pure.

Asymptotic confidence sequence: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, arXiv 2103.06476,
equation 9. With n units of both arms, s the error of the contrast times √n:

    half width = s · sqrt( 2 (n ρ² + 1) / (n² ρ²) · ln( sqrt(n ρ² + 1) / α ) )

ρ is chosen so that the interval is tightest near `tuning` units; there it is about 1.4 times as wide
as the fixed one. The always-valid p is the smallest α whose sequence leaves zero out, ρ held. As the
sequence is asymptotic, nothing is told of fewer than `FEWEST` units.
"""

from __future__ import annotations

import math
from typing import Final

from lakeward.analysis.experiment import effect
from lakeward.analysis.experiment.effect import Contrast, Effect, Measured
from lakeward.analysis.experiment.moments import Estimate

TUNING: Final = 5000
"""Units at which the interval is tightest."""
FEWEST: Final = 100
"""Units of both arms from which on the sequence is told."""


def compare(
    control: Estimate, treatment: Estimate, level: float = 0.95, tuning: int = TUNING
) -> Effect:  # fmt: skip
    """Difference and lift with intervals that hold at every moment."""
    return Effect(
        measured(effect.difference(control, treatment), level, tuning),
        measured(effect.lift(control, treatment), level, tuning),
    )


def measured(contrast: Contrast | None, level: float, tuning: int = TUNING) -> Measured | None:
    """A contrast with its confidence sequence and always-valid p; without spread, its value."""
    if contrast is None:
        return None
    if not contrast.error or contrast.units < FEWEST:
        return Measured(contrast.value)
    half = contrast.error * width(contrast.units, 1 - level, tuning)
    return Measured(
        contrast.value, contrast.value - half, contrast.value + half,
        _p(contrast.value / contrast.error, contrast.units, rho_squared(1 - level, tuning)),
    )  # fmt: skip


def width(units: float, alpha: float, tuning: int = TUNING) -> float:
    """Half the interval's width in standard errors: what 1.96 is to the fixed one."""
    spread = units * rho_squared(alpha, tuning)
    return math.sqrt(2 * (spread + 1) / spread * math.log(math.sqrt(spread + 1) / alpha))


def rho_squared(alpha: float, tuning: int) -> float:
    """ρ² that makes the interval tightest near `tuning` units."""
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuning


def _p(statistic: float, units: int, rho2: float) -> float:
    spread = units * rho2
    exponent = -(statistic**2) * spread / (2 * (spread + 1))
    return min(1.0, math.sqrt(spread + 1) * math.exp(exponent))
