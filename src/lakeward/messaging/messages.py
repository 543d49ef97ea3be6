"""Messages: the one object of an app that sends.

In: a template, an address and values. Out: the id of a row in the outbox, committed; a thread does
the rest. `send` raises `Transient` while the database is away, since it could not keep the message;
`SettingError` for a channel that has no credentials; for arguments that will not do `Rejected` in
development, elsewhere they are quarantined and None comes back.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from uuid_utils import uuid7

from lakeward.attachment import lasting_secret
from lakeward.collector import Collector
from lakeward.errors import LakewardError, Rejected, SettingError
from lakeward.lakedir import open_lake
from lakeward.messaging.address import checked, spelled
from lakeward.messaging.carriers import Carried, configured
from lakeward.messaging.delivery import Delivery, Timing
from lakeward.messaging.gate import Gate, GatedDatabase
from lakeward.messaging.message import CHANNELS, Carrier, Channel
from lakeward.messaging.sender import Sender
from lakeward.messaging.template import Templates, Values, storable
from lakeward.messaging.unsubscribe import checked_link
from lakeward.settings import Settings
from lakeward.store.database import Database, open_database
from lakeward.store.outbox import Kind, Outbox, Row
from lakeward.trace import CURRENT

KEY_LENGTH = 256
SHOWN_BY_DEFAULT = (
    "messages are only shown here, by default: set LAKEWARD_ENV to the app's environment to send "
    "them, or LAKEWARD_MESSAGES=console to show those that were accepted to be shown"
)


class Messages:
    """Sends templates by SMS and e-mail. One per application; threads and forks may share it."""

    def __init__(
        self,
        settings: Settings,
        collector: Collector,
        *,
        carriers: Mapping[Channel, Carrier] | None = None,
        templates: Path | None = None,
        behind: Path | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.settings = settings
        self.templates = Templates(templates or folder_of(settings), behind)
        self._collector = collector
        self._timing = timing or Timing()
        self._carried = configured(settings, carriers or {})
        self._opening = threading.RLock()
        self._gate = Gate()
        self._database: Database | None = None
        self._secrets: dict[str, bytes] = {}
        self._senders: dict[Channel, Sender] = {}
        self._closed = False
        me = weakref.ref(self)
        os.register_at_fork(
            before=lambda: _around_fork(me, Gate.before_fork),
            after_in_parent=lambda: _around_fork(me, Gate.after_in_parent),
            after_in_child=lambda: _in_child(me),
        )
        atexit.register(_at_exit, me)

    @classmethod
    def from_env(cls, collector: Collector) -> Self:
        """With the settings of a collector; SettingError names those that are missing."""
        return cls(collector.settings, collector)

    def send(
        self,
        template: str,
        *,
        channel: Channel,
        to: str,
        values: Values | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        purpose: str | None = None,
        key: str | None = None,
        language: str | None = None,
        unsubscribe: str | None = None,
    ) -> str | None:
        """Put a message into the outbox; its id, the same for the same `key`, however often."""
        try:
            if channel not in CHANNELS:
                raise Rejected("`channel` must be sms or email")
            kind = self._carrier_of(channel).kind
            row = self._row(
                template, channel, kind, to, values or {}, key, language, unsubscribe,
                {"user_id": user_id, "session_id": session_id, "purpose": purpose},
            )  # fmt: skip
        except Rejected as error:
            if self.settings.environment == "development":
                raise
            said = {"channel": channel, "template": template, "purpose": purpose}
            self._collector.set_aside("message_sent", str(error), said)
            return None
        outbox_id = self.outbox.add(row)
        self.start()
        return outbox_id

    def start(self) -> None:
        """Take what dead processes left, of every channel, without waiting for a first `send`; call
        it where a worker starts. A database that is away is tried again."""
        if not self._closed:
            for channel in self._channels():
                self._sender(channel).wake()

    def _channels(self) -> list[Channel]:
        return [name for name, one in self._carried.items() if not isinstance(one, str)]

    def _row(
        self,
        template: str,
        channel: Channel,
        kind: Kind,
        to: str,
        values: Values,
        key: str | None,
        language: str | None,
        unsubscribe: str | None,
        said: dict[str, str | None],
    ) -> Row:
        address = checked(channel, to)
        found = self.templates.find(template, channel, language)
        written = found.render(values)
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= KEY_LENGTH):
            raise Rejected(f"`key` must be text of 1 to {KEY_LENGTH} characters")
        joined: dict[str, Any] = {name: _short(name, value) for name, value in said.items()}
        now_ns = self._collector.clock.now()
        now_ms = now_ns // 1_000_000
        outbox_id = str(uuid7(nanoseconds=now_ns))
        whom = spelled(channel, address)
        return Row(
            outbox_id=outbox_id, key=self._key(kind, key or outbox_id), kind=kind,
            channel=channel, template=template, template_version=found.version, language=language,
            recipient_hash=self._digest("recipient", whom),
            twin=self._digest("twin", f"{whom}\0{written.text}"), address=address,
            subject=written.subject, body=written.text, html=written.html,
            unsubscribe=checked_link(channel, unsubscribe),
            created_at=now_ms, queued_at=now_ms, due_at=now_ms, **joined | _cause(said),
        )  # fmt: skip

    def _key(self, kind: Kind, key: str) -> str:
        """What was only shown under a key does not stand for what is to be sent under it."""
        return self._digest("shown key" if kind == "console" else "key", key)

    def _digest(self, kind: str, value: str) -> str:
        """A hash that stays the same: of key and twin among all hosts of the database, or two would
        send one message; of the recipient in this lake, and whoever has the database alone
        cannot try telephone numbers until one fits."""
        place = "lake" if kind == "recipient" else "database"
        if (secret := self._secrets.get(place)) is None:
            secret = self._lakes_secret() if place == "lake" else self.outbox.secret()
            self._secrets[place] = secret
        raw = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, key=secret[:64], digest_size=16).hexdigest()

    def _lakes_secret(self) -> bytes:
        kept = lasting_secret(open_lake(self.settings.lake_dir))
        return kept or self._collector.lasting_salt()

    @property
    def outbox(self) -> Outbox:
        """The outbox, opened on first use."""
        with self._opening:
            if self._database is None:
                with self._gate.passing():
                    self._database = GatedDatabase(open_database(self.settings), self._gate)
            return Outbox(self._database)

    def _carrier_of(self, channel: Channel) -> Carried:
        carried = self._carried[channel]
        if isinstance(carried, str):
            raise SettingError(carried)
        return carried

    def _sender(self, channel: Channel) -> Sender:
        if (sender := self._senders.get(channel)) is not None:
            return sender
        made = self._made(channel, self._carrier_of(channel))
        return self._senders.setdefault(channel, made)

    def _made(self, channel: Channel, carried: Carried) -> Sender:
        delivery = Delivery(
            lambda: self.outbox, carried.carrier, channel, carried.sender, kind=carried.kind,
            now_ms=lambda: self._collector.now_ns() // 1_000_000,
            random=random.random, timing=self._timing,
        )  # fmt: skip
        return Sender(delivery, self._collector, self._timing.lease)

    def drain(self) -> int:
        """Send what is due now, leftovers of dead processes too, in this thread; how many steps.
        SettingError when messages wait to be sent and this process shows them by default."""
        shown = any(self._carrier_of(name).kind == "console" for name in self._channels())
        if shown and self.settings.messages != "console" and self.outbox.kinds().get("live"):
            raise SettingError(SHOWN_BY_DEFAULT)
        steps = 0
        for channel in self._channels():
            while self._sender(channel).round():
                steps += 1
        return steps

    def close(self) -> None:
        """Send what is due for up to `LAKEWARD_EXIT_SECONDS` and stop; the rest is the next
        process's. Idempotent."""
        self._closed = True
        deadline = time.monotonic() + self.settings.exit_seconds
        ended = [(channel, s.stop(deadline)) for channel, s in self._senders.items()]
        for channel in self._channels():
            if dict(ended).get(channel, True):
                self._carrier_of(channel).carrier.close()
        if self._database is not None and all(done for _, done in ended):
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def after_fork(self) -> None:
        """In a child: its own locks, and threads when it sends."""
        self._gate.after_in_child()
        self._opening = threading.RLock()
        for sender in self._senders.values():
            sender.after_fork()


def folder_of(settings: Settings) -> Path:
    """Where templates are when nobody says otherwise: beside the `.env` files."""
    return settings.templates or settings.source.env_file.parent / "templates" / "messages"


def _cause(said: Mapping[str, str | None]) -> dict[str, str]:
    """What the message shares with the call or job that sends it."""
    cause = CURRENT.get()
    if cause is None:
        return {}
    joined = {
        "trace_id": cause.trace.trace_id,
        "parent_interaction_id": cause.interaction_id,
    }
    person = cause.person()
    for name in ("user_id", "session_id"):
        if said[name] is None and name in person:
            joined[name] = person[name][:256]
    return joined


def _short(name: str, value: object) -> str | None:
    most = 64 if name == "purpose" else 256
    if value is not None and not (isinstance(value, str) and len(value) <= most):
        raise Rejected(f"`{name}` must be text of up to {most} characters")
    return None if value is None else storable(f"`{name}`", value)


def _around_fork(me: weakref.ref[Messages], step: Callable[[Gate], None]) -> None:
    if messages := me():
        step(messages._gate)


def _in_child(me: weakref.ref[Messages]) -> None:
    if messages := me():
        messages.after_fork()


def _at_exit(me: weakref.ref[Messages]) -> None:
    messages = me()
    if messages is not None and not messages._closed:
        with contextlib.suppress(LakewardError):
            messages.close()
