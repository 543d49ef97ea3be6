"""API health: each figure against a plain reading of the same calls, and the command."""

from __future__ import annotations

import io
import itertools
import json
import math
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asked import (
    START_MS,
    Row,
    answered,
    answered_twice,
    fill,
    kept,
    moment_of,
    nearest_rank,
    value_of,
)
from conftest import Lake
from lakeward.analysis.api_calls import ApiFailures, ApiSlowest
from lakeward.analysis.api_health import ApiHealth
from lakeward.analysis.api_latency import EDGES_MS, ApiLatency
from lakeward.analysis.filters import Filter
from lakeward.cli import main
from lakeward.errors import Rejected

many = settings(deadline=None, max_examples=80)
ZONES = ("UTC", "Europe/Lisbon", "Asia/Kolkata")
SPRING_MS = 1_743_292_800_000  # 2025-03-30T00:00:00Z: Lisbon's day of 23 hours
calls = st.fixed_dictionaries(
    {
        "ms": st.integers(START_MS, START_MS + 2 * 86_400_000)
        | st.sampled_from([START_MS, START_MS + 1, SPRING_MS, SPRING_MS + 5 * 3_600_000]),
        "interaction_type": st.sampled_from(["api_call", "api_call", "page_view"]),
    },
    optional={
        "user_id": st.sampled_from(["anonymous", "u1"]),
        "browser": st.sampled_from(["curl", "Safari"]),
        "user_agent": st.sampled_from(["curl/8", "own/1"]),
        "route": st.sampled_from(["/a", "/b"]),
        "response_status": st.sampled_from([101, 200, 302, 399, 400, 404, 499, 500, 503]),
        "response_time_ms": st.sampled_from([0.0, 99.9, 100.0, 100.1, 400.0, 400.1, 9e9]),
        "request_bytes": st.integers(0, 9),
        "response_bytes": st.integers(0, 9),
        "error_type": st.sampled_from(["KeyError", "Timeout"]),
        "bot": st.booleans(),
        "user_type": st.sampled_from(["staff", "client"]),
        "client_timestamp": st.just("2025-08-14T17:00:00.000Z"),
    },
)
common = {
    "clock": st.sampled_from(["event", "device"]),
    "bots": st.booleans(),
    "internal": st.booleans(),
    "zone": st.sampled_from(ZONES),
    "since": st.none() | st.just(datetime.fromtimestamp(START_MS / 1000 + 1800, UTC)),
    "until": st.none() | st.just(datetime.fromtimestamp(START_MS / 1000 + 90_000, UTC)),
    "where": st.none() | st.just(Filter(field="route", op="known")),
}


def _key(row: Row, name: str, zone: str) -> Any:
    if name == "consumer":
        return value_of(row, "user_id") or row.get("browser") or row.get("user_agent")
    if name == "status_class":
        status = row.get("response_status")
        return None if status is None else f"{status // 100}xx"
    if name in ("hour", "day", "week", "month"):
        return moment_of(row["ms"], name, zone)
    return value_of(row, name)


def _wilson(hits: int, of: int) -> tuple[float, float] | tuple[None, None]:
    """The interval as the textbook has it: where |p - share| is z standard errors of p."""
    if not of:
        return None, None
    z, share = 1.959963984540054, hits / of
    a, b, c = 1 + z * z / of, -(2 * share + z * z / of), share * share
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return max(0.0, (-b - root) / (2 * a)), min(1.0, (-b + root) / (2 * a))


def _figures(rows: list[Row], threshold: float) -> Row:
    times = [r["response_time_ms"] for r in rows if r.get("response_time_ms") is not None]
    states = [r["response_status"] for r in rows if r.get("response_status") is not None]
    errors = sum(status >= 500 for status in states)
    refused = sum(400 <= status < 500 for status in states)
    points = rated = 0.0
    for row in rows:
        ms, failed = row.get("response_time_ms"), (row.get("response_status") or 0) >= 500
        rated += ms is not None or failed
        if ms is not None and not failed:
            points += 1 if ms <= threshold else 0.5 if ms <= 4 * threshold else 0
    sent = {
        name: [r[field] for r in rows if r.get(field) is not None]
        for name, field in (("bytes_in", "request_bytes"), ("bytes_out", "response_bytes"))
    }
    low, high = _wilson(errors, len(states))
    return {
        "calls": len(rows), "gone": len(rows) - len(states), "errors": errors,
        "client_errors": refused, "error_rate": errors / len(states) if states else None,
        "error_low": low, "error_high": high,
        "client_error_rate": refused / len(states) if states else None,
        "p50": nearest_rank(times, 0.5), "p95": nearest_rank(times, 0.95),
        "p99": nearest_rank(times, 0.99), "longest": max(times, default=None),
        "apdex": points / rated if rated else None,
        **{name: sum(values) if values else None for name, values in sent.items()},
    }  # fmt: skip


BY = ("route", "consumer", "status_class", "hour", "day", "month", "properties.plan")


@many
@given(
    st.lists(calls, max_size=25),
    st.lists(st.sampled_from(BY), max_size=2, unique=True).map(tuple),
    st.fixed_dictionaries(common),
)
def test_health_is_that_of_a_plain_reading(
    made: list[Row], by: tuple[str, ...], asked: dict[str, Any]
) -> None:
    fill(made)
    question = ApiHealth(by=by, apdex_ms=100, **asked)
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in kept(made, question):
        if row["interaction_type"] == "api_call":
            groups[tuple(_key(row, name, question.zone) for name in by)].append(row)
    if not by and not groups:
        groups[()] = []
    got = {tuple(row[name] for name in by): row for row in answered_twice(question)}
    assert got.keys() == groups.keys()
    for key, rows in groups.items():
        expected = _figures(rows, 100)
        for name, value in expected.items():
            close = None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)
            assert got[key][name] == close, name


def _rates(question: ApiHealth) -> list[float | None]:
    return [row["calls_per_minute"] for row in answered(question)]


def test_calls_per_minute_are_of_the_time_that_is_asked_for() -> None:
    minute = 60_000
    fill({"interaction_type": "api_call", "ms": START_MS + n * minute, "route": "/a" if n else "/b"}
         for n in (0, 1, 4))  # fmt: skip
    since = datetime.fromtimestamp(START_MS / 1000, UTC)
    assert _rates(ApiHealth(by=())) == [3 / 4]
    assert _rates(ApiHealth(by=(), since=since, until=since + timedelta(minutes=12))) == [3 / 12]
    assert _rates(ApiHealth(by=(), until=since + timedelta(minutes=6))) == [3 / 6]
    assert _rates(ApiHealth(by=("route",))) == [2 / 4, 1 / 4]
    fill([{"interaction_type": "api_call"}])
    assert _rates(ApiHealth(by=())) == [None]


def test_calls_per_minute_of_a_day_know_how_long_it_is() -> None:
    fill({"interaction_type": "api_call", "ms": SPRING_MS + n * 86_400_000} for n in (0, 1))
    lisbon = "Europe/Lisbon"
    assert _rates(ApiHealth(by=("day",), zone=lisbon)) == [1 / (23 * 60), 1 / (24 * 60)]
    assert _rates(ApiHealth(by=("hour",), zone=lisbon)) == [1 / 60, 1 / 60]
    assert _rates(ApiHealth(by=("month",), zone=lisbon)) == [2 / (31 * 24 * 60 - 60)]
    until = datetime.fromtimestamp(SPRING_MS / 1000 + 7200, UTC)
    assert _rates(ApiHealth(by=("day",), zone=lisbon, until=until)) == [1 / 120]


def test_only_the_rows_with_the_most_calls_are_shown_and_days_in_their_order() -> None:
    fill({"interaction_type": "api_call", "ms": START_MS + n * 86_400_000}
         for n in (0, 1, 1, 2, 3, 3, 3))  # fmt: skip
    days = answered(ApiHealth(by=("day",), limit=2))
    assert [(str(row["day"]), row["calls"]) for row in days] == [
        ("2025-08-15", 2), ("2025-08-17", 3),
    ]  # fmt: skip


@many
@given(st.lists(calls, max_size=20), st.fixed_dictionaries(common), st.integers(1, 5),
       st.sampled_from([400, 500]))  # fmt: skip
def test_the_slowest_and_the_newest_failures_are_those_of_a_plain_reading(
    made: list[Row], asked: dict[str, Any], limit: int, least: int
) -> None:
    made = [row | {"interaction_id": f"{n:04d}"} for n, row in enumerate(made)]
    fill(made)
    slowest = ApiSlowest(limit=limit, **asked)
    found = [r for r in kept(made, slowest) if r["interaction_type"] == "api_call"]
    timed = [r for r in found if r.get("response_time_ms") is not None]
    timed.sort(key=lambda r: (-r["response_time_ms"], r["interaction_id"]))
    expected = [r["interaction_id"] for r in timed[:limit]]
    assert [r["interaction_id"] for r in answered(slowest)] == expected
    failures = ApiFailures(limit=limit, status=least, **asked)
    failed = [
        r for r in found
        if (r.get("response_status") or 0) >= least
        or (r.get("response_status") is None and r.get("error_type") is not None)
    ]  # fmt: skip
    failed.sort(key=lambda r: (r["ms"], r["interaction_id"]), reverse=True)
    got = answered(failures)
    assert [r["interaction_id"] for r in got] == [r["interaction_id"] for r in failed[:limit]]
    assert [r["at"].timestamp() * 1000 for r in got] == [r["ms"] for r in failed[:limit]]


@many
@given(
    st.lists(calls, max_size=25),
    st.sampled_from(["hour", "day", "week", "month"]),
    st.fixed_dictionaries(common),
)
def test_latencies_are_in_the_bins_of_a_plain_reading(
    made: list[Row], grain: Any, asked: dict[str, Any]
) -> None:
    fill(made)
    question = ApiLatency(grain=grain, **asked)
    counts: dict[Any, dict[float, int]] = defaultdict(lambda: defaultdict(int))
    for row in kept(made, question):
        if row["interaction_type"] == "api_call" and row.get("response_time_ms") is not None:
            moment = moment_of(row["ms"], grain, question.zone)
            low = max((e for e in EDGES_MS if e <= row["response_time_ms"]), default=0.0)
            counts[moment][low] += 1
    expected = [
        (
            moment,
            low,
            min((e for e in EDGES_MS if e > low), default=None),
            n,
            n / sum(bins.values()),
        )
        for moment, bins in sorted(counts.items())
        for low, n in sorted(bins.items())
    ]
    assert [tuple(row.values()) for row in answered_twice(question)] == expected


def test_a_time_on_an_edge_is_in_the_bin_that_begins_there() -> None:
    assert EDGES_MS[:4] == (1, 2, 5, 10)
    assert EDGES_MS[-1] == 50_000
    fill(
        {"interaction_type": "api_call", "response_time_ms": ms}
        for edge in EDGES_MS
        for ms in (math.nextafter(edge, 0), edge)
    )
    found = [(row["from_ms"], row["to_ms"], row["calls"]) for row in answered(ApiLatency())]
    edges = [0.0, *EDGES_MS, None]
    ends = itertools.pairwise(edges)
    assert found == [(low, high, 2 if low and high else 1) for low, high in ends]


REFUSED: list[tuple[Any, str]] = [
    (lambda: ApiHealth(by=("mood",)), "`by`: 'mood' is no field.*consumer"),
    (lambda: ApiHealth(by=("route", "route")), "different fields"),
    (lambda: ApiHealth(apdex_ms=0), "`apdex_ms`"),
    (lambda: ApiHealth(apdex_ms=math.nan), "`apdex_ms`"),
    (lambda: ApiHealth(limit=0), "`limit`"),
    (lambda: ApiSlowest(limit=10_001), "`limit`"),
    (lambda: ApiFailures(status=399), "`status`"),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_cannot_be_asked_of_calls_is_refused_in_a_sentence(case: int) -> None:
    make, said = REFUSED[case]
    with pytest.raises(Rejected, match=said):
        make()


# The command


@pytest.fixture
def asked(lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `lakeward api` on a lake of four calls; gives its exit code, stdout and stderr."""
    collector = lake.collector()
    for n, (route, status) in enumerate([("/a", 200), ("/a", 503), ("/a", 404), ("/b", 200)]):
        collector.record(
            "api_call", method="GET", path=route, route=route, response_status=status,
            response_time_ms=100.0 * n, user_id=f"u{n}", timestamp=f"2026-09-01T09:0{n}:00Z",
            error_type="KeyError" if status == 503 else None,
        )  # fmt: skip
    collector.commit()

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        for name, value in lake.env.items():
            monkeypatch.setenv(name, value)
        code = main(("api", *words))
        return code, *capsys.readouterr()

    return run


def test_the_command_shows_health_by_route(asked: Any) -> None:
    code, out, _ = asked("--format", "json")
    rows = {row["route"]: row for row in json.loads(out)}
    assert code == 0
    assert (rows["/a"]["calls"], rows["/a"]["errors"], rows["/a"]["client_errors"]) == (3, 1, 1)
    assert rows["/b"]["apdex"] == 1
    _, out, _ = asked("--by", "consumer", "--where", "route=/a", "--format", "json")
    assert {row["consumer"] for row in json.loads(out)} == {"u0", "u1", "u2"}
    _, out, _ = asked()
    assert out.split()[:2] == ["route", "calls"]


def test_the_command_lists_the_slowest_calls_and_the_newest_failures(asked: Any) -> None:
    _, out, _ = asked("--slowest", "2", "--format", "json")
    assert [row["response_time_ms"] for row in json.loads(out)] == [300, 200]
    _, out, _ = asked("--failures", "9", "--format", "json")
    [failure] = json.loads(out)
    assert (failure["status"], failure["error_type"], failure["user_id"]) == (503, "KeyError", "u1")
    _, out, _ = asked("--failures", "9", "--status", "400", "--format", "json")
    assert [row["status"] for row in json.loads(out)] == [404, 503]
    _, out, _ = asked("--failures", "9", "--sql")
    assert "-- $p" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--by", "mood"), "`by`: 'mood' is no field"),
        (("--apdex", "0"), "`apdex_ms` must be"),
        (("--slowest", "0"), "`limit` must be"),
        (("--slowest", "1", "--failures", "1"), "two questions"),
        (("--where", "x"), "--where: 'x' is no condition"),
    ],
)
def test_what_is_no_health_is_one_sentence(asked: Any, words: tuple[str, ...], said: str) -> None:
    code, out, err = asked(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
