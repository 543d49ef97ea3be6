"""One message's way from the outbox to its provider.

In: an outbox and a carrier. Out: a row that is sent, failed, queued for later, or unsure. Raises
what the database raises; the row's lease then ends by itself, and whoever takes it next asks first.
Nothing that a carrier says or raises changes that a message which it took is sent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from lakeward.errors import Rejected, Throttled, Transient, Unsure
from lakeward.messaging.message import Carrier, Channel, Message
from lakeward.messaging.receipt import kept, kept_id
from lakeward.messaging.template import is_storable
from lakeward.store.outbox import Kind, Outbox, Route, Row

logger = logging.getLogger("lakeward")

LONGEST_PAUSE_MS: Final = 600_000
LONGEST_THROTTLE_MS: Final = 3_600_000
CLOCKS_MS: Final = 300_000
"""How far a provider's clock may be behind ours when it is asked what it took since then."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long things take, in ms."""

    lease: int = 120_000
    """A sender that says nothing for so long is dead; longer than any request may take."""
    request: int = 60_000
    """What must be left of a lease for a request to begin."""
    ask: int = 15_000
    """From a cut-off request until the provider is asked for it: it may still be at work."""
    pause: int = 1_000
    """Before the second attempt; doubled for each further one."""
    give_up: int = 86_400_000
    """After so long a message that nobody takes has failed."""


class Delivery:
    """Sees the messages of one channel through, one after the other."""

    def __init__(
        self,
        outbox: Callable[[], Outbox],
        carrier: Carrier,
        channel: Channel,
        sender: str,
        *,
        kind: Kind,
        now_ms: Callable[[], int],
        random: Callable[[], float],
        timing: Timing,
    ) -> None:
        self._open = outbox
        self._name = "".join(filter(str.isprintable, str(carrier.name)))[:32] or "carrier"
        self.route = Route(channel, kind, self._name)
        self._carrier = carrier
        self._sender = sender
        self._now_ms = now_ms
        self._random = random
        self._timing = timing
        self._complained = float("-inf")

    @property
    def outbox(self) -> Outbox:
        """The outbox, opened on first use."""
        return self._open()

    def once(self) -> str | None:
        """See one message a step further; its id, or None when nothing is due."""
        row = self.outbox.take(self.route, self._now_ms(), self._timing.lease)
        if row is None:
            return None
        message = Message(
            outbox_id=row.outbox_id, channel=row.channel, to=row.address or "",
            sender=self._sender, subject=row.subject or "", text=row.body or "", html=row.html,
            unsubscribe=row.unsubscribe, template=row.template, purpose=row.purpose,
            user_id=row.user_id,
        )  # fmt: skip
        if row.state == "sending" or self._is_absent(row, message):
            self._send(row, message)
        return row.outbox_id

    def _is_absent(self, row: Row, message: Message) -> bool:
        """Ask the provider; whether the message surely did not go, and is ours to send again."""
        since = (row.tried_at or row.created_at) - CLOCKS_MS
        try:
            ids = self._ids(message, since)
        except Unsure:
            reason = f"{self._name} cannot be asked whether it went"
            self._release(row, state="unsure", due_at=None, reason=reason)
            return False
        except Exception as error:
            self._later(row, "unsure", error, 0)
            return False
        if self.outbox.adopt(row, ids, self._now_ms(), provider=self._name, reason=None):
            return False
        if self._is_old(row):
            self._end(row, "failed", reason=f"given up after {row.attempts} attempts (cut off)")
            return False
        return self.outbox.change(row, state="sending", attempts=row.attempts + 1)

    def _ids(self, message: Message, since_ms: int) -> list[str]:
        """Ids of what the provider took; one that says nothing leaves open what it is of."""
        ids = [kept_id(one.message_id) for one in self._carrier.sent(message, since_ms)]
        if None in ids:
            raise Unsure(f"{self._name} tells of a message without an id")
        return [one for one in dict.fromkeys(ids) if one is not None]

    def _is_old(self, row: Row) -> bool:
        return self._now_ms() - row.queued_at > self._timing.give_up

    def _send(self, row: Row, message: Message) -> None:
        if self._now_ms() > self._timing.lease - self._timing.request + self._leased_at(row):
            # this process stood still: in a moment the row is somebody else's
            self._release(row, state="queued", due_at=self._now_ms())
            return
        try:
            receipt = self._carrier.send(message)
        except Rejected as error:
            self._end(row, "failed", reason=_words(error, message))
        except Throttled as error:
            self._later(row, "queued", error, _ms(error.seconds))
        except Transient as error:
            self._later(row, "queued", error, 0)
        except Exception:
            reason = "cut off before the answer"
            pause = self._timing.ask << min(max(row.attempts - 1, 0), 20)
            due = self._now_ms() + min(pause, max(LONGEST_PAUSE_MS, self._timing.ask))
            self._release(row, state="unsure", due_at=due, reason=reason)
        else:
            self._end(row, "sent", **self._noted(receipt))

    def _leased_at(self, row: Row) -> int:
        return (row.leased_until or 0) - self._timing.lease

    def _noted(self, receipt: object) -> dict[str, Any]:
        """What is kept of a receipt; what will not do is named in the row and in the log."""
        columns, invalid = kept(receipt)
        if not invalid:
            return {**columns, "reason": None}
        reason = f"left out of the receipt, which is invalid: {', '.join(invalid)}"
        if (now := time.monotonic()) - self._complained >= 60.0:
            self._complained = now
            logger.warning("lakeward: a message went by %s; %s", self._name, reason)
        return {**columns, "reason": reason}

    def _end(self, row: Row, state: str, **changes: Any) -> None:
        self.outbox.change(row, state=state, final_at=self._now_ms(), **changes)

    def _release(self, row: Row, **changes: Any) -> None:
        self.outbox.change(row, lease=None, leased_until=None, **changes)

    def _later(self, row: Row, state: str, error: Exception, asked_ms: int) -> None:
        """Try again after a pause; what was not taken for a day has failed."""
        now = self._now_ms()
        if state == "queued" and self._is_old(row):
            reason = f"given up after {row.attempts} attempts ({type(error).__name__})"
            self._end(row, "failed", reason=reason)
            return
        pause = self._timing.pause << min(max(row.attempts - 1, 0), 20)
        if state == "unsure":  # questions are not counted: the longer it lasts, the rarer
            pause = max(pause, (now - (row.tried_at or now)) // 2)
        pause = min(pause, LONGEST_PAUSE_MS)
        pause = max(round(pause * (0.5 + self._random())), min(asked_ms, LONGEST_THROTTLE_MS))
        reason = f"{self._name} does not take messages now ({type(error).__name__})"
        self._release(row, state=state, due_at=now + pause, reason=reason[:255])


def _words(error: Exception, message: Message) -> str:
    """A carrier's reason without addresses, which a provider may repeat in it."""
    said = str(error)
    for secret in filter(None, (message.unsubscribe, message.to)):
        said = said.replace(secret, "[address]")
    said = said[:255]
    return said if is_storable(said) else f"refused ({type(error).__name__})"


def _ms(seconds: object) -> int:
    """The pause that a carrier asks for; one that is no number is none."""
    if not isinstance(seconds, int | float) or not 0 <= seconds < LONGEST_THROTTLE_MS:
        return 0
    return round(seconds * 1000)
