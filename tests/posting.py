"""Messages for tests: a carrier that keeps them, templates, and rows of an outbox."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import cast

from conftest import Lake, wait_until
from lakeward.messaging import Message, Messages, Receipt
from lakeward.messaging.delivery import Timing
from lakeward.messaging.message import Channel
from lakeward.store.outbox import Row

PHONE, EMAIL, CODE = "+15125550123", "grace@example.com", "739104"


class Pigeon:
    """A carrier that keeps what it is given, and fails as it is told."""

    name = "pigeon"

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.failures: list[Exception] = []
        self.lock = threading.Lock()
        self.closed = self.breaks_after = False
        self.answers: list[object] = []

    def send(self, message: Message) -> Receipt:
        with self.lock:
            if self.failures:
                raise self.failures.pop(0)
            self.messages.append(message)
        if self.breaks_after:
            raise ConnectionResetError
        if self.answers:  # an app's own carrier may answer anything
            return cast(Receipt, self.answers.pop(0))
        return Receipt(message_id=f"P{len(self.messages)}", segments=1)

    def sent(self, message: Message, since_ms: int) -> list[Receipt]:
        same = [(m.to, m.text) == (message.to, message.text) for m in self.messages]
        return [Receipt(message_id=f"P{n}") for n, is_same in enumerate(same, 1) if is_same]

    def close(self) -> None:
        self.closed = True


def write_templates(tmp_path: Path) -> Path:
    """Some templates, in a folder that is made for them."""
    folder = tmp_path / "messages"
    folder.mkdir(exist_ok=True)
    (folder / "verification.sms.txt").write_text("Your code is {{ code }}.\n")
    (folder / "verification.es.sms.txt").write_text("Su código es {{ code }}.\n")
    (folder / "welcome.email.txt").write_text("Subject: Hello {{ name }}\n\nDear {{ name }},\n")
    (folder / "welcome.email.html").write_text("<p>Dear {{name}}</p>")
    return folder


class Post:
    """Messages of a lake, whose carrier is a pigeon."""

    def __init__(
        self, lake: Lake, templates: Path, timing: Timing | None = None, **settings: str
    ) -> None:
        self.pigeon = Pigeon()
        self.lake = lake
        self.collector = lake.collector(**settings)
        carriers: dict[Channel, Pigeon] = {"sms": self.pigeon, "email": self.pigeon}
        self.messages = Messages(
            self.collector.settings,
            self.collector,
            carriers=carriers,
            templates=templates,
            timing=timing,
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

    def told_when_final(self) -> list[dict[str, object]]:
        """As `told`, once nothing waits any more."""
        wait_until(lambda: not self.messages.outbox.waiting())
        return self.told()


def row_of(**more: object) -> Row:
    fields: dict[str, object] = {
        "outbox_id": "0199e0f5-9f5c-7d30-8a52-000000000001", "key": "k", "kind": "own",
        "channel": "sms", "queued_at": 1_764_000_000_000,
        "template": "verification", "template_version": "v", "recipient_hash": "h", "twin": "t",
        "address": PHONE, "body": "x", "created_at": 1_764_000_000_000,
        "due_at": 1_764_000_000_000,
    }  # fmt: skip
    return Row(**fields | more)  # type: ignore[arg-type] # fields of a row by name
