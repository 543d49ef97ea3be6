"""Ingest: interactions of other processes, checked, scrubbed and durable before the answer.

In: a body of one interaction, a list, or `{"batch": […]}`. Out: `{"accepted": n, "rejected":
[{"index", "reason"}]}` once the keeper has committed. What the types refuse is listed and set aside
in the quarantine; the rest of a batch goes into the ring as one frame, so that it is kept whole or
not at all. Says no with 400 (not JSON, no interactions), 403 (a type the key does not permit is in
`rejected`), 413 (too many), 429 (too many requests wait), 503 (cannot be made durable).
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakeward.collector import Collector, Received
from lakeward.errors import NotDurable, Rejected
from lakeward.interaction import SERVER_OWNED, JsonObject
from lakeward.ledger import Reason
from lakeward.quarantine import NOT_PERMITTED
from lakeward.server.answer import Refusal
from lakeward.server.shape import Lines

UNDECODABLE = "undecodable"


class Sender(msgspec.Struct, frozen=True):
    """Who sends, as far as the server knows: what a record takes from the request."""

    address: str | None
    user_agent: str | None
    permits: Any
    """Whether a type may be sent: a function of its name."""


class Outcome(msgspec.Struct):
    """The answer to a batch."""

    accepted: int
    rejected: list[dict[str, Any]]


class Refused(msgspec.Struct, frozen=True):
    """An interaction that is not kept; `event` is what goes into the quarantine, None: nothing."""

    index: int
    reason: str
    event: Any


class Ingest:
    """Takes batches into one collector."""

    def __init__(self, collector: Collector, *, most_events: int, most_bytes: int,
                 most_waiting: int = 512, commit_seconds: float = 10.0) -> None:  # fmt: skip
        self._collector = collector
        self._shapes = Lines(collector)
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._most_waiting = most_waiting
        self._commit_seconds = commit_seconds
        self.waiting = 0

    async def take(self, body: bytes, sender: Sender) -> Outcome:
        """Check, keep and commit one batch."""
        if self.waiting >= self._most_waiting:
            raise Refusal(429, "busy", "Too many requests wait for the disk: try again.",
                          retry_after=1)  # fmt: skip
        events = self._decoded(body)
        lines, rejected = self._lines(events, sender)
        if lines and not self._collector.put_batch(lines):
            raise Refusal(503, "no_room", "The server's memory is full because its disk is "
                          "behind: try again.", retry_after=2)  # fmt: skip
        for refused in rejected:
            if refused.event is not None:
                self._set_aside(refused)
        self.waiting += 1
        try:
            await self._collector.acommit(self._commit_seconds)
        except NotDurable as error:
            raise Refusal(503, "not_durable", f"The batch is {error}.", retry_after=2) from None
        finally:
            self.waiting -= 1
        return Outcome(len(lines), [{"index": r.index, "reason": r.reason} for r in rejected])

    def _set_aside(self, refused: Refused) -> None:
        event = refused.event
        fields = event if isinstance(event, dict) else {"value": event}
        # What the sender cannot set must not come back into the lake by a replay either.
        fields = {name: value for name, value in fields.items() if name not in SERVER_OWNED}
        kind = fields.get("interaction_type")
        self._collector.set_aside(kind if isinstance(kind, str) else "", refused.reason, fields)

    def _decoded(self, body: bytes) -> list[Any]:
        try:
            content = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self._collector.quarantine(UNDECODABLE, note="the body of a request", raw=body)
            raise Refusal(400, "bad_json", "The body is not JSON.") from None
        if isinstance(content, dict):
            content = content.get("batch", [content]) if "batch" in content else [content]
        if not isinstance(content, list):
            raise Refusal(400, "bad_batch", "`batch` must be a list of interactions.")
        if len(content) > self._most_events:
            raise Refusal(413, "too_many", f"A batch holds {self._most_events} interactions at "
                          "most: send smaller ones.")  # fmt: skip
        return content

    def _lines(
        self, events: list[Any], sender: Sender
    ) -> tuple[list[bytes], list[Refused]]:  # fmt: skip
        lines: list[bytes] = []
        rejected: list[Refused] = []
        received = self._collector.received(sender.address, sender.user_agent)
        for index, event in enumerate(events):
            try:
                line = self._line(event, sender, received)
                if line is not None:
                    lines.append(line)
            except Rejected as error:
                rejected.append(Refused(index, str(error), event))
            except Exception as error:
                # Not set aside: what the scrubber could not finish may hold anything.
                self._collector.blame(Reason.unencodable, error)
                rejected.append(Refused(index, "The interaction cannot be stored.", None))
        return lines, rejected

    def _line(self, event: Any, sender: Sender, received: Received) -> bytes | None:
        """One event as its line, None when a rollout leaves its user out."""
        if not isinstance(event, dict):
            raise Rejected("An interaction must be an object.")
        fields: JsonObject = event.copy()
        interaction_type = fields.pop("interaction_type", None)
        if not isinstance(interaction_type, str):
            raise Rejected("`interaction_type` is missing.")
        if not sender.permits(interaction_type):
            raise Rejected(NOT_PERMITTED)
        if not SERVER_OWNED.isdisjoint(fields):
            for name in SERVER_OWNED:
                fields.pop(name, None)
        if self._collector.leaves_out(interaction_type, fields):
            return None
        line = self._shapes.make(interaction_type, fields, received)
        if line is None:
            line = self._collector.prepare(interaction_type, fields, received)
        if len(line) > self._most_bytes:
            raise Rejected(f"The interaction is larger than {self._most_bytes} bytes.")
        return line
