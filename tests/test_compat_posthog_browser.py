"""posthog-js in Chromium, on a page of another origin: what it sends is in the lake, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

import sites_served
from conftest import Lake, wait_until
from eavesdropper import sent_events
from heard_server import CLIENTS, Heard, heard_server
from lakeward.interaction import foreign_id, id_ms, pages_id
from sites_served import chromium

SDK = CLIENTS / "node_modules/posthog-js/dist/array.full.js"

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if not SDK.exists():
    pytest.skip("posthog-js is not installed: npm ci in tests/clients", allow_module_level=True)

SECRETS = ("+49 170 1234567", "hunter2-typed", "0151-typed")


def page_server() -> AbstractContextManager[str]:
    """The address of a page of somebody else's."""
    page = CLIENTS / "posthog_page.html"
    return sites_served.site({"/partners": page, "/": page, "/array.full.js": SDK})


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with page_server() as address:
        yield address


@contextmanager
def visited(browser: Any, site: str, heard: Heard, **options: Any) -> Iterator[Any]:
    """A page on which posthog-js has started."""
    asked = {"host": heard.proxy.url, "key": heard.key, "plain": False} | options
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.add_init_script(f"window.asked = {json.dumps(asked)}")
    page = context.new_page()
    page.goto(f"{site}/partners?utm_source=podcast")
    page.wait_for_function("window.ready")
    yield page
    context.close()


def answered(page: Any, waiting: set[Any]) -> None:
    """Until the page has every answer: what it leaves unanswered, the SDK sends again."""
    wait_until(lambda: page.wait_for_timeout(20) or not waiting, what="the answers to the page")


def visit(page: Any, heard: Heard) -> None:
    """Do everything once, and leave."""
    waiting: set[Any] = set()
    # Playwright marks its listeners, which methods of builtins do not let it.
    page.on("request", lambda request: waiting.add(request))  # noqa: PLW0108
    page.on("requestfinished", lambda request: waiting.discard(request))  # noqa: PLW0108
    page.on("requestfailed", lambda request: waiting.discard(request))  # noqa: PLW0108
    wait_until(lambda: "page_view" in heard.rows(), what="the first page view")
    page.click("#book")
    page.click("#there")
    page.fill("[name=phone]", "0151-typed")
    page.fill("[name=password]", "hunter2-typed")
    page.click("#send")
    page.evaluate("window.tell()")
    page.mouse.wheel(0, 1500)
    page.wait_for_function("window.scrollY > 1000")
    wait_until(lambda: "told_of_a_person" in heard.rows(), what="the events of the visit")
    answered(page, waiting)
    page.goto("about:blank")
    wait_until(lambda: "INP" in str(heard.rows().get("web_vital")), what="the last web vitals")
    wait_until(lambda: len(heard.rows()["page_view"]) >= 2, what="the end of the view")


def recorded(heard: Heard, plain: bool) -> None:
    """One visit, for the one who records it."""
    with (
        chromium() as browser,
        page_server() as site,
        visited(browser, site, heard, plain=plain) as page,
    ):
        visit(page, heard)


@pytest.fixture(params=["compressed", "plain"])
def heard(request: pytest.FixtureRequest, lake: Lake, browser: Any, site: str) -> Iterator[Heard]:
    """A whole visit, with gzip and with base64."""
    with heard_server(lake) as made:
        with visited(browser, site, made, plain=request.param == "plain") as page:
            visit(page, made)
        yield made


def test_every_event_of_a_visit_is_in_the_lake_once(heard: Heard, lake: Lake) -> None:
    sent = [event for exchange in heard.proxy.sendings() for event in sent_events(exchange)]
    uuids = [event["uuid"] for event in sent]
    ids = lake.ids()
    assert len(uuids) == len(set(uuids)), "the SDK sent something twice"
    assert len(ids) == len(set(ids))
    own = {event["uuid"] for event in sent if event["event"] != "$web_vitals"}
    assert {pages_id(foreign_id("posthog", uuid, id_ms(uuid))) for uuid in own} <= set(ids)
    assert lake.quarantined() == []
    assert {event["event"] for event in sent} >= {
        "$pageview", "$autocapture", "$pageleave", "$screen", "$identify", "$groupidentify",
        "$create_alias", "$set", "$exception", "$web_vitals", "$opt_in", "Order Completed",
    }  # fmt: skip
    assert {line[-3:] for line in heard.heard()} == {"200"}
    _types(heard)
    _people(heard)
    _view(heard)


def _types(heard: Heard) -> None:
    """One record for each thing that was done, by its type."""
    counts = heard.counted()
    once = ("order_completed", "screen_view", "group", "alias", "told_of_a_person", "opt_in")
    assert {kind: counts[kind] for kind in once} == dict.fromkeys(once, 1)
    assert counts["identify"] == 3  # identify, setPersonProperties, `$set` of another event
    assert counts["client_error"] == 2
    metrics = [row["properties"]["name"] for row in heard.rows()["web_vital"]]
    assert sorted(metrics) == ["CLS", "FCP", "INP", "LCP"]
    forms = heard.rows()["form_interaction"]
    assert [f["properties"]["form"] for f in forms] == ["verification"] * len(forms)
    assert [f["properties"]["action"] for f in forms].count("submit") == 1
    errors = {row["error_type"]: row["properties"] for row in heard.rows()["client_error"]}
    assert errors["TypeError"]["kind"] == "reported"
    assert errors["RangeError"]["kind"] == "error"


def _people(heard: Heard) -> None:
    """Before `identify` somebody is anonymous, after it known, and both are joined."""
    rows = heard.rows()
    [view] = [row for row in rows["page_view"] if row["user_id"] == "anonymous"]
    joined = next(row for row in rows["identify"] if "plan" in row["properties"]["traits"])
    assert joined["user_id"] == "u1"
    assert joined["anonymous_id"] == view["anonymous_id"]
    assert joined["properties"]["set_once"] == {"first_seen": "2025"}
    assert rows["group"][0]["properties"]["traits"] == {"industry": "roofing"}
    assert rows["alias"][0]["anonymous_id"] == "lead-812"
    assert {row["session_id"] for kind in rows.values() for row in kind} == {view["session_id"]}
    stored = b"".join(p.read_bytes() for p in heard.lake.root.rglob("*.jsonl"))
    assert [secret for secret in SECRETS if secret.encode() in stored] == []
    assert heard.key.encode() not in stored


def _view(heard: Heard) -> None:
    """A page view, its end, and a click on the page."""
    rows = heard.rows()
    first, last = sorted(rows["page_view"], key=lambda row: str(row["timestamp"]))
    assert first["path"] == last["path"] == "/partners"
    assert first["properties"]["title"] == "Partners"
    assert first["properties"]["utm_source"] == "podcast"
    assert first["properties"]["viewport_width"] == 1280
    assert first["properties"]["view_id"] == last["properties"]["view_id"]
    assert 50 < last["properties"]["scroll_depth"] <= 100
    [click] = [row["properties"] for row in rows["click"]
               if row["properties"].get("element_id") == "book"]  # fmt: skip
    assert click["element"] == "button"
    assert click["element_text"] == "Book a demo"
    assert click["data"] == {"place": "hero"}
    assert click["selector"] == "body > button#book"
    assert rows["order_completed"][0]["properties"]["path"] == "mine"


def test_a_wrong_key_is_refused_and_not_asked_again(
    lake: Lake, browser: Any, site: str
) -> None:  # fmt: skip
    with heard_server(lake) as made, visited(browser, site, made, key="phc_wrong") as page:
        wait_until(lambda: "POST /e/ 401" in made.heard(), what="the first answer")
        page.evaluate("posthog.capture('second', {}, {send_instantly: true})")
        wait_until(lambda: made.heard().count("POST /e/ 401") >= 2, what="the second answer")

        def answered() -> bool:
            events = [one for one in made.proxy.sendings() if sent_events(one)]
            return made.heard().count("POST /e/ 401") >= len(events)

        # What is still on its way when the page goes is sent once more, whatever the answer.
        wait_until(answered, what="an answer to each")
        page.goto("about:blank")
        sent = [event["uuid"] for e in made.proxy.sendings() for event in sent_events(e)]
        assert len(sent) == len(set(sent)), "something was sent again"
        assert lake.rows() == []
