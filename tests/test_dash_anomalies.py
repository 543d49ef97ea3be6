"""The page of anomalies in Chromium: what is wrong, why, what may be done, and what is watched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from business_lake import FAILING, HOSTILE, business, calls, fell_ill, filled, turns, violations
from conftest import Lake, wait_until
from dashboard import Looked
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from server_process import Serving, first_serving
from test_login import added, logged_in

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python.sync_playwright")
expect = playwright.expect


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Serving]]:
    def make(lake: Lake, now_ms: int) -> None:
        filled(lake, iter([*calls(now_ms), *turns(now_ms)]))
        fell_ill(lake, now_ms)

    with business(tmp_path_factory, make) as (lake, running, _):
        yield lake, running


@pytest.fixture
def looked(browser: Any, served: tuple[Lake, Serving]) -> Iterator[Looked]:
    made = Looked(browser, served[1].url)
    yield made
    made.close()
    assert made.complaints == []
    assert made.foreign == []


def card(page: Any, name: str) -> Any:
    return page.locator(f"[data-card={name}]")


def incidents(server: Serving, state: str = "open") -> list[dict[str, Any]]:
    with server.client() as client:
        found: list[dict[str, Any]] = client.get(f"/api/alerts?state={state}").json()["incidents"]
        return found


def test_what_is_wrong_what_was_and_what_is_watched_stand_one_below_the_other(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    page = looked.open("/anomalies")
    row = card(page, "open").locator(".incident", has_text=FAILING)
    expect(row).to_contain_text("critical")
    past = card(page, "past").locator(".incident")
    expect(past).to_have_count(1)
    expect(past).to_contain_text("and 5 more")
    expect(past).to_contain_text("for 65 min")
    assert page.locator("img").count() == 0
    watched = card(page, "watched")
    state = watched.locator("tr", has_text=FAILING).get_by_role("link", name="incident")
    assert "incident=" in (state.get_attribute("href") or "")
    expect(card(page, "rules")).to_contain_text("slow")
    assert violations(page) == []
    watched.get_by_role("button", name="route:/checkout p95").click()
    expect(card(page, "series").locator("canvas")).to_have_count(1)
    page.keyboard.press("Tab")  # away from the button: keys of the page are heard anywhere
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('.incident') !== null")
    page.keyboard.press("Enter")
    looked.settled()
    assert "incident=" in page.url
    page = looked.open("/anomalies?range=2020-01-01..2020-01-02")
    expect(card(page, "past").get_by_text("Nothing was wrong.")).to_be_visible()


def test_an_incident_is_drawn_and_acted_on_by_button_and_by_key(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    (failing,) = [one for one in incidents(served[1]) if one["series"] == [FAILING]]
    page = looked.open(f"/anomalies?incident={failing['incident_id']}")
    detail = page.locator(".detail")
    expect(detail.get_by_text(failing["why"])).to_be_visible()
    expect(detail.get_by_text("Nobody set a limit")).to_be_visible()
    expect(card(page, "band").locator("canvas")).to_have_count(1)
    expect(card(page, "band").get_by_text("Usual")).to_be_visible()
    card(page, "band").get_by_role("button", name="More of").click()
    page.get_by_role("menuitemcheckbox", name="Show as table").click()
    expect(card(page, "band").get_by_role("columnheader", name="expected")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("a")
    expect(detail).to_have_attribute("data-state", "acknowledged")
    expect(card(page, "steps")).to_contain_text("by this machine")
    page.get_by_role("button", name="Snooze").click()
    page.get_by_role("menuitem", name="For four hours").click()
    expect(detail).to_have_attribute("data-state", "snoozed")
    expect(detail).to_contain_text("nobody is told until")
    page.keyboard.press("s")
    expect(detail).to_have_attribute("data-state", "ongoing")
    page.get_by_role("button", name="Resolve").click()
    expect(detail).to_have_attribute("data-state", "resolved")
    assert page.get_by_role("group", name="What to do").count() == 0
    page.get_by_role("link", name="All anomalies").click()
    expect(card(page, "past").locator(".incident", has_text=FAILING)).to_be_visible()
    # What was closed by hand is no incident, and is not as usual either.
    expect(card(page, "watched").locator("tr", has_text=FAILING)).to_contain_text("unusual")


def test_one_incident_of_many_series_and_that_of_a_budget_have_their_pictures(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    (crowd,) = [one for one in incidents(served[1], "resolved") if one["members"] == 6]
    page = looked.open(f"/anomalies?incident={crowd['incident_id']}")
    expect(page.locator(".whys")).to_contain_text("6 series went wrong within five minutes")
    card(page, "band").get_by_role("button", name="Another series of this incident").click()
    items = page.get_by_role("menuitemcheckbox")
    expect(items).to_have_count(6)
    items.nth(3).click()
    expect(card(page, "band").get_by_role("heading")).to_contain_text("type:kind3 <img src=x")
    assert HOSTILE not in page.locator("main").inner_text()
    assert page.locator("img").count() == 0
    (budget,) = [one for one in incidents(served[1]) if one["kind"] == "budget"]
    page = looked.open(f"/anomalies?incident={budget['incident_id']}")
    expect(card(page, "band").get_by_text("Limit $1.20")).to_be_visible()
    page = looked.open("/anomalies")
    page.goto(f"{looked.url}/anomalies?incident=0000")
    expect(page.get_by_role("alert").first).to_contain_text("There is no incident of that id")
    looked.complaints.clear()  # the browser says that it met a 404


def test_whoever_is_logged_in_acts_under_their_own_name_and_a_read_key_reads(
    browser: Any, looked: Looked, served: tuple[Lake, Serving]
) -> None:
    lake, server = served
    (budget,) = [one for one in incidents(server) if one["kind"] == "budget"]
    added(lake, "ada@example.com", "--role", "admin")
    with server.client() as client:
        wait_until(lambda: client.get("/api/alerts").status_code == 401)
    with logged_in(server) as ada:
        for name, value in ada.cookies.items():
            looked.context.add_cookies([{"name": name, "value": value, "url": server.url}])
    page = looked.open(f"/anomalies?incident={budget['incident_id']}")
    page.keyboard.press("a")
    expect(card(page, "steps")).to_contain_text("by ada@example.com")
    with open_database(load(lake.env, lake.root.parent)) as database:
        _, secret = Keys(database).create("read", "all", actor="t")
    told = {"Authorization": f"Bearer {secret}"}
    wait_until(
        lambda: httpx.get(f"{server.url}/v1/me", headers=told).json()["who"] == "key",
        what="the server's knowing the key",
    )
    reader = Looked(browser, server.url)
    script = f"sessionStorage.setItem('lakeward.key', {secret!r})"
    reader.context.add_init_script(script)
    page = reader.page
    page.goto(f"{server.url}/anomalies?incident={budget['incident_id']}")
    expect(page.get_by_text("Log in as an admin to acknowledge")).to_be_visible()
    assert page.get_by_role("group", name="What to do").count() == 0
    reader.close()


def test_a_lake_that_nobody_watched_says_how_it_begins(lake: Lake, browser: Any) -> None:
    with first_serving(lake) as server:
        made = Looked(browser, server.url)
        page = made.open("/anomalies")
        said = "No incident is open, but nobody has watched this lake yet."
        expect(card(page, "open").get_by_text(said)).to_be_visible()
        expect(card(page, "rules").get_by_text("[[threshold]]")).to_be_visible()
        assert violations(page) == []
        made.close()
        assert made.complaints == []
