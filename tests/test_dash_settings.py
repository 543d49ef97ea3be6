"""The page of settings and saved views in Chromium: what is shown to whom, what admins change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Lake, wait_until
from lakeward.flags.database import Editor
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from lakeward.store.people import People
from lakeward.store.views import Views
from server_process import Serving, serving
from test_live_page import found
from test_login import EMAIL, PASSWORD, added
from test_settings_http import FLAGS

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

HOSTILE = "<img src=x onerror=alert(1)>"
RULES = '[[tell]]\nby = "slack"\nurl_env = "OPS_SLACK"\n[[budget]]\nname = "AI"\namount = 50\n'
TABS = ("keys", "people", "flags", "alerts", "settings", "views")


class House:
    """A server with an admin, keys, flags and views, and the secret of a read key."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        (lake.root.parent / "alerts.toml").write_text(RULES)
        with self.database() as database:
            keys = Keys(database)
            _, self.secret = keys.create("read", "reader", actor="t")
            keys.create("write", HOSTILE, actor=f"{HOSTILE}@t", types=["*"])
            People(database).add("bob@example.com", "admin", actor="t")
            editor = Editor(database)
            editor.set_flag("match-page", FLAGS["features"]["match-page"], actor="t")
            Views(database).make("funnels", HOSTILE, "range=7d&steps=a", actor="t")
        added(lake, EMAIL)

    def database(self) -> Any:
        return open_database(load(self.lake.env, self.lake.root.parent))


class Visit:
    """A page whose complaints are kept."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        options = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **options}
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.url = url
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("console", self._console)

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning"} and "status of 4" not in message.text:
            self.complaints.append(message.text)

    def log_in(self) -> None:
        said = {"email": EMAIL, "password": PASSWORD}
        assert self.context.request.post(f"{self.url}/v1/login", data=said).ok

    def open(self, tab: str) -> Any:
        self.page.goto(f"{self.url}/settings?tab={tab}")
        expect(self.page.get_by_role("main").locator(".cardbody").first).to_be_visible()
        expect(self.page.locator(".waiting")).to_have_count(0)
        return self.page

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []


@pytest.fixture
def house(lake: Lake) -> House:
    return House(lake)


@pytest.fixture
def server(house: House) -> Iterator[Serving]:
    with serving(house.lake, LAKEWARD_FLAGS="database", OPS_SLACK="x") as running:
        yield running


def row(page: Any, name: str) -> Any:
    return page.locator(".rows > .row").filter(has_text=name)


def test_an_admin_makes_keys_lets_people_in_and_changes_flags_and_views(
    browser: Any, house: House, server: Serving
) -> None:
    visit = Visit(browser, server.url)
    visit.log_in()
    page = visit.open("keys")
    expect(row(page, HOSTILE)).to_contain_text("writes everything, from anywhere")
    page.get_by_role("button", name="Make a key").click()
    page.get_by_label("Name, by which").fill("reader")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("alert")).to_contain_text("A key named 'reader' is in force")
    page.get_by_label("Name, by which").fill("shop")
    page.get_by_label("Pages that may use it").fill("https://shop.example.com, *.example.com")
    page.keyboard.press("Enter")
    secret = page.get_by_role("group", name="The secret of shop")
    expect(secret).to_be_focused()
    assert (secret.locator("code").text_content() or "").startswith("lwk_w_")
    expect(row(page, "shop")).to_contain_text(
        "from https://shop.example.com, https://*.example.com"
    )
    page.get_by_role("button", name="I have kept it").click()
    expect(secret).to_have_count(0)
    page.get_by_role("button", name="Revoke shop").click()
    expect(page.get_by_role("dialog", name="Revoke shop?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Revoke shop")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Revoke this key").click()
    expect(row(page, "shop")).to_have_count(0)
    page.get_by_role("button", name="Show 1 that is revoked").click()
    expect(row(page, "shop")).to_contain_text("revoked")

    page = visit.open("people")
    expect(row(page, EMAIL)).to_contain_text("you")
    expect(row(page, "bob@example.com")).to_contain_text("never logged in")
    page.get_by_role("button", name="Let somebody in").click()
    page.get_by_label("E-mail address").fill("carol@example.com")
    page.get_by_label("a partner: sees its own records").check()
    page.get_by_label("partner_id").fill("p1")
    page.get_by_role("button", name="Make the link").click()
    way = page.get_by_role("group", name="The way in for carol@example.com")
    expect(way).to_contain_text(f"{server.url}/?welcome=")
    expect(row(page, "carol@example.com")).to_contain_text("partner p1")
    page.get_by_role("button", name="Remove bob@example.com").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(row(page, "bob@example.com")).to_have_count(0)
    with house.database() as database:
        assert People(database).find("bob@example.com").disabled_at is not None

    page = visit.open("flags")
    flag = row(page, "match-page")
    expect(flag).to_contain_text('shared out by u: "plain" 90% · "reasons" 10%')
    flag.get_by_role("button", name="Shares of match-page, rule 2").click()
    page.get_by_label('"plain", in per cent').fill("70")
    page.get_by_role("button", name="Share out so").click()
    expect(page.get_by_role("alert")).to_contain_text("`weights` must add up to 1")
    page.get_by_label('"reasons", in per cent').fill("30")
    page.get_by_role("button", name="Share out so").click()
    expect(flag).to_contain_text('"plain" 70% · "reasons" 30%')
    flag.get_by_role("button", name="Switch match-page off").click()
    expect(flag.get_by_role("button", name="Switch match-page on")).to_be_visible()
    with house.database() as database:
        feature = Editor(database).feature("match-page")
        assert (feature.enabled, feature.rules[1].weights) == (False, (0.7, 0.3))
        Editor(database).switch("match-page", True, actor="t")  # somebody else, meanwhile
    flag.get_by_role("button", name="Switch match-page on").click()
    expect(page.get_by_role("alert")).to_contain_text("was changed since it was read")
    expect(flag.get_by_role("button", name="Switch match-page off")).to_be_visible()

    page = visit.open("settings")
    page.get_by_label("Find a setting").fill("webhook_secret")
    expect(row(page, "LAKEWARD_WEBHOOK_SECRET")).to_contain_text("not set")
    expect(page.locator(".rows > .row")).to_have_count(1)
    page = visit.open("alerts")
    expect(row(page, "slack")).to_contain_text("address is set")
    expect(row(page, "50 USD per day")).to_contain_text("warned at 80%")
    visit.close()


def test_what_is_shown_is_saved_under_a_name_and_opened_again(
    browser: Any, house: House, server: Serving
) -> None:
    visit = Visit(browser, server.url)
    visit.log_in()
    page = visit.page
    page.goto(f"{server.url}/settings?tab=flags&zone=Europe%2FLisbon")
    page.get_by_role("button", name="Saved views", exact=True).click()
    dialog = page.get_by_role("dialog", name="Saved views")
    expect(dialog.get_by_role("textbox")).to_be_focused()
    page.keyboard.type("Flags of Lisbon")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("status")).to_have_text("Saved as Flags of Lisbon.")
    page.keyboard.type("Flags of Lisbon")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("is there already for this page")
    expect(dialog.get_by_role("link", name=HOSTILE)).to_be_visible()
    page.goto(f"{server.url}/live")
    page.get_by_role("button", name="Saved views", exact=True).click()
    dialog.get_by_role("link", name="Flags of Lisbon").click()
    expect(page).to_have_url(f"{server.url}/settings?tab=flags&zone=Europe%2FLisbon")
    expect(row(page, "match-page")).to_be_visible()
    page = visit.open("views")
    page.get_by_role("button", name="Rename Flags of Lisbon").click()
    page.get_by_role("textbox", name="Name").fill("Lisbon")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Lisbon", exact=True)).to_be_visible()
    page.get_by_role("button", name="Remove Lisbon").click()
    page.get_by_role("button", name="Remove this view").click()
    expect(row(page, "Lisbon")).to_have_count(0)
    with house.database() as database:
        assert [view.name for view in Views(database).all()] == [HOSTILE]
    visit.close()


def test_an_open_server_says_so_its_first_person_comes_in_by_the_page_and_read_keys_look(
    browser: Any, lake: Lake
) -> None:
    with serving(lake, LAKEWARD_FLAGS="flags.json") as server:
        visit = Visit(browser, server.url)
        page = visit.open("keys")
        expect(page.get_by_text("This server is open to this machine alone")).to_be_visible()
        expect(page.get_by_text("No key is in force.")).to_be_visible()
        page = visit.open("flags")
        expect(page.get_by_role("alert")).to_contain_text("flags.json cannot be read")
        expect(page.get_by_text("lakeward flags check flags.json")).to_be_visible()
        (lake.root.parent / "alerts.toml").write_text("[watch]\nseries = 7\n")
        page = visit.open("alerts")
        expect(page.get_by_role("alert")).to_contain_text("alerts.toml: watch")
        page = visit.open("people")
        page.get_by_role("button", name="Let somebody in").click()
        page.get_by_label("E-mail address").fill(EMAIL)
        page.keyboard.press("Enter")
        way = page.get_by_role("group", name=f"The way in for {EMAIL}")
        expect(way).to_contain_text("From now on this server asks for a login")
        page.goto(way.locator("code").text_content())
        page.get_by_label("E-mail address").fill(EMAIL)
        page.get_by_label("New password").fill(PASSWORD)
        page.get_by_role("button", name="Go in").click()
        expect(page.get_by_role("button", name="Log out")).to_be_visible()
        page = visit.open("people")
        expect(row(page, EMAIL)).to_contain_text("you")
        expect(page.get_by_role("button", name=f"Remove {EMAIL}")).to_have_count(0)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Read key")).to_be_visible()
        with open_database(load(lake.env, lake.root.parent)) as database:
            _, secret = Keys(database).create("read", "reader", actor="t")
        reading = {"authorization": f"Bearer {secret}"}
        wait_until(
            lambda: visit.context.request.get(f"{server.url}/api/keys", headers=reading).ok,
            what="the key",
        )
        page.goto(f"{server.url}/settings")
        page.get_by_label("Read key").fill(secret)
        page.get_by_label("Read key").press("Enter")  # the focus goes to the first field, at first
        expect(page.get_by_text("You may look and change nothing here")).to_be_visible()
        expect(row(page, "reader")).to_be_visible()
        expect(page.get_by_role("button", name="Make a key")).to_have_count(0)
        expect(page.get_by_role("button", name="Revoke reader")).to_have_count(0)
        for tab, sentence in (("people", "People are shown to admins who are logged in."),
                              ("settings", "Settings are shown to admins")):  # fmt: skip
            visit.open(tab)
            expect(page.get_by_role("alert")).to_contain_text(sentence)
        visit.open("views")
        expect(page.get_by_text("None is saved yet")).to_be_visible()
        visit.close()


def test_every_part_is_without_a_fault_that_axe_knows_in_both_themes_and_at_both_ends(
    browser: Any, server: Serving
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for scheme, width in (("light", 1280), ("dark", 360)):
        size = {"width": width, "height": 900}
        visit = Visit(browser, server.url, color_scheme=scheme, viewport=size,
                      reduced_motion="reduce")  # fmt: skip
        visit.log_in()
        for tab in TABS:
            page = visit.open(tab)
            assert found(axe.run(page)) == [], (tab, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
        page.get_by_role("button", name="Saved views", exact=True).click()
        expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_focused()
        assert found(axe.run(page)) == []
        page = visit.open("keys")
        page.get_by_role("button", name="Make a key").click()
        expect(page.get_by_label("Name, by which")).to_be_focused()
        assert found(axe.run(page)) == []
        page.keyboard.press("Escape")
        page.get_by_role("link", name="People").focus()
        page.keyboard.press("Enter")
        expect(row(page, EMAIL)).to_be_visible()
        visit.close()
