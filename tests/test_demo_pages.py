"""The demo's pages in a browser: accessible, with and without scripts, joined in the lake."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake, wait_until
from demo_served import STAFF, Site, platform

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

axe = pytest.importorskip("axe_playwright_python.sync_playwright")


@pytest.fixture
def site(lake: Lake, tmp_path: Path) -> Iterator[Site]:
    with platform(lake, tmp_path) as served:
        yield served


def press(page: Any, label: str, way: str) -> None:
    page.get_by_role("button", name=label).first.click()
    page.wait_for_url(way)


def visit(page: Any, site: Site) -> Iterator[str]:
    """Go through the whole platform; the name of each page as it is there."""
    page.goto(site.address)
    yield "landing"
    page.get_by_role("main").get_by_role("link", name="Find my partner").first.click()
    page.wait_for_url("**/start*")
    yield "start"
    page.fill("#phone", "12")
    page.get_by_role("button", name="Send me a code").click()
    page.wait_for_selector("[role=alert]")
    yield "start refused"
    for field, value in (("name", "Ann"), ("email", "a@b.example"), ("phone", "+15125550100")):
        page.fill(f"#{field}", value)
    press(page, "Send me a code", "**/verify")
    yield "verify"
    page.goto(f"{site.address}/inbox")
    while page.locator("article").count() == 0:
        page.reload()
    yield "inbox"
    code = re.search(r"code is (\d{6})", page.content())
    assert code
    page.get_by_role("link", name="Enter your code").click()
    page.fill("#code", code[1])
    press(page, "Go on", "**/focus")
    yield "focus"
    page.select_option("#first", "crm")
    press(page, "Go on", "**/profile")
    yield "profile"
    page.select_option("#team", "2_10")
    page.select_option("#readiness", "now")
    press(page, "Show my matches", "**/matches")
    yield "matches"
    press(page, "Choose", "**/done")
    yield "done"
    page.get_by_role("link", name="Book a demo").click()
    page.wait_for_url("**/book")
    yield "book"
    press(page, "Book it", "**/bookings/*")
    yield "booking"
    page.goto(f"{site.address}/feedback")
    yield "feedback"
    for field in ("communication", "expertise", "value", "overall", "nps"):
        page.fill(f"#{field}", "8")
    press(page, "Send", "**/coach")
    yield "coach"
    for path in ("/library", "/library/ep-1", "/join", "/nowhere"):
        page.goto(site.address + path)
        yield path


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (360, "dark")])
def test_every_page_is_accessible_and_fits(
    site: Site, browser: Any, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Policy" in said.text else None)
    seen = []
    for name in visit(page, site):
        found = axe.Axe().run(page)
        assert found.violations_count == 0, (name, found.generate_report())
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, name
        seen.append(name)
    page.set_extra_http_headers({"staff": STAFF})
    page.goto(f"{site.address}/staff")
    assert axe.Axe().run(page).violations_count == 0
    page.close()
    assert len(seen) == 17
    assert complaints == []


def test_everything_works_without_scripts(site: Site, browser: Any, lake: Lake) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    assert len(list(visit(page, site))) == 17
    context.close()
    wait_until(
        lambda: [r for r in lake.rows() if r["interaction_type"] == "feedback_submission"],
        what="the feedback",
    )


def test_what_a_click_leads_to_is_in_its_trace(site: Site, browser: Any, lake: Lake) -> None:
    context = browser.new_context()
    page = context.new_page()
    for _ in visit(page, site):
        pass
    page.goto(f"{site.address}/coach")
    page.fill("#text", "Who helps with payroll?")
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("Paydirt").wait_for()
    page.goto(site.address)

    def of(kind: str) -> list[dict[str, Any]]:
        return [row for row in lake.rows() if row["interaction_type"] == kind]

    def is_told() -> bool:
        known = {row["interaction_id"] for row in (*of("click"), *of("api_call"))}
        led = [row for row in of("api_call") if row["path"] in ("/profile", "/coach/messages")]
        causes = {row.get("parent_interaction_id") for row in led} - {None}
        named = any(row.get("anonymous_id") for row in of("identify"))
        return bool(of("ai_conversation")) and named and len(causes) == 2 and causes <= known

    wait_until(is_told, what="clicks, calls and outcomes")
    clicks = {row["interaction_id"]: row for row in of("click")}
    calls = {row["interaction_id"]: row for row in of("api_call")}
    outcomes = [
        *of("partner_match"), *of("demo_booking"), *of("flow_completion"),
        *of("feedback_submission"), *of("ai_conversation"),
    ]  # fmt: skip
    assert len(outcomes) == 3 + 4
    for row in outcomes:
        call = calls[row["parent_interaction_id"]]
        click = clicks[call["parent_interaction_id"]]
        assert click["trace_id"] == call["trace_id"] == row["trace_id"]
        assert click["session_id"] == row["session_id"]
    (who,) = {row["user_id"] for row in outcomes}
    told = [row for row in of("identify") if row.get("anonymous_id") and row["user_id"] == who]
    assert told
    assert {row["anonymous_id"] for row in told} == {row["anonymous_id"] for row in clicks.values()}
    context.close()
