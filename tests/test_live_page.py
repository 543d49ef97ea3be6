"""The live page in Chromium: what a person sees, with hostile strings in every field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Lake, wait_until
from lakeward.collector import Collector
from live_server import Served, served

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect


class Watched:
    """A page whose every complaint and request is kept."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.url = url

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _dialog(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open(self, path: str = "/live") -> Any:
        self.page.goto(self.url + path)
        return self.page

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def server(lake: Lake) -> Iterator[Served]:
    lake.collector().commit()
    with served(lake) as running:
        yield running


@pytest.fixture
def watched(browser: Any, server: Served) -> Iterator[Watched]:
    """A page that complained of nothing and asked nobody else, at the end of every test."""
    made = Watched(browser, server.url)
    yield made
    made.close()
    assert made.complaints == []
    assert [url for url in made.requests if not url.startswith(server.url)] == []


def collector_of(lake: Lake) -> Collector:
    return lake._collectors[0]


def call(lake: Lake, n: int, **fields: Any) -> None:
    given: dict[str, Any] = {
        "method": "GET", "path": f"/api/partners/{n}", "route": "/api/partners/{id}",
        "response_status": 200, "response_time_ms": 5.0, **fields,
    }  # fmt: skip
    collector_of(lake).record("api_call", **given)


def calls(lake: Lake, numbers: range, **fields: Any) -> None:
    for n in numbers:
        call(lake, n, **fields)
    collector_of(lake).commit()


def whats(page: Any) -> list[str]:
    found: list[str] = page.locator(".row .open").all_inner_texts()
    return found


def test_an_empty_lake_asks_for_the_first_event_and_shows_it(lake: Lake, watched: Watched) -> None:
    page = watched.open()
    expect(page.get_by_text("Send your first event")).to_be_visible()
    expect(page.get_by_role("status").get_by_text("Live")).to_be_visible()
    calls(lake, range(1))
    expect(page.get_by_text("/api/partners/0")).to_be_visible()
    expect(page.get_by_text("Send your first event")).not_to_be_visible()


def test_records_counters_and_charts_follow_what_arrives(lake: Lake, watched: Watched) -> None:
    calls(lake, range(20))
    page = watched.open()
    figure = page.locator("[data-figure=count]")
    expect(figure).to_have_text("20")
    charts = page.locator(".plot canvas")
    expect(charts).to_have_count(2)
    pixels = "canvases => canvases.map(canvas => canvas.toDataURL())"
    before = charts.evaluate_all(pixels)
    calls(lake, range(20, 50), response_time_ms=500.0, response_status=503)
    expect(page.get_by_role("button", name="GET /api/partners/49")).to_be_visible()
    expect(figure).to_have_text("50")
    expect(page.get_by_text("60% failed").first).to_be_visible()
    wait_until(
        lambda: all(a != b for a, b in zip(before, charts.evaluate_all(pixels), strict=True)),
        what="both charts' change",
    )
    assert whats(page)[:2] == ["GET /api/partners/49", "GET /api/partners/48"]
    types = page.get_by_role("region", name="Types of the last hour")
    expect(types.get_by_role("button", name="api_call")).to_contain_text("50")


def test_todays_summary_is_that_of_the_lake(lake: Lake, watched: Watched) -> None:
    collector = lake.collector()
    for n in range(1_200):
        status = 503 if n % 100 == 0 else 200
        collector.record("api_call", method="GET", path="/", response_time_ms=180.0,
                         response_status=status, user_id=f"u-{n % 7}")  # fmt: skip
    collector.commit()
    page = watched.open()
    today = page.get_by_role("region", name="Today")
    for text in ("Interactions1,200", "5xx12", "4xx0", "p99180 ms", "Users7"):
        expect(today).to_contain_text(text)


def test_pausing_holds_the_page_and_counts_what_is_new(lake: Lake, watched: Watched) -> None:
    calls(lake, range(3))
    page = watched.open()
    expect(page.get_by_text("/api/partners/2")).to_be_visible()
    expect(page.locator("[data-figure=count]")).to_have_text("3")
    page.keyboard.press("p")
    expect(page.get_by_role("status").get_by_text("Paused")).to_be_visible()
    calls(lake, range(3, 10))
    pill = page.get_by_role("button", name="7 new")
    expect(pill).to_be_visible()
    expect(page.locator("[data-figure=count]")).to_have_text("3")
    assert len(whats(page)) == 3
    # The charts grow when they have something to show: a click meanwhile would land beside it.
    expect(page.get_by_role("img", name="interactions in the last hour")).to_be_visible()
    pill.click()
    expect(page.get_by_text("/api/partners/9")).to_be_visible()
    expect(page.locator("[data-figure=count]")).to_have_text("10")
    assert len(whats(page)) == 10


def test_a_pause_of_a_busy_hour_keeps_no_more_than_500_rows(lake: Lake, watched: Watched) -> None:
    page = watched.open()
    expect(page.get_by_text("Send your first event")).to_be_visible()
    for start in range(0, 1_500, 150):
        calls(lake, range(start, start + 150))
        expect(page.get_by_role("button", name=f"/api/partners/{start + 149}")).to_be_attached()
    assert len(whats(page)) <= 500
    page.get_by_role("button", name="Pause").click()
    calls(lake, range(1_500, 2_100))
    expect(page.get_by_role("button", name="600 new")).to_be_visible()
    page.get_by_role("button", name="600 new").click()
    expect(page.get_by_text("/api/partners/2099")).to_be_visible()
    assert len(whats(page)) <= 500


def test_filters_are_applied_and_stand_in_the_address(lake: Lake, watched: Watched) -> None:
    calls(lake, range(5))
    call(lake, 77, response_status=503, user_id="c-17", route="/api/report")
    collector_of(lake).record("partner_match", partner_id="p1", score=9.5)
    collector_of(lake).commit()
    page = watched.open()
    expect(page.locator(".row .open")).to_have_count(7)

    page.get_by_role("button", name="5xx").click()
    expect(page.locator(".row .open")).to_have_count(1)
    assert "status=5xx" in page.url
    page.get_by_role("button", name="5xx").click()
    expect(page.locator(".row .open")).to_have_count(7)

    page.keyboard.press("/")
    page.keyboard.type("PARTNERS/3")
    expect(page.locator(".row .open")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".row .open")).to_have_count(7)

    page.get_by_label("User, session, trace").fill("c-17")
    expect(page.locator(".row .open")).to_have_count(1)
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator(".row .open")).to_have_count(7)

    page.get_by_role("button", name="partner_match 1").click()
    expect(page.locator(".row .open")).to_have_count(1)
    expect(page.locator("[data-figure=count]")).to_have_text("1")
    calls(lake, range(5, 8))
    collector_of(lake).record("partner_match", partner_id="p2", score=1.0)
    collector_of(lake).commit()
    expect(page.locator(".row .open")).to_have_count(2)
    page.reload()
    expect(page.locator(".row .open")).to_have_count(2)
    page.get_by_role("button", name="Remove the filter type").click()
    expect(page.locator(".row .open")).to_have_count(11)


def test_a_record_opens_by_keyboard_with_its_trace(lake: Lake, watched: Watched) -> None:
    calls(lake, range(3))
    call(lake, 50, trace_id="t-9")
    collector_of(lake).record("partner_match", partner_id="p1", trace_id="t-9", big=2**53 + 1)
    collector_of(lake).commit()
    page = watched.open()
    expect(page.locator(".row .open")).to_have_count(5)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("heading", name="partner_match")).to_be_visible()
    expect(drawer.locator(".json")).to_contain_text(f'"big": {2**53 + 1}')
    drawer.get_by_role("button", name=re.compile("api_call")).click()
    expect(drawer.get_by_role("heading", name="api_call")).to_be_visible()
    expect(drawer.locator(".json")).to_contain_text("/api/partners/50")
    drawer.get_by_role("button", name="Copy").click()
    expect(drawer.get_by_text("Copied")).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).not_to_be_visible()


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "<svg/onload=alert(3)>",
    "javascript:alert(4)",
    "\u202egnp.exe",
    "null\x00byte\x1b[31m",
    "\N{DUCK}\N{RAINBOW}\N{VARIATION SELECTOR-16} e\u0301 \u2067 漢字",
    "x" * 10_240,
    "{{constructor.constructor('alert(5)')()}}",
    "</script><script>alert(6)</script>",
    "line\nfeed\r\nevent: batch\ndata: {}\n\n",
)


def test_hostile_strings_are_text_in_every_field_and_run_nothing(
    lake: Lake, watched: Watched
) -> None:
    collector = collector_of(lake)
    page = watched.open()
    expect(page.get_by_text("Send your first event")).to_be_visible()
    for text in HOSTILE:
        call(lake, 0, path="/" + text, route="/" + text, method=text[:40], user_id=text,
             session_id=text, trace_id=text[:200], error_type=text, user_agent=text, referrer=text,
             query_params={"q": text}, service=text)  # fmt: skip
        collector.record("partner_match", partner_id=text, properties={text: text})
        collector.record("hostile", field=text, nested={"deep": [text]})
        collector.record("page_view", url=text)
    collector.record("api_call", method="GET", path="/surrogate\ud800", user_id="\udfff")
    collector.commit()
    expect(page.locator(".row .open")).to_have_count(len(lake.rows()))
    assert len(lake.rows()) >= 3 * len(HOSTILE)
    shown = page.locator(".rows").inner_text()
    assert "<script>alert(1)</script>" in shown
    assert '"><img src=x onerror=alert(2)>' in shown
    assert "\\u202egnp.exe" in shown
    assert "␀" in shown
    assert "🦆" in shown
    assert "\u202e" not in page.locator("body").inner_text()
    routes = page.get_by_role("region", name="Routes of the last hour")
    expect(routes.get_by_text("<svg/onload=alert(3)>").first).to_be_visible()
    for n in range(0, page.locator(".row .open").count(), 5):
        page.locator(".row .open").nth(n).click()
        expect(page.locator(".json")).to_contain_text('"interaction_id"')
        page.keyboard.press("Escape")
    routes.get_by_text("<svg/onload=alert(3)>").first.click()
    expect(page.get_by_role("button", name="Remove the filter route")).to_be_visible()
    expect(page.locator(".row .open")).to_have_count(1)
    tags = page.evaluate(
        "document.querySelectorAll('script, img, iframe, bdi *, [onload], [onerror]').length"
    )
    assert tags == 1, "the page's own script"
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 1280


def test_the_page_is_right_again_by_itself_after_a_restart(
    lake: Lake, browser: Any, server: Served
) -> None:
    calls(lake, range(5))
    watched = Watched(browser, server.url)
    page = watched.open()
    expect(page.locator(".row .open")).to_have_count(5)
    server.stop()
    expect(page.get_by_role("status").get_by_text("Reconnecting")).to_be_visible()
    calls(lake, range(5, 12))
    server._start()
    expect(page.get_by_role("status").get_by_text("Live")).to_be_visible()
    expect(page.locator(".row .open")).to_have_count(12)
    expect(page.locator("[data-figure=count]")).to_have_text("12")
    assert whats(page) == [f"GET /api/partners/{n}" for n in range(11, -1, -1)]
    watched.close()


def test_a_lake_with_a_key_asks_for_it_and_keeps_it_for_the_tab(lake: Lake, browser: Any) -> None:
    lake.collector().commit()
    calls(lake, range(3))
    with served(lake, key="read-key-1") as server:
        watched = Watched(browser, server.url)
        page = watched.open()
        expect(page.get_by_role("heading", name="This lake needs a key")).to_be_visible()
        page.get_by_label("Read key").fill("wrong")
        page.get_by_label("Read key").press("Enter")
        expect(page.get_by_role("alert")).to_have_text("That key was refused.")
        page.get_by_label("Read key").fill("read-key-1")
        page.get_by_role("button", name="Open").click()
        expect(page.locator(".row .open")).to_have_count(3)
        page.reload()
        expect(page.locator(".row .open")).to_have_count(3)
        assert "read-key-1" not in "".join(watched.requests)
        watched.close()


def test_a_filter_that_is_refused_is_explained_and_can_be_cleared(
    lake: Lake, browser: Any, server: Served
) -> None:
    calls(lake, range(2))
    watched = Watched(browser, server.url)
    page = watched.open("/live?status=nonsense")
    expect(page.get_by_text("takes statuses such as 404")).to_be_visible()
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator(".row .open")).to_have_count(2)
    watched.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_accessible_and_fits(
    lake: Lake, browser: Any, server: Served, scheme: str, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    calls(lake, range(5), user_id="c-17")
    calls(lake, range(5), response_status=404, trace_id="t")
    calls(lake, range(5), response_status=500, trace_id="t", error_type="ValueError")
    watched = Watched(browser, server.url, color_scheme=scheme, reduced_motion="reduce")
    page = watched.open()
    page.set_viewport_size({"width": width, "height": 800})
    expect(page.locator(".row .open")).to_have_count(15)
    expect(page.get_by_role("region", name="Today")).to_be_visible()
    assert found(axe.Axe().run(page)) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Pause").click()
    page.locator(".row .open").first.click()
    expect(page.locator(".json")).to_contain_text("interaction_id")
    assert found(axe.Axe().run(page)) == []
    watched.close()


def found(results: Any) -> list[str]:
    return [
        f"{violation['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]
