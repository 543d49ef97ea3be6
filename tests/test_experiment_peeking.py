"""Looking at experiments again and again: intervals hold, and what would break them is needed."""

from __future__ import annotations

import numpy as np
import pytest

from lakeward.analysis.experiment import ratio, sequential
from lakeward.analysis.experiment.moments import Estimate
from peeking import KINDS, bare, broken, errors, looks

LOOKS = sorted({round(n) for n in np.geomspace(60, 4000, 60)})
SIMS = 200


@pytest.mark.parametrize("name", KINDS)
def test_looking_again_and_again_is_wrong_at_most_as_often_as_promised(name: str) -> None:
    found = errors(KINDS[name], ["sequential"], SIMS, LOOKS, seed=11)["sequential"]
    assert max(found) <= 0.05, f"difference and lift: {found}"


def test_the_fixed_test_is_wrong_far_more_often_when_one_looks_again_and_again() -> None:
    found = errors(KINDS["50 % convert"], ["fixed", "sequential"], SIMS, LOOKS, seed=12)
    assert found["fixed"][0] > 0.2
    assert found["sequential"][0] <= 0.05


def test_without_the_other_arms_variance_a_small_arm_would_be_wrong_too_often() -> None:
    found = errors(KINDS["5 % convert, 90/10"], ["bare"], SIMS, LOOKS, seed=13)["bare"]
    assert found[0] > 0.05


def test_the_truth_of_a_real_effect_is_in_every_interval() -> None:
    """5 % against 8 %: no look's interval leaves 3 points out, and most experiments find it."""
    dice = np.random.default_rng(14)
    left_out = found_it = 0
    for _ in range(SIMS):
        did = [np.cumsum(dice.random(3000) < rate) for rate in (0.05, 0.08)]
        wrong = found = False
        for n in (place // 2 for place in LOOKS):
            arms = [(n, int(each[n - 1]) / n) for each in did]
            one, other = (Estimate(k, p, p * (1 - p)) for k, p in arms)
            seen = sequential.compare(one, other).difference
            assert seen is not None
            if seen.low is None or seen.high is None:
                continue
            wrong |= not seen.low <= 0.03 <= seen.high
            found |= seen.low > 0
        left_out += wrong
        found_it += found
    assert left_out / SIMS <= 0.05
    assert found_it / SIMS > 0.7


@pytest.mark.parametrize("part", [0.5, 0.1])
def test_a_sound_split_is_not_called_broken_by_looking(part: float) -> None:
    places = list(range(10, 4000, 40))
    assert broken(ratio.sequential, part, 1000, places, seed=15) <= 0.001


def test_a_chi_square_that_is_looked_at_calls_sound_splits_broken() -> None:
    assert broken(ratio.fixed, 0.5, 1000, list(range(10, 4000, 40)), seed=15) > 0.003


def test_a_simulation_without_a_spread_says_nothing() -> None:
    dice = np.random.default_rng(1)
    for one, other in looks(KINDS["1 % convert, 90/10"], dice, 30, [10, 20, 30]):
        assert bare(one, other).difference is not None
