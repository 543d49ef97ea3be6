"""Trends and filters: each against a plain reading of the same rows, and what cannot be asked."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asked import START_MS, Row, answered, fill, holds, kept, moment_of, nearest_rank, value_of
from lakeward.analysis.events import Events
from lakeward.analysis.filters import Filter
from lakeward.analysis.trend import Series, Trend
from lakeward.errors import Rejected

many = settings(deadline=None, max_examples=150)
ZONES = ("UTC", "Europe/Lisbon", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe")
TEXTS = ("", "a", "A", "ab", "b", "é", "%", "_", "'", '"', "1", "true", "x" * 40)
FALL_BACK_MS = 1_761_436_800_000  # 2025-10-26T00:00:00Z: Lisbon's clocks go back at 01:00Z

moments = st.one_of(
    st.integers(START_MS, START_MS + 3 * 86_400_000),
    st.integers(FALL_BACK_MS - 7_200_000, FALL_BACK_MS + 3 * 3_600_000),
    st.sampled_from([START_MS, START_MS + 1, FALL_BACK_MS]),
)
iso_text = st.integers(0, 40).map(
    lambda hours: (
        datetime.fromtimestamp(START_MS / 1000 + hours * 3600, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
)
rows = st.fixed_dictionaries(
    {"ms": moments, "interaction_type": st.sampled_from(["page_view", "click", "api_call"])},
    optional={
        "user_id": st.sampled_from(["anonymous", "u1", "u2"]),
        "anonymous_id": st.sampled_from(["a1", "a2"]),
        "session_id": st.sampled_from(["s1", "s2", "s3"]),
        "user_type": st.sampled_from(["unknown", "staff", "client"]),
        "ip_address": st.sampled_from(["10.0.0.1", "10.1.0.1", "8.8.8.8"]),
        "bot": st.booleans(),
        "route": st.sampled_from(TEXTS),
        "response_status": st.sampled_from([200, 404, 500, 503]),
        "response_time_ms": st.sampled_from([0.0, 1.5, 2.0, 300.0]),
        "client_timestamp": iso_text,
        "received_at": iso_text,
        "properties": st.fixed_dictionaries(
            {},
            optional={
                "plan": st.sampled_from([*TEXTS, 1, 2.5, True, None, {"deep": "a"}]),
                "$amount": st.sampled_from([1, 2.5, "3", "x", None]),
            },
        ),
    },
)
conditions = st.one_of(
    st.builds(
        Filter,
        field=st.sampled_from(["route", "properties.plan", "properties.plan.deep", "user_id"]),
        op=st.sampled_from(["is", "is_not"]),
        values=st.lists(st.sampled_from([*TEXTS, 1, 2.5, True]), min_size=1, max_size=3).map(tuple),
    ),
    st.builds(
        Filter,
        field=st.sampled_from(["route", "properties.plan", "response_status"]),
        op=st.sampled_from(["contains", "contains_not", "starts", "ends"]),
        values=st.lists(st.sampled_from(TEXTS[1:]), min_size=1, max_size=2).map(tuple),
    ),
    st.builds(
        Filter,
        field=st.sampled_from(["response_status", "properties.$amount", "response_time_ms"]),
        op=st.sampled_from(["above", "at_least", "below", "at_most"]),
        values=st.sampled_from([(200,), (2,), (2.5,)]),
    ),
    st.builds(
        Filter,
        field=st.sampled_from(["route", "properties.plan", "user_id", "bot"]),
        op=st.sampled_from(["known", "unknown"]),
    ),
)
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        *(
            st.builds(Filter, **{group: st.lists(inner, min_size=1, max_size=3).map(tuple)})
            for group in ("all", "any", "none")
        )
    ),
    max_leaves=6,
)
common = {
    "where": st.none() | filters,
    "clock": st.sampled_from(["event", "device", "received"]),
    "bots": st.booleans(),
    "internal": st.booleans(),
    "internal_is": st.sampled_from([("user_type:staff",), ("ip_address:10.0.", "user_id:u1")]),
    "since": st.none() | st.just(datetime.fromtimestamp(START_MS / 1000 + 3600, UTC)),
    "until": st.none() | st.just(datetime.fromtimestamp(START_MS / 1000 + 200_000, UTC)),
    "zone": st.sampled_from(ZONES),
}


@many
@given(st.lists(rows, max_size=30), st.builds(Events, **common))
def test_time_traffic_and_filters_let_through_what_a_plain_reading_does(
    made: list[Row], events: Events
) -> None:
    fill(made)
    asked = {name: getattr(events, name) for name in Events.__struct_fields__}
    [answer] = answered(Trend(**asked, grain=None, unit="session_id"))
    assert answer["series_1"] == len(list(kept(made, events)))


def _metric(name: str, found: list[Row]) -> Any:
    times = [row["response_time_ms"] for row in found if row.get("response_time_ms") is not None]
    units = [row["session_id"] for row in found if row.get("session_id") is not None]
    answered_ = [row["response_status"] for row in found if row.get("response_status") is not None]
    failed = sum(status >= 500 for status in answered_)
    return {
        "events": len(found),
        "units": len(set(units)),
        "events_per_unit": len(units) / len(set(units)) if units else None,
        "sum": sum(times) if times else None,
        "mean": sum(times) / len(times) if times else None,
        "most": max(times, default=None),
        "p50": nearest_rank(times, 0.5),
        "p99": nearest_rank(times, 0.99),
        "errors": failed,
        "error_rate": failed / len(answered_) if answered_ else None,
    }[name]


METRICS = ("events", "units", "events_per_unit", "sum", "mean", "most", "p50", "p99", "errors",
           "error_rate")  # fmt: skip
EMPTY = {"events": 0, "units": 0, "errors": 0}


@many
@given(
    st.lists(rows, max_size=30),
    st.sampled_from(["hour", "day", "week", "month"]),
    st.sampled_from(ZONES),
    st.lists(st.sampled_from(["route", "properties.plan", "weekday"]), max_size=2, unique=True),
    st.lists(st.sampled_from(METRICS), min_size=1, max_size=4),
    filters,
)
def test_a_trend_counts_as_a_plain_reading_does(
    made: list[Row], grain: Any, zone: str, by: list[str], metrics: list[str], where: Filter
) -> None:
    fill(made)
    takes = {"sum", "mean", "most", "p50", "p99"}
    series = tuple(
        Series(
            event=("*", "api_call")[n % 2], metric=metric, where=where if n == 1 else None,
            field="response_time_ms" if metric in takes else None,
        )
        for n, metric in enumerate(metrics)
    )  # fmt: skip
    question = Trend(
        series=series, grain=grain, zone=zone, by=tuple(by), unit="session_id", top=1000
    )
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in kept(made, question):
        if any(_of(one, row) for one in series):
            local = datetime.fromtimestamp(row["ms"] / 1000, ZoneInfo(zone))
            keys = [local.isoweekday() if name == "weekday" else value_of(row, name) for name in by]
            found[(moment_of(row["ms"], grain, zone), *keys)].append(row)
    wanted = {
        key: [_metric(one.metric, [row for row in group if _of(one, row)]) for one in series]
        for key, group in found.items()
    }
    rows_ = [tuple(row.values()) for row in answered(question)]
    width = 1 + len(by)
    told = {row[:width]: list(row[width:]) for row in rows_}
    assert len(told) == len(rows_)
    nothing = [EMPTY.get(metric) for metric in metrics]
    assert {k: v for k, v in told.items() if v != pytest.approx(nothing)} == {
        k: pytest.approx(v) for k, v in wanted.items() if v != pytest.approx(nothing)
    }
    moments_told = sorted({row[0] for row in rows_})
    if moments_told and grain == "day":
        assert moments_told[-1] - moments_told[0] == timedelta(days=len(moments_told) - 1)


def _of(series: Series, row: Row) -> bool:
    return series.event in ("*", row["interaction_type"]) and holds(series.where, row)


def test_quiet_moments_are_rows_of_zeros() -> None:
    fill([{"ms": FALL_BACK_MS - 3_600_000}, {"ms": FALL_BACK_MS + 3 * 3_600_000}])
    hours = answered(Trend(grain="hour", zone="Europe/Lisbon", unit="session_id"))
    assert [row["series_1"] for row in hours] == [1, 0, 0, 0, 1]
    since = datetime(2025, 10, 24, 12, tzinfo=UTC)
    until = datetime(2025, 10, 28, tzinfo=UTC)
    days = answered(Trend(since=since, until=until, unit="session_id"))
    assert [str(row["moment"]) for row in days] == [f"2025-10-{day}" for day in range(24, 28)]
    assert [row["series_1"] for row in days] == [0, 1, 1, 0]


def test_only_the_combinations_with_the_most_are_shown() -> None:
    fill([{"route": route} for route in "aaabbc"])
    found = answered(Trend(by=("route",), top=2, grain=None, unit="session_id"))
    assert {row["route"]: row["series_1"] for row in found} == {"a": 3, "b": 2}


def test_a_person_is_one_unit_before_and_after_the_login() -> None:
    fill(
        [
            {"anonymous_id": "a1", "ms": START_MS},
            {"anonymous_id": "a1", "user_id": "u1", "interaction_type": "identify",
             "ms": START_MS + 1},
            {"user_id": "u1", "ms": START_MS + 2},
        ]
    )  # fmt: skip
    series = (Series(event="page_view", metric="units"), Series(event="page_view"))
    [found] = answered(Trend(series=series, grain=None))
    assert (found["series_1"], found["series_2"]) == (1, 2)


REFUSED: list[tuple[Any, str]] = [
    (lambda: Trend(by=("nothing",)), "is no field"),
    (lambda: Trend(by=("route", "route")), "different fields"),
    (lambda: Trend(series=()), "1 to 10"),
    (lambda: Trend(unit="properties.x'y"), "is no field"),
    (lambda: Trend(zone="Mars"), "no time zone"),
    (lambda: Trend(since=datetime(2025, 1, 1)), "must have a zone"),
    (lambda: Trend(top=0), "`top`"),
    (lambda: Trend(internal_is=("path:/x",)), "user_type:staff"),
    (lambda: Trend(where=Filter(field="route.x", values=("a",))), "is no field"),
    (lambda: Series(metric="median"), "is no metric"),
    (lambda: Series(metric="sum"), "needs a field"),
    (lambda: Series(metric="events", field="route"), "takes no field"),
    (lambda: Series(event="a b"), "no interaction type"),
    (Filter, "one of the four"),
    (lambda: Filter(field="route"), "takes 1 to"),
    (lambda: Filter(field="route", op="known", values=("a",)), "takes no values"),
    (lambda: Filter(field="route", op="above", values=("a",)), "one number"),
    (lambda: Filter(field="route", op="starts", values=(1,)), "takes texts"),
    (lambda: Filter(all=(Filter(field="bot", op="known"),), values=(1,)), "takes no `op`"),
    (lambda: Trend(where=Filter(field="response_status", values=("a",))), "is a number"),
    (lambda: Trend(where=Filter(field="bot", values=("a",))), "true or false"),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_cannot_be_asked_is_refused_in_a_sentence(case: int) -> None:
    make, said = REFUSED[case]
    with pytest.raises(Rejected, match=said):
        make()


def test_a_filter_that_is_too_deep_or_too_large_is_refused() -> None:
    leaf = Filter(field="route", op="known")
    deep = leaf
    for _ in range(8):
        deep = Filter(none=(deep,))
    with pytest.raises(Rejected, match="deep"):
        Trend(where=deep)
    with pytest.raises(Rejected, match="200 conditions"):
        Trend(where=Filter(any=(leaf,) * 201))


def test_values_and_names_never_stand_in_the_text() -> None:
    evil = "x'; DROP TABLE interactions; --"
    where = Filter(field="properties.a-b.$c", values=(evil,))
    question = Trend(where=where, series=(Series(event="e';--", label=evil),))
    assert "DROP" not in question.sql().text
    assert "';--" not in question.sql().text
    assert evil in question.sql().parameters.values()
    assert '$."a-b"."$c"' in question.sql().parameters.values()
