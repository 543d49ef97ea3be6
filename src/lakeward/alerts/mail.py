"""E-mail and SMS: a notice as a message of the outbox, which sees it through.

In: a notice. Out: a message, committed, under the notice's id as key, so that a repeat is none.
From then on the outbox tries again by itself. Fails with `SettingError` for an address that is none
and for a channel without credentials, and as the database does.

An SMS is one or two segments: the heading, and the reason as far as it fits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from lakeward.alerts.notifier import Notice
from lakeward.alerts.wording import heading, paragraphs
from lakeward.errors import Rejected, SettingError
from lakeward.messaging import Messages
from lakeward.messaging.address import checked
from lakeward.messaging.message import Channel

TEMPLATES: Final = Path(__file__).parent / "templates"
SMS_LENGTH: Final = 300
PURPOSE: Final = "alert"


class Mail:
    """Puts notices into the outbox, for one address."""

    def __init__(self, messages: Messages, channel: Channel, variable: str, to: str) -> None:
        try:
            checked(channel, to)
        except Rejected as error:
            raise SettingError(str(error).replace("`to`", variable)) from None
        self._messages = messages
        self._channel = channel
        self._to = to

    def tell(self, notice: Notice) -> None:
        """One message."""
        kept = self._messages.send(
            "alert", channel=self._channel, to=self._to, values=self._values(notice),
            purpose=PURPOSE, key=f"alert {notice.notice_id}",
        )  # fmt: skip
        if kept is None:
            raise Rejected("the outbox takes no such message: `lakeward quarantine` says why")

    def _values(self, notice: Notice) -> dict[str, Any]:
        title, texts = heading(notice), paragraphs(notice)
        if self._channel == "email":
            return {"heading": title, "text": "\n\n".join(texts)}
        why = texts[0].replace("\n", " ") if texts else ""
        whole = f"{title}. {why}" if why else title
        cut = whole if len(whole) <= SMS_LENGTH else whole[: SMS_LENGTH - 1] + "…"
        return {"text": cut}

    def close(self) -> None:
        """The messages are the maker's."""
