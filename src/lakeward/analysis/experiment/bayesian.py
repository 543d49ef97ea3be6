"""What to believe: chance to win, expected loss and a credible interval.

In: a contrast of two arms. Out: a `Belief`. Pure.

The posterior of the contrast is normal, after the central limit theorem. The prior is flat unless
one is given: then it is normal, and of the same thing (the lift, or the difference). A belief is no
test: who stops as soon as the chance to win is 95 % is wrong more often than once in twenty.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import msgspec

from lakeward.analysis.experiment.distributions import normal_below, normal_density
from lakeward.analysis.experiment.effect import Contrast


class Prior(msgspec.Struct, frozen=True):
    """What was believed before: normal with this mean and spread."""

    mean: float
    spread: float


class Belief(msgspec.Struct, frozen=True):
    """What is believed of a contrast; losses are in its unit."""

    chance_to_win: float
    loss_if_shipped: float
    """Expected loss of taking the treatment, over the cases in which it is worse."""
    loss_if_kept: float
    """Expected loss of staying with control."""
    low: float
    high: float


def believe(
    contrast: Contrast | None, level: float = 0.95, prior: Prior | None = None, lower: bool = False
) -> Belief | None:  # fmt: skip
    """The posterior's summary; None where there is no spread to believe in."""
    if contrast is None or not contrast.error:
        return None
    mean, spread = contrast.value, contrast.error
    if prior is not None:
        known, told = 1 / spread**2, 1 / prior.spread**2
        mean = (mean * known + prior.mean * told) / (known + told)
        spread = 1 / math.sqrt(known + told)
    gain = -mean if lower else mean
    half = NormalDist().inv_cdf((1 + level) / 2) * spread
    return Belief(
        normal_below(gain / spread), _shortfall(gain, spread), _shortfall(-gain, spread),
        mean - half, mean + half,
    )  # fmt: skip


def _shortfall(mean: float, spread: float) -> float:
    """E[max(0, -G)] of a normal gain G."""
    z = mean / spread
    return max(0.0, spread * normal_density(z) - mean * normal_below(-z))
