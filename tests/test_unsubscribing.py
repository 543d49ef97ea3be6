"""Mails that a mail program unsubscribes from by itself (RFC 2369, RFC 8058): their headers, and
the outbox that keeps the address until it has gone."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

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
from lakeward.messaging.unsubscribe import checked_link, headers_of
from lakeward.person import Person
from lakeward.store.database import Database, postgresql, sqlite
from lakeward.store.eraser import DatabaseEraser
from lakeward.store.outbox import Outbox, Row
from posting import EMAIL, Pigeon, Post, row_of, write_templates
from provider import Provider

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
