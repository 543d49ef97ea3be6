"""Agreement of raters: Krippendorff's alpha for any gaps, and the six intraclass correlations.

In: ratings of units. Out: a coefficient, or None where the ratings do not vary and nothing can be
said. Pure, no dependency; 1 is full agreement, 0 what chance gives, below 0 systematic discord.

K. Krippendorff, "Content Analysis" (2004), chapter 11. P. E. Shrout and J. L. Fleiss,
"Intraclass correlations: uses in assessing rater reliability", Psychological Bulletin 86 (1979).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

Metric = Literal["nominal", "ordinal", "interval"]


def alpha(units: Sequence[Sequence[float]], metric: Metric = "interval") -> float | None:
    """Krippendorff's alpha; a unit has the ratings that it got, missing ones left out."""
    pairable = [Counter(unit) for unit in units if len(unit) > 1]
    totals = sum(pairable, Counter[float]())
    n = totals.total()
    apart = _distances(totals, metric)
    observed = math.fsum(_within(unit, apart) / (unit.total() - 1) for unit in pairable)
    expected = _within(totals, apart)
    if n < 2 or expected == 0:
        return None
    return 1 - (n - 1) * observed / expected


def _within(counts: Mapping[float, int], apart: Callable[[float, float], float]) -> float:
    """Sum of the squared differences of all ordered pairs."""
    values = sorted(counts)
    return 2 * math.fsum(
        counts[c] * counts[k] * apart(c, k) for n, c in enumerate(values) for k in values[n + 1 :]
    )


def _distances(totals: Mapping[float, int], metric: Metric) -> Callable[[float, float], float]:
    """Squared difference of two values, the first the smaller."""
    if metric == "nominal":
        return lambda c, k: 1.0
    if metric == "interval":
        return lambda c, k: (c - k) ** 2
    places: dict[float, float] = {}
    before = 0
    for value in sorted(totals):
        places[value] = before + totals[value] / 2
        before += totals[value]
    return lambda c, k: (places[c] - places[k]) ** 2


class Icc(msgspec.Struct, frozen=True):
    """The six forms of Shrout and Fleiss: of one judge, and of the mean of all k.

    one: each target has judges of its own. two: judges are a sample, and judge all targets.
    three: the judges are all there are.
    """

    one: float
    two: float
    three: float
    one_k: float
    two_k: float
    three_k: float


def icc(table: Sequence[Sequence[float]]) -> Icc | None:
    """By targets (rows) and judges (columns), without a gap; two of each at least."""
    n, k = len(table), len(table[0]) if table else 0
    if n < 2 or k < 2:
        return None
    mean = math.fsum(map(math.fsum, table)) / (n * k)
    rows = k * math.fsum((math.fsum(row) / k - mean) ** 2 for row in table)
    columns = n * math.fsum(
        (math.fsum(column) / n - mean) ** 2 for column in zip(*table, strict=True)
    )
    whole = math.fsum((value - mean) ** 2 for row in table for value in row)
    if whole < 1e-12:
        return None
    bms, wms, jms = rows / (n - 1), (whole - rows) / (n * (k - 1)), columns / (k - 1)
    ems = max(whole - rows - columns, 0.0) / ((n - 1) * (k - 1))
    judged = bms + (k - 1) * ems + k * (jms - ems) / n
    mean_judged = bms + (jms - ems) / n
    forms = (
        (bms - wms, bms + (k - 1) * wms), (bms - ems, judged), (bms - ems, bms + (k - 1) * ems),
        (bms - wms, bms), (bms - ems, mean_judged), (bms - ems, bms),
    )  # fmt: skip
    if any(below < 1e-12 for _, below in forms):
        return None
    return Icc(*(above / below for above, below in forms))
