"""Logins: who is logged in, by a ticket that a cookie carries.

In: a person. Out: a ticket, once; later for a ticket the person it stands for. Only digests are
stored. A login ends by its time, by logging out, by a changed password, and with its person.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, insert, select

from lakeward.store.database import Database
from lakeward.store.people import Person
from lakeward.store.row import record
from lakeward.store.schema import LOGINS, PEOPLE
from lakeward.store.ticket import is_ticket, make_ticket, ticket_digest

MOST_LOGINS = 50
"""Of one person at a time; the oldest gives way."""


class Login(msgspec.Struct, frozen=True):
    """A person who is logged in, and until when (ms since 1970)."""

    digest: str
    person: Person
    expires_at: int


def open_login(
    connection: Connection, person: Person, random: bytes, now_ms: int, seconds: float
) -> tuple[Login, str]:
    """A new login and its ticket; logins whose time is over are swept out."""
    ticket = make_ticket(random)
    login = Login(ticket_digest(ticket), person, now_ms + int(seconds * 1000))
    connection.execute(delete(LOGINS).where(LOGINS.c.expires_at <= now_ms))
    theirs = LOGINS.c.person_id == person.person_id
    oldest = (
        select(LOGINS.c.digest)
        .where(theirs)
        .order_by(LOGINS.c.created_at.desc(), LOGINS.c.digest)
        .offset(MOST_LOGINS - 1)
    )
    for digest in connection.scalars(oldest).all():
        connection.execute(delete(LOGINS).where(LOGINS.c.digest == digest))
    connection.execute(
        insert(LOGINS).values(
            digest=login.digest, person_id=person.person_id, created_at=now_ms,
            expires_at=login.expires_at,
        )
    )  # fmt: skip
    return login, ticket


def end_login(connection: Connection, digest: str) -> bool:
    """Log out; False when it was over already."""
    return connection.execute(delete(LOGINS).where(LOGINS.c.digest == digest)).rowcount == 1


def find_login(database: Database, ticket: str, now_ms: int) -> Login | None:
    """The login of a ticket, unless it is over or its person is disabled."""
    if not is_ticket(ticket):
        return None
    digest = ticket_digest(ticket)
    query = (
        select(LOGINS.c.expires_at, PEOPLE)
        .join(PEOPLE, PEOPLE.c.person_id == LOGINS.c.person_id)
        .where(LOGINS.c.digest == digest, LOGINS.c.expires_at > now_ms)
        .where(PEOPLE.c.disabled_at.is_(None))
    )
    with database.read() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else Login(digest, record(row, Person), row["expires_at"])
