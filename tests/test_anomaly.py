"""The anomaly detector: what it finds, what it leaves alone, and what it is fed."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly_kinds import made
from anomaly_scoring import alarms, score
from anomaly_series import START, WEEK, Labelled, labelled, poisson
from lakeward.analysis.anomaly import Detector, Verdict
from lakeward.analysis.anomaly.state import MOST_BYTES
from lakeward.analysis.anomaly.verdict import Direction
from lakeward.errors import Rejected, Unreadable

STEP = 300.0
DAY = 86_400


def run(series: Labelled, detector: Detector | None = None) -> list[Verdict]:
    detector = detector or Detector(kind=series.kind)
    return [detector.update(t, v) for t, v in zip(series.times, series.values, strict=True)]


def called(verdicts: list[Verdict]) -> list[bool]:
    return [verdict.is_anomaly for verdict in verdicts]


def steady(n: int, level: float = 100.0, noise: float = 2.0, seed: int = 1) -> list[float]:
    dice = random.Random(seed)
    return [dice.gauss(level, noise) for _ in range(n)]


def fed(values: list[float], detector: Detector | None = None) -> list[Verdict]:
    detector = detector or Detector()
    return [detector.update(START + STEP * i, value) for i, value in enumerate(values)]


# What it finds


@pytest.mark.parametrize("klass", ["spike", "drop", "outage", "level_shift", "slow_drift"])
def test_a_busy_daily_series_loses_hardly_an_anomaly_and_raises_hardly_a_false_alarm(
    klass: str,
) -> None:
    found = score(series := labelled(klass, 1_000, "day", 12), called(run(series)), 2 * WEEK)
    assert found.found >= 3, found
    assert found.false <= 1, found


def test_an_outage_of_a_quiet_service_is_found_by_what_should_have_come() -> None:
    found = score(series := labelled("outage", 1, "none", 12), called(run(series)), 2 * WEEK)
    assert found.found >= 3
    assert found.false <= 1


def test_a_missing_morning_is_found_where_a_night_is_quiet_too() -> None:
    dice = random.Random(4)
    values = [float(poisson(dice, 20 + 180 * (96 <= i % 288 < 240))) for i in range(288 * 12)]
    for i in range(288 * 11 + 96, 288 * 11 + 132):
        values[i] = float(poisson(dice, 20))
    verdicts = fed(values, Detector(kind="count"))
    assert any(called(verdicts)[288 * 11 + 96 : 288 * 11 + 100])
    assert sum(called(verdicts)[288 * 8 : 288 * 11 + 96]) <= 1


def test_a_rhythm_that_no_calendar_knows_is_found_in_the_rows() -> None:
    dice = random.Random(2)
    values = [50 + 30 * math.sin(2 * math.pi * i / 57) + dice.gauss(0, 1) for i in range(1500)]
    values[1400] -= 12  # inside of what values usually are
    detector = Detector()
    verdicts = [detector.update(i + 1, value) for i, value in enumerate(values)]
    assert verdicts[1400].is_anomaly
    assert sum(called(verdicts)[700:1400]) <= 1


def test_rows_per_season_can_be_told() -> None:
    dice = random.Random(3)
    values = [10.0 * (i % 12 == 0) + dice.gauss(5, 0.3) for i in range(600)]
    values[540] -= 10
    verdicts = fed(values, Detector(season=12))
    assert verdicts[540].is_anomaly
    assert not any(called(verdicts)[100:540])


def test_the_same_values_stand_in_the_verdict_with_words() -> None:
    verdict = fed([*steady(400), 160.0])[-1]
    assert verdict.is_anomaly
    assert verdict.alarm
    assert 0.5 <= verdict.score <= 1
    assert verdict.low < verdict.expected < verdict.high < 160
    assert "160 is far above the expected" in verdict.why


def test_scores_rank_the_larger_deviation_higher() -> None:
    scores = [fed([*steady(600), value])[-1].score for value in (101, 106, 110, 120, 160, 400)]
    assert scores == sorted(scores)
    assert len(set(scores)) == len(scores)


# What it leaves alone


@settings(max_examples=8, deadline=None, derandomize=True)
@given(mean=st.sampled_from([0.003, 0.05, 0.4, 1.0, 5.0, 30.0]), seed=st.integers(0, 1000))
def test_a_quiet_poisson_series_raises_at_most_an_alarm_a_week(mean: float, seed: int) -> None:
    dice = random.Random(seed)
    values = [float(poisson(dice, mean)) for _ in range(2 * WEEK)]
    verdicts = fed(values, Detector(kind="count"))
    assert sum(verdict.alarm for verdict in verdicts) <= 2


def test_heavy_tails_raise_no_dozens_of_alarms() -> None:
    series = made("tweets", 21)
    false = [i for i in alarms(called(run(series)))
             if not any(a <= i <= b + 24 for a, b in series.windows)]  # fmt: skip
    assert len(false) <= 5


@pytest.mark.parametrize("value", [0.0, 7.0, -3.5, 1e9])
def test_a_constant_series_raises_nothing(value: float) -> None:
    verdicts = fed([value] * 3000)
    assert not any(called(verdicts))
    assert max(verdict.score for verdict in verdicts) < 0.5


def test_one_event_a_day_raises_nothing() -> None:
    dice = random.Random(6)
    values = [0.0] * (288 * 20)
    for day in range(20):
        values[day * 288 + dice.randrange(288)] = 1.0
    assert not any(called(fed(values, Detector(kind="count"))))


def test_nothing_is_said_before_there_is_something_to_compare_with() -> None:
    assert not any(called(fed([1.0, 900.0, -5.0, 1e6, 2.0, 3.0])))


def test_a_direction_that_nobody_asked_for_raises_nothing() -> None:
    values = [*steady(600), 160.0, 40.0]
    wanted: list[tuple[Direction, list[int]]] = [
        ("both", [1, 1]), ("up", [1, 0]), ("down", [0, 1]),
    ]  # fmt: skip
    for direction, expected in wanted:
        verdicts = fed(values, Detector(direction=direction))
        assert [int(verdict.is_anomaly) for verdict in verdicts[-2:]] == expected, direction


def test_an_episode_is_one_alarm_until_its_cooldown_is_over() -> None:
    values = [*steady(600), *[170.0] * 6, *steady(40), 170.0, *steady(100), 170.0]
    for cooldown, expected in ((0.0, [600, 646, 747]), (6 * 3_600.0, [600, 747])):
        verdicts = fed(values, Detector(cooldown=cooldown))
        assert [i for i, verdict in enumerate(verdicts) if verdict.alarm] == expected, cooldown
        assert all(called(verdicts)[600:606])


def test_below_the_minimum_volume_there_is_no_alarm() -> None:
    values = [float(poisson(random.Random(i), 0.2)) for i in range(900)]
    values.append(15.0)
    assert fed(values, Detector(kind="count"))[-1].is_anomaly
    assert not fed(values, Detector(kind="count", min_volume=20))[-1].is_anomaly


def test_a_rate_of_few_trials_raises_nothing_and_of_many_it_does() -> None:
    dice = random.Random(9)
    detectors = [Detector(kind="rate", min_volume=5) for _ in range(2)]
    for i in range(900):
        seen = sum(dice.random() < 0.05 for _ in range(40)) / 40
        for detector in detectors:
            detector.update(START + STEP * i, seen, volume=40)
    at = START + STEP * 900
    assert not detectors[0].update(at, 1.0, volume=2).is_anomaly
    assert detectors[1].update(at, 0.6, volume=40).is_anomaly


def test_excluded_ranges_are_neither_judged_nor_learned() -> None:
    start = START + STEP * 600
    detector = Detector(exclude=[(start, start + STEP * 20)])
    values = [*steady(600), *[500.0] * 20, *steady(50, seed=2)]
    verdicts = fed(values, detector)
    assert not any(called(verdicts))
    assert verdicts[605].why == "in an excluded range"
    assert detector.update(START + STEP * 671, 160.0).is_anomaly


def test_a_bucket_that_is_not_over_is_not_judged_and_changes_nothing() -> None:
    detector = Detector(kind="count")
    fed([float(round(value)) for value in steady(600)], detector)
    before = detector.to_bytes()
    verdict = detector.update(START + STEP * 600, 1, complete=False)
    assert not verdict.is_anomaly
    assert "not over" in verdict.why
    assert detector.to_bytes() == before
    assert detector.update(START + STEP * 600, 1).is_anomaly


def test_a_tracker_that_fell_silent_is_told_when_asked() -> None:
    detector = Detector()
    fed(steady(300), detector)
    last = START + STEP * 299
    assert detector.silent(last + 900) is None
    verdict = detector.silent(last + 7_200)
    assert verdict is not None
    assert verdict.is_anomaly
    assert "no row has come for 7,200 s" in verdict.why
    assert Detector().silent(last) is None


# What it is fed


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_passed_over(value: float) -> None:
    detector = Detector()
    fed(steady(100), detector)
    before = detector.to_bytes()
    verdict = detector.update(START + STEP * 100, value)
    assert (verdict.score, verdict.is_anomaly) == (0.0, False)
    assert detector.to_bytes() == before


def test_any_row_of_numbers_gives_finite_verdicts_and_a_bounded_state() -> None:
    dice = random.Random(8)
    detector, t = Detector(), float(START)
    largest = 0
    for i in range(6_000):
        t += dice.choice((STEP, STEP, STEP, STEP, 0.0, 1.0, -7_200.0, 40 * DAY * (i % 500 == 0)))
        value = dice.choice(
            (0.0, 1.0, dice.gauss(0, 1), 1e308, -1e308, 1e-308, dice.paretovariate(0.3))
        )
        verdict = detector.update(t, value)
        assert math.isfinite(verdict.expected), i
        assert math.isfinite(verdict.low), i
        assert math.isfinite(verdict.high), i
        assert 0.0 <= verdict.score <= 1.0, i
        if i % 500 == 0:
            largest = max(largest, len(detector.to_bytes()))
    assert largest <= MOST_BYTES


@pytest.mark.parametrize(
    ("step", "season"), [(1, "auto"), (300, "auto"), (86_400, "auto"), (60, "week"), (1, 2016)]
)
def test_the_state_is_bounded_whatever_step_and_season(step: int, season: str | int) -> None:
    detector = Detector(season=season, step=step)
    dice = random.Random(5)
    for i in range(2_500):
        detector.update(START + step * i, dice.gauss(10, 1) + 8 * math.sin(i / 9))
    assert len(detector.to_bytes()) <= MOST_BYTES


def test_a_gap_of_months_is_survived_without_an_alarm() -> None:
    detector = Detector()
    fed(steady(900), detector)
    later = START + 120 * DAY
    verdicts = [detector.update(later + STEP * i, v) for i, v in enumerate(steady(300, seed=3))]
    assert not any(called(verdicts))


def test_a_repeated_or_late_row_is_judged_and_not_learned() -> None:
    detector = Detector()
    fed(steady(300), detector)
    before = detector.to_bytes()
    assert detector.update(START + STEP * 299, 170.0).is_anomaly
    after = Detector.from_bytes(before)
    again = after.update(START + STEP * 300, 101.0)
    assert detector.update(START + STEP * 300, 101.0).expected == again.expected


def test_a_clock_that_goes_back_for_good_is_followed() -> None:
    detector = Detector()
    detector.update(START + 10_000 * DAY, 100.0)
    verdicts = fed([*steady(900), 170.0], detector)
    assert verdicts[-1].is_anomaly


def test_the_day_is_that_of_the_zone_on_both_sides_of_a_clock_change() -> None:
    zone = ZoneInfo("Europe/Berlin")
    at = datetime(2026, 3, 9, tzinfo=UTC)
    detectors = {name: Detector(zone=name) for name in ("UTC", "Europe/Berlin")}
    false = dict.fromkeys(detectors, 0)
    dice = random.Random(1)
    for _ in range(24 * 35):
        local = at.astimezone(zone)
        value = (200.0 if 8 <= local.hour < 18 else 20.0) + dice.gauss(0, 2)
        for name, detector in detectors.items():
            verdict = detector.update(at, value)
            if local.month == 3 and local.day >= 29:
                false[name] += verdict.is_anomaly
        at += timedelta(hours=1)
    assert false["Europe/Berlin"] == 0
    assert false["UTC"] > 0


@pytest.mark.parametrize(
    "moment",
    [
        "2025-08-11 00:00:00", "2025-08-11T00:00:00Z", "2025-08-11T02:00:00+02:00",
        "08/11/2025 00:00:00", 1_754_870_400, 1_754_870_400_000, "1754870400000000",
        datetime(2025, 8, 11, tzinfo=UTC), datetime(2025, 8, 11),
        datetime(2025, 8, 11, 3, tzinfo=timezone(timedelta(hours=3))),
    ],
)  # fmt: skip
def test_a_moment_may_be_written_in_many_ways(moment: datetime | float | str) -> None:
    from lakeward.analysis.anomaly.clock import seconds_of

    assert seconds_of(moment) == 1_754_870_400.0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"season": "fortnight"}, "`season`"), ({"season": 1}, "`season`"),
        ({"season": 5_000}, "`season`"), ({"season": "0s"}, "`season`"),
        ({"kind": "colour"}, "`kind`"), ({"direction": "left"}, "`direction`"),
        ({"step": -1.0}, "`step`"), ({"zone": "Mars/Base"}, "`zone`"),
        ({"zone": "../etc/passwd"}, "`zone`"), ({"sensitivity": 0.0}, "`sensitivity`"),
        ({"exclude": [(5, 5)]}, "`exclude`"), ({"cooldown": math.nan}, "`cooldown`"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_named(options: dict[str, object], named: str) -> None:
    with pytest.raises(Rejected, match=named):
        Detector(**options)  # type: ignore[arg-type]  # wrong on purpose


def test_what_is_no_moment_is_refused() -> None:
    for moment in ("yesterday", "", math.nan):
        with pytest.raises(Rejected, match="no moment"):
            Detector().update(moment, 1.0)


# What it remembers


def test_a_restart_anywhere_changes_no_bit_of_any_verdict() -> None:
    series = labelled("level_shift", 10, "week", 11)
    rows = list(zip(series.times, series.values, strict=True))[:5_000]
    whole = Detector(kind="count")
    expected = [whole.update(*row) for row in rows]
    detector, found = Detector(kind="count"), []
    for i, row in enumerate(rows):
        if i % 97 == 0:
            detector = Detector.from_bytes(detector.to_bytes())
        found.append(detector.update(*row))
    assert found == expected
    assert detector.to_bytes() == whole.to_bytes()


def test_bytes_of_something_else_are_refused() -> None:
    for data in (b"", b"no", b"\x82\xa7version\x09\xa5state\x80", Detector().to_bytes()[:-3]):
        with pytest.raises(Unreadable):
            Detector.from_bytes(data)
