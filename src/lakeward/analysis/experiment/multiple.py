"""Many tests at once: adjusted p values.

In: p values. Out: adjusted ones in the same order, to hold against the same alpha. Pure.

Holm (1979) bounds the chance of any false discovery; Benjamini and Hochberg (1995) the share of
false ones among the discoveries. Both take always-valid p values, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

Correction = Literal["holm", "bh", "none"]


def holm(values: Sequence[float]) -> list[float]:
    """Step-down: the k-th smallest of m times m - k + 1, never below the one before."""
    adjusted = [0.0] * len(values)
    reached = 0.0
    for place, n in enumerate(sorted(range(len(values)), key=lambda n: values[n])):
        reached = max(reached, min(1.0, (len(values) - place) * values[n]))
        adjusted[n] = reached
    return adjusted


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """Step-up: the k-th smallest of m times m / k, never above the one after."""
    adjusted = [0.0] * len(values)
    reached = 1.0
    order = sorted(range(len(values)), key=lambda n: values[n])
    for place in range(len(values), 0, -1):
        n = order[place - 1]
        reached = min(reached, values[n] * len(values) / place)
        adjusted[n] = reached
    return adjusted


CORRECTIONS: Final[Mapping[Correction, Callable[[Sequence[float]], list[float]]]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
    "none": list,
}
