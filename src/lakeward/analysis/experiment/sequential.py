"""The test that may be looked at always: intervals that hold at every moment at once.

In: estimates of two arms. Out: an `Effect` whose interval and p are valid however often and
whenever one looks, and whenever one stops. Pure.

Asymptotic confidence sequence: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, arXiv 2103.06476,
equation 9. With n units of both arms, s the error of the contrast times sqrt(n):

    half width = s · sqrt( 2 (n rho² + 1) / (n² rho²) · ln( sqrt(n rho² + 1) / alpha ) )

rho makes the interval tightest near `tuning` units, where it is about 1.5 times as wide as the
fixed one. The always-valid p is the smallest alpha whose sequence leaves zero out, rho held.

"Asymptotic" promises little for few units, and looking always finds every weakness: an arm of 10 %
in which nobody has converted yet has no variance, and any difference looks certain. So nothing is
told before each arm has `FEWEST` units; an arm that is not settled has at least the variance of
both arms together; a lift is told once control is `CLEAR_OF_ZERO`. `benchmarks/peeking.py` shows
the error with all of it, and what it is without.
"""

from __future__ import annotations

import math
from typing import Final

from lakeward.analysis.experiment import effect
from lakeward.analysis.experiment.effect import Contrast, Effect, Measured
from lakeward.analysis.experiment.moments import Estimate

TUNING: Final = 5000
"""Units at which the interval is tightest."""
FEWEST: Final = 30
"""Units that each arm must have."""
MANY: Final = 1000
SETTLED: Final = 20.0
"""Units of an arm, and errors from its value to zero, with which its own variance is trusted."""
CLEAR_OF_ZERO: Final = 10.0
"""Errors that control must be away from zero for a lift."""


def compare(
    control: Estimate, treatment: Estimate, level: float = 0.95, tuning: int = TUNING
) -> Effect:  # fmt: skip
    """Difference and lift with intervals that hold at every moment."""
    control, treatment = effect.floored(control, treatment, _settled)
    told = min(control.units, treatment.units) >= FEWEST
    found = [
        measured(contrast, level, tuning) if told or contrast is None else Measured(contrast.value)
        for contrast in (
            effect.difference(control, treatment), effect.lift(control, treatment, CLEAR_OF_ZERO),
        )
    ]  # fmt: skip
    return Effect(*found)


def _settled(arm: Estimate) -> bool:
    return arm.units >= MANY and arm.clearance >= SETTLED


def measured(contrast: Contrast | None, level: float, tuning: int = TUNING) -> Measured | None:
    """A contrast with its confidence sequence and always-valid p; without spread, its value."""
    if contrast is None:
        return None
    if not contrast.error:
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
    """rho² that makes the interval tightest near `tuning` units."""
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuning


def _p(statistic: float, units: int, rho2: float) -> float:
    spread = units * rho2
    exponent = -(statistic**2) * spread / (2 * (spread + 1))
    return min(1.0, math.sqrt(spread + 1) * math.exp(exponent))
