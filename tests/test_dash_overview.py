"""The start page in Chromium: today beside the usual, outcomes, incidents, and a first event."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerted import T0, wrong
from conftest import Lake
from dashboard import Looked, figures
from lakeward.alerts.desk import Desk
from lakeward.alerts.telling import Telling
from lakeward.interaction import iso
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.testing import MemoryCollector
from server_process import Serving, first_serving, serving
from sites_served import site
from test_online import CHROME

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
expect = playwright.expect

HOSTILE = "/<img src=x onerror=alert(1)>\u202e"
VIEWS = (5, 2, 4)
"""Page views of today, a week ago and two weeks ago."""


def record(lake: Lake) -> None:
    now = datetime.now(UTC)
    collector = lake.collector()

    def told(kind: str, weeks: int, **more: Any) -> None:
        moment = iso(round((now - timedelta(weeks=weeks, milliseconds=5)).timestamp() * 1000))
        collector.record(kind, timestamp=moment, anonymous_id="a1", **more)

    for weeks, views in enumerate(VIEWS):
        for n in range(views):
            told("page_view", weeks, path=HOSTILE if n % 2 else "/start")
        told("demo_booking", weeks, status="held")
        for status in (200, 200, 200, 500 if not weeks else 200):
            told("api_call", weeks, method="GET", path="/a", route="/a b", response_status=status,
                 response_time_ms=40.0)  # fmt: skip
    told("api_call", 0, method="GET", path="/a", route="/a b", response_status=200,
         response_time_ms=40.0, user_agent="curl/8.8.0")  # fmt: skip
    told("deal_closed", 0, value=10.0)
    told("page_view", 3, path="/first")  # the lake's first day, of which little is known
    collector.commit()
    collector.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("overview")
    lake = Lake(folder / "data-lake", folder / "rings")
    lake.ring_dir.mkdir(mode=0o700)
    try:
        record(lake)
        with open_database(load(lake.env, lake.root.parent)) as database:
            desk = Desk(database, Telling(), {}, MemoryCollector())
            desk.take([wrong(at=0, why="<b>41 errors</b> where 9 are usual.")], T0 + 360_000)
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


def violations(page: Any) -> list[str]:
    found = axe.Axe().run(page).response["violations"]
    return [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in found]


def test_today_stands_beside_what_is_usual_and_every_figure_is_that_of_the_lake(
    looked: Looked,
) -> None:
    page = looked.open("/overview?range=28d")
    shown = figures(page)
    assert shown["Page views"] == "5"
    assert shown["Demos held"] == "1"
    assert shown["Deals closed"] == "1"
    assert shown["Active visitors"] == "1"
    assert shown["API calls"] == "5"
    assert shown["Failed calls"] == "0.2"
    views = page.locator("[data-card=figures] .beside > div", has_text="Page views")
    expect(views).to_contain_text("usual 3 (2 \u2013 4)")
    expect(views).to_contain_text("+67%")
    expect(page.locator("[data-card=today]")).to_contain_text("usual of 2 days of this weekday")
    expect(page.locator(".health")).to_contain_text("The data is whole.")
    incidents = page.locator("[data-card=alerts]")
    expect(incidents).to_contain_text("<b>41 errors</b> where 9 are usual.")
    assert "incident=" in (incidents.locator(".incidents a").get_attribute("href") or "")
    pages = page.locator("[data-card=pages]")
    expect(pages).to_contain_text("<img src=x onerror=alert(1)>")
    assert "\u202e" not in pages.inner_text()
    assert violations(page) == []
    # The same words mean the same on the pages of their own, programs included.
    calls = figures(looked.open("/api?range=today"))
    assert (calls["calls"], calls["error_rate"]) == (shown["API calls"], shown["Failed calls"])
    assert looked.complaints == []


def test_the_hours_are_a_table_and_are_explained_by_their_question(looked: Looked) -> None:
    page = looked.open("/overview")
    card = page.locator("[data-card=today]")
    card.get_by_role("button", name="More of Today, hour by hour").press("Enter")
    page.get_by_role("menuitemcheckbox", name="Show as table").or_(
        page.get_by_role("menuitem", name="Show as table")
    ).press("Enter")
    expect(card.locator("tbody tr")).to_have_count(24)
    hour = card.locator("tbody tr").nth(datetime.now(UTC).hour)
    assert hour.locator("td").nth(1).inner_text() in ("11", "0")  # a new hour may have begun
    card.get_by_role("button", name="More of Today, hour by hour").press("Enter")
    page.get_by_role("menuitem", name="How is this computed?").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("the median of the same hour")
    expect(dialog).to_contain_text("SELECT")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.locator("[data-card=routes]").get_by_role("button", name="/a b").press("Enter")
    expect(page).to_have_url(f"{looked.url}/api?route=%2Fa+b")
    assert looked.complaints == []


def test_a_server_that_refuses_is_said_and_asked_again(looked: Looked) -> None:
    said = {"code": "busy", "message": "The table is far behind the log."}
    looked.page.route(
        "**/api/overview*",
        lambda route: route.fulfill(status=500, json=said),
    )
    page = looked.open("/overview")
    expect(page.get_by_role("alert")).to_contain_text("The table is far behind the log.")
    page.unroute("**/api/overview*")
    page.get_by_role("button", name="Try again").press("Enter")
    expect(page.locator("[data-card=today]")).to_be_visible()


def test_a_first_event_sent_as_the_page_says_turns_it_into_the_overview(
    tmp_path: Path, browser: Any
) -> None:
    lake = Lake(tmp_path / "data-lake", tmp_path / "rings")
    lake.ring_dir.mkdir(mode=0o700)
    try:
        with first_serving(lake) as server, server.client() as client:
            looked = Looked(browser, server.url)
            page = looked.open("/")
            expect(page.get_by_role("status").last).to_contain_text("Waiting for the first event")
            assert violations(page) == []
            snippets = {}
            for way in ("curl", "Python", "HTML"):
                page.get_by_role("tab", name=way).click()
                snippets[way] = page.get_by_role("tabpanel").locator("code").inner_text()
            _send("curl", snippets["curl"], browser)
            expect(page.locator("[data-card=today]")).to_be_visible()
            assert figures(looked.settled())["Active visitors"] == "1"
            assert looked.complaints == []
            looked.close()
            _send("Python", snippets["Python"], browser)
            _send("HTML", snippets["HTML"], browser)
            by_type = {"grain": None, "by": ["interaction_type"]}
            rows = dict(client.post("/api/questions/trend", json=by_type).json()["rows"])
            assert rows["signed_up"] == 2
            assert rows["page_view"] >= 1
    finally:
        lake.close()


def _send(way: str, snippet: str, browser: Any) -> None:
    """As somebody would who copied it."""
    if way == "HTML":
        content = f"<!doctype html><title>x</title>{snippet}<p>hello</p>"
        with site({"/": content.encode()}) as address:
            context = browser.new_context(user_agent=CHROME)  # its own one says that it is headless
            page = context.new_page()
            with page.expect_response(lambda answer: "/v1/" in answer.url) as answer:
                page.goto(address + "/")
            assert answer.value.status == 200
            context.close()
        return
    command = ["sh", "-c", snippet] if way == "curl" else [sys.executable, "-c", snippet]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
