"""A final message as an interaction: what was sent to whom is neither address nor text.

The id is made of the outbox id and the state, so that a message told twice is one row in the table.
"""

from __future__ import annotations

from typing import Any

from lakeward.collector import Collector
from lakeward.interaction import foreign_id, iso
from lakeward.store.outbox import ERASED, Row

SAME = (
    "channel", "template", "template_version", "purpose", "language", "outbox_id", "provider",
    "message_id", "segments", "currency", "recipient_hash", "user_id", "session_id", "trace_id",
    "parent_interaction_id",
)  # fmt: skip


def tell(collector: Collector, row: Row) -> str | None:
    """Record it; the interaction's id."""
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
    return collector.record(
        "message_sent",
        timestamp=iso(at),
        interaction_id=foreign_id("outbox", f"{row.outbox_id} {row.state}", at),
        **given,
    )
