"""Logging in at the page, in Chromium, against a real server."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from conftest import Lake
from server_process import serving
from test_live_page import Watched, found
from test_login import EMAIL, PASSWORD, added, first_link, logged_in, people

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect


def filled(page: Any, email: str, label: str, password: str, button: str) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label(label, exact=True).fill(password)
    page.get_by_role("button", name=button).click()


def slowly(route: Any) -> None:
    """Refusals of all else come first."""
    time.sleep(0.5)
    route.continue_()


def test_the_first_link_makes_an_admin_who_sees_the_lake_and_leaves_it(
    lake: Lake, browser: Any
) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with serving(lake) as server:
        collector.record("signed_up", plan="pro")
        token = first_link(server)
        watched = Watched(browser, server.url)
        page = watched.open(f"/?welcome={token}")
        expect(page.get_by_role("heading", name="Welcome to this lake")).to_be_visible()
        assert page.url == f"{server.url}/"  # the link is in no history
        expect(page.get_by_label("E-mail address")).to_be_focused()
        filled(page, EMAIL, "New password", "password1234", "Go in")
        expect(page.get_by_role("alert")).to_contain_text("one of the first that others try")
        filled(page, EMAIL, "New password", PASSWORD, "Go in")
        expect(page.get_by_text("Up to date")).to_have_count(1)
        expect(page.locator(".who")).to_contain_text(EMAIL)
        page.reload()
        expect(page.locator(".who")).to_contain_text(EMAIL)
        assert page.evaluate("document.cookie") == ""
        assert EMAIL not in page.evaluate("JSON.stringify([localStorage, sessionStorage])")
        other = watched.context.new_page()
        other.goto(f"{server.url}/live")
        expect(other.locator(".who")).to_contain_text(EMAIL)
        page.route("**/v1/me", slowly)
        page.get_by_role("button", name="Log out").click()
        expect(other.get_by_role("heading", name="Log in")).to_be_visible()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        expect(page.get_by_role("heading", name="This lake needs a key")).to_be_visible()
        expect(page.locator(".who")).to_have_count(0)
        filled(page, EMAIL, "Password", "not the password", "Log in")
        expect(page.get_by_role("alert")).to_have_text(
            "The e-mail address or the password is wrong."
        )
        filled(page, EMAIL, "Password", PASSWORD, "Log in")
        expect(page.get_by_text("Up to date")).to_have_count(1)
        expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        complaints = [c for c in watched.complaints if not re.search(r"status of 40[01]", c)]
        assert complaints == []
        watched.close()


def test_a_person_who_is_disabled_is_shown_the_door(lake: Lake, browser: Any) -> None:
    added(lake, EMAIL)
    with serving(lake) as server:
        client = logged_in(server)
        watched = Watched(browser, server.url)
        ticket = client.cookies["lakeward"]
        cookie = {"name": "lakeward", "value": ticket, "url": server.url, "httpOnly": True}
        watched.context.add_cookies([cookie])
        page = watched.open()
        expect(page.get_by_role("status").get_by_text("Live")).to_be_visible()
        people(lake, "disable", EMAIL)
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        client.close()
        watched.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_ways_in_are_accessible_and_fit(
    lake: Lake, browser: Any, scheme: str, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    added(lake, EMAIL)
    with serving(lake) as server:
        watched = Watched(browser, server.url, color_scheme=scheme, reduced_motion="reduce")
        for path in ("/?refused=unknown_person", f"/?welcome={'A' * 43}"):
            page = watched.open(path)
            page.set_viewport_size({"width": width, "height": 800})
            expect(page.get_by_label("E-mail address")).to_be_visible()
            assert found(axe.Axe().run(page)) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        filled(page, EMAIL, "New password", PASSWORD, "Go in")
        expect(page.get_by_role("alert")).to_contain_text("The link was used already")
        watched.open("/?refused=unknown_person")
        expect(page.get_by_role("alert")).to_contain_text("ask an admin to add you")
        filled(page, EMAIL, "Password", PASSWORD, "Log in")
        expect(page.get_by_role("button", name="Log out")).to_be_visible()
        assert found(axe.Axe().run(page)) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        watched.close()
