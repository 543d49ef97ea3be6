"""The Visitors page in Chromium against a real server: what it shows is what is in the lake."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conftest import Lake
from dashboard import Looked
from lakeward.interaction import iso
from server_process import Serving, serving
from test_live_page import found

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
DESKTOP = ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
           "Chrome/126.0 Safari/537.36")  # fmt: skip
PHONE = ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
         "Gecko) Version/17.5 Mobile/15E148 Safari/604.1")  # fmt: skip
HOSTILE = '<img src=x onerror="window.ran=1">\u202e'
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)


def told(collector: Any, kind: str, minutes: float, visitor: str, **fields: Any) -> None:
    """Something of a visitor, so many minutes after noon two days ago."""
    moment = iso(round((NOON + timedelta(minutes=minutes)).timestamp() * 1000))
    agent = PHONE if visitor == "a3" else DESKTOP
    collector.record(kind, timestamp=moment, anonymous_id=visitor, session_id=f"s-{visitor}",
                     user_agent=agent, **fields)  # fmt: skip


def fill(lake: Lake) -> None:
    """Three visitors, four sessions, seven views; a form begun three times and sent once."""
    collector = lake.collector(LAKEWARD_KEEPER="external")

    def view(minutes: float, visitor: str, path: str, referrer: str = "", used: int = 0) -> None:
        place = {"path": path, "url": f"https://shop.example{path}", "referrer": referrer}
        name = f"v-{visitor}-{minutes}"
        told(collector, "page_view", minutes, visitor, view_id=name, **place)
        if used:
            told(collector, "page_view", minutes + used / 60, visitor, view_id=name,
                 engagement_ms=used * 1000, scroll_depth=50, **place)  # fmt: skip

    view(0, "a1", "/", "https://search.example/?q=x", used=60)
    view(2, "a1", "/pricing", "https://shop.example/", used=30)
    view(4, "a1", "/verify", used=10)
    view(90, "a1", "/pricing", "https://news.example/")
    view(10, "a2", "/", "https://search.example/")
    view(11, "a2", "/verify")
    view(20, "a3", "/" + HOSTILE)

    def form(minutes: float, visitor: str, action: str, field: str | None = None,
             **more: Any) -> None:  # fmt: skip
        at = {} if field is None else {"field": field}
        told(collector, "form_interaction", minutes, visitor, path="/verify", form=HOSTILE,
             action=action, **at, **more)  # fmt: skip

    for visitor, end in (("a1", "submit"), ("a2", "abandon"), ("a3", "abandon")):
        form(5, visitor, "start")
        form(5.2, visitor, "field", "name", field_index=0, field_ms=2000)
        if visitor != "a3":
            form(5.4, visitor, "field", "phone", field_index=1, field_ms=9000)
        last = {"a1": None, "a2": "phone", "a3": "name"}[visitor]
        form(6, visitor, end, last, duration_ms=60_000)
    for n, value in enumerate((1000, 2000, 3000, 5000)):
        told(collector, "web_vital", n, "a1", path="/pricing", name="LCP", value=value,
             metric_id=f"m{n}")  # fmt: skip
    told(collector, "web_vital", 1, "a1", path="/", name="CLS", value=0.3, metric_id="c")
    told(collector, "page_view", 1, "boss", path="/", user_type="staff")
    collector.commit()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("visitors")
    (folder / "rings").mkdir(mode=0o700)
    lake = Lake(folder / "data-lake", folder / "rings")
    with serving(lake) as running:
        fill(lake)
        yield running
    lake.close()


def figure(page: Any, name: str) -> str:
    return str(page.locator(f"[data-figure={name}]").get_attribute("data-value"))


def names(page: Any, card: str) -> list[str]:
    found: list[str] = page.locator(f"[data-card={card}] .measure").all_inner_texts()
    return [re.sub(r"\s+", " ", text).strip() for text in found]


def test_what_is_shown_is_what_is_in_the_lake(browser: Any, server: Serving) -> None:
    looked = Looked(browser, server.url)
    page = looked.open("/visitors?range=7d&zone=UTC")
    shown = {name: figure(page, name) for name in ("visitors", "views", "sessions")}
    assert shown == {"visitors": "3", "views": "7", "sessions": "4"}
    assert float(figure(page, "views_per_session")) == 7 / 4
    assert float(figure(page, "bounce_share")) == 0.5
    pages = names(page, "pages")
    assert pages[0].startswith(("/ ", "/pricing", "/verify"))
    assert len(pages) == 4
    assert names(page, "sources")[0] == "search.example 0% 2"
    assert any(text.startswith("Direct, or not told") for text in names(page, "sources"))
    assert names(page, "devices") == ["desktop 33% 2", "mobile 100% 1"]
    entries = page.get_by_role("tab", name="Entries")
    entries.click()
    expect(page.locator("[data-card=pages] .measure").first).to_contain_text("2")
    assert "pages=entries" in page.url
    form = page.locator("[data-card=forms] .form")
    expect(form).to_contain_text("3 begun")
    expect(form).to_contain_text("33% sent · 2 given up")
    stops = page.locator("[data-card=stops] .stop")
    expect(stops).to_have_count(2)
    assert [stop.locator("strong").get_attribute("data-stopped") for stop in stops.all()] == [
        "1", "1"
    ]  # fmt: skip
    expect(stops.nth(0)).to_contain_text("used by 100%")
    expect(stops.nth(1)).to_contain_text("used by 67%")
    assert page.locator("[data-vital=LCP]").get_attribute("data-value") == "3000"
    expect(page.locator(".vital", has_text="LCP")).to_contain_text("50% good")
    expect(page.locator(".vital", has_text="CLS")).to_contain_text("poor")
    assert page.evaluate("window.ran") is None
    assert "\u202e" not in page.locator("main").inner_text()
    assert (looked.complaints, looked.foreign) == ([], [])
    looked.close()


def test_a_value_that_is_chosen_narrows_all_of_it_and_stands_in_the_address(
    browser: Any, server: Serving
) -> None:
    looked = Looked(browser, server.url)
    page = looked.open("/visitors?range=7d&zone=UTC&compare=previous")
    page.locator("[data-card=devices] button.measure", has_text="mobile").click()
    expect(page.locator("[data-figure=visitors]")).to_have_attribute("data-value", "1")
    assert "device=mobile" in page.url
    looked.settled()
    expect(page.locator("[data-card=sources] .measure")).to_have_count(1)
    page.reload()
    looked.settled()
    expect(page.locator("[data-figure=views]")).to_have_attribute("data-value", "1")
    page.get_by_role("button", name="Show all again, not only device mobile").click()
    expect(page.locator("[data-figure=visitors]")).to_have_attribute("data-value", "3")
    assert "device=" not in page.url
    page.goto(f"{server.url}/visitors?range=7d&zone=UTC&country={HOSTILE}")
    looked.settled()
    expect(page.get_by_text("Nothing that fits in this range.")).to_be_visible()
    assert page.evaluate("window.ran") is None
    assert looked.complaints == []
    looked.close()


def test_the_page_can_be_used_by_keyboard_and_by_those_who_do_not_see_it(
    browser: Any, server: Serving
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for size, theme in (("desk", "light"), ("phone", "dark")):
        looked = Looked(browser, server.url, size=size, theme=theme)
        page = looked.open("/visitors?range=7d&zone=UTC")
        assert found(axe.Axe().run(page)) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        if size == "desk":
            page.get_by_role("tab", name="Referrer").focus()
            page.keyboard.press("ArrowRight")
            expect(page.get_by_role("tab", name="Source", exact=True)).to_be_focused()
            assert "sources=utm_source" in page.url
            page.locator("[data-card=devices] button.measure").first.focus()
            page.keyboard.press("Enter")
            expect(page.locator("[data-figure=visitors]")).to_have_attribute("data-value", "2")
        looked.close()


def test_an_empty_range_says_how_to_begin(browser: Any, server: Serving) -> None:
    looked = Looked(browser, server.url)
    page = looked.open("/visitors?range=2001-01-01..2001-01-07&zone=UTC")
    expect(page.get_by_text("Nobody came in this range. Put this into the pages")).to_be_visible()
    expect(page.locator("main").get_by_label("Example")).to_contain_text("/lakeward.js")
    expect(page.get_by_text("No form was begun in this range.")).to_be_visible()
    assert page.locator("[role=alert]").count() == 0
    looked.close()
