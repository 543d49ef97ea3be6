"""Partners as PowerConfidence knows them: what they are called, and what their CEO says they offer.

In: a database, and the words of whoever keeps partners. A platform that has partners of its own
tells of them again and again, and nothing but a difference is a change. Out: a `Partner`. Fails
with `Terminal` naming what will not do, and as the database does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, select, update

from lakeward.errors import Terminal
from lakeward.store import wording
from lakeward.store.changes import Actor, mark
from lakeward.store.database import Database
from lakeward.store.evidence_schema import PARTNERS
from lakeward.store.row import record
from lakeward.store.upsert import added

ID_LENGTH: Final = 128
NAME_LENGTH: Final = 120
CATEGORY_LENGTH: Final = 64
PROPOSITION_LENGTH: Final = 20_000
Done = Literal["created", "updated", "unchanged"]
_C: Final = PARTNERS.c


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """A partner; times are in ms since 1970."""

    partner_id: str
    name: str
    category: str
    """What partners are compared within; empty: none."""
    proposition: str
    """What the CEO says that the company offers."""
    language: str
    zone: str
    """By which its people's clocks go; empty: that of the settings."""
    created_at: int
    created_by: str
    updated_at: int
    removed_at: int | None = None


class Partners:
    """The partners of a database."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns

    def upsert(
        self, partner_id: str, *, actor: Actor, name: str | None = None,
        category: str | None = None, proposition: str | None = None, language: str | None = None,
        zone: str | None = None,
    ) -> tuple[Partner, Done]:  # fmt: skip
        """Make a partner, or change what is given of one; one that was removed comes back, but not
        by its own word: a partner says what it offers, in which language and zone, and no more."""
        if actor.role == "partner" and (name is not None or category is not None):
            raise Terminal("partners change `proposition`, `language` and `zone` of themselves")
        which = wording.line("partner_id", partner_id, ID_LENGTH)
        if "/" in which or which in (".", ".."):
            raise Terminal("`partner_id` must have no `/`: it is a step of addresses")
        given = _checked(name, category, proposition, language, zone)
        now_ns = self._now_ns()
        now_ms = now_ns // 1_000_000
        with self._database.write() as connection:
            known = find(connection, which)
            if known is None:
                if "name" not in given:
                    raise Terminal("a new partner needs a `name`")
                made = Partner(
                    partner_id=which, created_at=now_ms, created_by=actor.name, updated_at=now_ms,
                    **{"category": "", "proposition": "", "language": "en", "zone": ""} | given,
                )  # fmt: skip
                if added(connection, PARTNERS, msgspec.structs.asdict(made)):
                    mark(connection, now_ns, actor, which, "partner", "created")
                    return made, "created"
                known = wanted(connection, which)  # of two at once the other one
            if actor.role == "partner" and known.removed_at is not None:
                raise Terminal("there is no such partner")
            changes: dict[str, Any] = {
                key: value for key, value in given.items() if getattr(known, key) != value
            }
            if not changes and known.removed_at is None:
                return known, "unchanged"
            changes |= {"updated_at": now_ms, "removed_at": None}
            connection.execute(update(PARTNERS).where(_C.partner_id == which).values(changes))
            mark(connection, now_ns, actor, which, "partner", "updated")
            return msgspec.structs.replace(known, **changes), "updated"

    def remove(self, partner_id: str, *, actor: Actor) -> Partner:
        """Take a partner out of every list; what was said of it stays, and is asked for no more."""
        now_ns = self._now_ns()
        gone: dict[str, Any] = {"removed_at": now_ns // 1_000_000}
        with self._database.write() as connection:
            known = wanted(connection, partner_id)
            connection.execute(update(PARTNERS).where(_C.partner_id == partner_id).values(gone))
            mark(connection, now_ns, actor, partner_id, "partner", "removed")
        return msgspec.structs.replace(known, **gone)

    def get(self, partner_id: str) -> Partner:
        """A partner; Terminal when there is none."""
        with self._database.read() as connection:
            return wanted(connection, partner_id)

    def all(self) -> list[Partner]:
        """Every partner that was not removed, by id."""
        query = select(PARTNERS).where(_C.removed_at.is_(None)).order_by(_C.partner_id)
        with self._database.read() as connection:
            return [record(row, Partner) for row in connection.execute(query).mappings()]


def _checked(
    name: str | None, category: str | None, proposition: str | None, language: str | None,
    zone: str | None,
) -> dict[str, Any]:  # fmt: skip
    given: dict[str, str] = {}
    if name is not None:
        given["name"] = wording.line("name", name, NAME_LENGTH)
    if category is not None:
        given["category"] = wording.line("category", category, CATEGORY_LENGTH, least=0)
    if proposition is not None:
        given["proposition"] = wording.prose("proposition", proposition, PROPOSITION_LENGTH)
    if language is not None:
        given["language"] = wording.language(language)
    if zone is not None:
        given["zone"] = wording.zone(zone)
    return given


def find(connection: Connection, partner_id: str) -> Partner | None:
    """A partner, removed or not."""
    if len(partner_id) > ID_LENGTH or not partner_id.isprintable():
        return None
    query = select(PARTNERS).where(_C.partner_id == partner_id)
    row = connection.execute(query).mappings().first()
    return record(row, Partner) if row else None


def wanted(connection: Connection, partner_id: str) -> Partner:
    """A partner that is there; Terminal otherwise."""
    found = find(connection, partner_id)
    if found is None or found.removed_at is not None:
        raise Terminal("there is no such partner")
    return found
