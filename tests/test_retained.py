"""Retention: both forms against a plain reading, in every zone, and what cannot be asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asked import Row, answered_twice, fill, holds, kept, moment_of, value_of
from lakeward.analysis import periods
from lakeward.analysis.filters import Filter
from lakeward.analysis.retention import Retention, RetentionCurve
from lakeward.analysis.step import Step
from lakeward.errors import Rejected

many = settings(deadline=None, max_examples=100)
ZONES = ("UTC", "Europe/Lisbon", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe")
DAY_MS = 86_400_000
CHANGE_MS = 1_761_436_800_000  # 2025-10-26T00:00:00Z: Lisbon's clocks go back at 01:00Z
FIRST_MS = CHANGE_MS - 20 * DAY_MS

moments = st.one_of(
    st.integers(0, 40).map(lambda day: FIRST_MS + day * DAY_MS),
    st.integers(-30, 30).map(lambda hour: CHANGE_MS + hour * 1_800_000),
    st.sampled_from([CHANGE_MS - 1, CHANGE_MS - 3_600_000, CHANGE_MS - 3_600_001]),
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "ms": moments,
            "interaction_type": st.sampled_from("ab"),
            "session_id": st.sampled_from(["s1", "s2", "s3"]),
        },
        optional={"device": st.sampled_from(["phone", "laptop"]), "route": st.just("/a")},
    ),
    max_size=14,
)
STEPS = {
    "all": (Step(), Step()),
    "apart": (Step(event="a"), Step(event="b")),
    "within": (Step(event="a", where=Filter(field="route", op="known")), Step()),
}


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def later(day: date, grain: str, n: int) -> date:
    """The first day of the n-th period after."""
    for _ in range(n):
        if grain == "month":
            day = (day + timedelta(days=32)).replace(day=1)
        else:
            day += timedelta(days=1 if grain == "day" else 7)
    return day


def is_of(step: Step, row: Row) -> bool:
    return step.event in ("*", row["interaction_type"]) and holds(step.where, row)


def cohorts(made: list[Row], question: Retention) -> Iterator[tuple[Any, Any, date]]:
    """Each unit, its fields and the cohort that it is of."""
    asked = {name: getattr(question, name) for name in Retention.__struct_fields__}
    if question.cohort == "first_ever":
        asked["since"] = None
    starts = sorted(
        (row for row in kept(made, Retention(**asked)) if is_of(question.start, row)),
        key=lambda row: row["ms"],
    )
    seen = set()
    for row in starts:
        period = moment_of(row["ms"], question.grain, question.zone)
        unit = value_of(row, "session_id")
        key = (unit, period) if question.cohort == "every" else unit
        if key in seen:
            continue
        seen.add(key)
        if question.since is None or at(row["ms"]) >= question.since:
            yield unit, tuple(value_of(row, name) for name in question.by), period


def plainly(made: list[Row], question: Retention) -> dict[Any, Row]:
    grain, zone = question.grain, question.zone
    came: dict[Any, set[Any]] = defaultdict(set)
    every = set()
    for row in kept(made, question):
        period = moment_of(row["ms"], grain, zone)
        if is_of(question.back, row):
            came[row["session_id"]].add(period)
        if is_of(question.back, row) or is_of(question.start, row):
            every.add(period)
    groups: dict[Any, list[Any]] = defaultdict(list)
    for unit, by, cohort in cohorts(made, question):
        groups[by, cohort].append(unit)
    found = {}
    for (by, cohort), units in groups.items():
        for n in range(question.periods + 1):
            period = later(cohort, grain, n)
            if question.until is None:
                if period > max(every):
                    break
                complete = None
            else:
                begins = datetime(*period.timetuple()[:3], tzinfo=ZoneInfo(zone))
                if begins.astimezone(UTC) >= question.until:
                    break
                over = later(period, grain, 1)
                end = datetime(*over.timetuple()[:3], tzinfo=ZoneInfo(zone))
                complete = end.astimezone(UTC) <= question.until
            if question.kind == "on":
                back = sum(period in came[unit] for unit in units)
            else:
                back = sum(any(day >= period for day in came[unit]) for unit in units)
            found[*by, cohort, n] = {
                "size": len(units), "returned": back, "share": back / len(units),
                "complete": complete,
            }  # fmt: skip
    return found


spans = st.sampled_from(
    [
        (None, None),
        (at(FIRST_MS + 3 * DAY_MS), at(FIRST_MS + 30 * DAY_MS)),
        (at(FIRST_MS - DAY_MS), at(CHANGE_MS + 1)),
        (at(FIRST_MS + 5), at(CHANGE_MS + 23 * 3_600_000)),
        (at(FIRST_MS), None),
        (None, at(CHANGE_MS)),
    ]
)


@many
@given(
    rows, st.sampled_from(list(STEPS)), st.sampled_from(["day", "week", "month"]),
    st.sampled_from([1, 3, 62]), st.sampled_from(["on", "on_or_after"]),
    st.sampled_from(["first", "first_ever", "every"]), st.sampled_from([(), ("device",)]),
    st.sampled_from(ZONES), spans,
)  # fmt: skip
def test_who_came_back_is_who_a_plain_reading_finds(
    made: list[Row], steps: str, grain: Any, most: int, kind: Any, cohort: Any, by: Any,
    zone: str, span: Any,
) -> None:  # fmt: skip
    fill(made)
    start, back = STEPS[steps]
    question = Retention(
        start=start, back=back, grain=grain, periods=most, kind=kind, cohort=cohort, by=by,
        zone=zone, since=span[0], until=span[1], unit="session_id",
    )  # fmt: skip
    told = {}
    for row in answered_twice(question):
        key = (*(row.pop(name) for name in by), row.pop("cohort"), row.pop("period"))
        told[key] = row
    wanted = plainly(made, question)
    assert told == {key: pytest.approx(row) for key, row in wanted.items()}


def test_the_quick_form_is_taken_where_both_ends_are_known() -> None:
    span: dict[str, Any] = {"since": at(FIRST_MS), "until": at(FIRST_MS + 62 * DAY_MS)}
    assert "bit_or" in Retention(grain="day", **span).sql().text
    assert "bit_or" not in Retention(grain="day").sql().text
    wider = span | {"until": at(FIRST_MS + 63 * DAY_MS)}
    assert "bit_or" not in Retention(grain="day", **wider).sql().text


def test_the_last_bit_of_a_word_is_a_period_like_any_other() -> None:
    span: dict[str, Any] = {"since": at(FIRST_MS), "until": at(FIRST_MS + 62 * DAY_MS + 1)}
    fill([{"ms": FIRST_MS + day * DAY_MS, "session_id": "s"} for day in (0, 61, 62)])
    told = answered_twice(Retention(grain="day", periods=62, unit="session_id", **span))
    assert [row["period"] for row in told if row["returned"]] == [0, 61, 62]
    assert [row["complete"] for row in told] == [True] * 62 + [False]


def test_one_person_comes_back_before_and_after_the_login() -> None:
    fill(
        [
            {"ms": FIRST_MS, "anonymous_id": "a1"},
            {"ms": FIRST_MS + 1, "interaction_type": "identify", "anonymous_id": "a1",
             "user_id": "u1"},
            {"ms": FIRST_MS + 8 * DAY_MS, "user_id": "u1"},
        ]
    )  # fmt: skip
    told = answered_twice(Retention(start=Step(event="page_view"), periods=1))
    assert [(row["size"], row["returned"]) for row in told] == [(1, 1), (1, 1)]


@given(
    st.sampled_from(ZONES), st.integers(0, 4 * 365 * 48), st.sampled_from(["day", "week", "month"])
)
def test_a_period_is_numbered_by_its_first_day(zone: str, halves: int, grain: Any) -> None:
    moment = at(CHANGE_MS + halves * 1_800_000)
    period = periods.number_of(grain, moment, zone)
    assert periods.first_day_of(grain, period) == moment_of(
        round(moment.timestamp() * 1000), grain, zone
    )


@pytest.mark.parametrize("zone", [*ZONES, "America/Sao_Paulo", "Pacific/Apia", "Africa/Casablanca"])
def test_the_changes_of_a_zone_are_those_of_its_every_half_hour(zone: str) -> None:
    since, until = at(CHANGE_MS - 400 * DAY_MS), at(CHANGE_MS + 400 * DAY_MS)
    found = periods.offsets(zone, since, until)
    place = ZoneInfo(zone)
    for half in range(800 * 48):
        moment = since + timedelta(minutes=30 * half)
        offset = moment.astimezone(place).utcoffset()
        ms = round(moment.timestamp() * 1000)
        assert offset is not None
        assert next(a for a, end in found if ms < end) == offset.total_seconds() * 1000


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"periods": 0}, "`periods` must be from 1 to 62"),
        ({"periods": 63}, "`periods` must be from 1 to 62"),
        ({"by": ("x",)}, "is no field"),
        ({"unit": "x"}, "is no field"),
        ({"zone": "Lisbon"}, "is no time zone"),
    ],
)
def test_what_is_no_retention_is_refused_in_a_sentence(parameters: Row, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        Retention(**parameters)


@many
@given(rows, st.sampled_from(sorted(STEPS)), st.sampled_from(["day", "week"]), st.booleans())
def test_the_curve_adds_up_the_cohorts_whose_period_was_over(
    found: list[Row], steps: str, grain: Any, ends: bool
) -> None:
    fill(found)
    start, back = STEPS[steps]
    asked: Row = {
        "start": start, "back": back, "grain": grain, "periods": 5, "unit": "session_id",
        "until": at(CHANGE_MS + 3 * DAY_MS) if ends else None,
    }  # fmt: skip
    whole: dict[int, list[int]] = {}
    for row in answered_twice(Retention(**asked)):
        if row["complete"] is not False:
            of = whole.setdefault(row["period"], [0, 0, 0])
            of[:] = (of[0] + 1, of[1] + row["size"], of[2] + row["returned"])
    assert [tuple(row.values()) for row in answered_twice(RetentionCurve(**asked))] == [
        (n, *figures, figures[2] / figures[1]) for n, figures in sorted(whole.items())
    ]
