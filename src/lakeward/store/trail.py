"""The audit: who changed what in the app database, and when.

In: an entry, written by the transaction that makes the change, so that neither stands without the
other. Out: the newest entries. An entry never holds a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, or_, select

from lakeward.store.database import Database
from lakeward.store.order import ordered_id
from lakeward.store.row import record
from lakeward.store.schema import AUDIT


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One change; `at` is in ms since 1970."""

    audit_id: str
    at: int
    actor: str
    action: str
    subject: str
    details: dict[str, Any]


def write_entry(connection: Connection, entry: Entry) -> None:
    """Add it to the connection's transaction."""
    connection.execute(insert(AUDIT).values(msgspec.structs.asdict(entry)))


def note(
    connection: Connection, now_ns: int, actor: str, action: str, subject: str,
    details: dict[str, Any],
) -> None:  # fmt: skip
    """An entry of the audit."""
    entry = Entry(
        audit_id=ordered_id(now_ns),
        at=now_ns // 1_000_000,
        actor=actor,
        action=action,
        subject=subject,
        details=details,
    )
    write_entry(connection, entry)


def entries(database: Database, newest: int, actions: Sequence[str] = ()) -> list[Entry]:
    """The `newest` entries, of actions that begin so if any are given, the oldest first."""
    query = select(AUDIT).order_by(AUDIT.c.at.desc(), AUDIT.c.audit_id.desc()).limit(newest)
    if actions:
        query = query.where(or_(*(AUDIT.c.action.startswith(action) for action in actions)))
    with database.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [record(row, Entry) for row in reversed(rows)]
