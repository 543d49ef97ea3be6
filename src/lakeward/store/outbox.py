"""The outbox: every message that the app has decided to send, and what became of it.

In: rows to keep, and what a sender found out. Out: one row at a time, leased to one sender. Fails
as the database does. The way of a message:

    queued ──take──> sending ──sent───────────────> sent
      ^                 │ ├────failed─────────────> failed
      └──────again──────┘ └─cut off─> unsure ──found──> sent
                                        └──not there──> sending

`sending` is committed, attempt counted, before the provider hears of it; so a row that is found in
`sending` after its lease is one whose sender died, and it may have gone. Leases are handed out one
after the other, and never two for the same text to the same address: the provider is asked by
address and text whether a message went, and nothing else may change the answer meanwhile.
A message goes by the kind of carrier it was accepted for, and only the provider that was asked to
take it is asked whether it did. What is final has lost address and text in the same transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, RowMapping, and_, delete, func, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from lakeward.store.database import Database
from lakeward.store.row import record
from lakeward.store.schema import OUTBOX
from lakeward.store.secret import shared_secret

State = Literal["queued", "sending", "unsure", "sent", "failed"]
Kind = Literal["console", "live", "own"]
"""Carriers that show, those of the settings' providers, and the app's own."""
STATES: Final[tuple[State, ...]] = ("queued", "sending", "unsure", "sent", "failed")
ADVISORY_LOCK = int.from_bytes(b"lw-outbx", "big")
GONE: Final[Mapping[str, Any]] = dict.fromkeys(
    ("address", "subject", "body", "html", "unsubscribe", "due_at", "lease", "leased_until")
) | {"twin": ""}
"""What a final row no longer has."""
LOST_RACES: Final = 100
_C = OUTBOX.c


class Route(msgspec.Struct, frozen=True):
    """What a sender carries: a channel's messages of one kind, to one provider."""

    channel: str
    kind: Kind
    provider: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it is stored; times are in ms since 1970."""

    outbox_id: str
    key: str
    state: State = "queued"
    kind: Kind
    channel: Literal["sms", "email"]
    template: str
    template_version: str
    purpose: str | None = None
    language: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    trace_id: str | None = None
    parent_interaction_id: str | None = None
    recipient_hash: str
    twin: str
    address: str | None
    subject: str | None = None
    body: str | None
    html: str | None = None
    unsubscribe: str | None = None
    attempts: int = 0
    created_at: int
    queued_at: int
    due_at: int | None
    lease: str | None = None
    leased_until: int | None = None
    tried_at: int | None = None
    final_at: int | None = None
    recorded_at: int | None = None
    provider: str | None = None
    message_id: str | None = None
    segments: int | None = None
    price: str | None = None
    currency: str | None = None
    reason: str | None = None

    def __repr__(self) -> str:
        """Name it and neither whom it goes to nor what it says."""
        return f"<Row {self.outbox_id} {self.channel} {self.state}>"


class Outbox:
    """The outbox of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: Row) -> str:
        """Keep a message; the id of the one that has its key already, when there is one."""
        made = sqlite.insert(OUTBOX) if self._database.path else postgresql.insert(OUTBOX)
        values = msgspec.structs.asdict(row)
        with self._database.write() as connection:
            connection.execute(made.values(values).on_conflict_do_nothing(index_elements=["key"]))
            known = select(_C.outbox_id).where(_C.key == row.key)
            return str(connection.execute(known).scalar_one())

    def secret(self) -> bytes:
        """What the hashes of keys and twins are made with, the same for every host."""
        return shared_secret(self._database, "outbox")

    def find(self, outbox_id: str) -> Row | None:
        """One message."""
        with self._database.read() as connection:
            found = connection.execute(select(OUTBOX).where(_C.outbox_id == outbox_id))
            row = found.mappings().first()
            return record(row, Row) if row else None

    def take(self, route: Route, now_ms: int, lease_ms: int) -> Row | None:
        """Lease the message that is due longest: `sending` is to be sent, `unsure` to be asked
        for. None when nothing is due."""
        for _ in range(LOST_RACES):
            with self._database.write() as connection:
                _one_by_one(connection, self._database)
                row = connection.execute(_due(route, now_ms)).mappings().first()
                if row is None:
                    return None
                fresh = row["state"] == "queued"
                changes = {
                    "state": "sending" if fresh else "unsure",
                    "attempts": row["attempts"] + fresh,
                    "tried_at": row["tried_at"] or now_ms,
                    "lease": str(uuid.uuid4()),
                    "leased_until": now_ms + lease_ms,
                    "provider": route.provider,
                }
                # an erase or a resend may have changed it since: they look for no lease
                done = connection.execute(update(OUTBOX).where(_as_it_was(row)).values(changes))
                if done.rowcount == 1:
                    return msgspec.structs.replace(record(row, Row), **changes)
        return None

    def change(self, taken: Row, **changes: Any) -> bool:
        """Change a leased message; False when the lease has gone to somebody else."""
        mine = and_(_C.outbox_id == taken.outbox_id, _C.lease == taken.lease)
        with self._database.write() as connection:
            if changes.get("final_at"):
                _wipe(connection, self._database)
                changes = {**GONE, **changes}
            done = connection.execute(update(OUTBOX).where(mine).values(changes))
            return done.rowcount == 1

    def adopt(self, taken: Row, found: Collection[str], now_ms: int, **changes: Any) -> bool:
        """Take the first message id of `found` that no other row has, and be sent; False when
        every one is somebody else's."""
        with self._database.write() as connection:
            _one_by_one(connection, self._database)
            held = set(
                connection.scalars(select(_C.message_id).where(_C.message_id.in_(list(found))))
            )
            free = next((one for one in found if one not in held), None)
            if free is None:
                return False
            _wipe(connection, self._database)
            ended = {**GONE, **changes, "state": "sent", "message_id": free, "final_at": now_ms}
            mine = and_(_C.outbox_id == taken.outbox_id, _C.lease == taken.lease)
            connection.execute(update(OUTBOX).where(mine).values(ended))
            return True

    def resend(self, outbox_id: str, now_ms: int) -> bool:
        """Queue an unsure message again that nobody is asking for; whether there was one. It has
        as long as a new one until it is given up."""
        free = or_(_C.leased_until.is_(None), _C.leased_until < now_ms)
        which = and_(_C.outbox_id == outbox_id, _C.state.in_(("unsure", "sending")), free)
        with self._database.write() as connection:
            changed = update(OUTBOX).where(which)
            values = {"state": "queued", "queued_at": now_ms, "due_at": now_ms, "reason": None}
            values |= {"lease": None, "leased_until": None}
            return connection.execute(changed.values(values)).rowcount == 1

    def unrecorded(self, before_ms: int, most: int = 1000) -> list[Row]:
        """Messages that were final before then, and that the lake may not know of."""
        query = select(OUTBOX).where(_C.final_at < before_ms, _C.recorded_at.is_(None))
        query = query.limit(most)
        with self._database.read() as connection:
            return [record(row, Row) for row in connection.execute(query).mappings()]

    def mark_recorded(self, outbox_id: str, now_ms: int) -> None:
        """The lake has heard of it."""
        with self._database.write() as connection:
            which = update(OUTBOX).where(_C.outbox_id == outbox_id)
            connection.execute(which.values(recorded_at=now_ms))

    def next_due(self, route: Route) -> int | None:
        """When there is something to do for a carrier; None when nothing waits."""
        waiting = func.coalesce(_C.due_at, 0)
        later = func.max if self._database.path else func.greatest
        query = select(func.min(later(waiting, func.coalesce(_C.leased_until, 0))))
        query = query.where(_open(route))
        with self._database.read() as connection:
            found: int | None = connection.scalar(query)
            return found

    def counts(self) -> dict[State, int]:
        """Messages by state, each state named."""
        query = select(_C.state, func.count()).group_by(_C.state)
        with self._database.read() as connection:
            found = {row[0]: row[1] for row in connection.execute(query)}
        return {state: found.get(state, 0) for state in STATES}

    def kinds(self) -> dict[Kind, int]:
        """Messages that are not final, by the kind of carrier that each waits for."""
        query = select(_C.kind, func.count()).where(_C.final_at.is_(None)).group_by(_C.kind)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def waiting(self, most: int = 100) -> list[Row]:
        """Messages that are not final, the oldest first."""
        query = select(OUTBOX).where(_C.final_at.is_(None))
        query = query.order_by(_C.created_at, _C.outbox_id).limit(most)
        with self._database.read() as connection:
            return [record(row, Row) for row in connection.execute(query).mappings()]

    def prune(self, before_ms: int) -> int:
        """Delete what was final, and recorded, earlier than that; how many there were."""
        old = and_(_C.final_at < before_ms, _C.recorded_at.is_not(None))
        with self._database.write() as connection:
            return connection.execute(delete(OUTBOX).where(old)).rowcount


def _open(route: Route) -> Any:
    """Rows that this carrier may take once their time has come; what is unsure without a time waits
    for a person."""
    asked = _C.provider == route.provider  # nobody else knows whether it went
    return and_(
        _C.channel == route.channel,
        _C.kind == route.kind,
        or_(
            and_(_C.state == "queued", _C.due_at.is_not(None)),
            and_(_C.state == "unsure", _C.due_at.is_not(None), asked),
            and_(_C.state == "sending", asked),
        ),
    )


def _due(route: Route, now_ms: int) -> Any:
    """The first row that is due, and of whose text and address nobody holds another."""
    other = OUTBOX.alias()
    held = (
        select(other.c.outbox_id)
        .where(
            other.c.twin == _C.twin, other.c.outbox_id != _C.outbox_id,
            other.c.lease.is_not(None), other.c.leased_until >= now_ms,
        )
        .exists()
    )  # fmt: skip
    return (
        select(OUTBOX)
        .where(
            _open(route),
            or_(_C.due_at.is_(None), _C.due_at <= now_ms),
            or_(_C.leased_until.is_(None), _C.leased_until < now_ms),
            ~held,
        )
        .order_by(_C.due_at, _C.outbox_id)
        .limit(1)
    )


def _as_it_was(row: RowMapping) -> Any:
    """The row, as long as nobody has changed what decides over it."""
    return and_(
        _C.outbox_id == row["outbox_id"],
        _C.final_at.is_(None),
        *(_C[name].is_not_distinct_from(row[name]) for name in ("state", "lease", "attempts")),
    )


def _one_by_one(connection: Connection, database: Database) -> None:
    """Of all senders one looks for its next message; SQLite's writers queue as they are."""
    if database.path is None:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))


def _wipe(connection: Connection, database: Database) -> None:
    """Text that is taken out of a row is overwritten in SQLite's pages, not only unlinked."""
    if database.path is not None:
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
