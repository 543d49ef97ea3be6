"""Invitations: one person asked to answer one form, and how far that came.

In: a database, who is asked, and what became of it. Out: an `Invitation`. Fails with `Terminal`
naming what will not do, and as the database does. What may follow what:

    waiting ──sent──> sent ──open──> opened ──answer──> answered
       │               │ └─────────────────────────────>   │
       └───────────────┴──> expired, withdrawn, failed  <──┘ never

A person is asked once for a form in a period: to ask again renews what has ended without an answer,
with another link. A change names the state that it saw, so of two hosts one goes on.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update
from uuid_utils import uuid7

from lakeward.errors import Terminal
from lakeward.store import witnesses
from lakeward.store.changes import LAKEWARD, Actor, mark
from lakeward.store.database import Database
from lakeward.store.evidence_schema import INVITATIONS, SENDS
from lakeward.store.row import record
from lakeward.store.schema import OUTBOX
from lakeward.store.upsert import added
from lakeward.store.witnesses import Witness

Form = Literal["employee", "reference", "quarterly"]
FORMS: Final[tuple[Form, ...]] = ("employee", "reference", "quarterly")
State = Literal["waiting", "sent", "opened", "answered", "expired", "withdrawn", "failed"]
OPEN: Final[tuple[State, ...]] = ("waiting", "sent", "opened")
"""States in which an answer may still come."""
_C: Final = INVITATIONS.c


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """One invitation; times are in ms since 1970."""

    invitation_id: str
    partner_id: str
    witness_id: str
    form: Form
    period: str
    """Of a quarterly form its quarter, such as 2026-Q4; empty otherwise."""
    state: State = "waiting"
    reason: str = ""
    nonce: str
    sends: int = 0
    """Messages that went, the first and reminders."""
    channel: Literal["sms", "email"] | None = None
    """The last one's."""
    outbox_id: str | None = None
    draft: dict[str, str] = {}
    """What was filled in and not sent yet."""
    created_by: str
    created_at: int
    expires_at: int
    due_at: int | None = None
    """When something is to be sent, or looked at again."""
    sent_at: int | None = None
    delivered_at: int | None = None
    opened_at: int | None = None
    answered_at: int | None = None

    def __repr__(self) -> str:
        """Name it, and not the link that it could be made of."""
        return f"<Invitation {self.invitation_id} {self.form} {self.state}>"


class Invitations:
    """The invitations of a database."""

    def __init__(
        self, database: Database, *, now_ns: Callable[[], int] = time.time_ns,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:  # fmt: skip
        self._database = database
        self._now_ns = now_ns
        self._nonce = nonce

    def invite(
        self, witness: Witness, form: Form, *, actor: Actor, lasts_ms: int, period: str = "",
        renew: bool = True, send: bool = True,
    ) -> tuple[Invitation, bool]:  # fmt: skip
        """Ask somebody; whether that is new. One that has ended without an answer begins anew where
        `renew` says so; one that is not to be `sent` is handed over as a link."""
        if (form == "employee") != (witness.role == "employee"):
            raise Terminal(f"a {witness.role} is not asked for the form {form}")
        now_ns = self._now_ns()
        now_ms = now_ns // 1_000_000
        fresh = Invitation(
            invitation_id=str(uuid7(nanoseconds=now_ns)), partner_id=witness.partner_id,
            witness_id=witness.witness_id, form=form, period=period, nonce=self._nonce(),
            created_by=actor.name, created_at=now_ms, expires_at=now_ms + lasts_ms,
            due_at=now_ms if send else None,
        )  # fmt: skip
        with self._database.write() as connection:
            witnesses.wanted(connection, witness.witness_id)
            known = _asked(connection, witness.witness_id, form, period)
            if known is None and not added(connection, INVITATIONS, msgspec.structs.asdict(fresh)):
                known = _asked(connection, witness.witness_id, form, period)  # of two at once
            if known is not None and (known.state in (*OPEN, "answered") or not renew):
                return known, False
            if known is not None:
                fresh = msgspec.structs.replace(fresh, invitation_id=known.invitation_id)
                _set(connection, known.invitation_id, msgspec.structs.asdict(fresh))
            _mark(connection, now_ns, actor, fresh, "created")
        return fresh, True

    def find(self, invitation_id: str) -> Invitation | None:
        """One invitation."""
        with self._database.read() as connection:
            return found(connection, invitation_id)

    def of(self, partner_id: str) -> list[Invitation]:
        """A partner's invitations, the newest first."""
        query = select(INVITATIONS).where(_C.partner_id == partner_id)
        query = query.order_by(_C.created_at.desc(), _C.invitation_id)
        with self._database.read() as connection:
            return [record(row, Invitation) for row in connection.execute(query).mappings()]

    def of_witness(self, witness_id: str) -> list[Invitation]:
        """A person's invitations that are open."""
        query = select(INVITATIONS).where(_C.witness_id == witness_id, _C.state.in_(OPEN))
        with self._database.read() as connection:
            return [record(row, Invitation) for row in connection.execute(query).mappings()]

    def due(self, now_ms: int, most: int = 200) -> list[Invitation]:
        """Those that something is to be done for, the longest due first; those whose time is up
        among them."""
        late = func.coalesce(_C.due_at, _C.expires_at)
        query = select(INVITATIONS).where(_C.state.in_(OPEN), late <= now_ms)
        query = query.order_by(late, _C.invitation_id).limit(most)
        with self._database.read() as connection:
            return [record(row, Invitation) for row in connection.execute(query).mappings()]

    def sent(
        self, seen: Invitation, channel: Literal["sms", "email"], outbox_id: str,
        due_at: int | None, digest: str = "",
    ) -> bool:  # fmt: skip
        """A message is in the outbox; False when the invitation is not what it was."""
        now_ns = self._now_ns()
        changes: dict[str, Any] = {
            "sends": seen.sends + 1, "channel": channel, "outbox_id": outbox_id, "due_at": due_at,
            "sent_at": now_ns // 1_000_000,
            "state": "sent" if seen.state == "waiting" else seen.state,
        }  # fmt: skip
        with self._database.write() as connection:
            if not _change(connection, seen, changes, OPEN):
                return False
            after = msgspec.structs.replace(seen, **changes)
            connection.execute(
                insert(SENDS).values(
                    send_id=str(uuid7(nanoseconds=now_ns)), digest=digest,
                    partner_id=seen.partner_id, at=now_ns // 1_000_000,
                )
            )  # fmt: skip
            _mark(connection, now_ns, LAKEWARD, after, "sent", number=after.sends)
        return True

    def postpone(self, seen: Invitation, due_at: int | None) -> bool:
        """Look at it later; None: not before it ends."""
        with self._database.write() as connection:
            return _change(connection, seen, {"due_at": due_at}, OPEN)

    def end(
        self, seen: Invitation, state: Literal["expired", "withdrawn", "failed"], reason: str,
        actor: Actor = LAKEWARD,
    ) -> bool:  # fmt: skip
        """It comes to nothing; what was filled in and not sent goes."""
        changes: dict[str, Any] = {
            "state": state,
            "reason": reason[:64],
            "due_at": None,
            "draft": {},
        }
        now_ns = self._now_ns()
        with self._database.write() as connection:
            if not _change(connection, seen, changes, OPEN):
                return False
            _mark(connection, now_ns, actor, seen, state, reason=reason[:64])
        return True

    def opened(self, seen: Invitation) -> None:
        """Its link was followed; only the first time is told."""
        if seen.state not in ("waiting", "sent"):
            return
        now_ns = self._now_ns()
        changes = {"state": "opened", "opened_at": now_ns // 1_000_000}
        with self._database.write() as connection:
            if _change(connection, seen, changes, ("waiting", "sent")):
                _mark(connection, now_ns, Actor("witness", "witness"), seen, "opened")

    def keep(self, seen: Invitation, draft: Mapping[str, str]) -> bool:
        """Keep what was filled in; whether an answer may still come."""
        now_ns = self._now_ns()
        with self._database.write() as connection:
            if not _fill(connection, seen, {"draft": dict(draft)}):
                return False
            if not seen.draft:  # told once
                _mark(connection, now_ns, Actor("witness", "witness"), seen, "saved")
        return True

    def delivered(self, outbox_id: str, at_ms: int) -> bool:
        """A provider says that the message arrived; whether it is one of ours."""
        now_ns = self._now_ns()
        with self._database.write() as connection:
            seen = _by_message(connection, outbox_id)
            if seen is None:
                return False
            if seen.delivered_at is None:
                _change(connection, seen, {"delivered_at": at_ms}, (*OPEN, "answered"))
                _mark(connection, now_ns, LAKEWARD, seen, "delivered")
        return True

    def bounced(self, outbox_id: str, reason: str, retry_at: int) -> bool:
        """A provider says that the message will not arrive; it is looked at again soon, and goes
        another way where there is one. Whether it is one of ours."""
        now_ns = self._now_ns()
        with self._database.write() as connection:
            seen = _by_message(connection, outbox_id)
            if seen is None:
                return False
            if seen.reason.startswith("bounced") and (seen.channel or "") in seen.reason.split():
                return True  # told twice
            before = seen.reason if seen.reason.startswith("bounced") else "bounced"
            changes = {"due_at": retry_at, "reason": f"{before} {seen.channel}"}
            if _change(connection, seen, changes, ("sent",)):
                _mark(connection, now_ns, LAKEWARD, seen, "bounced", reason=reason[:64])
        return True

    def lost(self, most: int = 200) -> list[str]:
        """Outbox ids of messages that no provider took, of invitations that think they went."""
        query = select(_C.outbox_id).join(OUTBOX, OUTBOX.c.outbox_id == _C.outbox_id)
        lost = and_(_C.state == "sent", OUTBOX.c.state == "failed", _C.delivered_at.is_(None))
        again = func.coalesce(_C.reason, "").not_like("bounced%" + _C.channel)
        with self._database.read() as connection:
            return list(connection.scalars(query.where(lost, again).limit(most)))

    def sent_since(self, since_ms: int, *, digest: str = "", partner_id: str = "") -> int:
        """How many messages went since then to an address, or for a partner."""
        which = SENDS.c.digest == digest if digest else SENDS.c.partner_id == partner_id
        query = select(func.count()).select_from(SENDS).where(which, SENDS.c.at >= since_ms)
        with self._database.read() as connection:
            return connection.scalar(query) or 0

    def prune(self, before_ms: int) -> int:
        """Delete what no cap counts any more."""
        with self._database.write() as connection:
            return connection.execute(delete(SENDS).where(SENDS.c.at < before_ms)).rowcount


def answered(connection: Connection, seen: Invitation, now_ms: int) -> bool:
    """Inside the transaction that keeps the answer: False when there is one already, or none may
    come any more."""
    changes = {"state": "answered", "answered_at": now_ms, "due_at": None, "draft": {}}
    return _fill(connection, seen, changes)


def found(connection: Connection, invitation_id: str) -> Invitation | None:
    """One invitation."""
    query = select(INVITATIONS).where(_C.invitation_id == invitation_id)
    row = connection.execute(query).mappings().first()
    return record(row, Invitation) if row else None


def _asked(
    connection: Connection, witness_id: str, form: Form, period: str
) -> Invitation | None:  # fmt: skip
    same = and_(_C.witness_id == witness_id, _C.form == form, _C.period == period)
    row = connection.execute(select(INVITATIONS).where(same)).mappings().first()
    return record(row, Invitation) if row else None


def _by_message(connection: Connection, outbox_id: str) -> Invitation | None:
    row = (
        connection.execute(select(INVITATIONS).where(_C.outbox_id == outbox_id)).mappings().first()
    )
    return record(row, Invitation) if row else None


def _change(
    connection: Connection, seen: Invitation, changes: Mapping[str, Any], from_: Sequence[State]
) -> bool:
    """Change it while it is as it was seen: its state among these, and no message more has gone."""
    same = and_(_by_link(seen), _C.state.in_(from_), _C.sends == seen.sends)
    return connection.execute(update(INVITATIONS).where(same).values(**changes)).rowcount == 1


def _fill(connection: Connection, seen: Invitation, changes: Mapping[str, Any]) -> bool:
    """What a person does to it while it is open. How many messages went matters not: one who
    answers at once may be done before the first is marked as sent, and a reminder ends no form."""
    same = and_(_by_link(seen), _C.state.in_(OPEN))
    return connection.execute(update(INVITATIONS).where(same).values(**changes)).rowcount == 1


def _by_link(seen: Invitation) -> ColumnElement[bool]:
    """The same invitation, by a link that it still goes by."""
    return and_(_C.invitation_id == seen.invitation_id, _C.nonce == seen.nonce)


def _set(connection: Connection, invitation_id: str, values: Mapping[str, Any]) -> None:
    mine = _C.invitation_id == invitation_id
    connection.execute(update(INVITATIONS).where(mine).values(**values))


def _mark(
    connection: Connection, now_ns: int, actor: Actor, one: Invitation, change: str, **more: Any
) -> None:
    mark(
        connection, now_ns, actor, one.partner_id, "invitation", change, one.invitation_id,
        form=one.form, channel=one.channel, **more,
    )  # fmt: skip
