"""Agreement of raters: published examples with known answers, and another implementation."""

from __future__ import annotations

import math

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.confidence.score import Icc, alpha, icc
from lakeward.confidence.score.agreement import Metric

CANONICAL = """
*    *    *    *    *    3    4    1    2    1    1    3    3    *    3
1    *    2    1    3    3    4    3    *    *    *    *    *    *    *
*    *    2    1    3    4    4    *    2    1    1    3    3    *    4
"""
"""Krippendorff's example of three observers and fifteen units."""
SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]
"""Six targets, four judges: table 2 of Shrout and Fleiss (1979)."""


def units(text: str) -> list[list[float]]:
    rows = [line.split() for line in text.strip().splitlines()]
    return [[float(c) for c in column if c != "*"] for column in zip(*rows, strict=True)]


@pytest.mark.parametrize(
    ("metric", "known"), [("nominal", 0.6914), ("ordinal", 0.8067), ("interval", 0.8108)]
)
def test_the_canonical_example_has_its_known_alphas(metric: Metric, known: float) -> None:
    assert alpha(units(CANONICAL), metric) == pytest.approx(known, abs=5e-5)


RATINGS = st.lists(
    st.lists(st.one_of(st.none(), st.integers(1, 6)), min_size=4, max_size=4),
    min_size=2,
    max_size=8,
)


@given(RATINGS, st.sampled_from(["nominal", "ordinal", "interval"]))
def test_alpha_is_that_of_another_implementation(
    table: list[list[int | None]], metric: Metric
) -> None:
    found = alpha([[float(v) for v in unit if v is not None] for unit in table], metric)
    paired = [v for unit in table if 4 - unit.count(None) > 1 for v in unit if v is not None]
    if len(set(paired)) < 2:
        assert found is None
        return
    matrix = np.array([[np.nan if v is None else v for v in unit] for unit in table]).T
    other = krippendorff.alpha(reliability_data=matrix, level_of_measurement=metric)
    assert found == pytest.approx(other, abs=1e-9)


def test_the_example_of_shrout_and_fleiss_has_its_known_correlations() -> None:
    found = icc(SHROUT_FLEISS)
    assert found is not None
    known = Icc(one=0.17, two=0.29, three=0.71, one_k=0.44, two_k=0.62, three_k=0.91)
    for name in Icc.__struct_fields__:
        assert getattr(found, name) == pytest.approx(getattr(known, name), abs=0.005)


def test_nothing_can_be_said_where_nothing_varies() -> None:
    assert alpha([]) is None
    assert alpha([[3.0], [4.0]]) is None
    assert alpha([[3.0, 3.0], [3.0, 3.0]]) is None
    assert icc([]) is None
    assert icc([[1.0, 2.0]]) is None
    assert icc([[1.0], [2.0]]) is None
    assert icc([[5.0, 5.0], [5.0, 5.0]]) is None


def test_full_agreement_is_one_and_discord_is_below_nothing() -> None:
    assert alpha([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]) == pytest.approx(1)
    discord = alpha([[1.0, 3.0], [3.0, 1.0]])
    assert discord is not None
    assert discord < 0
    agreed = icc([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]])
    assert agreed is not None
    assert agreed.two_k == pytest.approx(1)


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=2, max_size=5))
def test_a_correlation_is_one_at_most_or_not_told(table: list[list[int]]) -> None:
    found = icc(table)
    if found is not None:
        for name in Icc.__struct_fields__:
            value = getattr(found, name)
            assert math.isfinite(value)
            assert value <= 1 + 1e-9
