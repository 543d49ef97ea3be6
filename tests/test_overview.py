"""The overview: today beside the same weekday before, against a plain reading; and its answer."""

from __future__ import annotations

import statistics
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asked import fill, memory
from conftest import Lake
from lakeward.analysis.question import Answer, Question
from lakeward.analysis.today import DOCS, FIGURES, GROUPS, OUTCOMES, Today, spread
from lakeward.interaction import iso
from server_process import serving
from test_comparison import midnight
from test_questions_http import key

ZONES = ("UTC", "Europe/Lisbon", "Asia/Kolkata", "Australia/Lord_Howe", "America/New_York")


def put(question: Question) -> Answer:
    statement = question.sql()
    rows = memory().execute(statement.text, dict(statement.parameters)).fetchall()
    return Answer(question.columns(), question.finish(rows))


def study(today: Today) -> dict[str, Any]:
    return dict(today.document(put, lambda: False))


def by_clock(moments: list[datetime], day: date, zone: str) -> Counter[tuple[int, int]]:
    """How many of the moments are in each hour of a day: the number on the clock, and whether it
    is the first or the second time that the clock shows it."""
    found: Counter[tuple[int, int]] = Counter()
    for moment in moments:
        local = moment.astimezone(ZoneInfo(zone))
        if local.date() == day:
            found[local.hour, local.fold] += 1
    return found


def clocks(day: date, zone: str) -> set[int]:
    """The hours that a day's clock shows."""
    moments = (midnight(day, zone) + timedelta(minutes=15 * n) for n in range(104))
    local = (moment.astimezone(ZoneInfo(zone)) for moment in moments)
    return {each.hour for each in local if each.date() == day}


@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.integers(0, 35 * 96), max_size=60),
    st.sampled_from(ZONES),
    st.sampled_from([date(2025, 10, 26), date(2025, 10, 27), date(2025, 4, 6), date(2025, 3, 30)]),
    st.integers(0, 95),
)
def test_hours_and_figures_are_those_of_a_plain_reading(
    quarters: list[int], zone: str, day: date, past: int
) -> None:
    began = midnight(day, zone)
    at = began + timedelta(minutes=15 * past + 7)
    made = [began + timedelta(days=1) - timedelta(minutes=15 * n + 5) for n in quarters]
    fill({"ms": round(m.timestamp() * 1000), "anonymous_id": f"a{n % 7}"}
         for n, m in enumerate(made))  # fmt: skip
    found = study(Today(at=at, zone=zone))
    days = [day - timedelta(weeks=n) for n in range(5)]
    known = max(
        (n for n in range(1, 5) if any(m < midnight(days[n], zone) for m in made)), default=0
    )
    assert found["day"] == day
    assert found["known"] == days[1 : known + 1]
    counts = [by_clock(made, each, zone) for each in days]
    half = zone == "Australia/Lord_Howe" and day.month in (4, 10)  # an hour of 30 or 90 minutes
    for hour in found["hours"] if not half else []:
        local = hour.moment.astimezone(ZoneInfo(zone))
        told = [
            float(count[local.hour, 0])
            for count, each in zip(counts[1 : known + 1], days[1:], strict=False)
            if local.hour in clocks(each, zone)
        ]
        if not local.fold:
            assert (hour.usual, hour.low, hour.high, hour.days) == spread(told)
        came = counts[0][local.hour, local.fold]
        assert hour.today == (came if hour.moment < at else None)
    clock = at.astimezone(ZoneInfo(zone)).time()
    views = next(figure for figure in found["figures"] if figure.name == "Interactions")
    assert views.today == sum(counts[0].values())
    if day not in (date(2025, 10, 26), date(2025, 4, 6), date(2025, 3, 30)):  # no clock is twice
        until = [
            sum(m.astimezone(ZoneInfo(zone)).date() == each
                and m.astimezone(ZoneInfo(zone)).time() < clock for m in made)
            for each in days[1 : known + 1]
        ]  # fmt: skip
        assert views.usual == (statistics.median(until) if until else None)
        assert views.days == known


def test_without_a_known_day_nothing_is_usual() -> None:
    fill([])
    at = datetime(2025, 8, 14, 12, tzinfo=UTC)
    found = study(Today(at=at))
    assert found["known"] == []
    assert len(found["hours"]) == 24
    assert {(h.usual, h.low, h.high, h.days) for h in found["hours"]} == {(None, None, None, 0)}
    assert [h.today for h in found["hours"]] == [0] * 12 + [None] * 12
    assert {f.change for f in (*found["figures"], *found["outcomes"])} == {None}
    labels = {each.label for group, _ in GROUPS for each in group}
    assert (
        labels
        == {*FIGURES, *OUTCOMES}
        == DOCS.keys()
        == {f.name for f in (*found["figures"], *found["outcomes"])}
    )


def test_a_figure_is_compared_with_the_same_clock_of_known_days() -> None:
    at = datetime(2025, 8, 14, 12, 30, tzinfo=UTC)
    rows = [{"ms": 0 + round(datetime(2025, 7, 1, tzinfo=UTC).timestamp() * 1000)}]
    for week, views in enumerate((5, 1, 2, 4, 8)):
        day = datetime(2025, 8, 14, tzinfo=UTC) - timedelta(weeks=week)
        early, late = (round((day + timedelta(hours=h)).timestamp() * 1000) for h in (9, 13))
        rows += [{"ms": early + n} for n in range(views)]
        rows += [{"ms": late}] * (week > 0)
    fill(rows)
    views_ = next(f for f in study(Today(at=at))["figures"] if f.name == "Page views")
    assert (views_.today, views_.usual, views_.low, views_.high) == (5, 3, 1, 8)
    assert (views_.days, views_.change) == (4, pytest.approx(2 / 3))


def test_the_overview_of_a_server_tells_of_today_of_incidents_and_of_the_data(lake: Lake) -> None:
    now = datetime.now(UTC)
    collector = lake.collector()
    for day, count in ((0, 3), (7, 2), (15, 1)):
        for n in range(count):
            moment = iso(round((now - timedelta(days=day, seconds=n)).timestamp() * 1000))
            collector.record("demo_booking", status="held", partner_id="p1", timestamp=moment)
    collector.commit()
    collector.close()
    all_, own, page = key(lake, "read"), key(lake, "read", "p1"), key(lake, "write")
    with serving(lake) as server, server.client(headers=all_) as client:
        first = client.get("/api/overview")
        assert first.status_code == 200, first.text
        found = first.json()
        assert len(found["known"]) == 2
        outcomes = {each["name"]: each for each in found["outcomes"]}
        assert outcomes["Demos held"]["today"] == 3
        assert outcomes["Demos held"]["usual"] is not None
        assert found["alerts"] == {
            "incidents": [], "counts": found["alerts"]["counts"], "sentence": "",
            "verdict": {
                "state": "unknown",
                "sentence": "No incident is open, but nobody has watched this lake yet.",
            },
        }  # fmt: skip
        assert found["health"]["ok"] is True
        assert found["health"]["refused"] == 0
        assert found["health"]["last_at"] <= iso(round(datetime.now(UTC).timestamp() * 1000))
        assert found["questions"]["figures"]["zone"] == "UTC"
        for zone, status in (("Europe/Lisbon", 200), ("Moon/Crater", 400)):
            assert client.get(f"/api/overview?zone={zone}").status_code == status
        refused = client.get("/api/overview", headers=own)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_for_partners")

        event = {"interaction_type": "demo_booking"}  # without its status
        assert client.post("/v1/interactions", json=event, headers=page).json()["rejected"]
        newer = client.get("/api/overview").json()
        assert newer["health"]["refused"] == 1


def test_the_overview_is_not_sent_again_while_it_is_the_same(lake: Lake) -> None:
    lake.collector().close()
    with serving(lake) as server, server.client() as client:
        for _ in range(3):  # a minute may begin between the two
            first = client.get("/api/overview")
            tag = {"if-none-match": first.headers["etag"]}
            again = client.get("/api/overview", headers=tag)
            if again.status_code == 304:
                break
        assert (again.status_code, again.content) == (304, b"")


def test_a_view_that_is_left_is_one_view_and_a_flow_given_up_is_not_completed() -> None:
    at = datetime(2025, 8, 14, 12, 30, tzinfo=UTC)
    ms = round(datetime(2025, 8, 14, 9, tzinfo=UTC).timestamp() * 1000)
    view = {"ms": ms, "interaction_type": "page_view"}
    flow = {"ms": ms, "interaction_type": "flow_completion"}
    fill([
        {**view, "properties": {"view_id": "v1"}},
        {**view, "properties": {"view_id": "v1", "engagement_ms": 900}},
        view,
        {**flow, "outcomes": {"flow": "f"}},
        {**flow, "outcomes": {"flow": "f", "status": "completed"}},
        {**flow, "outcomes": {"flow": "f", "status": "abandoned"}},
    ])  # fmt: skip
    found = study(Today(at=at))
    told = {f.name: f.today for f in (*found["figures"], *found["outcomes"])}
    assert (told["Page views"], told["Flows completed"]) == (2, 2)
    assert [f.name for f in found["figures"]] == list(FIGURES)
    assert [f.name for f in found["outcomes"]] == list(OUTCOMES)
