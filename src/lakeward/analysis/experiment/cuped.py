"""Less noise through what was known before: CUPED, for means and ratios.

In: moments of all arms that carry the covariate. Out: adjusted estimates. Pure.

Deng, Xu, Kohavi and Walker (2013): what a unit did before its exposure cannot be an effect, so the
part of the metric that it predicts is taken off. Theta and the covariate's mean are those of all
arms together, so that arms are adjusted alike. A ratio's covariate is the ratio before, both by
their linear parts (delta method).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lakeward.analysis.experiment.moments import Estimate, Moments, estimate, pooled


class Adjustment(msgspec.Struct, frozen=True):
    """What is taken off: theta times the distance of an arm's covariate from that of all."""

    theta: float
    centre: float


def adjustment(arms: Sequence[Moments]) -> Adjustment:
    """theta of all units; 0 where the covariate has no spread or does not exist."""
    total = pooled(arms)
    if total.units == 0 or total.d == 0 or total.z == 0:
        return Adjustment(0.0, 0.0)
    spread = _before(total)
    theta = _together(total) / spread if spread > 0 else 0.0
    return Adjustment(theta, total.x / total.z)


def adjusted(arm: Moments, by: Adjustment) -> Estimate:
    """The estimate without what the covariate predicts; as it is where it predicts nothing."""
    plain = estimate(arm)
    if plain.value is None or arm.z == 0 or by.theta == 0:
        return plain
    value = plain.value - by.theta * (arm.x / arm.z - by.centre)
    spread = plain.variance + by.theta**2 * _before(arm) - 2 * by.theta * _together(arm)
    return Estimate(arm.units, value, max(0.0, spread))


def _before(arm: Moments) -> float:
    """Variance of the covariate's linear part."""
    ratio = arm.x / arm.z
    return max(0.0, (arm.xx - 2 * ratio * arm.xz + ratio * ratio * arm.zz) / (arm.z * arm.z))


def _together(arm: Moments) -> float:
    """Covariance of the metric's linear part with the covariate's."""
    now, before = arm.y / arm.d, arm.x / arm.z
    across = arm.yx - before * arm.yz - now * arm.dx + now * before * arm.dz
    return across / (arm.d * arm.z)
