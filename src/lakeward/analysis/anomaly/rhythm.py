"""Periods that no calendar tells: found in the newest rows by their autocorrelation.

In: the newest values, equally far apart. Out: the period in rows, or 0. Fails for nothing.
"""

from __future__ import annotations

from operator import mul
from typing import Final

SHORTEST: Final = 4
LEAST: Final = 0.35
"""Autocorrelation that makes a period."""


def period_of(values: list[float]) -> int:
    """The shortest period whose autocorrelation is a peak and nearly the highest; else 0.

    Works on differences from a moving level and with extremes cut, so that neither a trend nor one
    catastrophe looks like a rhythm. Three whole periods must be there.
    """
    n = len(values)
    ordered = sorted(values)
    low, high = ordered[n // 50], ordered[-1 - n // 50]
    if not high > low:
        return 0
    cut = [min(max(value, low), high) for value in values]
    slope = (sum(cut[n // 2 :]) - sum(cut[: n // 2])) / (n // 2) / (n - n // 2)
    mean = sum(cut) / n
    flat = [value - mean - slope * (i - (n - 1) / 2) for i, value in enumerate(cut)]
    power = sum(map(mul, flat, flat))
    if power <= 0.0:
        return 0
    longest = n // 3
    found = [sum(map(mul, flat, flat[lag:])) / power * n / (n - lag) for lag in range(longest + 2)]
    fell = next((lag for lag in range(1, longest) if found[lag] < 0.2), longest)
    peaks = [
        lag for lag in range(max(SHORTEST, fell), longest + 1)
        if found[lag] >= LEAST and found[lag - 1] <= found[lag] >= found[lag + 1]
    ]  # fmt: skip
    if not peaks:
        return 0
    highest = max(found[lag] for lag in peaks)
    return next(lag for lag in peaks if found[lag] >= 0.9 * highest)
