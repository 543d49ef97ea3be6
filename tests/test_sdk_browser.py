"""The browser SDK in Chromium, on pages of another origin, against a real server: what lands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake, wait_until
from heard_server import Heard, heard_server
from sites_served import site

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ICON = '<link rel="icon" href="data:,">'
TYPED = "hunter2-typed-by-hand"
BODY = """
<main>
  <h1>Partners</h1>
  <a id="inside" href="#top">Up</a>
  <a id="outside" href="https://elsewhere.example/x?token=abc123def456">Away</a>
  <button id="book" data-lw-cta="book">Book a demo</button>
  <button id="next" onclick="history.pushState({}, '', '/partners/7?secret=s3cr3t#x')">Next</button>
  <p id="private" data-lw-mask><button id="masked">Balance 1,234</button></p>
  <p data-lw-ignore><button id="ignored">Ignore me</button></p>
  <button id="breaks" onclick="undefined.nothing()">Break</button>
  <form id="verify" name="verification" action="#" onsubmit="return false">
    <input name="full_name" /><input name="email" type="email" />
    <input name="pass" type="password" />
    <input type="hidden" name="csrf" value="never-send-this" /><textarea name="notes"></textarea>
    <button id="send">Send</button>
  </form>
  <div style="height: 4000px"></div>
</main>
"""


def page_of(tag: str, body: str = BODY) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Partners near you</title>{tag}</head><body>{body}</body></html>"
    ).encode()


def tag(heard: Heard, **data: str) -> str:
    said = " ".join(f'data-{name}="{value}"' for name, value in data.items())
    return (
        f'<script src="{heard.proxy.url}/lakeward.js" data-key="{heard.key}" {said} defer></script>'
    )


def leave(page: Any) -> None:
    """Close a tab as a person does: it hears of it, and then it is gone."""
    page.close(run_before_unload=True)
    while not page.is_closed():
        page.context.pages[0].wait_for_timeout(20)


class Visit:
    """One visitor, with a device of its own."""

    def __init__(self, browser: Any, address: str, heard: Heard, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.context.new_page()  # a device is not gone when its last tab is closed
        self.address = address
        self.heard = heard
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def open(self, path: str = "/") -> Any:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._said)
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(self.address + path)
        page.wait_for_function("window.lakeward")
        return page

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def rows(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """So many rows of a type, once they are in the lake; more fail."""
        wait_until(lambda: len(self.heard.rows().get(kind, [])) >= count, what=f"{count} {kind}")
        rows = self.heard.rows()[kind]
        assert len(rows) == count, rows
        return rows

    def said(self, kind: str, name: str) -> list[Any]:
        """A field of all rows of a type that are there by now."""
        return [row["properties"].get(name) for row in self.heard.rows().get(kind, [])]

    def views(self, count: int) -> list[dict[str, Any]]:
        """Views as they began, without the reports of their end."""
        wait_until(lambda: len(self._begun()) >= count, what=f"{count} page views")
        assert len(self._begun()) == count
        return self._begun()

    def _begun(self) -> list[dict[str, Any]]:
        views = self.heard.rows().get("page_view", [])
        return [r for r in views if "engagement_ms" not in r["properties"]]

    def ends(self) -> list[dict[str, Any]]:
        views = self.heard.rows().get("page_view", [])
        return [r for r in views if "engagement_ms" in r["properties"]]


@contextmanager
def visit(
    lake: Lake, browser: Any, make: Callable[[Heard], str] | None = None,
    headers: dict[str, str] | None = None, **options: Any,
) -> Iterator[Visit]:  # fmt: skip
    """A server, a site on another origin whose page has the SDK, and a visitor."""
    with heard_server(lake) as heard:
        page = page_of(ICON + (make(heard) if make else tag(heard)))
        files: dict[str, bytes | Path] = dict.fromkeys(("/", "/partners/7", "/other"), page)
        with site(files, headers) as address:
            found = Visit(browser, address, heard, **options)
            try:
                yield found
            finally:
                found.context.close()


def settled(lake: Lake) -> None:
    """Each row once, and none refused."""
    assert len(set(lake.ids())) == len(lake.ids())
    assert lake.quarantined() == []


def raw(lake: Lake) -> bytes:
    return b"".join(path.read_bytes() for path in lake.root.glob("**/*.jsonl"))


def test_two_lines_are_enough_for_views_clicks_and_links(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open("/?utm_source=podcast&token=abc123def456#frag")
        (view,) = visitor.views(1)
        assert view["url"] == visitor.address + "/?utm_source=podcast"
        assert view["properties"]["title"] == "Partners near you"
        assert view["properties"]["utm_source"] == "podcast"
        assert view["properties"]["navigation"] == "load"
        assert view["anonymous_id"]
        assert view["session_id"]
        assert (view["path"], view["user_id"]) == ("/", "anonymous")
        page.click("#book")
        page.eval_on_selector(
            "#outside", "a => a.addEventListener('click', e => e.preventDefault())"
        )
        page.click("#outside")
        book, away = visitor.rows("click", 2)
        assert book["properties"]["element_text"] == "Book a demo"
        assert book["properties"]["data"] == {"cta": "book"}
        assert away["properties"]["outbound"] is True
        assert "abc123def456" not in json.dumps(away)
        assert {view["session_id"], book["session_id"]} == {away["session_id"]}
        assert visitor.complaints == []
        assert {e.path.partition("?")[0] for e in visitor.heard.proxy.exchanges} == {
            "/lakeward.js", "/v1/interactions"
        }  # fmt: skip
    settled(lake)


def test_a_label_that_passes_its_click_on_to_its_field_is_clicked_once(
    lake: Lake, browser: Any
) -> None:
    body = """<label data-lw-plan="pro"><input type="radio" id="in" /><b id="pro">Pro</b></label>
      <label role="button"><b id="upload">Upload</b><input type="checkbox" hidden /></label>
      <label for="send" data-lw-hint="send"><b id="for">Send it</b></label>
      <button id="send">Send</button>"""
    with visit(lake, browser, lambda heard: tag(heard) + body) as visitor:
        page = visitor.open()
        page.evaluate("document.getElementById('verify').remove()")
        told = page.evaluate(
            "window.heard = 0; addEventListener('click', () => heard++, true); heard"
        )
        assert told == 0
        for press in ("#pro", "#in", "#upload", "#for"):
            page.click(press)
        page.dblclick("#upload", delay=50)  # no two presses of a person are of one instant
        assert page.evaluate("heard") == 11, "six presses, and five that labels passed on"
        rows = visitor.rows("click", 6)
        said = [row["properties"].get("element_text") for row in rows]
        assert said == ["Pro", None, "Upload", "Send it", "Upload", "Upload"]
    settled(lake)


def test_a_route_of_a_single_page_app_is_a_view_of_its_own(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open()
        visitor.views(1)
        page.click("#next")
        first, second = visitor.views(2)
        assert second["path"] == "/partners/7"
        assert second["properties"]["navigation"] == "spa"
        assert second["referrer"] == first["url"]
        assert "s3cr3t" not in json.dumps(second)
        page.go_back()
        assert visitor.views(3)[2]["path"] == "/"
        wait_until(lambda: len(visitor.ends()) >= 2, what="the ends of two views")
        assert {end["properties"]["view_id"] for end in visitor.ends()} <= {
            view["properties"]["view_id"] for view in visitor.views(3)
        }
    settled(lake)


def test_a_form_that_is_abandoned_tells_which_fields_and_never_a_value(
    lake: Lake, browser: Any
) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open()
        page.fill("[name=full_name]", TYPED)
        page.fill("[name=email]", f"{TYPED}@x.example")
        page.fill("[name=pass]", TYPED)
        leave(page)

        def actions() -> list[str]:
            rows = visitor.heard.rows().get("form_interaction", [])
            return [row["properties"]["action"] for row in rows]

        wait_until(lambda: "abandon" in actions(), what="the end of the form")
        rows = visitor.heard.rows()["form_interaction"]
        assert actions()[0] == "start"
        assert actions().count("abandon") == 1
        end = next(row for row in rows if row["properties"]["action"] == "abandon")["properties"]
        assert end["form"] == "verification"
        assert end["field_order"] == ["full_name", "email", "pass"]
        assert (end["field"], end["fields_completed"]) == ("pass", 3)
        assert end["duration_ms"] >= 0
        left = [r["properties"]["field"] for r in rows if r["properties"]["action"] == "field"]
        assert left[:2] == ["full_name", "email"]
    assert TYPED.encode() not in raw(lake)
    assert b"never-send-this" not in raw(lake)
    settled(lake)


def test_a_form_that_is_sent_is_no_abandoned_one(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open()
        page.fill("[name=full_name]", TYPED)
        page.click("#send")
        wait_until(lambda: "submit" in visitor.said("form_interaction", "action"))
        leave(page)
        page = visitor.open("/other")
        visitor.views(2)
        actions = [r["properties"]["action"] for r in visitor.heard.rows()["form_interaction"]]
        assert (actions.count("submit"), actions.count("abandon")) == (1, 0)
    assert TYPED.encode() not in raw(lake)


def test_what_is_masked_or_ignored_is_not_told(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open()
        page.click("#masked")
        page.click("#ignored")
        page.click("#book")
        rows = visitor.rows("click", 2)
        assert "1,234" not in json.dumps(rows)
        assert "Ignore me" not in json.dumps(rows)


def test_errors_vitals_and_attention_are_told(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open()
        page.click("#breaks")
        (error,) = visitor.rows("client_error")
        assert error["error_type"] == "TypeError"
        assert "nothing" in error["properties"]["message"]
        page.mouse.wheel(0, 2500)
        page.wait_for_timeout(300)
        leave(page)
        wait_until(lambda: {"TTFB", "LCP"} <= set(visitor.said("web_vital", "name")))
        wait_until(lambda: bool(visitor.ends()), what="the end of the view")
        end = visitor.ends()[-1]["properties"]
        assert 10 < end["scroll_depth"] <= 100
        assert end["engagement_ms"] > 0
    settled(lake)


def test_what_happens_offline_arrives_once_when_the_network_is_back(
    lake: Lake, browser: Any
) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open()
        visitor.views(1)
        visitor.context.set_offline(True)
        for n in range(5):
            page.evaluate(f"lakeward.track('offline step', {{n: {n}}})")
        page.wait_for_timeout(2500)
        assert "offline_step" not in visitor.heard.rows()
        leave(page)
        visitor.context.set_offline(False)
        visitor.open("/other")
        rows = visitor.rows("offline_step", 5)
        assert sorted(row["properties"]["n"] for row in rows) == [0, 1, 2, 3, 4]
    settled(lake)


def test_what_two_tabs_do_is_there_once_and_of_one_person(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        first, second = visitor.open(), visitor.open("/other")
        visitor.context.set_offline(True)
        for n, page in enumerate([first, second] * 3):
            page.evaluate(f"lakeward.track('tab', {{n: {n}}})")
        first.wait_for_timeout(2500)
        leave(first)
        visitor.context.set_offline(False)
        rows = visitor.rows("tab", 6)
        assert sorted(row["properties"]["n"] for row in rows) == list(range(6))
        assert len({row["anonymous_id"] for row in rows}) == 1
        assert len({row["session_id"] for row in rows}) == 1
    settled(lake)


def test_a_closed_tab_loses_nothing(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open()
        page.evaluate(
            "for (let n = 0; n < 40; n++) lakeward.track('last words', {n, t: 'x'.repeat(2e3)})"
        )
        leave(page)
        visitor.open("/other")
        rows = visitor.rows("last_words", 40)
        assert sorted(row["properties"]["n"] for row in rows) == list(range(40))
    settled(lake)


def test_a_server_that_says_later_is_asked_later_and_gets_everything_once(
    lake: Lake, browser: Any
) -> None:
    with visit(lake, browser) as visitor:
        visitor.heard.proxy.refuse(2, 429, {"retry-after": "1"})
        page = visitor.open()
        page.evaluate("lakeward.track('patient')")
        visitor.rows("patient")
        visitor.views(1)
        said = [line.split()[-1] for line in visitor.heard.heard() if line.startswith("POST ")]
        assert said[:2] == ["429"] * 2
        assert set(said[2:]) == {"200"}
    settled(lake)


def test_a_slow_network_changes_nothing(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open()
        session = visitor.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", {
            "offline": False, "latency": 400, "downloadThroughput": 20_000,
            "uploadThroughput": 20_000})  # fmt: skip
        for n in range(10):
            page.evaluate(f"lakeward.track('slow', {{n: {n}, t: 'y'.repeat(3000)}})")
        assert len(visitor.rows("slow", 10)) == 10
    settled(lake)


def test_without_consent_nothing_is_sent_or_kept_until_there_is_some(
    lake: Lake, browser: Any
) -> None:
    with visit(lake, browser, lambda heard: tag(heard, consent="none")) as visitor:
        page = visitor.open()
        page.click("#book")
        page.fill("[name=full_name]", TYPED)
        page.evaluate("lakeward.track('hidden'); lakeward.identify('u1')")
        page.wait_for_timeout(2500)
        assert visitor.heard.rows() == {}
        assert page.evaluate("Object.keys(localStorage).length + document.cookie.length") == 0
        page.evaluate("lakeward.consent('full')")
        (view,) = visitor.views(1)
        assert view["anonymous_id"]
        page.evaluate("lakeward.consent('none')")
        page.click("#book")
        page.wait_for_timeout(1500)
        assert "click" not in visitor.heard.rows()
        kept = page.evaluate("JSON.stringify(localStorage)")
        assert view["anonymous_id"] not in kept
        leave(page)
        page = visitor.open("/other")
        page.wait_for_timeout(1500)
        assert len(visitor.heard.rows()["page_view"]) <= 2, "the choice is remembered"
    settled(lake)


def test_anonymously_nobody_is_known_again(lake: Lake, browser: Any) -> None:
    with visit(lake, browser, lambda heard: tag(heard, consent="anonymous")) as visitor:
        page = visitor.open()
        page.evaluate("lakeward.identify('u1', {plan: 'pro'})")
        (first,) = visitor.views(1)
        assert page.evaluate("localStorage.length + document.cookie.length") == 0
        page.goto(visitor.address + "/other")
        _, second = visitor.views(2)
        assert "anonymous_id" not in first
        assert first["session_id"] != second["session_id"]
        assert {row["user_id"] for row in lake.rows()} == {"anonymous"}
        assert "identify" not in visitor.heard.rows()
    settled(lake)


def test_a_browser_that_says_so_is_not_followed(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        visitor.context.add_init_script(
            "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})"
        )
        page = visitor.open()
        (view,) = visitor.views(1)
        assert "anonymous_id" not in view
        assert page.evaluate("localStorage.length") == 0


def test_who_it_is_is_told_and_forgotten(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open()
        page.evaluate(
            "lakeward.identify('u1', {plan: 'pro'}, 'contractor'); lakeward.track('known')"
        )
        (known,) = visitor.rows("known")
        (identify,) = visitor.rows("identify")
        assert (known["user_id"], known["user_type"]) == ("u1", "contractor")
        assert identify["properties"]["traits"] == {"plan": "pro"}
        page.evaluate("lakeward.reset(); lakeward.track('stranger')")
        (stranger,) = visitor.rows("stranger")
        assert stranger["user_id"] == "anonymous"
        assert stranger["anonymous_id"] != known["anonymous_id"]
        page.evaluate("lakeward.cta('book_demo', {placement: 'hero'})")
        page.evaluate("lakeward.ai.rate({conversation_id: 'c5', helpful: true, rating: 5})")
        (cta,), (rating,) = visitor.rows("cta_click"), visitor.rows("ai_rating")
        assert cta["outcomes"]["cta"] == "book_demo"
        assert (rating["conversation_id"], rating["ai_metadata"]["rating"]) == ("c5", 5)
    settled(lake)


STRICT = "default-src 'none'; script-src {host}; connect-src {host}; style-src 'unsafe-inline'"


def test_it_works_under_a_strict_policy(lake: Lake, browser: Any) -> None:
    with heard_server(lake) as heard:
        files = {"/": page_of(tag(heard), "<button id='book'>Book</button>")}
        headers = {"content-security-policy": STRICT.format(host=heard.proxy.url)}
        with site(files, headers) as address:
            visitor = Visit(browser, address, heard)
            page = visitor.open()
            page.click("#book")
            visitor.views(1)
            visitor.rows("click")
            assert visitor.complaints == []
            visitor.context.close()


def test_back_from_the_browsers_cache_is_a_view_of_its_own(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open()
        visitor.views(1)
        page.evaluate(
            "dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}));"
            "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
        )
        _, again = visitor.views(2)
        assert again["properties"]["navigation"] == "back_forward"


def test_a_page_that_breaks_everything_is_not_broken_by_it(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        visitor.context.add_init_script(
            "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no') }});"
            "delete window.CompressionStream;"
            "navigator.sendBeacon = () => { throw new Error('no') };"
            "Object.defineProperty(navigator, 'locks', {get() { throw new Error('no') }})"
        )
        page = visitor.open()
        page.evaluate(
            "lakeward.track({toString() { throw 1 }});"
            "const a = {}; a.a = a; lakeward.track('loop', a);"
            "lakeward.identify(); lakeward.cta(); lakeward.ai.rate(); lakeward.page(7);"
            "lakeward.consent('?');"
            "lakeward.init({key: 'other'}); lakeward.consent('full'); lakeward.track('still there')"
        )
        visitor.rows("still_there")
        assert visitor.complaints == []


def test_a_click_joins_what_the_page_asks_of_its_own_server(lake: Lake, browser: Any) -> None:
    with visit(lake, browser) as visitor:
        page = visitor.open()
        seen: list[dict[str, str]] = []
        page.on("request", lambda r: seen.extend([r.headers] if "/api/" in r.url else []))
        page.click("#book")
        page.evaluate("Promise.allSettled([fetch('/api/partners'),"
                      " fetch('https://elsewhere.example/api/x', {mode: 'no-cors'})])")  # fmt: skip
        (click,) = visitor.rows("click")
        own = [headers for headers in seen if "traceparent" in headers]
        assert len(own) == 1, "its own server alone is told"
        found = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-01", own[0]["traceparent"])
        assert found is not None
        assert found[1] == click["trace_id"]
