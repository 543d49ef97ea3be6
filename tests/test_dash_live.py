"""The Live page beyond its list: who is online, what lights up, whole traces, a tab left open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Lake
from live_server import Served, served
from test_live_page import Watched, found

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
CHROME = ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
          "Chrome/126.0 Safari/537.36")  # fmt: skip
HOSTILE = '"><img src=x onerror=alert(1)>\u202e'


@pytest.fixture
def server(lake: Lake) -> Iterator[Served]:
    lake.collector().commit()
    with served(lake, internal=("user_type:staff",)) as running:
        yield running


def story(lake: Lake, user: str = "u1") -> list[str]:
    """A click, its call, its AI turn, its outcome: their ids."""
    collector = lake._collectors[0]
    told: dict[str, Any] = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "user_id": user}
    click = collector.record("click", path="/match", element_text=HOSTILE, user_agent=CHROME,
                             **told)  # fmt: skip
    call = collector.record("api_call", method="POST", path="/api/match", route="/api/match",
                            response_status=503, response_time_ms=900.0, user_agent=CHROME,
                            parent_interaction_id=click, **told)  # fmt: skip
    turn = collector.record("ai_conversation", conversation_id="c1", model_answered="m-1",
                            duration_ms=700.0, parent_interaction_id=call, **told)  # fmt: skip
    match = collector.record("partner_match", partner_id="p1", score=88.5, user_id=user,
                             parent_interaction_id=turn)  # fmt: skip
    collector.commit()
    ids = [click, call, turn, match]
    assert all(ids)
    return [str(each) for each in ids]


def test_a_link_to_a_trace_opens_it_and_closing_leaves_no_trace_in_the_address(
    lake: Lake, browser: Any, server: Served
) -> None:
    story(lake)
    watched = Watched(browser, server.url)
    page = watched.open("/live?trace=4bf92f3577b34da6a3ce929d0e0e4736&type=click")
    drawer = page.get_by_role("dialog")
    expect(drawer.locator(".step")).to_have_count(4)
    drawer.locator(".step").nth(2).click()
    expect(drawer.get_by_role("heading", name="ai_conversation")).to_be_visible()
    expect(drawer.locator(".json")).to_contain_text('"conversation_id": "c1"')
    page.keyboard.press("Escape")
    expect(drawer).not_to_be_visible()
    expect(page).to_have_url(re.compile(r"/live\?type=click$"))
    page.goto(f"{server.url}/live?trace=none")
    expect(page.get_by_role("dialog")).to_contain_text("Nothing else belongs to it.")
    assert watched.complaints == []
    watched.close()


def test_those_online_and_lit_routes_are_shown_as_the_feed_has_them(
    lake: Lake, browser: Any, server: Served
) -> None:
    watched = Watched(browser, server.url)
    page = watched.open()
    online, lights = (
        page.get_by_role("region", name=name) for name in ("Online", "Routes of the last ten")
    )
    expect(online.locator("[data-figure=online]")).to_have_text("0")
    expect(lights.get_by_text("Quiet for ten seconds.")).to_be_visible()
    collector = lake._collectors[0]
    view = {"user_agent": CHROME, "url": "https://shop.example/"}
    for user, path in (("u1", "/pricing"), ("u2", "/pricing"), ("u3", HOSTILE), ("u1", "/pricing")):
        collector.record("page_view", user_id=user, path=path, **view)
    collector.record("page_view", user_id="boss", user_type="staff", path="/", **view)
    story(lake)
    expect(online.locator("[data-figure=online]")).to_have_text("3")
    expect(online.get_by_role("listitem")).to_contain_text(["/pricing2", "onerror"])
    expect(lights.get_by_role("button", name="POST /api/match")).to_contain_text("1 failed")
    lights.get_by_role("button", name="POST /api/match").click()
    expect(page.locator(".row .open")).to_have_count(1)
    assert "route=POST" in page.url
    assert watched.complaints == []
    watched.close()


def test_a_whole_trace_is_a_tree_with_times_and_each_step_opens_its_record(
    lake: Lake, browser: Any, server: Served
) -> None:
    click, call, turn, match = story(lake)
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    watched = Watched(browser, server.url, reduced_motion="reduce")
    page = watched.open()
    page.locator(".row .open", has_text="/api/match").click()
    drawer = page.get_by_role("dialog")
    steps = drawer.locator(".step")
    expect(steps).to_have_count(4)
    kinds = ["click", "api_call", "ai_conversation", "partner_match"]
    assert [kind.split("\n")[-1] for kind in steps.locator("b").all_inner_texts()] == kinds
    assert [step.get_attribute("data-depth") for step in steps.all()] == ["0", "1", "2", "3"]
    expect(steps.nth(1)).to_contain_text("900 ms")
    expect(steps.nth(1)).to_contain_text("503")
    expect(steps.nth(2)).to_contain_text("m-1")
    expect(steps.nth(1)).to_have_attribute("aria-current", "true")
    assert "\u202e" not in drawer.inner_text()
    assert found(axe.Axe().run(page)) == []
    for step, interaction_id in zip(steps.all(), (click, call, turn, match), strict=True):
        step.focus()
        page.keyboard.press("Enter")
        expect(drawer.locator(".json")).to_contain_text(f'"interaction_id": "{interaction_id}"')
        expect(step).to_have_attribute("aria-current", "true")
        expect(steps).to_have_count(4)
    page.keyboard.press("Escape")
    expect(drawer).not_to_be_visible()
    assert watched.complaints == []
    watched.close()


def test_two_windows_show_live_and_a_third_waits_until_it_may(
    lake: Lake, browser: Any, server: Served
) -> None:
    story(lake)
    watched = Watched(browser, server.url)
    pages = [watched.page, watched.context.new_page(), watched.context.new_page()]
    for page in pages[:2]:
        page.goto(f"{server.url}/live")
        expect(page.locator(".row .open")).to_have_count(4)
    pages[2].goto(f"{server.url}/live")
    expect(pages[2].get_by_text("Two other windows of this browser show Live")).to_be_visible()
    assert len(server.live.feed.watchers) == 2
    out_of_sight(pages[0], True)
    expect(pages[2].locator(".row .open")).to_have_count(4)
    pages[1].close()
    story(lake)
    out_of_sight(pages[0], False)
    for page in (pages[0], pages[2]):  # what came meanwhile is there, and nothing twice
        expect(page.locator(".row .open")).to_have_count(8)
    assert watched.complaints == []
    watched.close()


def out_of_sight(page: Any, hidden: bool) -> None:
    """As another tab in front of it."""
    page.evaluate(
        "(is) => { Object.defineProperty(document, 'hidden', {value: is, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')) }", hidden,
    )  # fmt: skip


PUSHING = """
(() => {
  const real = window.fetch;
  Object.assign(window, {pushed: 0, wanted: 0});
  const encoder = new TextEncoder();
  const event = (name, data) => `event: ${name}\\ndata: ${JSON.stringify(data)}\\n\\n`;
  const hour = () => {
    const n = window.pushed, first = 60000 * Math.floor(n / 4000);
    const names = Array.from({length: 12}, (_, k) => ({name: `GET /${n}/${k}`, count: n, errors: 0,
      share: 1, p50: 1, p95: 2}));
    return {hour: {now: first + 3600000, first, whole: false, stack: ['api_call'],
      minutes: [[first + 59 * 60000, n, 0, 1, 2, [n]]], types: names, routes: names,
      totals: {count: n, errors: 0, error_share: 0, p50: 1, p95: 2}},
      rate: 1, loading: false, cut: false, trouble: '',
      online: {visitors: n, most: 1e9, minutes: Array(60).fill(n), most_in_minute: 1e9,
        pages: names.map((each) => ({name: each.name, visitors: n, share: 1}))},
      lit: names.map((each) => ({route: each.name, rate: n, errors: 0, share: 1}))};
  };
  const batch = () => {
    const rows = Array.from({length: 200}, (_, k) => ({at: `1-1-${window.pushed + k}`,
      type: 'api_call', what: `/api/partners/${window.pushed + k}`, id: `id-${window.pushed + k}`,
      time: '2026-11-26T10:00:00.000Z', method: 'GET', route: '/api/partners/{id}', status: 200,
      ms: 12.5, user: `u-${window.pushed + k}`}));
    window.pushed += 200;
    return {rows, seen: 200, matched: 200, backlog: false};
  };
  window.fetch = (url, options) => {
    if (new URL(url, location).pathname !== '/v1/live') return real(url, options);
    const pull = async (to) => {
      await new Promise((go) => setTimeout(go, 5));
      while (window.pushed >= window.wanted) await new Promise((go) => setTimeout(go, 50));
      let text = event('skipped', {n: 7, why: 'burst'});
      for (let n = 0; n < 20; n++) text += event('batch', batch());
      text += event('hour', hour());
      to.enqueue(encoder.encode(text));
    };
    return Promise.resolve(new Response(new ReadableStream({pull}), {status: 200}));
  };
})();
"""


def test_a_tab_left_open_stays_flat_in_memory(browser: Any, server: Served) -> None:
    watched = Watched(browser, server.url, reduced_motion="reduce")
    watched.page.add_init_script(PUSHING)
    page = watched.open()
    session = watched.context.new_cdp_session(page)

    def after(rows: int) -> tuple[float, int]:
        """Megabytes of live objects, and nodes, once so many rows have come."""
        page.evaluate(f"window.wanted = {rows}")
        page.wait_for_function(f"() => window.pushed >= {rows}", timeout=180_000)
        page.wait_for_timeout(500)
        for _ in range(2):
            session.send("HeapProfiler.collectGarbage")
        nodes = page.evaluate("document.getElementsByTagName('*').length")
        return session.send("Runtime.getHeapUsage")["usedSize"] / 1e6, nodes

    first, nodes = after(20_000)
    later, nodes_later = after(120_000)
    page.keyboard.press("p")
    expect(page.get_by_role("status").get_by_text("Paused")).to_be_visible()
    paused, nodes_paused = after(180_000)
    page.keyboard.press("p")
    last, nodes_last = after(240_000)
    assert max(later, last) - first < 2, (first, later, paused, last)
    assert paused - first < 3, (first, paused)  # 500 more rows wait
    assert max(nodes_later, nodes_paused, nodes_last) <= nodes + 200
    assert page.locator(".row .open").count() <= 500
    watched.close()
