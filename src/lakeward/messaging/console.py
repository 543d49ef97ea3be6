"""The carrier of development: it shows a message in a frame on stderr and sends nothing."""

from __future__ import annotations

import sys
from typing import TextIO

from lakeward.messaging.message import Message, Receipt
from lakeward.messaging.segments import segments
from lakeward.messaging.unsubscribe import headers_of


class Console:
    """Shows messages; `out` is for tests."""

    name = "console"

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out

    def send(self, message: Message) -> Receipt:
        """Show it."""
        head = f"{message.channel} to {message.to} ({message.template}), shown and not sent"
        body = [f"Subject: {message.subject}"] if message.subject else []
        if message.unsubscribe is not None:
            said = headers_of(message.unsubscribe)
            body += [f"{name}: {value}" for name, value in said.items()]
        body.append(message.text)
        lines = [f"┌─ {head}"]
        for line in "\n".join(body).splitlines():
            shown = "".join(
                sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line
            )
            lines.append(f"│ {shown}")
        framed = "\n".join([*lines, "└─", ""])
        out = self._out or sys.stderr
        encoding = getattr(out, "encoding", None) or "utf-8"
        out.write(framed.encode(encoding, "replace").decode(encoding))
        out.flush()
        parts = segments(message.text) if message.channel == "sms" else None
        return Receipt(message_id=f"console-{message.outbox_id}", segments=parts)

    def sent(self, message: Message, since_ms: int) -> list[Receipt]:
        """Nothing ever went, so it may be shown again."""
        return []

    def close(self) -> None:
        """Nothing is held."""
