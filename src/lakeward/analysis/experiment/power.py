"""How many units an effect needs, what effect so many units show, and how long that takes.

In: the variance of a unit in each arm, an effect, alpha and power. Out: units, effects, days. Pure;
`MissingExtra` without scipy.

Fixed: Welch's t around a noncentral t. Sequential: the units at which one look finds the effect
with this power; looks before can only find it sooner, so it is an upper bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import msgspec

from lakeward.analysis.experiment.distributions import normal_below, t_power, t_quantile
from lakeward.analysis.experiment.sequential import TUNING, width
from lakeward.errors import Rejected

MOST_UNITS: Final = 1e15


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of an experiment."""

    alpha: float = 0.05
    power: float = 0.8
    share: float = 0.5
    """Of the units of both arms, those of the treatment."""
    sequential: bool = False
    tuning: int = TUNING

    def __post_init__(self) -> None:
        """Refuse what no experiment can promise."""
        for name in ("alpha", "power", "share"):
            if not 0 < getattr(self, name) < 1:
                raise Rejected(f"`{name}` must be above 0 and below 1.")
        if self.tuning < 1:
            raise Rejected("`tuning` must be at least 1.")


def power_of(effect: float, units: float, variance: float, plan: Plan,
             treated: float | None = None) -> float:  # fmt: skip
    """The chance that so many units of both arms show the effect; `treated`: treatment's variance.

    Both arms have the same variance unless told otherwise.
    """
    control, treatment = units * (1 - plan.share), units * plan.share
    if min(control, treatment) < 2:
        return 0.0
    one, other = variance / control, (variance if treated is None else treated) / treatment
    error = math.sqrt(one + other)
    if error == 0:
        return 1.0 if effect else 0.0
    shift = abs(effect) / error
    if plan.sequential:
        reach = width(units, plan.alpha, plan.tuning)
        return normal_below(shift - reach) + normal_below(-shift - reach)
    freedom = (one + other) ** 2 / (one**2 / (control - 1) + other**2 / (treatment - 1))
    return t_power(shift, freedom, t_quantile(1 - plan.alpha / 2, freedom))


def units_needed(
    effect: float, variance: float, plan: Plan, treated: float | None = None
) -> int:  # fmt: skip
    """Units of both arms that show the effect with the plan's power."""
    if effect == 0 or not math.isfinite(effect):
        raise Rejected("`effect` must be a number other than 0.")
    if not 0 <= variance < math.inf:
        raise Rejected("`variance` must be 0 or more.")

    def enough(units: float) -> bool:
        return power_of(effect, units, variance, plan, treated) >= plan.power

    most = 8.0
    while not enough(most):
        most *= 2
        if most > MOST_UNITS:
            raise Rejected(f"an effect of {effect:g} needs more units than there are.")
    return math.ceil(_least(enough, 2.0, most) - 1e-6)


def detectable(units: int, variance: float, plan: Plan) -> float | None:
    """The smallest effect that so many units show with the plan's power; None for too few."""
    if min(plan.share, 1 - plan.share) * units < 2:
        return None
    if variance == 0:
        return 0.0

    def enough(effect: float) -> bool:
        return power_of(effect, units, variance, plan) >= plan.power

    most = math.sqrt(variance)
    while not enough(most):
        most *= 2
        if not math.isfinite(most):
            return None
    return _least(enough, 0.0, most)


def share_variances(base: float, effect: float) -> tuple[float, float]:
    """Variances of a share in control and treatment, for `units_needed`."""
    treated = base + effect
    if not (0 <= base <= 1 and 0 <= treated <= 1):
        raise Rejected(f"a share of {base:g} cannot change by {effect:+g}: shares are 0 to 1.")
    return base * (1 - base), treated * (1 - treated)


def days(units: int, per_day: float) -> float | None:
    """How long until so many units have come; None when none come."""
    return units / per_day if per_day > 0 else None


def _least(enough: Callable[[float], bool], low: float, high: float) -> float:
    """The least value that is enough, where all above it are, to twelve digits."""
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if enough(middle):
            high = middle
        else:
            low = middle
    return high
