"""What channels are to be told: a queue in the app database.

In: tellings, and what became of each. Out: those that are due for one channel, leased to one
process. Fails as the database does.

    queued ──take──> queued, leased ──told────────────> told
      ^                      │ └──────refused, a day──> failed
      └────────again─────────┘

`take` is one transaction at a time: of two processes one gets the row. The lease of a process that
died ends by itself; then it is told again under the same id, because an alert that nobody hears is
worse than one that is heard twice. What quiet hours held back is taken all together; what is no
longer so by then is dropped.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from lakeward.store.alerts import ADVISORY_LOCK
from lakeward.store.database import Database
from lakeward.store.row import record
from lakeward.store.schema import INCIDENTS, TELLINGS

What = Literal["incident", "digest", "test"]
MOST_TOGETHER: Final = 100
_T = TELLINGS.c


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that one channel is told; times are in ms since 1970."""

    telling_id: str
    key: str
    channel: str
    kind: str
    what: What
    incident_id: str | None = None
    seq: int | None = None
    state: Literal["queued", "told", "failed"] = "queued"
    held: int = 0
    content: dict[str, Any]
    attempts: int = 0
    queued_at: int
    """From when on it may be told."""
    due_at: int
    lease: str | None = None
    leased_until: int | None = None
    final_at: int | None = None
    reason: str | None = None


def add(connection: Connection, telling: Telling) -> bool:
    """Queue it; False when it is there already."""
    made = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(TELLINGS)
    values = msgspec.structs.asdict(telling)
    statement = made.values(values).on_conflict_do_nothing(index_elements=["key"])
    return connection.execute(statement).rowcount == 1


class Tellings:
    """The queue of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, telling: Telling) -> bool:
        """Queue it; False when it is there already."""
        with self._database.write() as connection:
            return add(connection, telling)

    def knows(self, key: str) -> bool:
        """Whether it was ever queued."""
        with self._database.read() as connection:
            return connection.scalar(select(_T.telling_id).where(_T.key == key)) is not None

    def take(self, channel: str, now_ms: int, lease_ms: int) -> list[Telling]:
        """Lease what is due longest, with everything else that was held back as it was."""
        due = and_(
            _T.channel == channel, _T.state == "queued", _T.due_at <= now_ms,
            or_(_T.leased_until.is_(None), _T.leased_until < now_ms), _first(),
        )  # fmt: skip
        query = select(TELLINGS).where(due).order_by(_T.due_at, _T.telling_id)
        lease = {"lease": str(uuid.uuid4()), "leased_until": now_ms + lease_ms}
        with self._database.write() as connection:
            if self._database.path is None:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            connection.execute(delete(TELLINGS).where(due, _T.held == 1, _outdated()))
            rows = connection.execute(query.limit(1)).mappings().all()
            if rows and rows[0]["held"]:
                held = query.where(_T.held == 1).limit(MOST_TOGETHER)
                rows = connection.execute(held).mappings().all()
            ids = [row["telling_id"] for row in rows]
            if ids:
                mine = update(TELLINGS).where(_T.telling_id.in_(ids))
                connection.execute(mine.values(lease | {"attempts": _T.attempts + 1}))
        return [
            msgspec.structs.replace(record(row, Telling), attempts=row["attempts"] + 1, **lease)
            for row in rows
        ]

    def change(self, taken: Sequence[Telling], **changes: Any) -> bool:
        """Say what became of leased ones; False when the lease has gone to somebody else."""
        mine = and_(
            _T.telling_id.in_([one.telling_id for one in taken]), _T.lease == taken[0].lease
        )
        values = {"lease": None, "leased_until": None, **changes}
        with self._database.write() as connection:
            return connection.execute(update(TELLINGS).where(mine).values(values)).rowcount > 0

    def put_off(self, channel: str, until_ms: int) -> None:
        """Leave the channel alone until then."""
        early = and_(_T.channel == channel, _T.state == "queued", _T.due_at < until_ms)
        with self._database.write() as connection:
            connection.execute(update(TELLINGS).where(early).values(due_at=until_ms))

    def hold(self, channel: str, until_ms: int, now_ms: int) -> None:
        """Hold back what is due and not critical."""
        due = and_(
            _T.channel == channel, _T.state == "queued", _T.due_at <= now_ms,
            or_(_T.leased_until.is_(None), _T.leased_until < now_ms),
            _T.what == "incident", _T.content["severity"].as_string() != "critical",
        )  # fmt: skip
        values = {
            "held": 1, "due_at": until_ms,
            "queued_at": case((_T.attempts == 0, until_ms), else_=_T.queued_at),
        }  # fmt: skip
        with self._database.write() as connection:
            connection.execute(update(TELLINGS).where(due).values(values))

    def give_up(self, before_ms: int, now_ms: int) -> int:
        """What could have been told since then and was not has failed; how many those are."""
        reason = func.coalesce(_T.reason, "nobody tells this channel any more")
        late = and_(
            _T.state == "queued", _T.queued_at < before_ms,
            or_(_T.leased_until.is_(None), _T.leased_until < now_ms),
        )  # fmt: skip
        values = {"state": "failed", "final_at": now_ms, "reason": reason}
        with self._database.write() as connection:
            return connection.execute(update(TELLINGS).where(late).values(values)).rowcount

    def told(self, incident_id: str, seq: int) -> list[str]:
        """Kinds of channel that have heard of a change."""
        query = select(_T.kind).distinct().where(
            _T.incident_id == incident_id, _T.seq == seq, _T.state == "told"
        )  # fmt: skip
        with self._database.read() as connection:
            return sorted(connection.scalars(query.order_by(_T.kind)))

    def of(self, incident_id: str) -> list[Telling]:
        """Everything that was to be told of an incident, in order."""
        query = select(TELLINGS).where(_T.incident_id == incident_id)
        query = query.order_by(_T.seq, _T.channel)
        with self._database.read() as connection:
            return [record(row, Telling) for row in connection.execute(query).mappings()]

    def counts(self, since_ms: int) -> dict[str, int]:
        """Tellings by state: those that wait, and what became of others since then."""
        fresh = or_(_T.state == "queued", _T.final_at >= since_ms)
        query = select(_T.state, func.count()).where(fresh).group_by(_T.state)
        with self._database.read() as connection:
            known = {row[0]: row[1] for row in connection.execute(query)}
        return {state: known.get(state, 0) for state in ("queued", "told", "failed")}

    def failed(self, since_ms: int, most: int = 20) -> list[Telling]:
        """What nobody heard, or has not heard yet though it was tried; the newest first."""
        lost = or_(and_(_T.state == "failed", _T.final_at >= since_ms),
                   and_(_T.state == "queued", _T.attempts > 0))  # fmt: skip
        query = select(TELLINGS).where(lost).order_by(_T.queued_at.desc()).limit(most)
        with self._database.read() as connection:
            return [record(row, Telling) for row in connection.execute(query).mappings()]

    def next_due(self, channels: Collection[str]) -> int | None:
        """When there is something to tell; None when nothing waits."""
        later = func.max if self._database.path else func.greatest
        query = select(func.min(later(_T.due_at, func.coalesce(_T.leased_until, 0))))
        query = query.where(_T.state == "queued", _T.channel.in_(list(channels)), _first())
        with self._database.read() as connection:
            due: int | None = connection.scalar(query)
            return due

    def prune(self, before_ms: int) -> int:
        """Delete what was final earlier than that."""
        with self._database.write() as connection:
            return connection.execute(delete(TELLINGS).where(_T.final_at < before_ms)).rowcount


def _first() -> ColumnElement[bool]:
    """Whether no earlier news of the incident still waits for the channel."""
    other = TELLINGS.alias()
    earlier = select(other.c.telling_id).where(
        other.c.channel == _T.channel, other.c.state == "queued", other.c.held == 0,
        other.c.incident_id == _T.incident_id, other.c.seq < _T.seq,
    )  # fmt: skip
    return ~earlier.correlate(TELLINGS).exists()


def _outdated() -> ColumnElement[bool]:
    """Whether the channel was told better since, or somebody sees to it, or it is over, which is
    told as such; what flaps is so whether it is over or not."""
    other, now = TELLINGS.alias(), INCIDENTS.c
    later = select(other.c.telling_id).where(
        other.c.channel == _T.channel, other.c.incident_id == _T.incident_id,
        other.c.seq > _T.seq, other.c.held == 0, other.c.state != "failed",
    )  # fmt: skip
    moved_on = select(now.incident_id).where(
        now.incident_id == _T.incident_id, now.seq > _T.seq,
        or_(now.state.in_(("acknowledged", "snoozed")),
            and_(now.state == "resolved", now.flapping == 0)),
    )  # fmt: skip
    return or_(later.correlate(TELLINGS).exists(), moved_on.correlate(TELLINGS).exists())
