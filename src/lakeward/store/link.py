"""One-time links: a secret that lets whoever has it choose a password, once, within a day.

In: a person, or nobody for the first admin. Out: the ticket that stands in the link. An older link
for the same ends with it. `take` gives a link up within the transaction that uses it, so that of
two who come at once one gets in.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, insert, select

from lakeward.interaction import Clock
from lakeward.store.database import Database
from lakeward.store.people import has_admin
from lakeward.store.row import record
from lakeward.store.schema import LINKS
from lakeward.store.ticket import RANDOM_BYTES, is_ticket, make_ticket, ticket_digest
from lakeward.store.trail import note

HOURS = 24
FIRST = "first admin"
"""What stands in the audit where the person would."""


class Link(msgspec.Struct, frozen=True):
    """What a link is good for: a password of this person, or, without one, the first admin."""

    person_id: str | None


class Links:
    """The links of a database."""

    def __init__(
        self,
        database: Database,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._clock = Clock(now_ns)
        self._random = random

    def make(self, person_id: str, *, actor: str) -> str:
        """A link with which this person chooses a password."""
        with self._database.write() as connection:
            return self._make(connection, person_id, actor)

    def first(self, *, actor: str) -> str | None:
        """A link that makes its user the admin; None when there is an admin already."""
        with self._database.write() as connection:
            return None if has_admin(connection) else self._make(connection, None, actor)

    def _make(self, connection: Connection, person_id: str | None, actor: str) -> str:
        now_ns = self._clock.now()
        ticket = make_ticket(self._random(RANDOM_BYTES))
        now = now_ns // 1_000_000
        connection.execute(delete(LINKS).where(_whose(person_id)))
        connection.execute(
            insert(LINKS).values(
                digest=ticket_digest(ticket), person_id=person_id, created_at=now,
                expires_at=now + HOURS * 3_600_000,
            )
        )  # fmt: skip
        note(connection, now_ns, actor, "link.make", person_id or FIRST, {"hours": HOURS})
        return ticket


def look(connection: Connection, ticket: str, now_ms: int) -> Link | None:
    """The link in force with this ticket; None for any other text."""
    if not is_ticket(ticket):
        return None
    mine = (LINKS.c.digest == ticket_digest(ticket)) & (LINKS.c.expires_at > now_ms)
    row = connection.execute(select(LINKS.c.person_id).where(mine)).mappings().first()
    return None if row is None else record(row, Link)


def take(connection: Connection, ticket: str) -> bool:
    """Use a link up; False when somebody else just did."""
    mine = LINKS.c.digest == ticket_digest(ticket)
    return connection.execute(delete(LINKS).where(mine)).rowcount == 1


def _whose(person_id: str | None) -> ColumnElement[bool]:
    return LINKS.c.person_id.is_(None) if person_id is None else LINKS.c.person_id == person_id
