"""Logging in through a provider at the page, in Chromium: the provider is another site, and shows a
page of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from conftest import Lake
from identity_provider import identity_provider
from server_process import serving
from servers import free_port
from test_live_page import Watched
from test_login import people
from test_login_oidc import EMAIL, settings

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect


def test_a_person_goes_over_the_provider_and_comes_back_logged_in_or_is_told_why_not(
    lake: Lake, browser: Any
) -> None:
    port = free_port()
    people(lake, "add", EMAIL)
    with (
        identity_provider() as provider,
        serving(lake, "--port", str(port), **settings(provider, port)) as server,
    ):
        provider.asks = True
        provider.person = {"sub": "eve", "email": "eve@example.com", "email_verified": True}
        watched = Watched(browser, server.url)
        page = watched.open()
        way = page.get_by_role("link", name="Log in through your provider")
        way.click()
        expect(page).to_have_title("Provider")
        page.get_by_role("link", name="Go on as Ada").click()
        expect(page.get_by_role("alert")).to_contain_text("ask an admin to add you")
        assert page.url == f"{server.url}/"
        provider.person |= {"sub": "ada", "email": EMAIL}
        way.click()
        page.get_by_role("link", name="Go on as Ada").click()
        expect(page.locator(".who")).to_contain_text(EMAIL)
        expect(page.get_by_text("Up to date")).to_have_count(1)
        page.reload()
        expect(page.locator(".who")).to_contain_text(EMAIL)
        cookies = {each["name"]: each for each in watched.context.cookies()}
        assert set(cookies) == {"lakeward"}
        assert (cookies["lakeward"]["httpOnly"], cookies["lakeward"]["sameSite"]) == (
            True, "Strict"
        )  # fmt: skip
        page.get_by_role("button", name="Log out").click()
        expect(way).to_be_visible()
        ours = [c for c in watched.complaints if not re.search(r"status of 40[14]", c)]
        assert ours == []
        watched.close()
