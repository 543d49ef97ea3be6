"""Messages from `send` to the carrier: what is kept, told, and never shown."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Lake, wait_until
from lakeward.errors import Rejected
from lakeward.messaging import Message, Messages, Receipt
from lakeward.messaging.message import Channel

PHONE, EMAIL, CODE = "+15125550123", "grace@example.com", "739104"


class Pigeon:
    """A carrier that keeps what it is given, and fails as it is told."""

    name = "pigeon"

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.failures: list[Exception] = []
        self.lock = threading.Lock()
        self.closed = False

    def send(self, message: Message) -> Receipt:
        with self.lock:
            if self.failures:
                raise self.failures.pop(0)
            self.messages.append(message)
        return Receipt(message_id=f"P{len(self.messages)}", segments=1)

    def sent(self, message: Message, since_ms: int) -> list[Receipt]:
        same = [(m.to, m.text) == (message.to, message.text) for m in self.messages]
        return [Receipt(message_id=f"P{n}") for n, is_same in enumerate(same, 1) if is_same]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "messages"
    folder.mkdir()
    (folder / "verification.sms.txt").write_text("Your code is {{ code }}.\n")
    (folder / "verification.es.sms.txt").write_text("Su código es {{ code }}.\n")
    (folder / "welcome.email.txt").write_text("Subject: Hello {{ name }}\n\nDear {{ name }},\n")
    (folder / "welcome.email.html").write_text("<p>Dear {{name}}</p>")
    return folder


class Post:
    """Messages of a lake, whose carrier is a pigeon."""

    def __init__(self, lake: Lake, templates: Path, **settings: str) -> None:
        self.pigeon = Pigeon()
        self.lake = lake
        self.collector = lake.collector(**settings)
        carriers: dict[Channel, Pigeon] = {"sms": self.pigeon, "email": self.pigeon}
        self.messages = Messages(
            self.collector.settings, self.collector, carriers=carriers, templates=templates
        )

    def code(self, key: str | None = None, to: str = PHONE) -> str | None:
        return self.messages.send(
            "verification", channel="sms", to=to, values={"code": CODE}, user_id="c-17",
            purpose="sign-in", key=key,
        )  # fmt: skip

    def told(self) -> list[dict[str, object]]:
        self.messages.close()
        self.collector.commit()
        rows = [r for r in self.lake.rows() if r["interaction_type"] == "message_sent"]
        return [{**row, **row.get("properties", {})} for row in rows]


@pytest.fixture
def post(lake: Lake, templates: Path) -> Iterator[Post]:
    made = Post(lake, templates)
    yield made
    made.messages.close()


def test_a_message_goes_once_and_is_told_without_address_and_text(post: Post) -> None:
    outbox_id = post.code("verify-1")
    wait_until(lambda: post.pigeon.messages)
    assert post.pigeon.messages[0].text == f"Your code is {CODE}."
    [row] = post.told()
    assert row["outbox_id"] == outbox_id
    assert (row["status"], row["channel"], row["provider"]) == ("sent", "sms", "pigeon")
    assert (row["user_id"], row["template"], row["attempt"]) == ("c-17", "verification", 1)
    assert PHONE not in str(row)
    assert CODE not in str(row)


def test_the_same_key_gives_the_same_id_and_no_second_message(post: Post) -> None:
    assert post.code("k") == post.code("k")
    assert post.code("other") != post.code("k")
    post.messages.close()
    assert len(post.pigeon.messages) == 2


def test_a_refused_message_has_failed_and_says_why(post: Post) -> None:
    post.pigeon.failures = [Rejected(f"no such number {PHONE}")]
    post.code()
    [row] = post.told()
    assert (row["status"], row["reason"]) == ("failed", "no such number [address]")
    assert post.pigeon.messages == []
