"""Ingest: interactions of other processes, checked, scrubbed and durable before the answer.

In: interactions as objects, from a body of our own (one, a list, or `{"batch": […], "sent_at": …}`)
or made of another product's by a dialect. Out: how many are durable, and the index and reason of
each that is refused. What the types refuse is set aside in the quarantine; the rest of a batch goes
into the ring as one frame, so that it is kept whole or not at all. Says no with 400 (not JSON, no
interactions), 413 (too many, or a single one that is too large), 429 (the key's share is used up,
or too many requests wait), 503 (cannot be made durable). A type that the key does not permit is
among the refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from lakeward.catalog import TYPES
from lakeward.collector import Collector, Received
from lakeward.errors import NotDurable, Rejected
from lakeward.interaction import SERVER_OWNED, JsonObject, Moments
from lakeward.ledger import Reason
from lakeward.quarantine import NOT_PERMITTED
from lakeward.server.answer import Refusal
from lakeward.server.compat.dialect import Refused as Untaken
from lakeward.server.guard import Pass
from lakeward.server.rates import Rates
from lakeward.server.shape import Lines
from lakeward.server.shipped import Shipped
from lakeward.server.skew import Clocks, Moment

UNDECODABLE = "undecodable"
NO_OBJECT = "An interaction must be an object."
OWN = "app"
"""The source of interactions that come as ours."""
AI_TYPES = frozenset(name for name, spec in TYPES.items() if spec.feature == "ai_content")


class Limits(msgspec.Struct, frozen=True):
    """What is the most."""

    events: int
    """Interactions in a batch."""
    event_bytes: int
    """One interaction, as it is stored."""
    ai_event_bytes: int
    key_rate: int = 0
    """Interactions a second of one key; 0: no limit."""
    frame_bytes: int = 1 << 30
    """What goes into the ring at once; a larger batch goes in parts."""
    batch_bytes: int = 1 << 30
    """All interactions of a batch, as they are stored."""
    waiting: int = 512
    """Requests that wait for the disk."""
    commit_seconds: float = 10.0


class Sender(msgspec.Struct, frozen=True):
    """Who sends, as far as the server knows: what a record takes from the request."""

    address: str | None
    user_agent: str | None
    key: Pass


class Refused(msgspec.Struct, frozen=True):
    """An interaction that is not kept; `event` is what goes into the quarantine, None: nothing."""

    index: int
    reason: str
    event: Any


class TooLarge(Rejected):
    """One interaction is over its limit."""


class Outcome(msgspec.Struct):
    """What became of a batch."""

    accepted: int
    rejected: list[dict[str, Any]]


class Batch(msgspec.Struct, frozen=True):
    """Decoded interactions, and what was said of all of them."""

    events: list[Any]
    sent_at: Any = None
    source: str = OWN
    single: bool = False
    """One interaction, not a batch of one: what is wrong with it is wrong with the request."""


class Ingest:
    """Takes batches into one collector."""

    def __init__(
        self, collector: Collector, rates: Rates, limits: Limits, shipped: Shipped | None = None
    ) -> None:  # fmt: skip
        self._collector = collector
        self._shipped = shipped
        self._rates = rates
        self._limits = limits
        self._shapes = Lines(collector)
        self._moments = Moments()
        self.waiting = 0

    @property
    def most_events(self) -> int:
        """Interactions in a batch, at most."""
        return self._limits.events

    def decoded(self, body: bytes) -> Batch:
        """The interactions of a body of our own."""
        try:
            content = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise self.undecodable(body, "The body is not JSON.", "bad_json") from None
        if not isinstance(content, dict):
            return Batch(_listed(content))
        if "batch" not in content:
            return Batch([content], single=True)
        return Batch(_listed(content["batch"]), content.get("sent_at"))

    def undecodable(self, body: bytes, message: str, code: str) -> Refusal:
        """A 400 for a body that is none; the quarantine notes its length and hash."""
        self._collector.quarantine(UNDECODABLE, note="the body of a request", raw=body)
        return Refusal(400, code, message)

    def is_time(self, text: str) -> bool:
        """Whether it is a time that a clock can be corrected by."""
        try:
            self._moments.ms(text)
        except (ValueError, AttributeError, OverflowError):
            return False
        return True

    async def take(self, batch: Batch, sender: Sender) -> Outcome:
        """Check, keep and commit one batch."""
        self._admit(batch, sender)
        lines, rejected = self._lines(batch, sender)
        if not all(map(self._collector.put_batch, frames(lines, self._limits.frame_bytes))):
            raise Refusal(503, "no_room", "The server's memory is full because its disk is "
                          "behind: try again.", retry_after=2)  # fmt: skip
        for refused in rejected:
            if refused.event is not None:
                self._set_aside(refused)
        self.waiting += 1
        try:
            await self._collector.acommit(self._limits.commit_seconds)
            if self._shipped is not None:
                await self._shipped.reached(self._limits.commit_seconds)
        except NotDurable as error:
            raise Refusal(503, "not_durable", f"The batch is {error}.", retry_after=2) from None
        finally:
            self.waiting -= 1
        return Outcome(len(lines), [{"index": r.index, "reason": r.reason} for r in rejected])

    def _admit(self, batch: Batch, sender: Sender) -> None:
        """Say no before anything is done for it."""
        count = len(batch.events)
        if count > self._limits.events:
            raise Refusal(413, "too_many", f"A batch holds {self._limits.events} interactions at "
                          "most: send smaller ones.")  # fmt: skip
        if self.waiting >= self._limits.waiting:
            raise Refusal(429, "busy", "Too many requests wait for the disk: try again.",
                          retry_after=1)  # fmt: skip
        if sender.key.key_id is not None and self._limits.key_rate:
            wait = self._rates.take(f"key {sender.key.key_id}", count, self._limits.key_rate)
            if wait:
                raise Refusal(429, "key_rate", "This key sends more interactions than "
                              f"{self._limits.key_rate} a second: try again later.",
                              retry_after=math.ceil(wait))  # fmt: skip

    def _set_aside(self, refused: Refused) -> None:
        event = refused.event
        fields = event if isinstance(event, dict) else {"value": event}
        # What the sender cannot set must not come back into the lake by a replay either.
        fields = {name: value for name, value in fields.items() if name not in SERVER_OWNED}
        kind = fields.get("interaction_type")
        self._collector.set_aside(kind if isinstance(kind, str) else "", refused.reason, fields)

    def _lines(self, batch: Batch, sender: Sender) -> tuple[list[bytes], list[Refused]]:
        lines: list[bytes] = []
        rejected: list[Refused] = []
        collector = self._collector
        received = collector.received(sender.address, sender.user_agent)
        now_ms = collector.clock.now() // 1_000_000
        clocks = Clocks(
            batch.source, now_ms, self._moments, collector.clock, public=sender.key.public
        )
        size = 0
        for index, event in enumerate(batch.events):
            # What its events share stands in each of them: a small body may make a large batch.
            if size > self._limits.batch_bytes:
                raise Refusal(413, "too_large", "The interactions of the batch come to more than "
                              f"{self._limits.batch_bytes} bytes: send smaller ones.")  # fmt: skip
            try:
                line = self._line(event, batch, sender, received, clocks)
                if line is not None:
                    lines.append(line)
                    size += len(line)
            except TooLarge as error:
                if batch.single:
                    raise Refusal(413, "event_too_large", str(error)) from None
                rejected.append(Refused(index, str(error), _placed(event, clocks, sender)))
                size += _size(event)
            except Rejected as error:
                rejected.append(Refused(index, str(error), _placed(event, clocks, sender)))
                size += _size(event)
            except Exception as error:
                # Not set aside: what the scrubber could not finish may hold anything.
                collector.blame(Reason.unencodable, error)
                rejected.append(Refused(index, "The interaction cannot be stored.", None))
        return lines, rejected

    def _line(
        self, event: Any, batch: Batch, sender: Sender, received: Received, clocks: Clocks
    ) -> bytes | None:
        """One event as its line, None when a rollout leaves its user out."""
        if not isinstance(event, dict):
            raise Rejected(event.reason if isinstance(event, Untaken) else NO_OBJECT)
        fields: JsonObject = event.copy()
        interaction_type = fields.pop("interaction_type", None)
        if not isinstance(interaction_type, str):
            raise Rejected("`interaction_type` is missing.")
        if not sender.key.permits(interaction_type):
            raise Rejected(NOT_PERMITTED)
        if not SERVER_OWNED.isdisjoint(fields):
            for name in SERVER_OWNED:
                fields.pop(name, None)
        sent_at = fields.pop("sent_at", None)
        if sent_at is None:
            sent_at = batch.sent_at
        shift, sent = clocks.sent(sent_at) if sent_at is not None else (0, None)
        moment = clocks.moment(
            fields.pop("timestamp", None), fields.pop("interaction_id", None), shift
        )
        if self._collector.leaves_out(interaction_type, fields):
            return None
        line = self._shapes.make(interaction_type, fields, received, moment, sent)
        if line is None:
            timed = _timed(fields, moment, sent)
            line = self._prepared(interaction_type, timed, received, batch.source, sender)
        most = self._limits.event_bytes
        if len(line) > most:
            most = self._limits.ai_event_bytes if interaction_type in AI_TYPES else most
            if len(line) > most:
                raise TooLarge(f"The interaction is larger than {most} bytes.")
        return line

    def _prepared(
        self, interaction_type: str, fields: JsonObject, received: Received, source: str,
        sender: Sender,
    ) -> bytes:  # fmt: skip
        """The line by the long way. Another product's event that happens to be called like a type
        of ours, and does not fit it, is kept as a type of its own."""
        spec = TYPES.get(interaction_type)
        if source == OWN or spec is None or spec.forbidden:
            return self._collector.prepare(interaction_type, fields, received)
        try:
            return self._collector.prepare(interaction_type, fields.copy(), received)
        except Rejected:
            custom = f"{source}.{interaction_type}"
            if not sender.key.permits(custom):
                raise
            return self._collector.prepare(custom, fields, received)


def frames(lines: list[bytes], most: int) -> Iterator[list[bytes]]:
    """Lines that fit a frame together; in most cases all of them."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        size += len(line) + 1
        if size > most and part:
            yield part
            part, size = [], len(line) + 1
        part.append(line)
    if part:
        yield part


def _size(event: Any) -> int:
    """Bytes of what is set aside, 0 for what cannot be encoded: of that only a note is kept."""
    try:
        return len(msgspec.json.encode(event))
    except Exception:
        return 0


def _listed(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise Refusal(400, "bad_batch", "`batch` must be a list of interactions.")
    return content


def _placed(event: Any, clocks: Clocks, sender: Sender) -> Any:
    """What is set aside of an event: with the id that it would have had, for when it is brought
    back. What a public client sent has one in any case: it says whose word it is."""
    if isinstance(event, Untaken):
        event = event.event
        if not sender.key.public:
            return event
    if not isinstance(event, dict):
        return event
    identifier = event.get("interaction_id")
    if not sender.key.public and "interaction_id" not in event:
        return event
    try:
        shift = clocks.sent(event["sent_at"])[0] if event.get("sent_at") is not None else 0
        moment = clocks.moment(event.get("timestamp"), identifier, shift)
    except Rejected:
        if not sender.key.public:
            return event
        moment = clocks.moment(None, identifier, 0)
    return event | {"interaction_id": moment.interaction_id}


def _timed(fields: JsonObject, moment: Moment, sent: str | None) -> JsonObject:
    """The fields with their times, as the collector takes them."""
    timed = fields | {
        "interaction_id": moment.interaction_id,
        "timestamp": moment.timestamp,
    }
    if moment.client_timestamp is not None:
        timed.setdefault("client_timestamp", moment.client_timestamp)
    if sent is not None:
        timed["sent_at"] = sent
    return timed
