"""Messages of the demo: the outbox sends as always, and the carrier is an inbox that can be read.

No message leaves the machine. The person whom it is for reads it at `/inbox`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lakeward import Collector
from lakeward.demo.database import Database
from lakeward.messaging import Message, Messages, Receipt

TEMPLATES: Final = Path(__file__).parent / "templates" / "messages"


class Inbox:
    """A carrier that puts messages into the demo's own database."""

    name = "inbox"

    def __init__(self, database: Database) -> None:
        self._database = database

    def send(self, message: Message) -> Receipt:
        """Deliver it; the same message again is the same."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO inbox (outbox_id, owner, address, channel, subject, text) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    message.outbox_id,
                    message.user_id,
                    message.to,
                    message.channel,
                    message.subject,
                    message.text,
                ),
            )
        return Receipt(message_id=f"inbox-{message.outbox_id}")

    def sent(self, message: Message, since_ms: int) -> list[Receipt]:
        """None that matters: sent again, the same message is the same row."""
        return []

    def close(self) -> None:
        """Hold nothing."""


class Post:
    """Sends what the platform has to say."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    def code(self, contractor: str, phone: str, code: str, number: int) -> None:
        """The code that proves a telephone number."""
        self._messages.send(
            "verification", channel="sms", to=phone, values={"code": code}, user_id=contractor,
            purpose="sign-in", key=f"verification-{contractor}-{number}",
        )  # fmt: skip

    def introduction(
        self, booking: str, contractor: str, to: str, values: dict[str, str], change: int
    ) -> None:
        """The e-mail that brings contractor and partner together, and each change of the time."""
        self._messages.send(
            "introduction" if change == 0 else "moved", channel="email", to=to, values=values,
            user_id=contractor, purpose="booking", key=f"booking-{booking}-{change}-{to}",
        )  # fmt: skip

    def close(self) -> None:
        """Send what waits, then stop."""
        self._messages.close()


def open_post(collector: Collector, database: Database) -> Post:
    """The outbox with the inbox as its carrier."""
    inbox = Inbox(database)
    return Post(
        Messages(
            collector.settings, collector, carriers={"sms": inbox, "email": inbox},
            templates=TEMPLATES,
        )
    )  # fmt: skip
