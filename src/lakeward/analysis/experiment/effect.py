"""What an arm differs by: the difference and the relative lift, each with its error.

In: estimates of control and treatment. Out: `Contrast`s; with an interval and a p they are
`Measured`. Pure.

The lift's error is by the delta method. It needs a control that is clearly not zero: nearer to zero
than so many errors the lift is not told (`None`), as its interval would not hold what it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import msgspec

from lakeward.analysis.experiment.moments import Estimate

CLEAR_OF_ZERO: Final = 5.0
"""Errors that control must be away from zero for a lift."""


class Contrast(msgspec.Struct, frozen=True):
    """A difference of two arms. `error` is None where it cannot be known."""

    value: float
    error: float | None
    units: int
    """Of both arms."""
    freedom: float
    """Welch and Satterthwaite's degrees of freedom."""


class Measured(msgspec.Struct, frozen=True):
    """A contrast with its interval. Ends and p are None where nothing can be said."""

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


class Effect(msgspec.Struct, frozen=True):
    """Both ways to tell what an arm did."""

    difference: Measured | None
    lift: Measured | None


def difference(control: Estimate, treatment: Estimate) -> Contrast | None:
    """Treatment minus control."""
    if control.value is None or treatment.value is None:
        return None
    error = None
    if control.error is not None and treatment.error is not None:
        error = math.hypot(control.error, treatment.error)
    return Contrast(
        treatment.value - control.value, error, control.units + treatment.units,
        freedom(control, treatment),
    )  # fmt: skip


def lift(
    control: Estimate, treatment: Estimate, clear: float = CLEAR_OF_ZERO
) -> Contrast | None:  # fmt: skip
    """Treatment by control, minus 1."""
    if control.value is None or treatment.value is None or control.error is None:
        return None
    if control.value == 0 or abs(control.value) < clear * control.error:
        return None
    ratio = treatment.value / control.value
    error = None
    if treatment.error is not None:
        error = math.hypot(treatment.error, ratio * control.error) / abs(control.value)
    # A lift is of control's size: below zero, "more" is still towards more.
    value = (treatment.value - control.value) / abs(control.value)
    return Contrast(value, error, control.units + treatment.units, freedom(control, treatment))


def floored(
    control: Estimate, treatment: Estimate, trusted: Callable[[Estimate], bool]
) -> tuple[Estimate, Estimate]:
    """The arms, those that are not trusted with no less than the variance of both together."""
    degrees = control.units + treatment.units - 2
    if degrees < 1:
        return control, treatment
    both = math.fsum(max(0, arm.units - 1) * arm.variance for arm in (control, treatment)) / degrees
    one, other = (
        arm if trusted(arm) else Estimate(arm.units, arm.value, max(arm.variance, both), arm.top)
        for arm in (control, treatment)
    )
    return one, other


def freedom(control: Estimate, treatment: Estimate) -> float:
    """Degrees of freedom of the difference; 0 where there is no spread."""
    one, other = control.error, treatment.error
    if one is None or other is None or (one == 0 and other == 0):
        return 0.0
    largest = max(one, other)  # powers of four of tiny errors would vanish
    a, b = (one / largest) ** 2, (other / largest) ** 2
    return (a + b) ** 2 / (a * a / (control.units - 1) + b * b / (treatment.units - 1))
