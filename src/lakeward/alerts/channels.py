"""The notifier of each channel, from what the environment says.

In: who is told, settings, and the environment: variables, else the `.env` file. Out: for each
channel its notifier, or the sentence that says what is missing: one that cannot be told holds up no
other, and is told once it can be. Addresses and secrets are held here alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Self

import msgspec

from lakeward.alerts.hook import Hook
from lakeward.alerts.mail import TEMPLATES, Mail
from lakeward.alerts.notifier import Notifier
from lakeward.alerts.slack import Slack
from lakeward.alerts.telling import Channel, Telling
from lakeward.alerts.webhook import Webhook
from lakeward.collector import Collector
from lakeward.errors import LakewardError, SettingError
from lakeward.messaging import Messages
from lakeward.settings import PLACEHOLDER, Settings, read_env_file

FAREWELL_SECONDS = 20.0
"""How long what was put into the outbox may take to be sent, before the next look sends it."""


class Channels:
    """Notifiers by channel."""

    def __init__(
        self,
        telling: Telling,
        settings: Settings,
        collector: Callable[[], Collector],
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._collector = collector
        self._environ = os.environ if environ is None else environ
        self._file = read_env_file(settings.source.env_file)
        self._messages: Messages | None = None
        self.named: dict[str, Notifier | str] = {
            channel.channel_id: self._made(channel) for channel in telling.channels
        }

    def _made(self, channel: Channel) -> Notifier | str:
        try:
            address = self._value(channel.address)
            if channel.by == "slack":
                return Slack(Hook(channel.address, address))
            if channel.by == "webhook":
                secret = None if channel.secret is None else self._value(channel.secret)
                return Webhook(Hook(channel.address, address), secret)
            if self._messages is None:
                lasting = msgspec.structs.replace(self._settings, exit_seconds=FAREWELL_SECONDS)
                self._messages = Messages(lasting, self._collector(), templates=TEMPLATES)
            return Mail(self._messages, channel.by, channel.address, address)
        except LakewardError as error:
            return str(error)

    def _value(self, name: str) -> str:
        """What a variable holds; the environment's own first, what stands for nothing is absent."""
        for found in (self._environ.get(name), self._file.get(name)):
            if found is not None and found.strip() and not PLACEHOLDER.match(found.strip()):
                return found.strip()
        raise SettingError(f"the variable {name} is not set, here or in the .env file")

    def wake(self) -> None:
        """Let messages go that an earlier process could not send."""
        if self._messages is not None and self._messages.outbox.waiting(1):
            self._messages.start()

    def close(self) -> None:
        """Send what is due, for a while, and let go."""
        for one in self.named.values():
            if not isinstance(one, str):
                one.close()
        if self._messages is not None:
            self._messages.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
