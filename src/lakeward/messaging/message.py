"""A message, what a provider answers to it, and what carries it there.

A carrier says by what it raises whether a message went: `Throttled` or `Transient` — not yet, try
later; `Rejected` — it did not and never will; `Unsure`, or anything else — it may have gone.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec

Channel = Literal["sms", "email"]
CHANNELS: Final[tuple[Channel, ...]] = ("sms", "email")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message, ready to go; `subject`, `html` and `unsubscribe` are for e-mail."""

    outbox_id: str
    channel: Channel
    to: str
    sender: str
    subject: str = ""
    text: str
    html: str | None = None
    unsubscribe: str | None = None
    """Where a mail program unsubscribes whom it is for; it may hold a secret, as the text does."""
    template: str = ""
    purpose: str | None = None
    user_id: str | None = None

    def __repr__(self) -> str:
        """Name it and neither whom it goes to nor what it says."""
        return f"<Message {self.outbox_id} {self.channel} {self.template}>"


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of a message that it took."""

    message_id: str
    segments: int | None = None
    price: str | None = None
    currency: str | None = None


class Carrier(Protocol):
    """Takes messages to a provider; of each channel one thread calls it."""

    name: str

    def send(self, message: Message) -> Receipt:
        """Hand it over, once, within 30 seconds."""

    def sent(self, message: Message, since_ms: int) -> list[Receipt]:
        """What the provider took since then that could be this message (same address and text),
        oldest first; `Unsure` when it cannot be asked at all, `Transient` when not now."""

    def close(self) -> None:
        """Let go of whatever is held."""
