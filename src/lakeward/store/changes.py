"""Changes that the lake has to hear of: written with what changed, told afterwards, each once.

In: a connection inside the transaction of the change, a type and its fields. Out: later, the rows
that nobody has told. So a process that dies in between leaves nothing untold; the change's id is
that of the interaction, so that one told twice is one row of the table. Fails as the database does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, and_, delete, insert, select, update

from lakeward.store.database import Database
from lakeward.store.evidence_schema import CHANGES
from lakeward.store.order import ordered_id
from lakeward.store.row import record
from lakeward.store.trail import note

MOST: Final = 500
_C: Final = CHANGES.c


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An interaction that is to be told; `at` is in ms since 1970."""

    change_id: str
    at: int
    type: str
    fields: dict[str, Any]


def add_change(connection: Connection, now_ns: int, kind: str, fields: Mapping[str, Any]) -> str:
    """Add an interaction of type `kind` to the connection's transaction; its id."""
    change_id = ordered_id(now_ns)
    row = {"change_id": change_id, "at": now_ns // 1_000_000, "type": kind, "fields": dict(fields)}
    connection.execute(insert(CHANGES).values(row))
    return change_id


class Actor(msgspec.Struct, frozen=True):
    """Who changes something: the name stands in the audit, the role in the lake."""

    name: str
    role: Literal["admin", "partner", "key", "witness", "lakeward"]


LAKEWARD: Final = Actor("lakeward", "lakeward")
"""What happens by itself, as time passes."""


def mark(
    connection: Connection, now_ns: int, actor: Actor, partner_id: str, kind: str, change: str,
    record_id: str | None = None, **more: Any,
) -> None:  # fmt: skip
    """A change of PowerConfidence: an entry of the audit, and an interaction. Neither repeats what
    anybody wrote."""
    said = {name: value for name, value in more.items() if value is not None}
    if record_id is not None:
        said["record_id"] = record_id
    note(connection, now_ns, actor.name, f"{kind}.{change}", partner_id, said)
    fields = {"partner_id": partner_id, "record": kind, "change": change, "actor_role": actor.role}
    if kind == "person" and record_id is not None:
        fields["user_id"] = record_id  # by which the lake forgets whom it is about
    add_change(connection, now_ns, "confidence_change", fields | said)


def untold(database: Database, most: int = MOST) -> list[Change]:
    """What the lake may not know of, the oldest first."""
    query = select(CHANGES).where(_C.recorded_at.is_(None))
    query = query.order_by(_C.at, _C.change_id).limit(most)
    with database.read() as connection:
        return [record(row, Change) for row in connection.execute(query).mappings()]


def told(database: Database, ids: Sequence[str], now_ms: int) -> None:
    """The lake has heard of them: what they said need not stand here any longer."""
    with database.write() as connection:
        if database.path is not None:
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
        which = update(CHANGES).where(_C.change_id.in_(list(ids)))
        connection.execute(which.values(recorded_at=now_ms, fields={}))


def prune(database: Database, before_ms: int) -> int:
    """Delete what was told earlier than that; how many there were."""
    old = and_(_C.recorded_at.is_not(None), _C.at < before_ms)
    with database.write() as connection:
        return connection.execute(delete(CHANGES).where(old)).rowcount
