"""The test at a fixed end: Welch's t for means, shares, ratios and quantiles alike.

In: estimates of two arms. Out: an `Effect` at the level. Valid once, at the planned moment: who
looks earlier and stops at what pleases uses `sequential`. Pure; `MissingExtra` without scipy.

An arm without any variance, and a share of which fewer than five units did or did not, has at least
the variance of both arms together: none of 60 against 50 of 900 would be certain otherwise.
"""

from __future__ import annotations

from typing import Final

from lakeward.analysis.experiment import effect
from lakeward.analysis.experiment.distributions import t_quantile, t_two_sided
from lakeward.analysis.experiment.effect import Contrast, Effect, Measured
from lakeward.analysis.experiment.moments import Estimate

FEW: Final = 5
"""So many units that did, or did not, tell how a share varies."""


def compare(control: Estimate, treatment: Estimate, level: float = 0.95) -> Effect:
    """Difference and lift with intervals of the level."""
    control, treatment = effect.floored(control, treatment, _trusted)
    return Effect(
        measured(effect.difference(control, treatment), level),
        measured(effect.lift(control, treatment), level),
    )


def _trusted(arm: Estimate) -> bool:
    """Whether the arm's own variance says something: none does not, nor one of a few."""
    return arm.variance > 0 and (arm.top is None or arm.clearance**2 >= FEW)


def measured(contrast: Contrast | None, level: float) -> Measured | None:
    """A contrast with its t interval and two-sided p; without spread, only its value."""
    if contrast is None:
        return None
    if not contrast.error:
        return Measured(contrast.value)
    half = t_quantile((1 + level) / 2, contrast.freedom) * contrast.error
    return Measured(
        contrast.value, contrast.value - half, contrast.value + half,
        t_two_sided(contrast.value / contrast.error, contrast.freedom),
    )  # fmt: skip
