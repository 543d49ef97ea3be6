"""The SDKs of Segment, RudderStack and Jitsu in Chromium, on a page of another origin: what they
send is in the lake, once, and nothing goes anywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from conftest import Lake, wait_until
from heard_server import CLIENTS, Heard, heard_server
from lakeward.interaction import OURS
from sites_served import site

MODULES = CLIENTS / "node_modules"
SDKS = {
    "segment": MODULES / "@segment/analytics-next/dist/umd/index.js",
    "rudder": MODULES / "@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js",
    "jitsu": MODULES / "@jitsu/js/dist/jitsu.es.js",
}

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if not all(path.exists() for path in SDKS.values()):
    pytest.skip("the SDKs of the browser are not installed: npm ci in tests/clients",
                allow_module_level=True)  # fmt: skip

KNOWN = {"page_view": 1, "order_completed": 1, "identify": 1, "group": 1}
SENT = {
    "segment": KNOWN | {"alias": 1, "screen_view": 1},
    "rudder": KNOWN | {"alias": 1},
    "jitsu": KNOWN,
}


class Visit(msgspec.Struct):
    """What a page did while somebody was there."""

    address: str
    requests: list[str]
    complaints: list[str]


def visit(
    browser: Any, heard: Heard, sdk: str, key: str = "", options: Mapping[str, str] | None = None,
    answers: int = 0,
) -> Visit:  # fmt: skip
    """Open the page of an SDK and leave it when it has sent, or when so many are answered."""
    files: dict[str, bytes | Path] = {
        "/": CLIENTS / f"{sdk}_page.html", "/analytics.js": SDKS[sdk], "/left": b"<p>left</p>",
    }  # fmt: skip
    context = browser.new_context()
    with site(files) as address:
        page = context.new_page()
        found = Visit(address, [], [])
        page.on("request", lambda request: found.requests.append(request.url))
        done: list[str] = []
        page.on("response", lambda response: done.append(response.request.method))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        asked = {"host": heard.proxy.url, "key": key or heard.key, "utm_source": "podcast"}
        page.goto(f"{address}/?{urlencode(asked | dict(options or {}))}")
        assert page.evaluate("() => window.done") == "sent"

        def came() -> bool:
            page.wait_for_timeout(20)  # the browser's events are heard while it is asked
            return done.count("POST") >= answers

        wait_until(came, what=f"{answers} answers")
        page.goto(f"{address}/left")
        context.close()
    return found


def visited(browser: Any, heard: Heard, sdk: str, options: Mapping[str, str]) -> Visit:
    """A visit, once all that the page sent is in the lake. A beacon leaves only with the page."""
    requests = {"beacon": 0, "batch": 1}.get(next(iter(options), ""), len(SENT[sdk]))
    found = visit(browser, heard, sdk, options=options, answers=requests)
    wait_until(lambda: heard.counted() == SENT[sdk], what=f"{SENT[sdk]}")
    return found


def posts(heard: Heard) -> list[Any]:
    return [e for e in heard.proxy.sendings() if e.method == "POST"]


@pytest.mark.parametrize(
    ("sdk", "options", "path"),
    [
        ("segment", {}, "/v1/p"),
        ("segment", {"batch": "1"}, "/v1/b"),
        ("rudder", {}, "/v1/page"),
        ("rudder", {"batch": "1"}, "/v1/batch"),
        ("rudder", {"beacon": "1"}, "/beacon/v1/batch"),
        ("jitsu", {}, "/api/s/page"),
    ],
)
def test_every_kind_of_event_arrives_once_and_nothing_goes_anywhere_else(
    lake: Lake, browser: Any, sdk: str, options: dict[str, str], path: str
) -> None:
    with heard_server(lake) as heard:
        found = visited(browser, heard, sdk, options)
        assert found.complaints == []
        ours = (heard.proxy.url + "/", found.address + "/")
        assert [url for url in found.requests if not url.startswith(ours)] == []
        assert {line.split()[-1] for line in heard.heard()} == {"200"}
        assert len(posts(heard)) == (1 if options else len(SENT[sdk])), "each was sent once"
        assert path in {e.path.partition("?")[0] for e in posts(heard)}
        assert lake.quarantined() == []
        assert_told(heard, found)


def assert_told(heard: Heard, found: Visit) -> None:
    """Who, where and with what."""
    rows = heard.rows()
    (view,) = rows["page_view"]
    assert (view["url"].startswith(found.address), view["path"]) == (True, "/")
    assert "referrer" not in view
    told = {name: view["properties"].get(name) for name in ("title", "utm_source", "language")}
    assert told == {"title": "A shop", "utm_source": "podcast", "language": "en-US"}
    (identify,) = rows["identify"]
    assert (identify["user_id"], bool(identify["anonymous_id"])) == ("u1", True)
    assert identify["properties"]["traits"] == {"plan": "pro"}
    (order,) = rows["order_completed"]
    assert (order["partner_id"], order["anonymous_id"]) == ("p9", identify["anonymous_id"])
    (group,) = rows["group"]
    assert (group["user_id"], group["properties"]["group_id"]) == ("u1", "g4")
    for kind in rows.values():
        assert all(OURS.fullmatch(row["interaction_id"]) for row in kind)
        assert all("library" in row["metadata"] and "sent_at" in row for row in kind)


@pytest.mark.parametrize("sdk", SDKS)
def test_a_wrong_key_is_not_tried_for_ever(lake: Lake, browser: Any, sdk: str) -> None:
    with heard_server(lake) as heard:
        visit(browser, heard, sdk, key="not-a-key", answers=len(SENT[sdk]))
        assert {line.split()[-1] for line in heard.heard() if line.startswith("POST")} == {"401"}
        assert len(posts(heard)) == len(SENT[sdk]), "none was tried again"
        assert heard.rows() == {}
