"""What strangers send is text in the page, whoever looks at it: a real server, sent to over HTTP,
seen in Chromium by people who are logged in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from conftest import Lake
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from lakeward.store.password import Passwords
from lakeward.store.people import People
from server_process import Serving, serving
from test_live_page import Watched

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

PASSWORD = "the quick brown lake"
RUN = "window.ran=(window.ran||0)+1;alert(document.domain)"
HOSTILE = (
    f"<script>{RUN}</script>",
    f"<img src=x onerror='{RUN}'>",
    f'"><svg/onload="{RUN}">',
    f"' autofocus onfocus='{RUN}' x='",
    f"javascript:{RUN}",
    f"<a href='javascript:{RUN}'>click</a>",
    f'<iframe srcdoc="<script>parent.{RUN}</script>"></iframe>',
    f"</title></style></textarea></script><script>{RUN}</script>",
    f"<style>@import 'http://evil.example/x.css';</style><body onload='{RUN}'>",
    "<link rel=prefetch href=http://evil.example/><base href=http://evil.example/>",
    f"<math><mtext><table><mglyph><style><img src=x onerror='{RUN}'>",
    f"{{{{constructor.constructor('{RUN}')()}}}}${{{RUN}}}",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    '{"__proto__": {"dangerouslySetInnerHTML": {"__html": "<b>x</b>"}}}',
)
PARTNER = HOSTILE[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with hostile records, a person who sees all and one who sees a partner's."""
    folder = tmp_path_factory.mktemp("hostile")
    lake = Lake(folder / "data-lake", folder / "rings")
    (folder / "rings").mkdir(mode=0o700)
    with open_database(load(lake.env)) as database:
        people, encoded = People(database), Passwords().encoded(PASSWORD)
        people.add("ada@example.com", "admin", actor="tests", password=encoded)
        people.add("bo@example.com", "partner", actor="tests", partner_id=PARTNER,
                   password=encoded)  # fmt: skip
        _, secret = Keys(database).create("write", "app", actor="tests", types=["*"])
    with serving(lake) as running, running.client(headers={"x-api-key": secret}) as client:
        for event in events():
            sent = client.post("/v1/interactions", json=event)
            assert sent.json() == {"accepted": 1, "rejected": []}, event
        track = {"type": "track", "anonymousId": HOSTILE[0], "event": HOSTILE[2],
                 "properties": {text: text for text in HOSTILE},
                 "context": {"page": {"url": HOSTILE[4], "title": HOSTILE[7]}}}  # fmt: skip
        taken = client.post("/v1/track", json=track)
        assert taken.status_code == 200, taken.text
        yield running
    lake.close()


def events() -> Iterator[dict[str, Any]]:
    for text in HOSTILE:
        yield {"interaction_type": "api_call", "method": text[:16], "path": "/" + text,
               "route": "/" + text, "response_status": 500, "response_time_ms": 3.0,
               "user_id": text, "session_id": text, "trace_id": text[:100], "user_agent": text,
               "referrer": text, "error_type": text, "query_params": {text: text}}  # fmt: skip
        yield {"interaction_type": "page_view", "url": text, "referrer": text}
        yield {"interaction_type": "hostile", text: text, "nested": {text: [text]},
               "partner_id": PARTNER}  # fmt: skip
        yield {"interaction_type": "ai_conversation", "conversation_id": text,
               "messages": [{"role": "user", "content": text}]}  # fmt: skip


def logged_in(watched: Watched, email: str, path: str) -> Any:
    page = watched.open(path)
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".who")).to_contain_text(email)
    return page


def harmless(watched: Watched, page: Any) -> None:
    """Nothing ran, nothing was asked elsewhere, nothing but the page's own is in the page."""
    assert page.evaluate("window.ran") is None
    assert [c for c in watched.complaints if not re.search(r"status of 40[13]", c)] == []
    assert [url for url in watched.requests if not url.startswith(watched.url + "/")] == []
    foreign = "script:not([src^='./static/']):not([src^='/static/']), iframe, base, object, embed, "
    foreign += "img:not(.mark), [onerror], [onload], [onfocus], [href^='javascript' i], style"
    assert page.evaluate(f"document.querySelectorAll(`{foreign}`).length") == 0


def test_records_of_strangers_run_nothing_in_an_admins_page(browser: Any, server: Serving) -> None:
    watched = Watched(browser, server.url)
    page = logged_in(watched, "ada@example.com", "/live")
    rows = page.locator(".row .open")
    expect(rows).to_have_count(4 * len(HOSTILE) + 1)
    assert HOSTILE[1] in page.locator(".rows").inner_text()
    for n in range(rows.count()):
        rows.nth(n).click()
        expect(page.locator(".json")).to_contain_text('"interaction_id"')
        page.keyboard.press("Escape")
    harmless(watched, page)
    for button in (
        page.get_by_role("region", name="Routes of the last hour").get_by_role("button").all()
    ):
        button.click()
        expect(page.get_by_role("button", name="Remove the filter route")).to_be_visible()
        page.get_by_role("button", name="Remove the filter route").click()
    harmless(watched, page)
    watched.close()


def test_a_partner_with_a_hostile_id_sees_its_own_page_and_no_other(
    browser: Any, server: Serving
) -> None:
    watched = Watched(browser, server.url)
    page = logged_in(watched, "bo@example.com", "/")
    expect(page.get_by_role("heading", name="Partners", level=1)).to_be_visible()
    expect(page.get_by_role("navigation")).to_have_count(0)
    for name in ("live", "visitors", "explore"):
        page.goto(f"{server.url}/{name}")
        expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    harmless(watched, page)
    watched.close()


@pytest.mark.parametrize("name", ["refused", "welcome", "type", "route", "id", "status", "x"])
def test_an_address_with_markup_in_it_runs_nothing(
    browser: Any, server: Serving, name: str
) -> None:
    watched = Watched(browser, server.url)
    for text in HOSTILE:
        page = watched.open(f"/live?{name}={quote(text)}#{quote(text)}")
        expect(page.get_by_label("E-mail address")).to_be_visible()
    harmless(watched, page)
    watched.close()


WAYS = """text => {
  const ways = {
    innerHTML: () => { document.body.innerHTML = text; },
    insertAdjacentHTML: () => document.body.insertAdjacentHTML("beforeend", text),
    write: () => document.write(text),
    eval: () => (0, eval)("window.ran = 1"),
    Function: () => new Function("window.ran = 1")(),
    setTimeout: () => setTimeout("window.ran = 1"),
    script: () => { document.createElement("script").text = "window.ran = 1"; },
    onclick: () => document.body.setAttribute("onclick", "window.ran = 1"),
    srcdoc: () => { document.createElement("iframe").srcdoc = text; },
  };
  const tried = (way) => { try { way(); return "done"; } catch (error) { return error.name; } };
  // A timer is the page's own: what the browser's driver itself calls is let off its policy.
  return new Promise((resolve) => setTimeout(() => resolve(
    Object.fromEntries(Object.entries(ways).map(([name, way]) => [name, tried(way)])))));
}"""


def test_even_markup_that_got_into_the_page_would_not_run(browser: Any, server: Serving) -> None:
    watched = Watched(browser, server.url)
    page = watched.open()
    expect(page.get_by_label("E-mail address")).to_be_visible()
    refused = page.evaluate(WAYS, HOSTILE[1])
    assert set(refused.values()) <= {"TypeError", "EvalError"}, refused
    assert len(refused) == 9
    assert page.evaluate("window.ran") is None
    assert not [c for c in watched.complaints if c.startswith("dialog")]
    watched.close()


def test_every_answer_has_a_policy_without_anything_unsafe(server: Serving) -> None:
    with server.client() as client:
        page = client.get("/")
        asset = re.search(r'src="([^"]+\.js)"', page.text)
        assert asset is not None
        answers = [page, client.get("/" + asset[1].lstrip("./")), client.get("/nothing<script>"),
                   client.get("/v1/live/hour"), client.get("/v1/me"), client.get("/health"),
                   client.get("/openapi.json"), client.post("/"), client.get("/lakeward.js"),
                   client.post("/v1/login", content=b"<script>"),
                   client.get("/v1/login/oidc"),
                   httpx.get(server.url, headers={"host": "evil.example"})]  # fmt: skip
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'"), answer.url
        assert "frame-ancestors 'none'" in policy, answer.url
        policy = policy.replace("img-src 'self' blob:;", "")  # a chart as a picture to take home
        for word in ("unsafe-", "http:", "https:", "data:", "blob:", "*", "nonce-"):
            assert word not in policy, answer.url
        assert answer.headers["x-content-type-options"] == "nosniff", answer.url
        assert "<script>" not in answer.text or answer is page, answer.url
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
