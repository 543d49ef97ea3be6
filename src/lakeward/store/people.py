"""People: who may look into the lake through the server, and as what.

In: a database and the words of whoever adds or changes a person. Out: a `Person`. Fails with
`Terminal` naming what will not do, and as the database does.

An *admin* sees everything; a *partner* sees the records whose `partner_id` is its own. A person
who is disabled keeps the row and loses every login at once. E-mail addresses are compared in lower
case. The audit names people by their ids: an address is personal, and goes when it is erased.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from uuid_utils import uuid7

from lakeward.errors import Terminal
from lakeward.interaction import Clock
from lakeward.store.database import Database
from lakeward.store.row import record
from lakeward.store.schema import AUDIT, LINKS, LOGINS, PEOPLE
from lakeward.store.trail import note

Role: TypeAlias = Literal["admin", "partner"]

EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]]{1,64}@[^\s@<>\"(),:;\\\[\]]{1,189}")
PARTNER_LENGTH = 128
SECRET = ("password", "issuer", "subject")
"""What the audit does not tell of a change."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may log in; times are in ms since 1970."""

    person_id: str
    email: str
    role: Role
    partner_id: str | None
    issuer: str | None
    subject: str | None
    created_at: int
    created_by: str
    disabled_at: int | None = None


class People:
    """The people of a database."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._clock = Clock(now_ns)

    def add(
        self, email: str, role: Role, *, actor: str, partner_id: str | None = None,
        password: str | None = None,
    ) -> Person:  # fmt: skip
        """A new person, who without a `password` (as it is stored) cannot log in yet."""
        with self._database.write() as connection:
            return new_person(
                connection, self._clock.now(), email, role, partner_id, actor=actor,
                password=password,
            )  # fmt: skip

    def all(self) -> list[Person]:
        """Everybody, the disabled ones too, in the order they came."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(PEOPLE).order_by(PEOPLE.c.created_at, PEOPLE.c.person_id)
            )
            return [record(row, Person) for row in rows.mappings()]

    def find(self, which: str) -> Person:
        """The person of this e-mail address or id; Terminal when there is none."""
        with self._database.read() as connection:
            return _find(connection, which)

    def last_logins(self) -> dict[str, int]:
        """When each person came in last, by id; in ms since 1970."""
        opened = AUDIT.c.action == "login.open"
        query = select(AUDIT.c.subject, func.max(AUDIT.c.at)).where(opened).group_by("subject")
        with self._database.read() as connection:
            return {str(subject): at for subject, at in connection.execute(query)}

    def change_role(
        self, which: str, role: Role, *, actor: str, partner_id: str | None = None,
        leaves_admin: bool = False,
    ) -> Person:  # fmt: skip
        """Make somebody an admin, or the partner of an id; logins stay, and see the new part.
        With `leaves_admin` the last admin stays one."""
        partner_id = checked_partner(role, partner_id)
        values = {"role": role, "partner_id": partner_id}
        return self._change(which, "person.role", values, actor, leaves_admin=leaves_admin)

    def disable(self, which: str, *, actor: str, leaves_admin: bool = False) -> Person:
        """Keep somebody out, and end every login and link; with `leaves_admin` not the last
        admin."""
        values = {"disabled_at": self._clock.now() // 1_000_000}
        return self._change(
            which, "person.disable", values, actor, ends=True, leaves_admin=leaves_admin
        )

    def enable(self, which: str, *, actor: str) -> Person:
        """Let somebody in again."""
        return self._change(which, "person.enable", {"disabled_at": None}, actor)

    def set_password(self, which: str, encoded: str | None, *, actor: str) -> Person:
        """Give somebody a password, or none, and end every login and link, and the tie to an
        identity provider's account: the next login through it ties anew, by address."""
        values = {"password": encoded, "issuer": None, "subject": None}
        return self._change(which, "person.password", values, actor, ends=True)

    def _change(
        self, which: str, action: str, values: dict[str, Any], actor: str, *, ends: bool = False,
        leaves_admin: bool = False,
    ) -> Person:  # fmt: skip
        now_ns = self._clock.now()
        with self._database.write() as connection:
            if leaves_admin:  # of two who remove each other, the second waits and is refused
                connection.execute(
                    select(PEOPLE.c.person_id).order_by(PEOPLE.c.person_id).with_for_update()
                ).all()
            person = _find(connection, which)
            mine = PEOPLE.c.person_id == person.person_id
            connection.execute(update(PEOPLE).where(mine).values(values))
            if leaves_admin and not has_admin(connection):
                raise Terminal("nobody would be an admin any more: make somebody else one first")
            if ends:
                end_all(connection, person.person_id)
                connection.execute(delete(LINKS).where(LINKS.c.person_id == person.person_id))
            told = {name: value for name, value in values.items() if name not in SECRET}
            note(connection, now_ns, actor, action, person.person_id, told)
            return _find(connection, person.person_id)


def new_person(
    connection: Connection, now_ns: int, email: str, role: Role, partner_id: str | None, *,
    actor: str = "", password: str | None = None,
) -> Person:  # fmt: skip
    """Add a person within a transaction; without an actor it is the person itself."""
    person_id = str(uuid7(nanoseconds=now_ns))
    person = Person(
        person_id=person_id,
        email=checked_email(email),
        role=role,
        partner_id=checked_partner(role, partner_id),
        issuer=None,
        subject=None,
        created_at=now_ns // 1_000_000,
        created_by=actor or person_id,
    )
    row = {**msgspec.structs.asdict(person), "password": password}
    try:
        connection.execute(insert(PEOPLE).values(row))
    except IntegrityError:
        raise Terminal("there is a person with this e-mail address already") from None
    details = {"role": role, "partner_id": person.partner_id}
    note(connection, now_ns, person.created_by, "person.add", person_id, details)
    return person


def has_admin(connection: Connection) -> bool:
    """Whether somebody may do everything."""
    admins = (PEOPLE.c.role == "admin") & PEOPLE.c.disabled_at.is_(None)
    return bool(connection.scalar(select(func.count()).select_from(PEOPLE).where(admins)))


def has_people(connection: Connection) -> bool:
    """Whether there is anybody, disabled or not."""
    return connection.execute(select(PEOPLE.c.person_id).limit(1)).first() is not None


def end_all(connection: Connection, person_id: str, *, save: str = "") -> int:
    """End the logins of a person, but for the one whose digest is `save`; how many there were."""
    theirs = (LOGINS.c.person_id == person_id) & (LOGINS.c.digest != save)
    return connection.execute(delete(LOGINS).where(theirs)).rowcount


def plain_email(email: str) -> str:
    """The form in which an address is stored and looked for."""
    return unicodedata.normalize("NFC", email.strip()).lower()


def is_email(text: str) -> bool:
    """Whether it has the form of an address."""
    plain = plain_email(text)
    return bool(EMAIL.fullmatch(plain)) and plain.isprintable() and len(plain) <= 254


def checked_email(email: str) -> str:
    """The stored form of an address; Terminal for what is none. It is not quoted."""
    plain = plain_email(email)
    if not is_email(plain):
        raise Terminal("an e-mail address is like ada@example.com")
    return plain


def checked_partner(role: Role, partner_id: str | None) -> str | None:
    """The partner id that goes with a role; Terminal when it does not."""
    if role == "admin":
        if partner_id is not None:
            raise Terminal("an admin sees everything: leave the partner id out")
        return None
    if not partner_id or len(partner_id) > PARTNER_LENGTH or not partner_id.isprintable():
        raise Terminal(
            f"a partner needs the partner_id of its records, 1 to {PARTNER_LENGTH} printable "
            "characters"
        )
    return partner_id


def _find(connection: Connection, which: str) -> Person:
    plain = plain_email(which)
    if plain.isprintable() and len(plain) <= 254:
        who = (PEOPLE.c.email == plain) | (PEOPLE.c.person_id == plain)
        if row := connection.execute(select(PEOPLE).where(who)).mappings().first():
            return record(row, Person)
    raise Terminal("there is no such person: `lakeward people list` shows them")
