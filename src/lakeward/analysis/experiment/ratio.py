"""Did the arms get the shares that were planned? A sample-ratio mismatch breaks an experiment.

In: units of each arm and the planned shares. Out: a `Split` with p. Pure; `MissingExtra` without
scipy for the fixed test.

Fixed: chi-square. Looked at always: the Bayes factor of a Dirichlet-multinomial alternative around
the plan against the plan itself (Lindon and Malek 2020, arXiv 2011.03567), averaged over how near
the plan it lies; by Ville's inequality its inverse is below alpha with a chance of at most alpha,
however often one looks.
Counts are held against the plan, never against equal shares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from lakeward.analysis.experiment.distributions import chi_square_above
from lakeward.errors import Rejected

ALPHA: Final = 0.001
"""p below which arms do not have their shares: a mismatch is a fault, not a finding."""
CONCENTRATIONS: Final = (100.0, 1_000.0, 10_000.0)
"""How near the plan the alternatives lie: as if so many units had come as planned. A near one
finds small faults among many units, a far one plain faults among few; the mean of their Bayes
factors holds at any look, as each does."""
LEAST_EXPECTED: Final = 5.0
"""Units that each arm should have for chi-square to hold."""


class Split(msgspec.Struct, frozen=True):
    """Units as they came and as they were planned. p is None for too few to say."""

    units: list[int]
    expected: list[float]
    p: float | None
    broken: bool


def shares(planned: Sequence[float], arms: int) -> list[float]:
    """The plan as shares of 1; `Rejected` when it does not fit the arms."""
    if len(planned) != arms:
        raise Rejected(f"the split names {len(planned)} shares for {arms} arms: give one for each.")
    if not all(0 < share < math.inf for share in planned):
        raise Rejected("each share of the split must be above 0, such as 50/50 or 90/10.")
    total = math.fsum(planned)
    return [share / total for share in planned]


def fixed(units: Sequence[int], planned: Sequence[float]) -> Split:
    """Chi-square against the plan, for one look at the end."""
    split = shares(planned, len(units))
    expected = [share * sum(units) for share in split]
    if len(units) < 2 or min(expected) < LEAST_EXPECTED:
        return Split(list(units), expected, None, False)
    statistic = math.fsum((n - e) ** 2 / e for n, e in zip(units, expected, strict=True))
    p = chi_square_above(statistic, len(units) - 1)
    return Split(list(units), expected, p, p < ALPHA)


def sequential(units: Sequence[int], planned: Sequence[float]) -> Split:
    """The always-valid form: it may be looked at after each unit."""
    split = shares(planned, len(units))
    total = sum(units)
    expected = [share * total for share in split]
    if len(units) < 2 or total == 0:
        return Split(list(units), expected, None, False)
    planned_ = math.fsum(n * math.log(share) for n, share in zip(units, split, strict=True))
    factors = [_met(units, split, near) - planned_ for near in CONCENTRATIONS]
    most = max(factors)
    mean = most + math.log(math.fsum(math.exp(one - most) for one in factors) / len(factors))
    p = math.exp(min(0.0, -mean))
    return Split(list(units), expected, p, p < ALPHA)


def _met(units: Sequence[int], split: Sequence[float], near: float) -> float:
    """How likely these units are (log) where shares lie around the plan."""
    prior = [near * share for share in split]
    return math.fsum(
        math.lgamma(a + n) - math.lgamma(a) for a, n in zip(prior, units, strict=True)
    ) - (math.lgamma(near + sum(units)) - math.lgamma(near))
