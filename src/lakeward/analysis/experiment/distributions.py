"""The distributions that the tests need, by name.

In: numbers. Out: probabilities and quantiles. `MissingExtra` without the extra `analysis`. Only
`scipy.special` is used: `scipy.stats` takes a second to import.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Protocol, cast

from lakeward.errors import MissingExtra


class Special(Protocol):
    """The part of scipy.special that is used."""

    def stdtr(self, freedom: float, at: float) -> float:
        """Student's t: probability below."""

    def stdtrit(self, freedom: float, probability: float) -> float:
        """Student's t: quantile."""

    def nctdtr(self, freedom: float, shift: float, at: float) -> float:
        """Student's t, noncentral: probability below."""

    def chdtrc(self, freedom: float, at: float) -> float:
        """Chi-square: probability above."""


@cache
def _special() -> Special:
    try:
        from scipy import special
    except ImportError:
        raise MissingExtra("The analysis of experiments", "analysis") from None
    return cast(Special, special)


def need() -> None:
    """Say at once that the extra is missing, before work is done."""
    _special()


def normal_below(at: float) -> float:
    """Probability that a standard normal is below."""
    return 0.5 * math.erfc(-at / math.sqrt(2))


def normal_density(at: float) -> float:
    """Density of the standard normal."""
    return math.exp(-at * at / 2) / math.sqrt(2 * math.pi)


def t_quantile(probability: float, freedom: float) -> float:
    """What Student's t is below with this probability."""
    return float(_special().stdtrit(freedom, probability))


def t_two_sided(statistic: float, freedom: float) -> float:
    """Probability that Student's t is as far from zero, on either side."""
    return float(2 * _special().stdtr(freedom, -abs(statistic)))


def t_power(shift: float, freedom: float, critical: float) -> float:
    """Probability that a t around `shift`, which is 0 or more, is beyond ±`critical`."""
    return 1 - _shifted(freedom, shift, critical) + _shifted(freedom, shift, -critical)


def _shifted(freedom: float, shift: float, at: float) -> float:
    """A t around `shift`: probability below; scipy has none (nan) far out in a tail."""
    found = float(_special().nctdtr(freedom, shift, at))
    return found if math.isfinite(found) else normal_below(at - shift)


def chi_square_above(statistic: float, freedom: int) -> float:
    """Probability that chi-square is above."""
    return float(_special().chdtrc(freedom, statistic))
