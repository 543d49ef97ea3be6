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
from lakeward.settings import Settings
from lakeward.store.database import Database, open_database
from lakeward.store.outbox import Outbox, Row
from lakeward.trace import CURRENT

KEY_LENGTH = 256


class Messages:
    """Sends templates by SMS and e-mail. One per application; threads and forks may share it."""

    def __init__(
        self,
        settings: Settings,
        collector: Collector,
        *,
        carriers: Mapping[Channel, Carrier] | None = None,
        templates: Path | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.settings = settings
        self.templates = Templates(templates or folder_of(settings))
        self._collector = collector
        self._timing = timing or Timing()
        self._carried = configured(settings, carriers or {})
        self._opening = threading.RLock()
        self._gate = Gate()
        self._database: Database | None = None
        self._secret: bytes | None = None
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
    ) -> str | None:
        """Put a message into the outbox; its id, the same for the same `key`, however often."""
        try:
            if channel not in CHANNELS:
                raise Rejected("`channel` must be sms or email")
            sender = self._sender(channel)
            row = self._row(
                template, channel, to, values or {}, key, language,
                {"user_id": user_id, "session_id": session_id, "purpose": purpose},
            )  # fmt: skip
        except Rejected as error:
            if self.settings.environment == "development":
                raise
            said = {"channel": channel, "template": template, "purpose": purpose}
            self._collector.set_aside("message_sent", str(error), said)
            return None
        outbox_id = self.outbox.add(row)
        if not self._closed:
            sender.wake()
        return outbox_id

    def _row(
        self,
        template: str,
        channel: Channel,
        to: str,
        values: Values,
        key: str | None,
        language: str | None,
        said: dict[str, str | None],
    ) -> Row:
        address = checked(channel, to)
        found = self.templates.find(template, channel, language)
        written = found.render(values)
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= KEY_LENGTH):
            raise Rejected(f"`key` must be text of 1 to {KEY_LENGTH} characters")
        joined: dict[str, Any] = {name: _short(name, value) for name, value in said.items()}
        now_ns = self._collector.clock.now()
        outbox_id = str(uuid7(nanoseconds=now_ns))
        whom = spelled(channel, address)
        return Row(
            outbox_id=outbox_id, key=self._digest("key", key or outbox_id), channel=channel,
            template=template, template_version=found.version, language=language,
            recipient_hash=self._digest("recipient", whom),
            twin=self._digest("twin", f"{whom}\0{written.text}"), address=address,
            subject=written.subject, body=written.text, html=written.html,
            created_at=now_ns // 1_000_000, due_at=now_ns // 1_000_000, **joined | _cause(said),
        )  # fmt: skip

    def _digest(self, kind: str, value: str) -> str:
        """A hash that only this lake can make, the same in every process and on every day."""
        if self._secret is None:
            kept = lasting_secret(open_lake(self.settings.lake_dir))
            self._secret = kept or self._collector.lasting_salt()
        raw = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, key=self._secret[:64], digest_size=16).hexdigest()

    @property
    def outbox(self) -> Outbox:
        """The outbox, opened on first use."""
        with self._opening:
            if self._database is None:
                with self._gate.passing():
                    self._database = GatedDatabase(open_database(self.settings), self._gate)
            return Outbox(self._database)

    def _sender(self, channel: Channel) -> Sender:
        if (sender := self._senders.get(channel)) is not None:
            return sender
        carried = self._carried.get(channel)
        if isinstance(carried, str):
            raise SettingError(carried)
        assert carried is not None
        with self._opening:
            return self._senders.setdefault(channel, self._made(channel, carried))

    def _made(self, channel: Channel, carried: Carried) -> Sender:
        delivery = Delivery(
            self.outbox, carried.carrier, channel, carried.sender,
            now_ms=lambda: self._collector.now_ns() // 1_000_000,
            random=random.random, timing=self._timing,
        )  # fmt: skip
        return Sender(delivery, self._collector, self._timing.lease)

    def drain(self) -> int:
        """Send what is due now, leftovers of dead processes too, in this thread; how many steps."""
        steps = 0
        for channel, carried in self._carried.items():
            if not isinstance(carried, str):
                sender = self._sender(channel)
                while sender.round():
                    steps += 1
        return steps

    def close(self) -> None:
        """Send what is due for up to `LAKEWARD_EXIT_SECONDS` and stop; the rest is the next
        process's. Idempotent."""
        self._closed = True
        deadline = time.monotonic() + self.settings.exit_seconds
        ended = [(channel, s.stop(deadline)) for channel, s in self._senders.items()]
        for channel, carried in self._carried.items():
            if not isinstance(carried, str) and dict(ended).get(channel, True):
                carried.carrier.close()
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
