"""Witnesses: the people who may speak of a partner, as its employees or its customers.

In: a database and what is known of a person. Somebody who is told of twice, by address and role, is
one. Out: a `Witness`. Fails with `Terminal` naming what will not do, and as the database does.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, and_, func, select, update
from uuid_utils import uuid7

from lakeward.errors import Terminal
from lakeward.store import partners, wording
from lakeward.store.changes import Actor, mark
from lakeward.store.database import Database
from lakeward.store.evidence_schema import WITNESSES
from lakeward.store.row import record
from lakeward.store.secret import shared_secret
from lakeward.store.upsert import added
from lakeward.store.withdrawal import withdraw
from lakeward.store.witness_erasure import forget

Role = Literal["employee", "customer"]
NAME_LENGTH: Final = 80
COMPANY_LENGTH: Final = 200
MOST: Final = 5000
"""Witnesses that one partner may have."""
_C: Final = WITNESSES.c


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may be asked; `created_at` is in ms since 1970."""

    witness_id: str
    partner_id: str
    role: Role
    contact: str
    """A keyed digest of the address; equal for equal addresses, whatever the role."""
    name: str
    phone: str | None = None
    email: str | None = None
    company: str | None = None
    user_id: str | None = None
    """Under which the platform knows the person."""
    language: str
    zone: str
    created_at: int
    created_by: str

    def __repr__(self) -> str:
        """Name the row and not the person."""
        return f"<Witness {self.witness_id} {self.role}>"


class Witnesses:
    """The witnesses of a database. Addresses come checked, as providers take them."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns
        self._secret: bytes | None = None

    def add(
        self, partner_id: str, role: Role, *, actor: Actor, name: str = "",
        phone: str | None = None, email: str | None = None, company: str | None = None,
        user_id: str | None = None, language: str | None = None, zone: str | None = None,
    ) -> Witness:  # fmt: skip
        """Make a witness, or add what is new of one who is known by the same address."""
        if not (phone or email or user_id):
            raise Terminal("a person needs a `phone`, an `email` or a `user_id`")
        own = actor.role == "partner"
        if own and (user_id is not None or (phone and email)):
            raise Terminal(
                "partners name people by a `phone` or an `email`, one of the two: a link goes to "
                "the person alone"
            )
        contact = self.digest(phone or (email or "").lower() or f"user:{user_id}")
        given: dict[str, Any] = {
            "name": wording.name("name", name, NAME_LENGTH),
            "phone": phone, "email": email,
            "company": company and wording.line("company", company, COMPANY_LENGTH),
            "user_id": user_id and wording.line("user_id", user_id, 256),
        }  # fmt: skip
        now_ns = self._now_ns()
        with self._database.write() as connection:
            partner = partners.wanted(connection, partner_id)
            if (known := _known(connection, partner_id, role, contact)) is not None:
                return known if own else self._filled(connection, known, given, now_ns, actor)
            if len(connection.execute(_of(partner_id).limit(MOST)).all()) >= MOST:
                raise Terminal(f"the partner has {MOST} witnesses already")
            made = Witness(
                witness_id=str(uuid7(nanoseconds=now_ns)), partner_id=partner_id, role=role,
                contact=contact, language=wording.language(language or partner.language),
                zone=wording.zone(partner.zone if zone is None else zone),
                created_at=now_ns // 1_000_000, created_by=actor.name, **given,
            )  # fmt: skip
            if added(connection, WITNESSES, msgspec.structs.asdict(made)):
                mark(connection, now_ns, actor, partner_id, "person", "created", made.witness_id)
                return made
            other = _known(connection, partner_id, role, contact)  # of two at once the other one
            return other or wanted(connection, made.witness_id)

    def _filled(
        self, connection: Connection, known: Witness, given: dict[str, Any], now_ns: int,
        actor: Actor,
    ) -> Witness:  # fmt: skip
        changes = {
            name: value
            for name, value in given.items()
            if value not in (None, "") and not getattr(known, name)
        }
        if not changes:
            return known
        mine = _C.witness_id == known.witness_id
        connection.execute(update(WITNESSES).where(mine).values(changes))
        mark(connection, now_ns, actor, known.partner_id, "person", "updated", known.witness_id)
        return msgspec.structs.replace(known, **changes)

    def remove(self, witness_id: str, *, actor: Actor) -> Witness:
        """Delete somebody, and everything that the person said."""
        now_ns = self._now_ns()
        with self._database.write() as connection:
            if self._database.path is not None:
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            known = wanted(connection, witness_id)
            now_ms = now_ns // 1_000_000
            for name in (known.witness_id, known.user_id, known.phone, known.email):
                if name:
                    withdraw(connection, name, now_ms)
            forget(connection, known.witness_id)
            mark(connection, now_ns, actor, known.partner_id, "person", "removed")
        return known

    def get(self, witness_id: str) -> Witness:
        """A witness; Terminal when there is none."""
        with self._database.read() as connection:
            return wanted(connection, witness_id)

    def of(self, partner_id: str) -> list[Witness]:
        """A partner's witnesses, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(_of(partner_id)).mappings()
            return [record(row, Witness) for row in rows]

    def at(self, channel: Literal["sms", "email"], address: str) -> list[Witness]:
        """Everybody with this address, whichever partner they speak of."""
        mine = _C.phone == address if channel == "sms" else func.lower(_C.email) == address.lower()
        with self._database.read() as connection:
            rows = connection.execute(select(WITNESSES).where(mine)).mappings()
            return [record(row, Witness) for row in rows]

    def digest(self, text: str) -> str:
        """What an address is compared by: 32 hexadecimal digits, keyed with a secret that all hosts
        of this database share."""
        if self._secret is None:
            self._secret = shared_secret(self._database, "witnesses")
        raw = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, key=self._secret, digest_size=16).hexdigest()


def _of(partner_id: str) -> Any:
    query = select(WITNESSES).where(_C.partner_id == partner_id)
    return query.order_by(_C.created_at, _C.witness_id)


def _known(connection: Connection, partner_id: str, role: Role, contact: str) -> Witness | None:
    same = and_(_C.partner_id == partner_id, _C.role == role, _C.contact == contact)
    row = connection.execute(select(WITNESSES).where(same)).mappings().first()
    return record(row, Witness) if row else None


def wanted(connection: Connection, witness_id: str) -> Witness:
    """A witness who is there; Terminal otherwise."""
    if len(witness_id) <= 36 and witness_id.isprintable():
        query = select(WITNESSES).where(_C.witness_id == witness_id)
        if row := connection.execute(query).mappings().first():
            return record(row, Witness)
    raise Terminal("there is no such person")


def by_id(connection: Connection, ids: Sequence[str]) -> dict[str, Witness]:
    """Several witnesses."""
    query = select(WITNESSES).where(_C.witness_id.in_(list(ids)))
    found = (record(row, Witness) for row in connection.execute(query).mappings())
    return {witness.witness_id: witness for witness in found}
