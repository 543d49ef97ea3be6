"""The dashboard's frame in Chromium: addresses, ranges, menus, files, keys, and who sees what."""

from __future__ import annotations

import csv
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import Lake, wait_until
from dashboard import Looked
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from server_process import Serving, serving
from test_login import PASSWORD, added

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

FORMULA = "=1+1"
DAY = "2026-01-15"
CALLS = ("03:30:00", "/early"), ("12:00:00", "/noon"), ("12:00:01", FORMULA)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("frame")
    lake = Lake(folder / "data-lake", folder / "rings")
    lake.ring_dir.mkdir(mode=0o700)
    try:
        with lake.collector() as collector:
            for moment, route in CALLS:
                collector.record(
                    "api_call", timestamp=f"{DAY}T{moment}.000Z", method="GET", path=route,
                    route=route, response_status=200, response_time_ms=5.0, user_id="ann",
                )  # fmt: skip
            collector.commit()
        with serving(lake, LAKEWARD_PATH_PREFIX="/data", health="/data/health") as running:
            yield running
    finally:
        lake.close()


@pytest.fixture
def looked(server: Serving, browser: Any) -> Iterator[Looked]:
    found = Looked(browser, f"{server.url}/data")
    yield found
    assert found.foreign == []
    assert found.complaints == []
    found.close()


ONE = f"range={DAY}..{DAY}&zone=UTC"


def test_every_page_is_found_below_a_prefix_with_its_chunks_and_their_styles(
    looked: Looked,
) -> None:
    page = looked.open(f"/api?{ONE}")
    expect(page.get_by_role("heading", name="API", level=1)).to_be_visible()
    page.get_by_role("link", name="Paths").click()
    looked.settled()
    assert page.url == f"{looked.url}/paths?range={DAY}..{DAY}&zone=UTC"
    assert page.title() == "Paths \u00b7 Lakeward"
    page.go_back()
    expect(page.get_by_role("heading", name="API", level=1)).to_be_visible()
    assert all(url.startswith(f"{looked.url}/") for url in looked.requests if "blob:" not in url)


def test_days_are_those_of_the_zone_that_the_address_names(looked: Looked) -> None:
    page = looked.open(f"/api?{ONE}")
    expect(page.locator("[data-figure=calls]")).to_have_attribute("data-value", "3")
    page.get_by_role("button", name="Time zone: UTC").click()
    page.get_by_label("Days and moments are those of").select_option("America/New_York")
    page.get_by_role("button", name="Use this zone").click()
    looked.settled()
    # at half past three in London it was the day before in New York
    expect(page.locator("[data-figure=calls]")).to_have_attribute("data-value", "2")
    assert "zone=America%2FNew_York" in page.url
    page.reload()
    looked.settled()
    expect(page.locator("[data-figure=calls]")).to_have_attribute("data-value", "2")


def test_other_days_and_a_comparison_are_chosen_and_stand_in_the_address(looked: Looked) -> None:
    page = looked.open("/api?zone=UTC")
    expect(page.get_by_role("button", name="Range: Last 7 days")).to_be_visible()
    page.get_by_role("button", name="Range:").click()
    page.get_by_role("menuitemcheckbox", name="Other days\u2026").or_(
        page.get_by_role("menuitem", name="Other days\u2026")
    ).click()
    page.get_by_label("First day").fill(DAY)
    page.get_by_label("Last day").fill("2026-01-14")
    expect(page.get_by_role("alert")).to_contain_text("behind")
    page.get_by_label("Last day").fill(DAY)
    page.get_by_role("button", name="Show these days").click()
    looked.settled()
    expect(page.locator("[data-figure=calls]")).to_have_attribute("data-value", "3")
    page.get_by_role("button", name="Comparison:").click()
    page.get_by_role("menuitemcheckbox", name="A week before").click()
    looked.settled()
    assert page.url.endswith(f"range={DAY}..{DAY}&compare=week")
    expect(page.get_by_role("button", name="Comparison: A week before")).to_be_focused()


def test_every_card_is_marked_while_the_connection_is_lost_whoever_asked(looked: Looked) -> None:
    streams: list[str] = []

    def meet(route: Any) -> None:
        streams.append(route.request.url)
        if len(streams) > 1:
            route.abort()
        else:
            route.fulfill(status=200, content_type="text/event-stream", body=": the end\n\n")

    for path, cards in (("/api?range=12m", "[data-card]"), ("/live", "main")):
        stream = "**/v1/live*" if path == "/live" else "**/live/changes"
        streams.clear()
        looked.page.route(stream, meet)
        page = looked.page
        page.goto(looked.url + path)
        marks = page.locator(f"{cards} .stale")
        expect(marks.first).to_contain_text("the connection to the server is lost")
        assert "From " in marks.first.inner_text()
        expect(marks).to_have_count(
            page.locator(cards).count()
        )  # of no card was the own answer lost
        page.unroute(stream)
        expect(marks).to_have_count(0)
    looked.complaints.clear()  # the browser's own words on what was cut off


def test_a_page_that_compares_nothing_offers_no_comparison(looked: Looked) -> None:
    page = looked.open(f"/retention?{ONE}&compare=week")
    expect(page.get_by_role("button", name="Range:")).to_be_visible()
    expect(page.get_by_role("button", name="Comparison:")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_card_gives_table_csv_picture_link_and_its_question(looked: Looked) -> None:
    page = looked.open(f"/api?{ONE}")
    card = page.locator("[data-card=routes]")

    def choose(name: str, of: Any = card) -> None:
        of.get_by_role("button", name="More of").click()
        of.get_by_role("menuitem", name=name).or_(
            of.get_by_role("menuitemcheckbox", name=name)
        ).click()

    with page.expect_download() as told:
        choose("Download CSV")
    with open(told.value.path(), newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["route"] for row in rows} == {"/early", "/noon", f"'{FORMULA}"}
    calls = page.locator("[data-card=calls]")
    with page.expect_download() as told:
        choose("Download PNG", calls)
    picture = Path(told.value.path()).read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    wide, high = struct.unpack(">II", picture[16:24])
    assert wide > 600
    assert high > 300
    choose("Show as table", calls)
    expect(calls.get_by_role("table")).to_be_visible()
    choose("Show as table", calls)
    expect(calls.get_by_role("table")).to_have_count(0)
    choose("Copy link")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == f"{looked.url}/api?{ONE}#routes"
    choose("How is this computed?")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("SQL of api_health")).to_contain_text("SELECT")
    expect(dialog.get_by_label("Parameters of api_health")).to_contain_text('"by"')
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(card.get_by_role("button", name="More of")).to_be_focused()


def test_a_chart_is_read_point_by_point_with_the_arrow_keys(looked: Looked) -> None:
    page = looked.open(f"/api?{ONE}")
    chart = page.locator("[data-card=calls]").get_by_role("application")
    chart.focus()
    page.keyboard.press("Home")
    said = page.locator("[data-card=calls] [role=status]").last
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator("[data-card=calls] .tip")).to_contain_text("03:00")
    expect(said).to_contain_text("03:00")
    page.keyboard.press("Escape")
    expect(page.locator("[data-card=calls] .tip")).to_have_count(0)


def test_keys_go_to_pages_find_them_and_are_listed(looked: Looked) -> None:
    page = looked.open(f"/api?{ONE}")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Retention")
    page.keyboard.press("g")
    page.keyboard.press("p")  # a dialog is open: keys are not meant for the page
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "/api?" in page.url
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Page").fill("expl")
    page.keyboard.press("Enter")
    looked.settled()
    assert page.url.startswith(f"{looked.url}/explore")


def test_a_theme_is_chosen_and_kept(looked: Looked) -> None:
    page = looked.open(f"/api?{ONE}")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitemcheckbox", name="Dark").click()
    assert page.evaluate(ground) != light
    page.reload()
    looked.settled()
    assert page.evaluate(ground) != light


def test_an_address_that_is_none_says_so(looked: Looked) -> None:
    assert httpx.get(f"{looked.url}/nothing-here").status_code == 404
    page = looked.open("/api?range=2026-02-31..x&zone=Nowhere/Land&compare=yesterday")
    expect(page.get_by_role("button", name="Range: Last 7 days")).to_be_visible()


@pytest.mark.parametrize(("windows", "locks"), [(8, True), (3, False)])
def test_windows_of_a_browser_share_one_stream_and_leave_room_for_requests(
    server: Serving, looked: Looked, windows: int, locks: bool
) -> None:
    """A browser has six connections to a server; a page over plain http has no Web Locks."""
    if not locks:
        looked.context.add_init_script("delete Navigator.prototype.locks")
    asked: dict[Any, int] = {}
    streams: list[str] = []

    def noted(request: Any) -> None:
        if "/live/changes" in request.url:
            streams.append(request.url)
        elif "state=open" in request.url:
            asked[request.frame.page] = asked.get(request.frame.page, 0) + 1

    looked.context.on("request", noted)
    pages = [looked.page, *(looked.context.new_page() for _ in range(windows - 1))]
    event = {"interaction_type": "signed_up"}

    def heard() -> None:
        """Something is recorded, and every window asks again."""
        before = {page: asked[page] for page in pages}
        assert httpx.post(f"{looked.url}/v1/interactions", json=event).status_code == 200

        def all_have() -> bool:
            pages[0].wait_for_timeout(50)  # in which requests are noted
            return all(asked[page] > before[page] for page in pages)

        wait_until(all_have, what="every window's asking again")

    for page in pages:  # which asks no process that takes long
        page.goto(f"{looked.url}/anomalies")
        expect(page.get_by_text("Up to date")).to_have_count(1)
    heard()
    assert len(streams) == 1
    assert pages[-1].evaluate("fetch('health').then((answer) => answer.status)") == 200
    pages.pop(0).close()  # another one goes on
    heard()
    assert len(streams) == 2


def test_who_is_let_in_sees_what_is_his(browser: Any, lake: Lake) -> None:
    added(lake, "partner@example.com", "--role", "partner", "--partner", "p1")
    with open_database(load(lake.env, lake.root.parent)) as database:
        _, secret = Keys(database).create("read", "reader", actor="t")
    with lake.collector() as collector:
        collector.record("partner_match", partner_id="p1", score=1.0)
        collector.commit()
    with serving(lake) as server:
        found = Looked(browser, server.url)
        page = found.page
        page.goto(f"{server.url}/funnels")
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        page.get_by_label("Read key").fill("lwk_nothing")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_role("alert")).to_contain_text("refused")
        page.get_by_label("Read key").fill(secret)
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        expect(page.get_by_role("heading", name="Funnels", level=1)).to_be_visible()
        found.close()

        found = Looked(browser, server.url)
        said = {"email": "partner@example.com", "password": PASSWORD}
        assert found.context.request.post(f"{server.url}/v1/login", data=said).ok
        page = found.page
        page.route("**/v1/me", lambda route: route.abort())
        page.goto(found.url)
        expect(page.get_by_text("The server does not answer: trying again.")).to_be_visible()
        page.unroute("**/v1/me")
        found.settled()
        expect(page.get_by_role("heading", name="Partners", level=1)).to_be_visible()
        expect(page.get_by_role("navigation", name="Pages")).to_have_count(0)
        page.goto(f"{server.url}/live")
        expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
        asked = [url for url in found.requests if "/api/" in url or "/v1/" in url]
        own = ("/v1/me", "/v1/login", "/api/partners")
        assert all("/api/questions" in url or url.endswith(own) for url in asked), asked
        found.close()
