"""A walk through every page of the dashboard, on a server that a demo fed.

Each page at three sizes and in both themes, beside its snapshots, by keyboard alone, with an empty
lake, with a server that refuses and with one that goes away. A page that is not here fails it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

import snapshot
from conftest import Lake, wait_until
from dashboard import PAGE_KEYS, SIZES, Dashboard, Looked
from lakeward.server.assets import VIEWS
from server_process import first_serving, serving
from servers import free_port

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
expect = playwright.expect

ROOT: Final = Path(__file__).resolve().parent.parent
ALERTS: Final = ROOT / "tests/data/alerts.json"
WALK: Final = tuple(PAGE_KEYS)
UNLIKE: Final = ("overview", "data", "explore")
"""Pages whose parts are most unlike each other; the soak has all of them."""
CUT_OFF: Final = """() => {
    const found = [];
    const name = (one) => `${one.tagName.toLowerCase()}.${[...one.classList].join('.')}`;
    for (const card of document.querySelectorAll('main [data-card], main section.card')) {
        if (card.scrollWidth > card.clientWidth + 1) found.push(`card ${card.id || name(card)}`);
    }
    const bar = document.querySelector('header.bar');
    if (bar && bar.scrollWidth > bar.clientWidth + 1) found.push('the bar');
    for (const one of document.querySelectorAll('main *')) {
        const style = getComputedStyle(one);
        const hides = ['hidden', 'clip'].includes(style.overflowX) && one.clientWidth > 1;
        const told = style.textOverflow === 'ellipsis'
            || one.closest('.sr, [aria-hidden=true], svg, .u-wrap');
        if (hides && !told && one.scrollWidth > one.clientWidth + 1) found.push(name(one));
    }
    return found;
}"""
"""Cards, and anything else, that hide a part of what is in them; text that ends in dots says so."""
FOCUS: Final = """() => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const box = one.getBoundingClientRect();
    const outlined = (style) => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    const front = one.querySelector(':scope > .front');
    const ring = outlined(getComputedStyle(one)) || getComputedStyle(one).boxShadow !== 'none'
        || outlined(getComputedStyle(one, '::after'))
        || (front && getComputedStyle(front).stroke !== 'none');
    if (!window.walked) window.walked = [];
    const again = window.walked.includes(one);
    window.walked.push(one);
    return {again, ring, seen: box.width > 0 && box.height > 0,
            name: `${one.tagName} ${one.ariaLabel || one.textContent || one.id}`.slice(0, 60)};
}"""
FROM_THE_TOP: Final = """() => {
    const first = document.querySelector('a[href], button, input, select, textarea');
    first.focus();
    window.walked = [first];
    return first.className;
}"""
"""The first that takes the focus: where an element is only left, the browser goes on there."""
UNREACHED: Final = """() => [...document.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    .filter((one) => one.checkVisibility({visibilityProperty: true}) && !one.disabled
        && one.tabIndex >= 0 && !one.closest('[inert]') && !(one.type === 'radio' && !one.checked))
    .filter((one) => !(window.walked || []).includes(one))
    .map((one) => `${one.tagName} ${one.ariaLabel || one.textContent || one.id}`.slice(0, 60))"""
SHIFTS: Final = """() => {
    window.shifts = [];
    const said = ({node, previousRect: was, currentRect: is}) => {
        const one = node instanceof Element ? node : node?.parentElement;
        const where = one?.closest('[data-card]')?.id ?? one?.className ?? '?';
        return `${where} ${Math.round(was.y)} to ${Math.round(is.y)}`;
    };
    window.shifting = new PerformanceObserver((list) => {
        const found = list.getEntries();
        window.shifts.push(...found.map((each) => [each.value, each.sources.map(said)]));
    });
    window.shifting.observe({type: 'layout-shift'});
}"""
"""Keeps what jumps from here on; also after a key, as what comes then was not asked to push."""
SHIFTED: Final = """() => {
    window.shifting.disconnect();
    return window.shifts;
}"""
REDRAWS: Final = """() => {
    window.redrawn = new Set();
    new MutationObserver((changes) => {
        for (const {target} of changes) {
            const one = target instanceof Element ? target : target.parentElement;
            const card = one?.closest('.cardbody')?.closest('[data-card]');
            if (card) window.redrawn.add(card.id);
        }
    }).observe(document.querySelector('main'), {subtree: true, childList: true});
}"""
"""Keeps which cards draw anew from here on."""
PALES: Final = """() => {
    window.pale = new Set();
    new MutationObserver((changes) => {
        for (const {target} of changes) {
            if (target.matches('.cardbody.busy')) window.pale.add(target.closest('[data-card]').id);
        }
    }).observe(document.querySelector('main'), {subtree: true, attributeFilter: ['class']});
}"""
"""Keeps which cards grow pale from here on; only what answers something else may be."""
MOST_SHIFT: Final = 0.1
"""Of a page that is opened; web vitals call as much good."""
PRESS_AGAIN: Final = """() => {
    for (const one of document.querySelectorAll('main [role=alert] button')) one.click();
}"""
MOST_STOPS: Final = 400


def pages_of_the_shell() -> dict[str, str]:
    """The pages and their keys, as the dashboard itself lists them."""
    source = (ROOT / "web/dashboard/src/shell/pages.ts").read_text()
    return dict(re.findall(r'\{ name: "(\w+)", title: "[^"]*", key: "(\w)"', source))


def test_every_page_of_the_shell_is_walked_and_the_server_knows_it() -> None:
    assert pages_of_the_shell() == PAGE_KEYS
    assert set(VIEWS) == set(PAGE_KEYS)


@pytest.mark.parametrize("name", WALK)
def test_a_page_fits_looks_as_it_should_and_is_walked_by_keyboard_alone(
    fed: Dashboard, browser: Any, name: str
) -> None:
    """Loaded once: what is looked at changes its size and theme as a reader's window does."""
    looked = Looked(browser, fed.server.url, "desk", "dark")
    same_alerts(looked.page)
    start = "explore" if name == "settings" else "settings"
    page = looked.open(f"/{start}?range={fed.demo.range}&zone=UTC")
    page.evaluate(SHIFTS)
    page.keyboard.press("g")
    page.keyboard.press(PAGE_KEYS[name])
    expect(page.locator(f"main[data-page={name}]")).to_be_visible()
    looked.settled()
    told = jumps(page)
    page.evaluate(REDRAWS)
    told += fits(page, "desk") + [f"dark: {one}" for one in violations(page)]
    told += differs(page, name, "dark")
    told += [f"{one} draws anew" for one in page.evaluate("[...window.redrawn]") if name != "live"]
    page.emulate_media(color_scheme="light")
    told += differs(page, name, "light")
    for size in ("phone", "wall"):
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        looked.settled()
        told += fits(page, size)
        told += [f"{size}: {one}" for one in violations(page)] if size == "phone" else []
    width, height = SIZES["desk"]
    page.set_viewport_size({"width": width, "height": height})
    menus(page, told)
    walk(page, told)
    told += looked.complaints
    told += [f"asked {url}" for url in looked.foreign]
    looked.close()
    assert told == []


def jumps(page: Any) -> list[str]:
    """What was pushed while the page came, where it is more than a reader would forgive."""
    shifts = page.evaluate(SHIFTED)
    total = sum(value for value, _ in shifts)
    return [f"jumps by {total:.3f}: {shifts}"] if total >= MOST_SHIFT else []


def same_alerts(page: Any) -> None:
    """The same incidents at each run: which ones the demo has hangs on when somebody looked."""
    kept = msgspec.json.decode(ALERTS.read_bytes())

    def listed(route: Any) -> None:
        route.fulfill(json=kept["open" if "state=open" in route.request.url else "resolved"])

    def overview(route: Any) -> None:
        asked = {**route.request.headers}
        asked.pop("if-none-match", None)  # what is unchanged has no body to put them into
        answer = route.fetch(headers=asked)
        route.fulfill(response=answer, json=answer.json() | {"alerts": told | {"sentence": ""}})

    told = {name: kept["open"][name] for name in ("incidents", "counts")}
    page.route("**/api/alerts?**", listed)
    page.route("**/api/alerts/watched", lambda route: route.fulfill(json=kept["watched"]))
    page.route("**/api/overview?**", overview)


def fits(page: Any, size: str) -> list[str]:
    """What is wider than the window, or hides a part of what is in it."""
    told = []
    if (wide := page.evaluate("document.documentElement.scrollWidth")) > SIZES[size][0]:
        told.append(f"{size}: the page is {wide} px wide")
    return told + [f"{size}: {one} hides a part of what is in it" for one in page.evaluate(CUT_OFF)]


def differs(page: Any, name: str, theme: str) -> list[str]:
    """How the page looks other than its snapshot; what is live has none."""
    if name == "live":
        return []
    said = snapshot.differs(f"{name}-{theme}", snapshot.taken(page))
    return [said] if said else []


def violations(page: Any) -> list[str]:
    """What axe finds, and where."""
    return [
        f"axe: {one['id']} at {[node['target'] for node in one['nodes']][:3]}"
        for one in axe.Axe().run(page).response["violations"]
    ]


def walk(page: Any, told: list[str]) -> None:
    """Tab comes to everything, and everybody sees where it is."""
    assert page.evaluate(FROM_THE_TOP) == "skip"
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUS)
        if at is None or at["again"]:
            break
        if not at["ring"]:
            told.append(f"nobody sees that the focus is at {at['name']}")
        if not at["seen"]:
            told.append(f"the focus is at {at['name']}, which has no size")
    else:
        told.append(f"Tab does not come out of the page within {MOST_STOPS} stops")
    told += [f"Tab does not come to {one}" for one in page.evaluate(UNREACHED)]


def menus(page: Any, told: list[str]) -> None:
    """Every menu opens by Enter, moves by arrows, and gives the focus back at Escape."""
    for button in page.locator("main [aria-haspopup=menu]").element_handles()[:6]:
        label = button.get_attribute("aria-label")
        button.focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(50)
        if button.get_attribute("aria-expanded") != "true":
            told.append(f"the menu {label} does not open")
            continue
        page.keyboard.press("ArrowDown")
        if not page.evaluate("document.activeElement.role?.startsWith('menuitem')"):
            told.append(f"arrows do not move in {label}")
        page.keyboard.press("Escape")
        if not button.evaluate("(one) => !one.isConnected || document.activeElement === one"):
            told.append(f"{label} does not give the focus back")


def test_every_page_of_an_empty_lake_says_so_and_stands(lake: Lake, browser: Any) -> None:
    with first_serving(lake) as server:
        looked = Looked(browser, server.url)
        told = []
        for name in WALK:
            page = looked.open(f"/{name}?zone=UTC")
            told += [
                f"{name}: {one}" for one in page.locator("main [role=alert]").all_inner_texts()
            ]
            told += [f"{name}: {one}" for one in violations(page)]
            if not page.locator("main").inner_text().strip():
                told.append(f"{name} shows nothing at all")
        assert looked.complaints + told == []
        looked.close()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in UNLIKE else pytest.mark.soak)
        for name in WALK
        if name != "live"
    ],
)
def test_a_page_says_that_its_server_refuses_and_comes_back(
    fed: Dashboard, browser: Any, name: str
) -> None:
    looked = Looked(browser, fed.server.url)
    page = looked.page
    page.route("**/api/**", lambda route: route.fulfill(
        status=500, content_type="application/json", body='{"code":"broken","message":"It broke."}'
    ))  # fmt: skip
    page.goto(f"{fed.server.url}/{name}?range={fed.demo.range}&zone=UTC")
    looked.settled()
    if page.locator("main [data-card]").count():
        expect(page.locator("main [role=alert]").first).to_be_visible()
    assert page.get_by_text("stumbled").count() == 0
    assert violations(page) == []
    page.unroute("**/api/**")
    alerts = page.locator("main [role=alert]")

    def comes_back() -> bool:
        """What refuses still is asked again; a button may be gone before it is pressed."""
        page.evaluate(PRESS_AGAIN)
        return bool(alerts.count() == 0)

    wait_until(comes_back, what=f"the page {name} without a refusal")
    looked.close()


def test_a_page_says_that_the_server_is_away_and_comes_back_by_itself(
    fed: Dashboard, tmp_path: Path, browser: Any
) -> None:
    ring_dir = tmp_path / "rings"
    ring_dir.mkdir(mode=0o700)
    lake, port = Lake(tmp_path / "data-lake", ring_dir), str(free_port())
    collector = lake.collector()
    for n in range(5):
        collector.record("api_call", method="GET", path="/p", route="/p", response_status=200,
                         response_time_ms=float(n), user_id=f"u{n}")  # fmt: skip
    collector.commit()
    lake.close()
    with serving(lake, "--port", port) as server:
        looked = Looked(browser, server.url)
        page = looked.open("/overview?range=today&zone=UTC")
        expect(page.get_by_text("Up to date")).to_have_count(1)
        page.evaluate(PALES)
        shown = page.locator("main").inner_text()
    expect(page.get_by_role("status").get_by_text("Reconnecting")).to_be_visible()
    assert page.locator("main").inner_text().strip()  # what was shown stays
    with serving(lake, "--port", port):
        expect(page.get_by_text("Up to date")).to_have_count(1)
        expect(page.get_by_text("Reconnecting")).to_have_count(0)
        assert shown.strip()
        assert page.evaluate("[...window.pale]") == []
        looked.close()
