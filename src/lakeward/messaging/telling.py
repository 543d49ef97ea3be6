"""A final message as an interaction: what was sent to whom is neither address nor text.

The id is made of the outbox id and the state, so that a message told twice is one row in the table.
"""

from __future__ import annotations

from typing import Any

from lakeward.collector import Collector
from lakeward.interaction import foreign_id, iso
from lakeward.store.outbox import Row
from lakeward.store.withdrawal import ERASED

TYPE = "message_sent"
SAME = (
    "channel", "template", "template_version", "purpose", "language", "outbox_id", "provider",
    "message_id", "segments", "currency", "recipient_hash", "user_id", "session_id", "trace_id",
    "parent_interaction_id",
)  # fmt: skip


def tell(collector: Collector, row: Row) -> bool:
    """Record it. False when there is no room for it now: whoever asks again later tells the same
    interaction. What is left out on purpose, or set aside, is done with."""
    return offered(collector, TYPE, _fields(row))


def offered(collector: Collector, kind: str, fields: dict[str, Any]) -> bool:
    """Record an interaction that is told again until there is room for it; False: not now."""
    if not collector.settings.collect or collector.leaves_out(kind, fields):
        return True
    try:
        line = collector.prepare(kind, dict(fields))
    except Exception:
        collector.record(kind, **fields)  # fails in the same way, and counts or quarantines it
        return True
    return collector.put_batch([line])


def _fields(row: Row) -> dict[str, Any]:
    fields: dict[str, Any] = {name: getattr(row, name) for name in SAME}
    fields |= {"status": row.state, "attempt": row.attempts}
    if row.price is not None:
        fields["price"] = abs(float(row.price))
    if row.state == "failed":
        fields["reason"] = row.reason
    given = {name: v for name, v in fields.items() if v is not None and v != ERASED}
    if row.reason == ERASED:
        given["reason"] = ERASED
    at = row.final_at or row.created_at
    identity = foreign_id("outbox", f"{row.outbox_id} {row.state}", at)
    return given | {"timestamp": iso(at), "interaction_id": identity}
