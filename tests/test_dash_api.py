"""The API page in Chromium: figures, the latency map, routes, consumers, errors, single calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conftest import Lake
from dashboard import Looked, figures
from lakeward.interaction import iso
from server_process import Serving, serving
from test_dash_overview import violations

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

LARGE = 2**53 + 1
"""The least that JavaScript would round."""
EVIL = "/evil/<script>alert(1)</script>"
RANGE = "range=2026-09-07..2026-09-08"
MONDAY = datetime(2026, 9, 7, 9, tzinfo=UTC)
CALLS: tuple[tuple[int, str, str, int, float, str], ...] = (
    *((n, "GET", "/items/{id}", 200, 3.0 + n, "ann") for n in range(6)),
    (6, "POST", "/items", 503, 640.0, "bob"),
    (7, "POST", "/items", 201, 90.0, "bob"),
    (8, "GET", EVIL, 404, 1.0, "ann"),
    *((n - 48, "GET", "/items/{id}", 200, 9.0, "ann") for n in range(3)),
)
"""Hours after Monday 9:00, method, route, status, time, who; the last three two days before."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("api")
    lake = Lake(folder / "data-lake", folder / "rings")
    lake.ring_dir.mkdir(mode=0o700)
    try:
        collector = lake.collector()
        for hours, method, route, status, ms, user in CALLS:
            moment = iso(round((MONDAY + timedelta(hours=hours)).timestamp() * 1000))
            failed = {"error_type": "Timeout"} if status >= 500 else {}
            collector.record(
                "api_call", timestamp=moment, method=method, route=route, path=route,
                response_status=status, response_time_ms=ms, user_id=user,
                properties={"order": LARGE}, **failed,
            )  # fmt: skip
        collector.commit()
        collector.close()
        with serving(lake) as running:
            yield running
    finally:
        lake.close()


@pytest.fixture
def looked(server: Serving, browser: Any) -> Iterator[Looked]:
    found = Looked(browser, server.url)
    yield found
    assert found.foreign == []
    found.close()


def cells(page: Any, card: str) -> list[list[str]]:
    rows: list[list[str]] = page.evaluate(
        "(card) => [...document.querySelectorAll(`[data-card=${card}] tbody tr`)]"
        ".map((row) => [...row.cells].map((cell) => cell.innerText.trim()))",
        card,
    )
    return rows


def test_every_figure_of_the_page_is_that_of_the_lake(looked: Looked) -> None:
    page = looked.open(f"/api?{RANGE}&compare=previous")
    shown = figures(page)
    assert shown["calls"] == "9"
    assert float(shown["error_rate"]) == pytest.approx(1 / 9)
    assert (shown["p50"], shown["p95"]) == ("6", "640")
    health = page.locator("[data-card=health]")
    expect(health).to_contain_text("+200%")  # three calls in the two days before
    routes = cells(page, "routes")
    assert [row[:2] for row in routes] == [
        ["GET /items/{id}", "6"], ["POST /items", "2"], [f"GET {EVIL}", "1"],
    ]  # fmt: skip
    assert cells(page, "consumers") == [["ann", "7", "0%", "8.0 ms"], ["bob", "2", "50%", "640 ms"]]
    assert [row[:3] for row in cells(page, "errors")] == [["Timeout", "/items", "503"]]
    assert [row[0] for row in cells(page, "failures")] == ["/items"]
    assert cells(page, "slowest")[0][:2] == ["/items", "640 ms"]
    statuses = page.locator("[data-card=statuses] li")
    assert [each.inner_text().split() for each in statuses.all()] == [
        ["200", "6"], ["201", "1"], ["404", "1"], ["503", "1"],
    ]  # fmt: skip
    assert violations(page) == []
    assert looked.complaints == []


def test_the_latency_map_is_a_canvas_with_a_table(looked: Looked) -> None:
    page = looked.open(f"/api?{RANGE}")
    card = page.locator("[data-card=latency]")
    expect(card.locator("canvas")).to_be_visible()
    card.get_by_role("button", name="More of Latency map").click()
    page.get_by_role("menuitemcheckbox", name="Show as table").or_(
        page.get_by_role("menuitem", name="Show as table")
    ).click()
    expect(card.locator("tbody tr")).to_have_count(9)  # each call is alone in its hour
    assert ["2.0 ms", "5.0 ms", "1", "100%"] in [row[1:] for row in cells(page, "latency")]
    assert looked.complaints == []


def test_a_route_is_chosen_by_keyboard_and_stands_in_the_address(looked: Looked) -> None:
    page = looked.open(f"/api?{RANGE}")
    page.locator("[data-card=routes]").get_by_role("button", name="POST /items").press("Enter")
    expect(page).to_have_url(f"{looked.url}/api?{RANGE}&route=%2Fitems")
    expect(page.locator("[data-card=health] [data-figure=calls]")).to_have_text("2")
    expect(page.locator("[data-card=errors] tbody tr")).to_have_count(1)
    page.locator("[data-card=consumers]").get_by_role("button", name="bob").press("Enter")
    expect(page).to_have_url(f"{looked.url}/api?{RANGE}&route=%2Fitems&consumer=bob")
    page.get_by_role("button", name="Show all again, not only route /items").press("Enter")
    expect(page).to_have_url(f"{looked.url}/api?{RANGE}&consumer=bob")
    page.go_back()
    expect(page).to_have_url(f"{looked.url}/api?{RANGE}&route=%2Fitems&consumer=bob")
    page.get_by_label("Consumers by").select_option("service")
    expect(page).to_have_url(f"{looked.url}/api?{RANGE}&route=%2Fitems&by=service")
    assert looked.complaints == []


def test_a_failure_opens_as_its_whole_record(looked: Looked) -> None:
    page = looked.open(f"/api?{RANGE}")
    page.locator("[data-card=failures]").get_by_role("button", name="/items").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text('"error_type": "Timeout"')
    expect(dialog).to_contain_text(f'"order": {LARGE}')
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_route_of_a_visitor_is_text_and_nothing_else(looked: Looked) -> None:
    page = looked.open(f"/api?{RANGE}")
    page.locator("[data-card=routes]").get_by_role("button", name="evil").click()
    expect(page.locator(".chosen")).to_contain_text(EVIL)
    assert page.evaluate("document.scripts.length") == 1
    assert looked.complaints == []


def test_a_range_without_calls_says_how_to_have_them(looked: Looked) -> None:
    page = looked.open("/api?range=2026-08-01..2026-08-02")
    expect(page.locator("[data-card=health]")).to_contain_text("LakewardMiddleware")
    expect(page.locator("[data-card=routes]")).to_contain_text("No calls in this range.")
    assert violations(page) == []
    assert looked.complaints == []
