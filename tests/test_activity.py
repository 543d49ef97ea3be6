"""Stickiness, the active of each day and lifecycle: each against a plain reading."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asked import Row, answered, fill, kept, moment_of
from lakeward.analysis.lifecycle import Lifecycle
from lakeward.analysis.step import Step
from lakeward.analysis.stickiness import Active, Activity, Stickiness
from lakeward.errors import Rejected

many = settings(deadline=None, max_examples=80)
ZONES = ("UTC", "Europe/Lisbon", "Asia/Kolkata", "Australia/Lord_Howe")
DAY_MS = 86_400_000
CHANGE_MS = 1_761_436_800_000  # 2025-10-26T00:00:00Z: Lisbon's clocks go back at 01:00Z
FIRST_MS = CHANGE_MS - 40 * DAY_MS

rows = st.lists(
    st.fixed_dictionaries(
        {
            "ms": st.one_of(
                st.integers(0, 80).map(lambda day: FIRST_MS + day * DAY_MS),
                st.integers(-8, 8).map(lambda half: CHANGE_MS + half * 1_800_000),
                st.sampled_from([CHANGE_MS - 1, CHANGE_MS - 3_600_001]),
            ),
            "interaction_type": st.sampled_from("ab"),
            "session_id": st.sampled_from(["s1", "s2", "s3"]),
        }
    ),
    max_size=16,
)
activities = {
    "active": st.sampled_from([Step(), Step(event="a")]),
    "zone": st.sampled_from(ZONES),
    "unit": st.just("session_id"),
    "since": st.sampled_from([None, CHANGE_MS - 9 * DAY_MS, CHANGE_MS - DAY_MS + 5]).map(
        lambda ms: ms and at(ms)
    ),
    "until": st.sampled_from([None, CHANGE_MS, CHANGE_MS + 20 * DAY_MS + 1]).map(
        lambda ms: ms and at(ms)
    ),
}


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def active(made: list[Row], question: Activity, grain: str, *, ever: bool = False) -> Any:
    """Each unit's periods; with `ever`, those before the range, too."""
    asked = {name: getattr(question, name) for name in Activity.__struct_fields__}
    if ever:
        asked["since"] = None
    found: dict[str, set[Any]] = defaultdict(set)
    for row in kept(made, Activity(**asked)):
        if question.active.event in ("*", row["interaction_type"]):
            found[row["session_id"]].add(moment_of(row["ms"], grain, question.zone))
    return found


@many
@given(
    rows,
    st.builds(Stickiness, grain=st.sampled_from(["hour", "day", "week", "month"]), **activities),
)
def test_so_many_units_are_active_in_so_many_periods(made: list[Row], question: Stickiness) -> None:
    fill(made)
    units = active(made, question, question.grain)
    sizes = Counter(len(found) for found in units.values())
    assert answered(question) == [
        pytest.approx({
            "periods": n, "units": sizes[n], "share": sizes[n] / len(units),
            "share_at_least": sum(k for m, k in sizes.items() if m >= n) / len(units),
        })
        for n in sorted(sizes)
    ]  # fmt: skip


def days_of(units: dict[str, set[date]], question: Activity, grain: str) -> list[date]:
    """The periods that an answer has."""
    first = min((day for found in units.values() for day in found), default=None)
    last = max((day for found in units.values() for day in found), default=None)
    if question.since is not None:
        first = moment_of(round(question.since.timestamp() * 1000), grain, question.zone)
    if question.until is not None:
        last = moment_of(round(question.until.timestamp() * 1000) - 1, grain, question.zone)
        first = first or last
    found = []
    while first is not None and last is not None and first <= last:
        found.append(first)
        first = after(first, grain)
    return found


def after(day: date, grain: str) -> date:
    if grain == "month":
        return (day + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=1 if grain == "day" else 7)


@many
@given(rows, st.builds(Active, **activities))
def test_a_window_holds_whoever_was_active_in_its_days(made: list[Row], question: Active) -> None:
    fill(made)
    units = active(made, question, "day", ever=True)

    def within(day: date, days: int) -> int:
        return sum(
            any(day - timedelta(days=days) < one <= day for one in found)
            for found in units.values()
        )

    wanted = []
    for day in days_of(units, question, "day"):
        daily, weekly, monthly = within(day, 1), within(day, 7), within(day, 30)
        wanted.append({
            "day": day, "daily": daily, "weekly": weekly, "monthly": monthly,
            "daily_of_weekly": daily / weekly if weekly else None,
            "daily_of_monthly": daily / monthly if monthly else None,
        })  # fmt: skip
    assert answered(question) == [pytest.approx(row) for row in wanted]


@many
@given(rows, st.builds(Lifecycle, grain=st.sampled_from(["day", "week", "month"]), **activities))
def test_each_unit_is_in_one_state_of_its_life(made: list[Row], question: Lifecycle) -> None:
    fill(made)
    grain = question.grain
    units = active(made, question, grain, ever=True)
    wanted = []
    for day in days_of(units, question, grain):
        row = {"moment": day, "new": 0, "returning": 0, "resurrecting": 0, "dormant": 0}
        for found in units.values():
            earlier = {one for one in found if one < day}
            lately = any(after(one, grain) == day for one in earlier)
            if day in found:
                row["returning" if lately else "resurrecting" if earlier else "new"] += 1  # type: ignore[operator]  # counts
            elif lately:
                row["dormant"] += 1  # type: ignore[operator]
        wanted.append(row)
    assert answered(question) == wanted


@pytest.mark.parametrize("kind", [Stickiness, Active, Lifecycle])
def test_a_unit_that_is_no_field_is_refused(kind: type[Activity]) -> None:
    with pytest.raises(Rejected, match="is no field"):
        kind(unit="x")
