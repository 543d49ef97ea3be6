"""Incidents in the app database: what is wrong, the series it is made of, each change, snoozes.

In: rows that `alerts` has worked out. Out: rows. Fails with `Terminal` for an incident that is not
there, and as the database does. Whoever takes signals or acts on an incident holds `working()`: of
all processes one at a time, so that the second of two sees what the first has done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from lakeward.errors import Terminal
from lakeward.store.database import Database
from lakeward.store.row import record
from lakeward.store.schema import ALERT_CHANGES, ALERT_SERIES, INCIDENTS, SNOOZES, TELLINGS

State = Literal["opened", "ongoing", "acknowledged", "snoozed", "resolved"]
Status = Literal["wrong", "well", "dismissed"]
STATES: Final[tuple[State, ...]] = ("opened", "ongoing", "acknowledged", "snoozed", "resolved")
ADVISORY_LOCK: Final = int.from_bytes(b"lw-alrts", "big") >> 1
LAST_GROUP: Final = 25
"""Where the last group of an id begins, counted from 1; lists show that group alone."""
_I, _S, _C = INCIDENTS.c, ALERT_SERIES.c, ALERT_CHANGES.c


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is or was wrong; times are in ms since 1970."""

    incident_id: str
    state: State
    kind: str
    cause: str
    """What its series share; those that share it and begin together become one incident."""
    severity: str
    series: tuple[str, ...]
    """Names, the first ones of many."""
    members: int
    began_at: int
    """Start of the first bucket that was judged."""
    opened_at: int
    changed_at: int
    resolved_at: int | None = None
    snoozed_until: int | None = None
    flapping: int = 0
    flips: tuple[int, ...] = ()
    """When it opened or was over, within the last hour."""
    told: tuple[str, ...] = ()
    """Channels that know that it is open."""
    signal: dict[str, Any]
    """The last and worst that was said of it."""
    seq: int = 0
    """How many changes there were."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The last that was said of a series."""

    series_id: str
    key: str
    incident_id: str
    status: Status
    at: int
    severity: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an incident."""

    change_id: str
    incident_id: str
    seq: int
    at: int
    what: str
    state: State
    severity: str
    signal: dict[str, Any]
    actor: str | None = None
    recorded_at: int | None = None


class Snooze(msgspec.Struct, frozen=True, kw_only=True):
    """Series of which nobody is told for a while."""

    pattern: str
    ends_at: int
    created_at: int
    created_by: str


class Work:
    """A transaction that holds all incidents."""

    def __init__(self, connection: Connection, database: Database) -> None:
        self.connection = connection
        self._insert = sqlite.insert if database.path else postgresql.insert

    def series(self, series_id: str) -> Series | None:
        """What was said last of a series."""
        query = select(ALERT_SERIES).where(_S.series_id == series_id)
        row = self.connection.execute(query).mappings().first()
        return None if row is None else record(row, Series)

    def wrong(self, incident_id: str) -> list[Series]:
        """The series of an incident that are not well."""
        query = select(ALERT_SERIES).where(_S.incident_id == incident_id, _S.status == "wrong")
        return [record(row, Series) for row in self.connection.execute(query).mappings()]

    def incident(self, incident_id: str) -> Incident | None:
        """One incident."""
        return _incident(self.connection, incident_id)

    def open(self) -> list[Incident]:
        """Those that are not over, the oldest first."""
        query = (
            select(INCIDENTS).where(_I.state != "resolved").order_by(_I.opened_at, _I.incident_id)
        )
        return [record(row, Incident) for row in self.connection.execute(query).mappings()]

    def flapping(self) -> list[Incident]:
        """Those that come and go, over or not."""
        query = select(INCIDENTS).where(_I.flapping == 1)
        return [record(row, Incident) for row in self.connection.execute(query).mappings()]

    def keep(self, incident: Incident) -> None:
        """Write an incident, new or not."""
        _put(self.connection, self._insert(INCIDENTS), "incident_id", incident)

    def say(self, series: Series) -> None:
        """Write what was said last of a series."""
        _put(self.connection, self._insert(ALERT_SERIES), "series_id", series)

    def dismiss(self, incident_id: str) -> None:
        """What is still wrong in it is no news until it was well."""
        mine = (_S.incident_id == incident_id) & (_S.status == "wrong")
        self.connection.execute(update(ALERT_SERIES).where(mine).values(status="dismissed"))

    def add_change(self, change: Change) -> None:
        """A step, for the history and for the lake."""
        self.connection.execute(insert(ALERT_CHANGES).values(_values(change)))

    def snoozes(self, now_ms: int) -> list[Snooze]:
        """Those in force."""
        query = select(SNOOZES).where(SNOOZES.c.ends_at > now_ms).order_by(SNOOZES.c.pattern)
        return [record(row, Snooze) for row in self.connection.execute(query).mappings()]

    def snooze(self, snooze: Snooze) -> None:
        """Begin one, or move its end."""
        _put(self.connection, self._insert(SNOOZES), "pattern", snooze)


class AlertTable:
    """The incidents of a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @contextmanager
    def working(self) -> Iterator[Work]:
        """One transaction that no other of these runs beside."""
        with self.database.write() as connection:
            if self.database.path is None:  # SQLite's writers queue as they are
                connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            yield Work(connection, self.database)

    def find(self, which: str) -> Incident:
        """The incident with this id, or the only one whose id, or the last group of it,
        begins so, or which ends so."""
        with self.database.read() as connection:
            return found(connection, which)

    def all(
        self, states: Sequence[State], most: int = 100, before: int = 1 << 62, since: int = 0
    ) -> list[Incident]:
        """Incidents in these states that opened in that time, the newest first."""
        query = select(INCIDENTS).where(_I.state.in_(states))
        query = query.where(_I.opened_at < before, _I.opened_at >= since)
        query = query.order_by(_I.opened_at.desc(), _I.incident_id.desc()).limit(most)
        with self.database.read() as connection:
            return [record(row, Incident) for row in connection.execute(query).mappings()]

    def counts(self) -> dict[State, int]:
        """Incidents by state, each state named."""
        query = select(_I.state, func.count()).group_by(_I.state)
        with self.database.read() as connection:
            known = {row[0]: row[1] for row in connection.execute(query)}
        return {state: known.get(state, 0) for state in STATES}

    def wrong(self) -> dict[str, str]:
        """The keys of series that are wrong, with the open incident that each is of."""
        query = select(_S.key, _S.incident_id).join(INCIDENTS, _I.incident_id == _S.incident_id)
        query = query.where(_S.status == "wrong", _I.state != "resolved")
        with self.database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def history(self, incident_id: str, most: int = 200) -> list[Change]:
        """The steps of an incident, the oldest first."""
        query = select(ALERT_CHANGES).where(_C.incident_id == incident_id)
        query = query.order_by(_C.seq.desc()).limit(most)
        with self.database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [record(row, Change) for row in reversed(rows)]

    def between(self, since_ms: int, until_ms: int) -> list[tuple[str, str]]:
        """What changed in a time: (what, incident id)."""
        query = select(_C.what, _C.incident_id).where(_C.at >= since_ms, _C.at < until_ms)
        with self.database.read() as connection:
            return [(row[0], row[1]) for row in connection.execute(query.order_by(_C.at))]

    def digests(self, day: str, now_ms: int) -> list[tuple[str, str, int, str | None]]:
        """Digests of a day that wait, or failed just now: (kind of channel, state, due, reason)."""
        t = TELLINGS.c
        missed = (t.state == "queued") | ((t.state == "failed") & (t.final_at >= now_ms))
        query = select(t.kind, t.state, t.due_at, t.reason, t.content)
        query = query.where(t.what == "digest", missed).order_by(t.kind)
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [(row[0], row[1], row[2], row[3]) for row in rows if row[4].get("day") == day]

    def unrecorded(self, most: int = 1000) -> list[tuple[Change, Incident]]:
        """Steps that the lake may not know of, the oldest first."""
        query = select(ALERT_CHANGES).where(_C.recorded_at.is_(None))
        query = query.order_by(_C.at, _C.incident_id, _C.seq).limit(most)
        with self.database.read() as connection:
            changes = [record(row, Change) for row in connection.execute(query).mappings()]
            pairs = [(one, _incident(connection, one.incident_id)) for one in changes]
        return [(change, incident) for change, incident in pairs if incident is not None]

    def mark_recorded(self, change_ids: Sequence[str], now_ms: int) -> None:
        """The lake has heard of them."""
        mine = update(ALERT_CHANGES).where(_C.change_id.in_(list(change_ids)))
        with self.database.write() as connection:
            connection.execute(mine.values(recorded_at=now_ms))

    def snoozes(self, now_ms: int) -> list[Snooze]:
        """Those in force."""
        with self.database.read() as connection:
            return Work(connection, self.database).snoozes(now_ms)

    def prune(self, before_ms: int) -> int:
        """Delete what was over earlier than that; how many incidents there were."""
        old = (_I.state == "resolved") & (_I.changed_at < before_ms)
        ids = select(_I.incident_id).where(old)
        with self.database.write() as connection:
            for table in (ALERT_CHANGES, ALERT_SERIES, TELLINGS):
                connection.execute(delete(table).where(table.c.incident_id.in_(ids)))
            connection.execute(delete(SNOOZES).where(SNOOZES.c.ends_at < before_ms))
            return connection.execute(delete(INCIDENTS).where(old)).rowcount


def found(connection: Connection, which: str) -> Incident:
    """By id, or by a part of one that only one has: of either end, or of what a list shows."""
    if which and all(sign in "0123456789abcdef-" for sign in which):
        shown = func.substr(_I.incident_id, LAST_GROUP, len(which)) == which
        alike = _I.incident_id.startswith(which) | _I.incident_id.endswith(which) | shown
        rows = connection.execute(select(INCIDENTS).where(alike).limit(2)).mappings().all()
        if len(rows) == 1:
            return record(rows[0], Incident)
        if rows:
            raise Terminal("several incidents have such an id: write all of it")
    raise Terminal("there is no incident of that id: `lakeward alerts list --all` shows them")


def _incident(connection: Connection, incident_id: str) -> Incident | None:
    query = select(INCIDENTS).where(_I.incident_id == incident_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else record(row, Incident)


def _values(row: msgspec.Struct) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in msgspec.structs.asdict(row).items()
    }


def _put(connection: Connection, statement: Any, key: str, row: msgspec.Struct) -> None:
    values = _values(row)
    changed = {name: value for name, value in values.items() if name != key}
    connection.execute(
        statement.values(values).on_conflict_do_update(index_elements=[key], set_=changed)
    )
