"""Comparisons: the earlier time against a plain reading of calendars, and what a server answers."""

from __future__ import annotations

import calendar
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asked import START_MS, answered, fill, moment_of
from conftest import Lake
from lakeward.analysis.api_calls import ApiSlowest
from lakeward.analysis.api_health import ApiHealth
from lakeward.analysis.comparison import HOWS, Span, beside, changes, earlier, span_before
from lakeward.analysis.question import Answer
from lakeward.analysis.retention import Retention
from lakeward.analysis.step import Step
from lakeward.analysis.trend import Series, Trend
from lakeward.errors import Rejected
from server_process import serving
from test_questions_http import key

ZONES = ("UTC", "Europe/Lisbon", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
         "Pacific/Chatham", "America/Santiago", "Africa/Casablanca")  # fmt: skip
LATE = datetime(2100, 1, 1, tzinfo=UTC)
many = settings(deadline=None, max_examples=100)
zones = st.sampled_from(ZONES)
days = st.dates(date(2003, 1, 1), date(2030, 12, 31))


def midnight(day: date, zone: str) -> datetime:
    """The first moment of a day, found by looking at each quarter of an hour around it."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=16)
    while moment.astimezone(ZoneInfo(zone)).date() < day:
        moment += timedelta(minutes=15)
    return moment


def local_days(span: Span, zone: str) -> list[date]:
    """The days that begin in a span."""
    first = span.since.astimezone(ZoneInfo(zone)).date()
    found = [first + timedelta(days=n) for n in range(50)]
    return [day for day in found if span.since <= midnight(day, zone) < span.until]


def back(day: date, months: int) -> date:
    """The same day of an earlier month, or the last one that it has."""
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year - 1, 12) if month == 1 else (year, month - 1)
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


@many
@given(days, st.integers(1, 40), zones)
def test_whole_days_are_compared_with_as_many_days_of_the_calendar(
    day: date, count: int, zone: str
) -> None:
    span = Span(midnight(day, zone), midnight(day + timedelta(days=count), zone))
    wanted = [day + timedelta(days=n) for n in range(count)]
    assert local_days(span, zone) == wanted
    for how, earlier_by in (("day", 1), ("week", 7), ("previous", count)):
        found = span_before(span, how, zone, LATE)  # type: ignore[arg-type]  # one of them
        if how == "previous" and day.day == 1 and (wanted[-1] + timedelta(days=1)).day == 1:
            months = 1 if count < 32 else 2
            first = back(day, months)
            assert (found.since, found.until) == (midnight(first, zone), span.since)
            continue
        assert local_days(found, zone) == [d - timedelta(days=earlier_by) for d in wanted]
        assert found.since == midnight(day - timedelta(days=earlier_by), zone)
        assert found.until == midnight(wanted[-1] - timedelta(days=earlier_by - 1), zone)


@many
@given(days, st.integers(1, 40), zones, st.sampled_from([("month", 1), ("year", 12)]))
def test_a_month_earlier_ends_early_where_it_lacks_the_day(
    day: date, count: int, zone: str, asked: tuple[Any, int]
) -> None:
    how, months = asked
    last = day + timedelta(days=count - 1)
    span = Span(midnight(day, zone), midnight(last + timedelta(days=1), zone))
    found = span_before(span, how, zone, LATE)
    assert found.since == midnight(back(day, months), zone)
    if day.day == 1 and (last + timedelta(days=1)).day == 1:
        assert found.until == midnight(back(last + timedelta(days=1), months), zone)
    else:
        assert found.until == midnight(back(last, months) + timedelta(days=1), zone)


@many
@given(
    st.datetimes(datetime(2003, 1, 1), datetime(2030, 1, 1)),
    st.integers(1, 400_000),
    zones,
    st.sampled_from(HOWS),
    st.floats(0.001, 2),
)
def test_the_earlier_time_is_never_empty_or_reversed_and_no_longer_than_what_is_over(
    since: datetime, seconds: int, zone: str, how: Any, over: float
) -> None:
    first = since.replace(tzinfo=UTC)
    span = Span(first, first + timedelta(seconds=seconds))
    whole = span_before(span, how, zone, LATE)
    assert whole.since < whole.until
    assert whole.since < span.since
    now = first + timedelta(seconds=seconds * over)
    found = span_before(span, how, zone, now)
    assert found.since == whole.since < found.until <= whole.until
    if now >= span.until:
        assert found == whole
    else:  # no more of it than is over, but for what days and months differ by
        slack = timedelta(days=3 if how in ("month", "year") else 0, hours=2)
        assert found.until - found.since <= now - span.since + slack
    assert how != "previous" or whole.until == span.since


def test_a_day_that_begins_at_one_is_compared_with_a_day_from_midnight() -> None:
    santiago = "America/Santiago"
    span = Span(midnight(date(2020, 9, 6), santiago), midnight(date(2020, 9, 7), santiago))
    assert span.since.astimezone(ZoneInfo(santiago)).hour == 1
    before = span_before(span, "day", santiago, LATE)
    assert (before.since, before.until) == (midnight(date(2020, 9, 5), santiago), span.since)
    later = Span(span.until, midnight(date(2020, 9, 8), santiago))
    assert span_before(later, "day", santiago, LATE) == span


def test_a_day_of_23_hours_is_compared_with_the_whole_day_before() -> None:
    lisbon = "Europe/Lisbon"
    spring = Span(midnight(date(2025, 3, 30), lisbon), midnight(date(2025, 3, 31), lisbon))
    assert spring.until - spring.since == timedelta(hours=23)
    before = span_before(spring, "day", lisbon, LATE)
    assert before.until - before.since == timedelta(hours=24)
    noon = datetime(2025, 3, 30, 11, tzinfo=UTC)  # 12:00 in summer time
    assert span_before(spring, "day", lisbon, noon).until == datetime(2025, 3, 29, 12, tzinfo=UTC)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 40 * 24), max_size=40), zones, st.sampled_from(["hour", "day"]))
def test_rows_of_moments_stand_beside_the_moment_of_the_same_place(
    hours: list[int], zone: str, grain: Any
) -> None:
    start = datetime(2025, 10, 1, tzinfo=UTC)
    fill({"ms": round(start.timestamp() * 1000) + n * 3_600_000} for n in hours)
    question = Trend(
        grain=grain, zone=zone, since=midnight(date(2025, 10, 26), zone),
        until=midnight(date(2025, 10, 29), zone),
    )  # fmt: skip
    before = earlier(question, "previous", LATE)
    rows = [tuple(row.values()) for row in answered(before)]
    counts = Counter(
        moment_of(round(start.timestamp() * 1000) + n * 3_600_000, grain, zone)
        for n in hours
        if before.since <= start + timedelta(hours=n) < before.until  # type: ignore[attr-defined]
    )
    assert {row[0]: row[1] for row in rows if row[1]} == counts
    places = beside(question, before, rows)
    assert places is not None
    first = moment_of(round(midnight(date(2025, 10, 26), zone).timestamp() * 1000), grain, zone)
    if grain == "day":
        assert places == [first + timedelta(days=n) for n in range(len(rows))]
    elif rows:
        assert places[:10] == [first + timedelta(hours=n) for n in range(10)][: len(rows)]


def test_sparse_rows_stand_beside_their_own_moment() -> None:
    fill([{"interaction_type": "api_call", "ms": START_MS}])  # 16:11 on the 14th
    since = datetime(2025, 8, 15, tzinfo=UTC)
    question = ApiHealth(by=("hour",), since=since, until=since + timedelta(days=1))
    before = earlier(question, "day", LATE)
    rows = [tuple(row.values()) for row in answered(before)]
    assert beside(question, before, rows) == [datetime(2025, 8, 15, 16, tzinfo=UTC)]
    assert beside(ApiHealth(), before, rows) is None


def test_changes_are_of_what_was_and_unknown_where_that_was_nothing() -> None:
    question = Trend(grain=None, series=tuple(Series() for _ in range(5)))
    now = Answer(question.columns(), [(3, 0, 5, None, 2.5)])
    then = Answer(question.columns(), [(2, 4, 0, 1, None)])
    assert changes(question, now, then) == [0.5, -1.0, None, None, None]
    assert changes(question, now, Answer(question.columns(), [])) == [None] * 5
    assert changes(Trend(by=("route",), grain=None), now, now) is None
    assert changes(Trend(), now, now) is None


SPAN: dict[str, Any] = {
    "since": datetime(2025, 8, 1, tzinfo=UTC), "until": datetime(2025, 8, 2, tzinfo=UTC),
}  # fmt: skip
REFUSED: list[tuple[Any, str]] = [
    (ApiSlowest(**SPAN), "'api_slowest' has nothing"),
    (Trend(), "`since` and `until`"),
    (Trend(since=SPAN["since"]), "`since` and `until`"),
    (Trend(since=LATE, until=LATE + timedelta(days=1)), "What is to come"),
    (Trend(since=datetime(1, 1, 1, 5, tzinfo=UTC), until=SPAN["until"]), "too early"),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_cannot_be_compared_is_refused_in_a_sentence(case: int) -> None:
    question, said = REFUSED[case]
    with pytest.raises(Rejected, match=said):
        earlier(question, "year", LATE)


def test_a_retention_by_week_stands_beside_weeks() -> None:
    question = Retention(grain="week", start=Step(event="*"), back=Step(event="*"), **SPAN)
    before = earlier(question, "previous", LATE)
    rows = [(date(2025, 7, 28), 0, 1, 1, 1.0, True)]
    assert beside(question, before, rows) == [date(2025, 7, 28)]  # days of one week


def record(lake: Lake) -> None:
    """Two views on a Sunday, three on the Monday after it; one of them of a partner's."""
    collector = lake.collector()
    for day, hour, partner in (
        (6, 9, "p1"),
        (6, 10, "p2"),
        (7, 9, "p1"),
        (7, 9, "p1"),
        (7, 23, "p2"),
    ):
        collector.record("page_view", path="/x", partner_id=partner,
                         timestamp=f"2026-09-{day:02}T{hour:02}:00:00Z")  # fmt: skip
    collector.commit()
    collector.close()


def test_a_server_answers_over_both_times_for_a_partner_about_its_own(lake: Lake) -> None:
    record(lake)
    own, all_ = key(lake, "read", "p1"), key(lake, "read")
    monday = {"since": "2026-09-07T00:00:00Z", "until": "2026-09-08T00:00:00Z"}
    with serving(lake) as server, server.client() as client:

        def asked(how: str, body: Any, who: dict[str, str], kind: str = "trend") -> Any:
            address = f"/api/questions/{kind}?compare={how}"
            return client.post(address, json=body, headers=who)

        total = asked("day", {**monday, "grain": None}, all_).json()
        assert total["rows"] == [[3]]
        assert total["compared"] == {
            "since": "2026-09-06T00:00:00.000Z", "until": "2026-09-07T00:00:00.000Z",
            "rows": [[2]], "changes": [0.5], "source": "rows",
        }  # fmt: skip
        assert asked("day", {**monday, "grain": None}, own).json()["compared"]["rows"] == [[1]]
        hours = asked("previous", {**monday, "grain": "hour"}, all_).json()
        assert len(hours["rows"]) == len(hours["compared"]["rows"]) == 24
        assert [row[0] for row in hours["rows"]] == hours["compared"]["beside"]
        assert [row[1] for row in hours["compared"]["rows"][8:11]] == [0, 1, 1]
        assert hours["compared"]["changes"] is None
        empty = asked("year", {**monday, "grain": None}, all_).json()["compared"]
        assert (empty["rows"], empty["changes"]) == ([[0]], [None])

        first = asked("day", monday, all_)
        tag = {**all_, "if-none-match": first.headers["etag"]}
        assert asked("day", monday, tag).status_code == 304
        for other in (asked("week", monday, tag), client.post(
            "/api/questions/trend", json=monday, headers=tag
        )):  # fmt: skip
            assert other.status_code == 200
        assert "compared" not in json.loads(other.content)
        for how, body, kind, code in (
            ("decade", monday, "trend", "bad_question"),
            ("day", {}, "trend", "not_comparable"),
            ("day", monday, "api_failures", "not_comparable"),
        ):
            refused = asked(how, body, all_, kind)
            assert (refused.status_code, refused.json()["code"]) == (400, code)
