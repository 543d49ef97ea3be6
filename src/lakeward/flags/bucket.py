"""Buckets: which part of [0, 1) leads to which variation.

In: numbers of a definition. Out: ranges, and the variation of a place. Pure; what a definition gets
wrong (weights that do not add up, coverage above one) is set right as every GrowthBook SDK does.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from lakeward.flags.hashing import place

Range = tuple[float, float]


def equal_weights(count: int) -> list[float]:
    """As many equal shares."""
    return [1 / count] * count if count > 0 else []


def ranges_of(
    count: int, coverage: float = 1.0, weights: Sequence[float] | None = None
) -> list[Range]:
    """The range of each variation: its share begins where the one before ends, cut to coverage."""
    coverage = min(max(coverage, 0.0), 1.0)
    if weights is None or len(weights) != count or not 0.99 <= sum(weights) <= 1.01:
        weights = equal_weights(count)
    begin, found = 0.0, []
    for weight in weights:
        found.append((begin, begin + coverage * weight))
        begin += weight
    return found


def in_range(where: float, within: Range) -> bool:
    """Whether a place lies in a range; its end is outside."""
    return within[0] <= where < within[1]


def variation_at(where: float, ranges: Sequence[Range]) -> int:
    """The variation of a place; -1 for one outside all ranges."""
    for index, (begin, end) in enumerate(ranges):
        if begin <= where < end:
            return index
    return -1


def in_namespace(value: str, namespace: tuple[str, float, float]) -> bool:
    """Whether a unit is in this part of a namespace; experiments in disjoint parts share nobody."""
    name, begin, end = namespace
    where = place(f"__{name}", value, 1)
    return where is not None and begin <= where < end


def override_in(key: str, url: str, count: int) -> int | None:
    """The variation that a page's address asks for, as in `?my-test=1`; None for none."""
    try:
        query = urlsplit(url).query
        found = parse_qsl(query, max_num_fields=100) if query else []
    except ValueError:
        return None
    for name, text in found:
        if name == key and text.isascii() and text.isdecimal() and len(text) < 5:
            index = int(text)
            return index if index < count else None
    return None
