"""Who is online, and which routes are lit: against plain counts of the same rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Lake
from lakeward.errors import Rejected
from lakeward.interaction import iso, parse_iso
from lakeward.server import online
from lakeward.server.hour import MINUTE, first_minute
from lakeward.server.lit import Lights
from lakeward.server.online import MOST_IN_MINUTE, MOST_NOW, Online, Visitors
from lakeward.server.tail import Row
from live_server import Events, served

NOW = 1_755_187_888_000
CHROME = ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
          "Chrome/126.0 Safari/537.36")  # fmt: skip
INTERNAL = ("user_type:staff", "ip_address:10.", "service:probe")

visits = st.lists(
    st.builds(
        Row,
        timestamp=st.integers(NOW - 70 * MINUTE, NOW + 30_000).map(iso) | st.just("yesterday"),
        received_at=st.none() | st.integers(NOW - 7 * MINUTE, NOW).map(iso),
        interaction_type=st.sampled_from(["page_view", "screen_view", "click", "job_run"]),
        path=st.none() | st.sampled_from(["/a", "/b", "/" + "x" * 300]),
        url=st.none() | st.just("https://shop.example/a"),
        user_id=st.sampled_from([None, "anonymous", "u1", "u2"]),
        anonymous_id=st.none() | st.sampled_from(["a1", "a2"]),
        session_id=st.none() | st.just("s1"),
        user_type=st.none() | st.sampled_from(["staff", "client"]),
        ip_address=st.none() | st.sampled_from(["10.1.2.3", "203.0.113.9"]),
        service=st.none() | st.sampled_from(["probe", "shop"]),
        user_agent=st.none() | st.sampled_from([CHROME, "Googlebot/2.1", "curl/8.5"]),
    ),
    max_size=30,
)


def who_of(row: Row) -> str | None:
    """Read plainly."""
    if row.interaction_type == "job_run" or row.user_type == "staff" or row.service == "probe":
        return None
    if row.ip_address == "10.1.2.3" or row.user_agent not in (None, CHROME):
        return None
    user = row.user_id if row.user_id != "anonymous" else None
    return user or row.anonymous_id or row.session_id


def at(row: Row) -> int | None:
    text = row.received_at or row.timestamp or ""
    return None if text == "yesterday" else parse_iso(text)


@settings(deadline=None, max_examples=150)
@given(visits)
def test_those_online_are_counted_as_a_plain_count_has_them(rows: list[Row]) -> None:
    people = Online()
    visitors = Visitors(INTERNAL, bots=lambda texts: [t not in ("", CHROME) for t in texts])
    people.add(visitors.of(rows), NOW)
    told = people.snapshot(NOW)
    first = first_minute(NOW)
    known = [(who, ms, row) for row in rows if (who := who_of(row)) and (ms := at(row)) is not None]
    minutes = [
        len({who for who, ms, _ in known if ms // MINUTE * MINUTE == first + n * MINUTE})
        for n in range(60)
    ]
    assert told.minutes == minutes
    recent = [each for each in known if NOW - 5 * MINUTE < each[1] <= NOW + 2 * MINUTE]
    assert told.visitors == len({who for who, _, _ in recent})
    pages: dict[str, str] = {}
    latest: dict[str, int] = {}
    for who, ms, row in recent:
        page = (row.path or row.url or "")[:200]
        views = row.interaction_type in ("page_view", "screen_view")
        if views and page and ms >= latest.get(who, 0):
            pages[who] = page
        latest[who] = max(ms, latest.get(who, 0))
    assert Counter({page.name: page.visitors for page in told.pages}) == Counter(pages.values())


def test_programs_are_known_by_the_lists_that_the_table_uses() -> None:
    rows = [Row(timestamp=iso(NOW), interaction_type="click", user_id=f"u{n}", user_agent=agent)
            for n, agent in enumerate((CHROME, "Googlebot/2.1", None, ""))]  # fmt: skip
    assert len(Visitors().of(rows)) == 3


def test_who_left_is_gone_after_five_minutes_and_the_hour_forgets() -> None:
    people = Online()
    row = Row(timestamp=iso(NOW), interaction_type="page_view", user_id="u", path="/a")
    people.add(Visitors().of([row]), NOW)
    assert (people.snapshot(NOW).visitors, people.snapshot(NOW + 5 * MINUTE - 1).visitors) == (1, 1)
    gone = people.snapshot(NOW + 5 * MINUTE)
    assert (gone.visitors, gone.pages, sum(gone.minutes)) == (0, [], 1)
    assert sum(people.snapshot(NOW + 61 * MINUTE).minutes) == 0


def test_beyond_the_bound_it_is_more_than_that_and_memory_stays_bounded() -> None:
    people, visitors = Online(), Visitors()
    for start in range(0, 3 * MOST_NOW, 1_000):
        rows = [
            Row(timestamp=iso(NOW), interaction_type="page_view", user_id=f"u{start + n}",
                path=f"/{start + n}")
            for n in range(1_000)
        ]  # fmt: skip
        people.add(visitors.of(rows), NOW)
    told = people.snapshot(NOW)
    assert told.visitors == told.most + 1
    assert told.minutes[-1] == told.most_in_minute + 1 == MOST_IN_MINUTE + 1
    assert len(told.pages) == online.LISTED
    assert told.pages[-1].name != online.OTHER  # the rest comes last of all pages
    assert len(people._last) == MOST_NOW
    assert len(people._pages) <= online.MOST_PAGES + 1
    later = people.snapshot(NOW + 5 * MINUTE)
    assert later.visitors == 0


def test_a_route_is_lit_for_ten_seconds() -> None:
    clock = [100.0]
    lights = Lights(lambda: clock[0])
    call = Row(method="GET", route="/a", response_status=200)
    lights.add([call] * 5 + [Row(method="GET", route="/b", response_status=503), Row()])
    clock[0] = 103.0
    lights.add([call] * 5)
    assert [(lit.route, lit.rate, lit.errors, lit.share) for lit in lights.snapshot()] == [
        ("GET /a", 1.0, 0, 1.0), ("GET /b", 0.1, 1, 0.1)
    ]  # fmt: skip
    clock[0] = 110.0
    assert [lit.rate for lit in lights.snapshot()] == [0.5]
    clock[0] = 114.0
    assert lights.snapshot() == []


def test_routes_without_number_are_one() -> None:
    lights = Lights(lambda: 1.0)
    lights.add(Row(path=f"/{n}") for n in range(5_000))
    told = lights.snapshot()
    assert len(told) == 12
    assert len(lights._seconds[0][1]) == 201


def test_the_feed_tells_who_is_online_and_what_is_lit(lake: Lake) -> None:
    collector = lake.collector()
    view: dict[str, Any] = {"path": "/pricing", "user_agent": CHROME}
    collector.record("page_view", user_id="u1", **view)
    collector.commit()
    with served(lake, internal=("user_type:staff",)) as server, Events(server.url) as events:

        def told() -> Any:
            data = events.until("hour")
            return data["online"], data["lit"]

        seen, lit = told()
        while seen["visitors"] != 1:
            seen, lit = told()
        assert seen["pages"] == [{"name": "/pricing", "visitors": 1, "share": 1.0}]
        assert (len(seen["minutes"]), sum(seen["minutes"]), lit) == (60, 1, [])
        collector.record("page_view", user_id="u2", **view)
        collector.record("page_view", user_id="boss", user_type="staff", **view)
        collector.record("page_view", user_id="robot", path="/", user_agent="Googlebot/2.1")
        collector.record("api_call", method="GET", path="/api/x", response_status=500, user_id="u2",
                         response_time_ms=1.0, user_agent=CHROME)  # fmt: skip
        collector.commit()
        while seen["visitors"] != 2:
            seen, lit = told()
        assert seen["pages"][0]["visitors"] == 2
        by_route = {each["route"]: each for each in lit}
        assert (by_route["GET /api/x"]["rate"], by_route["GET /api/x"]["errors"]) == (0.1, 1)


@pytest.mark.parametrize("rule", ["user_type", "mood:good"])
def test_a_rule_that_is_none_is_refused(rule: str) -> None:
    with pytest.raises(Rejected, match="internal_is"):
        Visitors([rule])
