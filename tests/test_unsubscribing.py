"""Mails that a mail program unsubscribes from by itself (RFC 2369, RFC 8058): the headers, the
outbox that keeps them, and the request that comes back."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from conftest import Lake, wait_until
from databases import Store, back_to
from lakeward.errors import Rejected
from lakeward.messaging import Messages
from lakeward.messaging.console import Console
from lakeward.messaging.delivery import Delivery, Timing
from lakeward.messaging.message import Message
from lakeward.messaging.unsubscribe import checked_link, headers_of, is_one_click
from lakeward.person import Person
from lakeward.store.database import Database, postgresql, sqlite
from lakeward.store.eraser import DatabaseEraser
from lakeward.store.outbox import Outbox, Row
from posting import EMAIL, Pigeon, Post, row_of, write_templates
from provider import Provider
from server_process import Serving, serving

TOKEN = "aGkgdGhlcmUgdGhpcyBpcyBhIHNlY3JldA"
LINK = f"https://data.example.com/w/{TOKEN}/stop"
NOW = 1_764_000_000_000


@pytest.fixture
def post(lake: Lake, tmp_path: Path) -> Iterator[Post]:
    made = Post(lake, write_templates(tmp_path))
    yield made
    made.messages.close()


def welcome(post: Post, unsubscribe: Any = LINK, channel: Any = "email") -> str | None:
    return post.messages.send(
        "welcome" if channel == "email" else "verification", channel=channel,
        to=EMAIL if channel == "email" else "+15125550123",
        values={"name": "Grace", "code": "1"}, unsubscribe=unsubscribe,
    )  # fmt: skip


# The headers


def test_an_https_address_is_unsubscribed_from_by_one_click_and_an_http_one_is_followed() -> None:
    assert headers_of(LINK) == {
        "List-Unsubscribe": f"<{LINK}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert headers_of("http://data.example.com/stop") == {
        "List-Unsubscribe": "<http://data.example.com/stop>"
    }


@pytest.mark.parametrize(
    "address",
    [f"{LINK}\r\nBcc: eve@example.com", f"{LINK}\n", f"{LINK}\x00", f"{LINK}\x7f", f"{LINK}\t",
     f"{LINK} x", f"{LINK}>, <mailto:eve@example.com", f"<{LINK}", "", "https://", "https:///stop",
     "https://[/stop", "https://data.example.com:x/", "https://data.example.com:0/",
     "/w/x/stop", "data.example.com/stop", "mailto:stop@example.com", "javascript:alert(1)",
     "https://b\xfccher.example/stop", f"{LINK}\u2028", f"{LINK}\ud800", f"{LINK}?{'x' * 900}", 7,
     [LINK]],
)  # fmt: skip
def test_what_is_no_address_of_a_header_is_refused_in_a_sentence_that_does_not_show_it(
    address: object,
) -> None:
    with pytest.raises(Rejected, match="`unsubscribe` must be an http or https address") as caught:
        checked_link("email", address)
    assert TOKEN not in str(caught.value)


@given(
    st.one_of(st.text(), st.text().map("https://a.example/{}".format), st.from_regex("https?://.+"))
)
def test_whatever_is_taken_is_one_header_with_one_address(address: str) -> None:
    try:
        taken = checked_link("email", address)
    except Rejected:
        return
    assert taken == address
    raw = b"".join(f"{name}: {v}\r\n".encode() for name, v in headers_of(address).items())
    mail = message_from_bytes(raw + b"\r\nText")
    assert mail.keys() == list(headers_of(address))
    assert mail["List-Unsubscribe"] == f"<{address}>"
    assert mail.get_payload() == "Text"
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


def test_an_sms_has_no_headers(post: Post) -> None:
    with pytest.raises(Rejected, match="`unsubscribe` is for e-mail alone"):
        welcome(post, channel="sms")


def test_a_mail_carries_the_headers_to_sendgrid(tmp_path: Path, lake: Lake) -> None:
    write_templates(tmp_path)
    live = {
        "LAKEWARD_MESSAGES": "live", "SENDGRID_API_KEY": "SG.k",
        "SENDGRID_FROM_EMAIL": "app@example.com",
    }  # fmt: skip
    with Provider() as provider:
        collector = lake.collector(**live, LAKEWARD_SENDGRID_ENDPOINT=provider.url)
        with Messages(collector.settings, collector, templates=tmp_path / "messages") as messages:
            for address in (LINK, LINK.replace("https", "http"), None):
                messages.send(
                    "welcome", channel="email", to=EMAIL, values={"name": str(address)},
                    unsubscribe=address,
                )  # fmt: skip
            wait_until(lambda: messages.outbox.counts()["sent"] == 3)
        found = [body.get("headers") for body in provider.bodies]
    assert found == [headers_of(LINK), {"List-Unsubscribe": f"<{LINK.replace('https', 'http')}>"},
                     None]  # fmt: skip


def test_the_console_shows_them() -> None:
    out = io.StringIO()
    Console(out).send(
        Message(outbox_id="o", channel="email", to=EMAIL, sender="", subject="Hello", text="Text",
                unsubscribe=LINK)
    )  # fmt: skip
    assert (
        f"│ Subject: Hello\n│ List-Unsubscribe: <{LINK}>\n"
        "│ List-Unsubscribe-Post: List-Unsubscribe=One-Click\n│ Text\n"
    ) in out.getvalue()


# The outbox


def delivery(database: Database, pigeon: Pigeon) -> Delivery:
    return Delivery(
        lambda: Outbox(database), pigeon, "email", "app@example.com", kind="own",
        now_ms=lambda: NOW, random=lambda: 0.5, timing=Timing(),
    )  # fmt: skip


def mail(n: int = 1, **more: object) -> Row:
    return row_of(
        outbox_id=f"0199e0f5-9f5c-7d30-8a52-{n:012d}", key=f"k{n}", twin=f"t{n}", channel="email",
        address=EMAIL, **more,
    )  # fmt: skip


def add_as_before(database: Database, row: Row) -> None:
    """As a version does that knows no such column."""
    known = {name: v for name, v in msgspec.structs.asdict(row).items() if name != "unsubscribe"}
    with database.write() as connection:
        connection.execute(
            text(
                f"INSERT INTO lakeward_outbox ({', '.join(known)}) "
                f"VALUES ({', '.join(f':{name}' for name in known)})"
            ),
            known,
        )


def test_a_message_keeps_its_address_until_it_has_gone_and_not_a_byte_longer(store: Store) -> None:
    database, pigeon = store.open(), Pigeon()
    Outbox(database).add(mail(unsubscribe=LINK))
    assert TOKEN.encode() in store.raw()
    assert TOKEN not in repr(Outbox(database).find(mail().outbox_id))
    delivery(database, pigeon).once()
    [sent] = pigeon.messages
    assert sent.unsubscribe == LINK
    assert TOKEN not in repr(sent)
    gone = Outbox(database).find(mail().outbox_id)
    assert gone is not None
    assert (gone.state, gone.unsubscribe) == ("sent", None)
    with database.engine.connect() as connection:
        if not store.url:  # what was written before stands in its log until that is begun anew
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert TOKEN.encode() not in store.raw()


def test_an_erased_person_leaves_no_address_to_unsubscribe_at(store: Store) -> None:
    outbox = Outbox(store.open())
    outbox.add(mail(user_id="c-17", unsubscribe=LINK))
    assert DatabaseEraser(store.open()).erase(Person("user_id", "c-17")).records == 1
    assert TOKEN.encode() not in store.raw()


def test_messages_that_wait_in_a_database_of_the_version_before_still_go(store: Store) -> None:
    store.open()
    store.close()
    unopened = postgresql(store.url) if store.url else sqlite(store.file.parent)
    back_to(unopened, "0008")
    add_as_before(unopened, mail(1))
    unopened.close()
    database, pigeon = store.open(), Pigeon()
    add_as_before(database, mail(2))  # its processes still run while ours have begun
    sender = delivery(database, pigeon)
    assert [sender.once(), sender.once(), sender.once()] == [
        mail(1).outbox_id, mail(2).outbox_id, None
    ]  # fmt: skip
    assert [message.unsubscribe for message in pigeon.messages] == [None, None]
    assert Outbox(database).counts()["sent"] == 2


def test_no_log_no_interaction_and_no_list_shows_the_address(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    post.pigeon.failures = [Rejected(f"cannot fetch {LINK} for {EMAIL}")]
    welcome(post)
    [row] = post.told_when_final()
    assert (row["status"], row["reason"]) == ("failed", "cannot fetch [address] for [address]")
    assert TOKEN not in repr(post.lake.rows())
    assert TOKEN not in caplog.text


def test_in_production_what_is_refused_is_set_aside_without_the_address(
    lake: Lake, tmp_path: Path
) -> None:
    post = Post(lake, write_templates(tmp_path), LAKEWARD_ENV="production")
    assert welcome(post, f"{LINK}\r\nBcc: eve@example.com") is None
    post.messages.close()
    post.collector.commit()
    [entry] = lake.quarantined()
    assert "`unsubscribe` must be an http or https address" in repr(entry)
    assert TOKEN not in repr(entry)
    assert post.pigeon.messages == []


# What a mail program sends

FORMS: dict[str, dict[str, Any]] = {
    "urlencoded": {"data": {"List-Unsubscribe": "One-Click"}},
    "multipart": {"files": {"List-Unsubscribe": (None, b"One-Click")}},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_one_click_is_heard_in_both_kinds_of_form(form: dict[str, Any]) -> None:
    request = httpx.Request("POST", LINK, **form)
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
