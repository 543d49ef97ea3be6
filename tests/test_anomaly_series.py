"""The series that the detector is measured on: the same for the same seed, labelled truly."""

from __future__ import annotations

import math

import pytest

from anomaly_kinds import NATURES, made
from anomaly_scoring import alarms, average_precision, score, z_scores
from anomaly_series import CLASSES, TEST, TUNING, WEEK, Labelled, labelled


def test_no_seed_serves_for_tuning_and_for_the_test() -> None:
    assert not set(TUNING) & set(TEST)


def test_a_series_is_the_same_for_the_same_seed() -> None:
    assert labelled("spike", 10, "week", 1) == labelled("spike", 10, "week", 1)
    assert labelled("spike", 10, "week", 1).values != labelled("spike", 10, "week", 2).values


@pytest.mark.parametrize("klass", CLASSES)
def test_each_anomaly_lies_in_the_second_half_and_changes_what_is_counted(klass: str) -> None:
    series = labelled(klass, 1_000, "none", 5)
    assert len(series.windows) == 4
    usual = 5 * 1_000
    for start, end in series.windows:
        assert 2 * WEEK <= start <= end < len(series.values)
        mean = sum(series.values[start : end + 1]) / (end + 1 - start)
        assert abs(mean - usual) > 0.15 * usual


@pytest.mark.parametrize("nature", NATURES)
def test_a_nature_has_rows_in_order_and_windows_within_them(nature: str) -> None:
    series = made(nature, 3)
    assert len(series.times) == len(series.values)
    assert series.times == sorted(series.times)
    assert all(0 <= a <= b < len(series.values) for a, b in series.windows)
    assert all(map(math.isfinite, series.values))


def test_rows_near_each_other_are_one_alarm_and_an_alarm_before_its_window_is_false() -> None:
    called = [False] * 200
    for i in (10, 12, 20, 60, 61, 150):
        called[i] = True
    assert list(alarms(called)) == [10, 60, 150]
    series = Labelled("s", "count", [], [], [(9, 30), (61, 70), (148, 152)])
    found = score(series, called)
    assert (found.true, found.false, found.found, found.windows) == (2, 1, 3, 3)


def test_average_precision_is_one_for_a_perfect_ranking_and_the_share_for_none() -> None:
    truth = [False, True, False, True]
    assert average_precision([0.1, 0.9, 0.2, 0.8], truth) == 1.0
    assert average_precision([0.5, 0.5, 0.5, 0.5], truth) == 0.5


def test_the_baseline_sees_a_spike_and_nothing_before_it_has_learned() -> None:
    found = list(z_scores([1.0, 2.0] * 50 + [40.0]))
    assert found[-1] > 5
    assert max(found[:-1]) < 3
    assert not any(found[:30])
