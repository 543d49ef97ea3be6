"""Flags in the app database: each change is a row of its own, so that the history is the table.

In: a database and definitions that were checked. Out: the newest row of each name; all rows of one.
Fails with `Terminal` for a name that is not there, `Rejected` when somebody else changed it since
it was read, and as the database does. What a definition means is none of this module's business.

    version 7   flag    match-page   {"defaultValue": …, "rules": […]}   ada
    version 8   flag    match-page   NULL                                ada      removed
    version 9   group   staff        ["u1", "u2"]                        bo
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, func, insert, select, text
from uuid_utils import uuid7

from lakeward.errors import Rejected, Terminal
from lakeward.interaction import Clock
from lakeward.store.database import Database
from lakeward.store.row import record
from lakeward.store.schema import FLAGS
from lakeward.store.trail import note

Kind = Literal["flag", "group"]
ORDER_LOCK: Final = int.from_bytes(b"lw-flags", "big")
NAME_LENGTH: Final = 200


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One change; `created_at` is in ms since 1970."""

    version: int
    kind: Kind
    name: str
    definition: Any
    """None when it was removed."""
    created_at: int
    created_by: str


class FlagTable:
    """The flags and saved groups of a database."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._clock = Clock(now_ns)

    def newest(self) -> int:
        """The number of the last change; 0 when there is none."""
        with self._database.read() as connection:
            return _newest(connection)

    def current(self) -> tuple[int, list[Row]]:
        """The number of the last change, and what is there now, by name."""
        newest = select(func.max(FLAGS.c.version)).group_by(FLAGS.c.kind, FLAGS.c.name)
        query = select(FLAGS).where(FLAGS.c.version.in_(newest)).order_by(FLAGS.c.name)
        with self._database.read() as connection:
            rows = [record(row, Row) for row in connection.execute(query).mappings()]
        last = max((row.version for row in rows), default=0)
        return last, [row for row in rows if row.definition is not None]

    def find(self, kind: Kind, name: str) -> Row | None:
        """What is there of this name now."""
        with self._database.read() as connection:
            row = _last(connection, kind, name)
        return row if row is not None and row.definition is not None else None

    def history(self, kind: Kind, name: str, newest: int = 50) -> list[Row]:
        """Its changes, the oldest first."""
        query = (
            select(FLAGS)
            .where(FLAGS.c.kind == kind, FLAGS.c.name == name)
            .order_by(FLAGS.c.version.desc())
            .limit(newest)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [record(row, Row) for row in reversed(rows)]

    def put(
        self, kind: Kind, name: str, definition: object, *, actor: str, after: int | None = None
    ) -> Row:
        """A new definition. With `after` it is one of the row with that version: when there is a
        newer row, it is refused, so that two people do not undo each other unseen."""
        return self._write(kind, name, definition, actor, after)

    def remove(self, kind: Kind, name: str, *, actor: str) -> Row:
        """Take it away; its history stays."""
        return self._write(kind, name, None, actor, None)

    def _write(
        self, kind: Kind, name: str, definition: object, actor: str, after: int | None
    ) -> Row:
        now_ns = self._clock.now()
        with self._database.write() as connection:
            if self._database.path is None:  # who commits later has the higher number
                connection.execute(text(f"SELECT pg_advisory_xact_lock({ORDER_LOCK})"))
            before = _last(connection, kind, name)
            there = before is not None and before.definition is not None
            if definition is None and not there:
                raise Terminal(f"there is no {kind} {name!r}: `lakeward flags list` shows them")
            if after is not None and after != (before.version if before else 0):
                raise Rejected(f"the {kind} {name!r} was changed since it was read: read it again")
            row = Row(
                version=_newest(connection) + 1, kind=kind, name=name, definition=definition,
                created_at=now_ns // 1_000_000, created_by=actor,
            )  # fmt: skip
            connection.execute(
                insert(FLAGS).values(msgspec.structs.asdict(row) | {"row_id": str(uuid7())})
            )
            verb = "remove" if definition is None else "change" if there else "create"
            note(connection, now_ns, actor, f"{kind}.{verb}", name[:128], {"version": row.version})
        return row


def _newest(connection: Connection) -> int:
    return connection.scalar(select(func.max(FLAGS.c.version))) or 0


def _last(connection: Connection, kind: Kind, name: str) -> Row | None:
    query = (
        select(FLAGS)
        .where(FLAGS.c.kind == kind, FLAGS.c.name == name)
        .order_by(FLAGS.c.version.desc())
        .limit(1)
    )
    found = connection.execute(query).mappings().first()
    return None if found is None else record(found, Row)
