"""analytics-next in Chromium, on a page of another origin: what it sends is in the lake, once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from conftest import Lake, wait_until
from heard_server import CLIENTS, heard_server
from sites_served import CHROMIUM, chromium, site

UMD = CLIENTS / "node_modules/@segment/analytics-next/dist/umd"

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if not CHROMIUM.exists():
    pytest.skip(f"there is no Chromium at {CHROMIUM}", allow_module_level=True)
if not UMD.exists():
    pytest.skip("analytics-next is not installed: npm ci in tests/clients",
                allow_module_level=True)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def visit(browser: Any, page_url: str, host: str, key: str) -> tuple[list[str], list[str]]:
    """Open the page and wait for it; every request it made, and what it complained of."""
    context = browser.new_context()
    page = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{page_url}/?{urlencode({'host': host, 'key': key, 'utm_source': 'podcast'})}")
    page.evaluate("() => Promise.race([window.done, new Promise(r => setTimeout(r, 8000))])")
    page.wait_for_timeout(1000)
    context.close()
    return requests, complaints


def test_every_kind_of_event_arrives_once_and_nothing_goes_anywhere_else(
    lake: Lake, browser: Any
) -> None:
    files = {"/": CLIENTS / "segment_page.html", "/analytics.js": UMD / "index.js"}
    with heard_server(lake) as heard, site(files) as address:
        requests, complaints = visit(browser, address, heard.proxy.url, heard.key)
        wanted = {"page_view": 1, "order_completed": 1, "identify": 1, "group": 1, "alias": 1,
                  "screen_view": 1}  # fmt: skip
        wait_until(lambda: heard.counted() == wanted, what=f"{wanted}")
        assert complaints == []
        ours = (heard.proxy.url + "/", address + "/")
        assert [url for url in requests if not url.startswith(ours)] == []
        sendings = [e for e in heard.proxy.sendings() if e.method == "POST"]
        assert {exchange.status for exchange in sendings} == {200}
        assert len(sendings) == len(wanted), "each was sent once"
        (view,) = heard.rows()["page_view"]
        assert view["url"].startswith(address)
        assert view["properties"]["title"] == "A shop"
        assert view["properties"]["utm_source"] == "podcast"
        (identify,) = heard.rows()["identify"]
        assert (identify["user_id"], bool(identify["anonymous_id"])) == ("u1", True)


def test_a_wrong_key_is_not_tried_for_ever(lake: Lake, browser: Any) -> None:
    files = {"/": CLIENTS / "segment_page.html", "/analytics.js": UMD / "index.js"}
    with heard_server(lake) as heard, site(files) as address:
        visit(browser, address, heard.proxy.url, "not-a-key")
        sendings = [e for e in heard.proxy.sendings() if e.method == "POST"]
        assert {exchange.status for exchange in sendings} == {401}
        assert len(sendings) <= 6
        assert heard.rows() == {}
