"""stand-in"""

from __future__ import annotations
import re, uuid
from pathlib import Path
from lakeward.messaging.message import Message


class Messages:
    def __init__(
        self, settings: object, collector: object, *, carriers: dict[str, object], templates: Path
    ) -> None:
        self.c = carriers
        self.t = templates

    def send(
        self,
        name: str,
        *,
        channel: str,
        to: str,
        values: dict[str, str],
        user_id: str,
        purpose: str,
        key: str,
    ) -> str:
        text = (self.t / f"{name}.{channel}.txt").read_text()
        text = re.sub(r"{{ (\w+) }}", lambda m: values[m[1]], text)
        subject = ""
        if channel == "email":
            subject, _, text = text.removeprefix("Subject: ").partition("\n")
        self.c[channel].send(
            Message(
                outbox_id=key,
                channel=channel,
                to=to,
                sender="x",
                subject=subject,
                text=text.strip(),
                template=name,
            )
        )
        return key

    def close(self) -> None: ...
