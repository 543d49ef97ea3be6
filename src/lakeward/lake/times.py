"""Exact percentiles of many durations in eight bytes each.

In: durations one by one, not negative. Out: percentiles by nearest rank: of n values in ascending
order the p-th percentile is the one at place ceil(p · n / 100), always a value that occurred.
Nothing here fails.

Values stand in sorted runs, so that no list of all of them is ever made, and the runs of many
routes answer together: the value at a place is found by bisection over the bits of a double, which
for numbers that are not negative have the order of the numbers.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence

RUN = 65_536
"""Values that are sorted at once."""

Run = Sequence[float]


class Times:
    """The durations of one route."""

    __slots__ = ("_runs", "_unsorted")

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._unsorted = array("d")

    def add(self, value: float) -> None:
        """One more."""
        self._unsorted.append(value + 0.0)  # no negative zero: its bits have another order
        if len(self._unsorted) == RUN:
            self._sort()

    def _sort(self) -> None:
        self._runs.append(array("d", sorted(self._unsorted)))
        self._unsorted = array("d")

    def runs(self) -> list[Run]:
        """All values, as ascending runs."""
        if self._unsorted:
            self._sort()
        return self._runs


def size(runs: Iterable[Run]) -> int:
    """How many values runs hold together."""
    return sum(len(run) for run in runs)


def percentile(runs: Sequence[Run], percent: int) -> float | None:
    """The value at nearest rank for 0 < `percent` ≤ 100; None of nothing."""
    total = size(runs)
    if not total:
        return None
    place = -(-percent * total // 100)
    if len(runs) == 1:
        return runs[0][place - 1]
    low = min(_bits(run[0]) for run in runs)
    high = max(_bits(run[-1]) for run in runs)
    while low < high:
        middle = (low + high) // 2
        value = _number(middle)
        if sum(bisect_right(run, value) for run in runs) >= place:
            high = middle
        else:
            low = middle + 1
    return _number(low)


def _bits(value: float) -> int:
    bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
    return bits


def _number(bits: int) -> float:
    number: float = struct.unpack("<d", struct.pack("<q", bits))[0]
    return number
