"""What a mail program sends to unsubscribe somebody (RFC 8058): heard from wherever it comes, once
and again; and what only follows links changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Lake, wait_until
from lakeward.messaging.unsubscribe import is_one_click
from provider import Provider
from server_process import Serving, serving

FORMS: dict[str, dict[str, Any]] = {
    "urlencoded": {"data": {"List-Unsubscribe": "One-Click"}},
    "multipart": {"files": {"List-Unsubscribe": (None, b"One-Click")}},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_one_click_is_heard_in_both_kinds_of_form(form: dict[str, Any]) -> None:
    request = httpx.Request("POST", "https://data.example.com/w/x/stop", **form)
    body = request.read()
    assert is_one_click(request.headers["content-type"], body)
    assert not is_one_click(request.headers["content-type"], body.replace(b"One", b"Two"))
    assert not is_one_click(request.headers["content-type"], body.replace(b"List-", b"X-"))


@given(st.text(), st.binary())
def test_no_body_of_any_kind_breaks_it(kind: str, body: bytes) -> None:
    for head in (kind, f"multipart/form-data; boundary={kind}"):
        assert is_one_click(head, body) in (True, False)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Provider]]:
    """A server as the Internet sees it, whose mails go to a stand-in for SendGrid."""
    folder = tmp_path_factory.mktemp("unsubscribing")
    lake = Lake(folder / "data-lake", folder / "rings")
    (folder / "rings").mkdir(mode=0o700)
    with Provider() as provider:
        lake.env |= {
            "LAKEWARD_PUBLIC_URL": "https://data.example.com", "LAKEWARD_INVITE_QUIET": "",
            "LAKEWARD_ALLOWED_HOSTS": "data.example.com", "LAKEWARD_TRUSTED_PROXIES": "127.0.0.1",
            "LAKEWARD_RATE_ADDRESS": "2", "LAKEWARD_MESSAGES": "live", "SENDGRID_API_KEY": "SG.k",
            "SENDGRID_FROM_EMAIL": "app@example.com", "LAKEWARD_SENDGRID_ENDPOINT": provider.url,
        }  # fmt: skip
        with serving(lake) as server:
            with server.client() as client:
                client.post(
                    "/api/partners", json={"partners": [{"partner_id": "p9", "name": "Acme"}]}
                ).raise_for_status()
            yield server, provider
    lake.close()


class Mailbox:
    """A person who gets an invitation by e-mail, and the provider's server that unsubscribes."""

    def __init__(self, client: httpx.Client, provider: Provider, name: str) -> None:
        self.client = client
        people = [{"name": name, "email": f"{name}@example.com"}]
        asked = {"form": "employee", "people": people}
        answer = self.client.post("/api/partners/p9/invitations", json=asked)
        assert answer.status_code == 201, answer.text
        self.name = name
        wait_until(lambda: self.mail(provider), what="the invitation")
        headers = self.mail(provider)[0]["headers"]
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        self.link = headers["List-Unsubscribe"].removeprefix("<").removesuffix(">")
        assert self.link in self.mail(provider)[0]["content"][0]["value"]
        self.path = self.link.removeprefix("https://data.example.com")
        assert self.path != self.link
        wait_until(lambda: self.state()[0] == "sent", what="the round")  # which ends after the mail

    def mail(self, provider: Provider) -> list[dict[str, Any]]:
        bodies = list(provider.bodies)
        to = f"{self.name}@example.com"
        return [one for one in bodies if one["personalizations"][0]["to"] == [{"email": to}]]

    def unsubscribe(self, headers: dict[str, str] | None = None, **form: Any) -> httpx.Response:
        return self.client.post(self.path, headers=headers, **form or FORMS["urlencoded"])

    def state(self) -> tuple[str, str, int]:
        found = self.client.get("/api/partners/p9/invitations").json()
        [mine] = [one for one in found["invitations"] if one["name"] == self.name]
        return mine["state"], mine["reason"], found["optouts"]


Boxes = Callable[[str], Mailbox]


@pytest.fixture
def boxes(served: tuple[Serving, Provider]) -> Iterator[Boxes]:
    """A mailbox for each name; the client keeps no cookie, as a provider's server does not."""
    server, provider = served
    with server.client(headers={"host": "data.example.com"}) as client:
        yield lambda name: Mailbox(client, provider, name)


@pytest.mark.parametrize("form", FORMS)
def test_a_mail_providers_server_unsubscribes_once_and_again(boxes: Boxes, form: str) -> None:
    box = boxes(form)
    _, _, before = box.state()
    for _ in range(2):
        answer = box.unsubscribe(**FORMS[form])
        assert answer.status_code == 200, answer.text
        assert "You will not hear from us again" in answer.text
        assert "set-cookie" not in answer.headers
        assert box.state() == ("withdrawn", "opted out", before + 1)


def test_the_button_of_an_old_mail_is_heard_after_somebody_was_asked_anew(boxes: Boxes) -> None:
    box = boxes("again")
    before = box.state()[2]
    asked = {"form": "employee", "people": [{"name": "again", "email": "again@example.com"}]}
    assert box.client.post("/api/partners/p9/invitations", json=asked).status_code == 201
    form = box.path.removesuffix("/stop")
    assert box.client.get(form).status_code == 404  # it leads to no form
    assert box.unsubscribe().status_code == 200
    assert box.state() == ("withdrawn", "opted out", before + 1)


def test_it_is_noted_as_by_the_page(boxes: Boxes) -> None:
    clicked, pressed = boxes("clicks"), boxes("presses")
    _, _, before = clicked.state()
    page = {"origin": "https://data.example.com", "sec-fetch-site": "same-origin"}
    assert clicked.unsubscribe().status_code == 200
    assert pressed.unsubscribe(page, data={"act": "stop"}).status_code == 200
    assert clicked.state() == pressed.state() == ("withdrawn", "opted out", before + 2)


@pytest.mark.parametrize(
    "headers", [{"origin": "null"}, {"origin": "https://mail.example"},
                {"origin": "https://mail.example", "sec-fetch-site": "cross-site"}],
)  # fmt: skip
def test_a_mail_program_in_a_browser_unsubscribes_and_other_pages_do_not(
    boxes: Boxes, headers: dict[str, str]
) -> None:
    box = boxes("-".join(headers.values()).replace("https://", "").replace(".", "-"))
    before = box.state()
    for fields in ({"act": "stop"}, {"List-Unsubscribe": "Two"}, {"": "One-Click"}):
        assert box.unsubscribe(headers, data=fields).status_code == 403
    assert box.state() == before
    assert box.unsubscribe(headers).status_code == 200
    assert box.state() == ("withdrawn", "opted out", before[2] + 1)


def test_a_program_that_follows_links_unsubscribes_nobody(boxes: Boxes) -> None:
    box = boxes("scanned")
    before = box.state()
    for method in ("GET", "HEAD", "OPTIONS", "PUT"):
        answer = box.client.request(method, box.path, params={"List-Unsubscribe": "One-Click"})
        assert answer.status_code < 500, method
    assert box.state() == before
    assert before[0] == "sent"


def test_one_click_of_an_address_that_comes_too_often_waits(
    boxes: Boxes,
) -> None:
    box = boxes("often")
    headers = {"x-forwarded-for": "203.0.113.9"}
    answers = [box.unsubscribe(headers) for _ in range(30)]
    assert {one.status_code for one in answers} == {200, 429}
    assert all(int(one.headers["retry-after"]) for one in answers if one.status_code == 429)
    assert box.unsubscribe({"x-forwarded-for": "203.0.113.10"}).status_code == 200
