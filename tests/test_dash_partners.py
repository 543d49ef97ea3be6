"""The page of partners in Chromium: figures are those of the lake, and a partner sees its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from business_lake import HOSTILE, business, filled, partners, violations
from conftest import Lake
from dashboard import Looked, figures
from server_process import Serving
from test_login import added, logged_in

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python.sync_playwright")
expect = playwright.expect


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Serving]]:
    def make(lake: Lake, now_ms: int) -> None:
        filled(lake, partners(now_ms))

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


OF_P1 = {"matches": 10, "visitors": 10, "booked": 10, "held": 3, "deals": 2}
"""Of ten matches; every fourth demo of all was held, every fifth match became a deal."""


def test_partners_are_listed_sorted_and_looked_at_one_by_one(looked: Looked) -> None:
    page = looked.open("/partners")
    shown = figures(page)
    assert {name: float(shown[name]) for name in ("matches", "demos_held", "deals")} == {
        "matches": 30, "demos_held": 8, "deals": 6,
    }  # fmt: skip
    rows = card(page, "partners").locator("tbody tr")
    expect(rows).to_have_count(3)
    assert all("no score yet" in text for text in rows.all_inner_texts())
    hostile = rows.filter(has_text="<img src=x onerror=alert(1)>")
    expect(hostile).to_contain_text(HOSTILE.replace("\u202e", "\\u202e"))
    assert page.locator("img").count() == 0
    page.get_by_role("button", name="feedback").click()
    ratings = [float(text.split()[0]) for text in rows.locator("td:nth-child(9)").all_inner_texts()]
    assert ratings == sorted(ratings, reverse=True)
    assert violations(page) == []
    rows.get_by_role("link", name="p1").click()
    looked.settled()
    expect(page.get_by_role("heading", name="p1")).to_be_visible()
    shown = figures(page)
    assert {name: int(shown[name]) for name in OF_P1} == OF_P1
    expect(page.get_by_text("2 of 4 steps of joining")).to_be_visible()
    assert card(page, "deals").locator("tbody tr").all_inner_texts() == [
        "EUR\t1\t€1,025.00", "USD\t1\t$1,010.00",
    ]  # fmt: skip
    booked = page.locator("[data-rate=booked]")
    assert float(booked.get_attribute("data-value") or 0) == 1.0
    expect(booked).to_contain_text("72% to 100%")
    waited = re.search(r"Median (.+) from match to deal", card(page, "matches").inner_text())
    assert waited is not None
    assert re.fullmatch(r"\d+(\.\d)? (ms|s|min|h|d)", waited[1])
    expect(card(page, "score")).to_contain_text("no score yet")
    assert violations(page) == []
    page.get_by_role("link", name="All partners").click()
    expect(rows).to_have_count(3)


def test_a_range_without_a_partner_says_so(looked: Looked) -> None:
    page = looked.open("/partners?range=2020-01-01..2020-01-02")
    expect(card(page, "totals").get_by_text("outcomes.partner_match(")).to_be_visible()
    expect(card(page, "partners").get_by_text("No partner in this range.")).to_be_visible()
    page = looked.open("/partners?partner=nobody")
    expect(card(page, "figures").get_by_text("No match, demo, deal or feedback")).to_be_visible()


def test_a_partner_who_is_logged_in_sees_its_own_figures_and_no_other(
    looked: Looked, served: tuple[Lake, Serving]
) -> None:
    lake, server = served
    added(lake, "ada@example.com", "--role", "admin")
    added(lake, "pat@example.com", "--role", "partner", "--partner", "p1")
    with logged_in(server, "pat@example.com") as pat:
        for name, value in pat.cookies.items():
            looked.context.add_cookies([{"name": name, "value": value, "url": server.url}])
    page = looked.open("/partners?partner=p2")
    shown = figures(page)
    assert {name: int(shown[name]) for name in OF_P1} == OF_P1
    expect(page.get_by_role("heading", name="Your figures")).to_be_visible()
    assert card(page, "matches").count() == 0
    assert page.get_by_role("link", name="All partners").count() == 0
    assert "p2" not in page.locator("main").inner_text()
    asked = [url for url in looked.requests if "/api/" in url]
    assert asked
    own = ("/api/questions/partner_figures", "/api/partners")
    assert all(url.endswith(own) for url in asked), asked
    assert violations(page) == []
