"""The pages of witnesses: without JavaScript, by thumb and keyboard, saved and sent, and shut to
whoever has no link."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from conftest import Lake, wait_until
from server_process import Serving, serving
from witnessed import sheet

axe = pytest.importorskip("axe_playwright_python.sync_playwright")
PARTNER = "Acme <b>Roofing</b>"
BEGAN = re.compile(r'name="began" value="([^"]+)"')


class House:
    """A server with one partner, and links of people."""

    def __init__(self, lake: Lake, server: Serving) -> None:
        self.lake, self.server = lake, server
        self.people = 0
        self.post("/api/partners", {"partners": [{"partner_id": "p9", "name": PARTNER}]})

    def post(self, path: str, body: object) -> Any:
        with self.server.client() as client:
            answer = client.post(path, json=body)
            assert answer.status_code in (200, 201), answer.text
            return answer.json()

    def link(self, form: str = "employee", **person: str) -> str:
        """The path of a new person's link."""
        self.people += 1
        told = {"name": f"Person {self.people}", "email": f"p{self.people}@example.com", **person}
        found = self.post(
            "/api/partners/p9/invitations", {"form": form, "people": [told], "deliver": "link"}
        )
        address: str = found["invitations"][0]["link"]
        return address.removeprefix(self.server.url)

    def listed(self) -> dict[str, Any]:
        with self.server.client() as client:
            found: dict[str, Any] = client.get("/api/partners/p9/invitations").json()
            return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    lake = Lake(folder / "data-lake", folder / "rings")
    (folder / "rings").mkdir(mode=0o700)
    with serving(lake) as server:
        yield House(lake, server)
    lake.close()


def filled(
    client: httpx.Client, path: str, which: Any = "employee", **texts: str
) -> dict[str, str]:
    """A form filled in, seconds ago as far as it says."""
    shown = client.get(path)
    assert shown.status_code == 200, shown.text
    found = BEGAN.search(shown.text)
    assert found is not None
    return sheet(which, 8, **texts) | {"began": found[1], "act": "send"}


def sent(client: httpx.Client, path: str, fields: dict[str, str]) -> httpx.Response:
    shown_ms = fields["began"].partition(".")[0]
    rest(int(shown_ms) / 1000 if len(shown_ms) == 13 else 0.0)
    return client.post(path, data=fields)


def rest(shown: float) -> None:
    """What is left of the time in which nobody fills in a form."""
    time.sleep(max(0.0, shown + 3.1 - time.time()))


def test_a_form_is_saved_come_back_to_and_sent_once(house: House) -> None:
    path = house.link()
    with house.server.client() as client:
        fields = filled(client, path)
        some = {name: fields[name] for name in ("leadership", "growth")}
        saved = client.post(path, data=some | {"act": "keep", "strengths": "We help <each> other."})
        assert saved.status_code == 200
        assert "<h1>Saved</h1>" in saved.text
        again = client.get(path).text
        assert again.count(" checked") == 2
        assert "We help &lt;each&gt; other." in again
        done = sent(client, path, fields | {"strengths": "We help each other."})
        assert (done.status_code, "<h1>Thank you</h1>" in done.text) == (200, True)
        for answer in (client.get(path), client.post(path, data=fields)):
            assert (answer.status_code, "<h1>Thank you</h1>" in answer.text) == (200, True)
    row = next(one for one in house.listed()["invitations"] if one["name"] == "Person 1")
    assert row["state"] == "answered"
    wait_until(lambda: len(feedback(house)) == 1, what="the lake")
    [told] = feedback(house)
    assert told["feedback"]["scores"] == dict.fromkeys(
        ("leadership", "communication", "delivery", "expertise", "growth"), 8.0
    )
    assert told["feedback"]["strengths"] == "We help each other."
    assert told["partner_id"] == "p9"
    assert told["feedback"]["completeness"] == pytest.approx(7 / 10)


def feedback(house: House) -> list[dict[str, Any]]:
    return [row for row in house.lake.rows() if row["interaction_type"] == "employee_feedback"]


def test_what_is_missing_is_named_and_what_was_filled_in_stays(house: House) -> None:
    path = house.link("reference")
    with house.server.client() as client:
        fields = filled(client, path, "reference")
        del fields["value"]
        answer = sent(client, path, fields)
        assert answer.status_code == 422
        assert '<a href="#value">Value for money: Please choose a number' in answer.text
        assert answer.text.count(" checked") == 5
        assert client.get(path).text.count(" checked") == 5  # and when one comes back


def test_a_program_that_fills_in_everything_or_is_too_quick_sends_nothing(house: House) -> None:
    path = house.link()
    with house.server.client() as client:
        fields = filled(client, path)
        quick = client.post(path, data=fields)
        assert quick.status_code == 422
        assert "quicker than anybody can read" in quick.text
        for trap in ({"website": "http://spam.example"}, {"began": "1.x"}, {"began": ""}):
            assert sent(client, path, fields | trap).status_code == 422
        other = filled(client, house.link())["began"]  # of another invitation
        assert sent(client, path, fields | {"began": other}).status_code == 422


def test_a_page_of_another_site_sends_nothing(house: House) -> None:
    path = house.link()
    with house.server.client() as client:
        fields = filled(client, path)
        time.sleep(3.1)
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            assert client.post(path, data=fields, headers=headers).status_code == 403
            assert client.post(f"{path}/stop", data={}, headers=headers).status_code == 403
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/w/x", "/w/" + "A" * 38, "/w/" + "%00" * 38, "/w/x/stop"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_no_link_is_a_page_that_says_so(house: House, path: str, method: str) -> None:
    with house.server.client() as client:
        answer = client.request(method, path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "There is no such link" in answer.text


@pytest.mark.parametrize(
    ("body", "status"), [(b"x" * 70_000, 413), (b"a=1&" * 50, 400), (b"\xff=\xff", 400)]
)
def test_a_body_that_is_no_form_is_a_page_that_says_so(
    house: House, body: bytes, status: int
) -> None:
    path = house.link()
    with house.server.client() as client:
        answer = client.post(path, content=body)
    assert answer.status_code == status
    assert "<h1>That did not work</h1>" in answer.text


def test_who_wants_to_be_left_alone_is_asked_once_and_then_is(house: House) -> None:
    path = house.link()
    with house.server.client() as client:
        before = house.listed()["optouts"]
        shown = client.get(f"{path}/stop")
        assert shown.status_code == 200
        assert house.listed()["optouts"] == before  # a program that only looks stops nothing
        done = client.post(f"{path}/stop", data={"act": "stop"})
        assert "You will not hear from us again" in done.text
        assert house.listed()["optouts"] == before + 1
        assert client.get(path).status_code == 410
        assert client.post(f"{path}/stop", data={"act": "stop"}).status_code == 200


def test_a_withdrawn_link_has_ended(house: House) -> None:
    path = house.link()
    row = house.listed()["invitations"][0]
    house.post(f"/api/invitations/{row['invitation_id']}/withdraw", {})
    with house.server.client() as client:
        assert client.get(path).status_code == 410
        assert client.post(path, data=sheet("employee") | {"act": "keep"}).status_code == 410
        again = client.post(f"/api/invitations/{row['invitation_id']}/withdraw", json={})
        assert (again.status_code, again.json()["code"]) == (409, "ended")


def test_the_pages_run_nothing_and_are_shown_in_no_frame(house: House) -> None:
    with house.server.client() as client:
        answer = client.get(house.link())
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in answer.text
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "noindex" in answer.headers["x-robots-tag"]
    assert answer.headers["cache-control"] == "no-store"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert PARTNER not in answer.text
    assert "Acme &lt;b&gt;Roofing&lt;/b&gt;" in answer.text


@pytest.mark.parametrize("which", ["employee", "reference", "quarterly"])
@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (390, "dark"), (1280, "light")])
def test_in_a_browser_without_javascript_by_keyboard_alone(
    house: House, browser: Any, which: str, width: int, scheme: Any
) -> None:
    from playwright.sync_api import expect

    address = house.server.url + house.link(which)
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=False
    )
    page = context.new_page()
    page.goto(address)
    shown = time.time()
    numbers = page.locator("fieldset")
    for n in range(numbers.count()):
        numbers.nth(n).locator("input").first.focus()
        for _ in range(7):
            page.keyboard.press("ArrowRight")
    rest(shown)
    page.get_by_role("button", name="Send").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Thank you")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_accessible_and_fit_a_small_telephone(
    house: House, browser: Any, scheme: Any
) -> None:
    path = house.link("reference")
    context = browser.new_context(viewport={"width": 320, "height": 640}, color_scheme=scheme)
    page = context.new_page()
    for step in ("form", "wrong", "saved", "stop"):
        page.goto(house.server.url + path + ("/stop" if step == "stop" else ""))
        if step == "wrong":
            rest(time.time())
            page.get_by_role("button", name="Send").click()
            assert page.get_by_role("alert").is_visible()
        if step == "saved":
            page.get_by_role("button", name="Save for later").click()
        found = axe.Axe().run(page).response["violations"]
        assert found == [], (step, [(one["id"], one["nodes"][0]["target"]) for one in found])
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, step
        sizes = page.evaluate(
            "[...document.querySelectorAll('button, .scale label')].map(e => "
            "Math.min(e.getBoundingClientRect().width, e.getBoundingClientRect().height))"
        )
        assert all(size >= 44 for size in sizes), (step, sizes)  # WCAG 2.5.5, in CSS pixels
    context.close()
