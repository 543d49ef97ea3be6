"""The AI page in Chromium: its figures are those of the turns in the lake, and what was said in
them is shown and never obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from business_lake import HOSTILE, MODELS, RULES, business, filled, turns, violations
from dashboard import Looked, figures
from server_process import Serving

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python.sync_playwright")
expect = playwright.expect


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    def make(lake: Any, now_ms: int) -> None:
        filled(lake, turns(now_ms))
        (lake.root.parent / "alerts.toml").write_text(RULES)

    with business(tmp_path_factory, make) as (_, running, _):
        yield running


@pytest.fixture
def looked(browser: Any, server: Serving) -> Iterator[Looked]:
    """A page that complains of nothing and asks nobody else, at the end of every test."""
    made = Looked(browser, server.url)
    yield made
    made.close()
    assert made.complaints == []
    assert made.foreign == []


def card(page: Any, name: str) -> Any:
    return page.locator(f"[data-card={name}]")


def test_figures_are_those_of_the_turns_and_narrowing_narrows_them(looked: Looked) -> None:
    page = looked.open("/ai")
    shown, turn_count = figures(page), page.locator("[data-figure=turns]")
    assert float(shown["cost_usd"]) == pytest.approx(20 * 0.02 + 20 * 0.03)
    assert (shown["turns"], shown["conversations"]) == ("60", "20")
    assert float(shown["cost_per_conversation_usd"]) == pytest.approx(1.0 / 20)
    assert shown["total_tokens"] == str(60 * 500)
    assert float(shown["failed_rate"]) == pytest.approx(6 / 60)
    assert shown["ratings"] == "30"
    assert float(shown["helpful_rate"]) == pytest.approx(22 / 30)
    assert shown["ttft_p50"] == "229"
    expect(page.locator("[data-mark=unpriced]")).to_have_text("20 without a price")
    expect(page.locator("[data-mark=estimated]")).to_have_text("17% of tokens estimated")
    names = card(page, "by-model").locator("li .name").all_inner_texts()
    assert names == ["claude-4", "gpt-4o", "house-1"]
    expect(card(page, "errors").get_by_text("RateLimitError")).to_be_visible()
    budget = page.locator("[data-budget=AI]")
    expect(budget).to_contain_text("$1.20")
    assert violations(page) == []
    card(page, "by-model").get_by_role("button", name="claude-4").click()
    expect(turn_count).to_have_attribute("data-value", "20")
    assert "model=claude-4" in page.url
    expect(card(page, "by-model").get_by_role("button", name="gpt-4o")).to_be_visible()
    page.get_by_role("button", name="Take away: model claude-4").click()
    expect(turn_count).to_have_attribute("data-value", "60")
    page.goto(f"{looked.url}/ai?compare=previous&feature=coach")
    looked.settled()
    expect(turn_count).to_have_attribute("data-value", "30")


def test_a_conversation_is_found_and_read_turn_by_turn(looked: Looked) -> None:
    page = looked.open("/ai")
    threads = card(page, "threads")
    expect(threads.locator("tbody tr")).to_have_count(20)
    search = threads.get_by_role("searchbox")
    search.fill("Question 31 about")
    expect(threads.locator("tbody tr")).to_have_count(1)
    assert "find=Question" in page.url
    threads.get_by_role("button", name="talk-10").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("[data-turn]")).to_have_count(3)
    expect(dialog.get_by_text("Answer 31")).to_be_visible()
    told = dialog.locator("[data-turn]").nth(2)
    expect(told).to_contain_text("no price")
    expect(told).to_contain_text("1 did not find it helpful")
    costs = [one.get_attribute("data-cost") for one in dialog.locator("[data-cost]").all()]
    assert [float(cost or 0) for cost in costs] == [cost or 0 for cost in MODELS.values()]
    expect(told.get_by_role("link", name="Trace")).to_have_attribute(
        "href", f"/live?trace={32:032x}"
    )
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page).not_to_have_url(re.compile("thread="))
    search.fill("nobody ever said this")
    expect(threads.get_by_text("No conversation has")).to_be_visible()


def test_what_visitors_said_is_shown_and_never_obeyed(looked: Looked) -> None:
    page = looked.open("/ai")
    card(page, "threads").get_by_role("button", name="<img src=x onerror").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("[data-turn]")).to_have_count(3)
    said = dialog.locator(".words").first
    assert said.inner_text() == HOSTILE.replace("\u202e", "\\u202e")
    expect(dialog.locator("[data-turn]").nth(2)).to_contain_text("What was said is not stored.")
    assert page.locator("img").count() == 0
    assert violations(page) == []


def test_a_range_without_a_turn_says_how_to_tell_of_the_first(looked: Looked) -> None:
    page = looked.open("/ai?range=2020-01-01..2020-01-02")
    expect(card(page, "spend").get_by_text("with ai.conversation(")).to_be_visible()
    expect(card(page, "ratings").get_by_text("Nobody rated an answer")).to_be_visible()
    assert violations(page) == []
