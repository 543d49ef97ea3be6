"""Saved views: an address of the dashboard under a name, for everybody who may read.

In: a database and the words of whoever saves. Out: a `View`. Fails with `Terminal` naming what will
not do, and as the database does. What a page makes of its query is none of this module's business.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_plus

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from uuid_utils import uuid7

from lakeward.errors import Terminal
from lakeward.interaction import Clock
from lakeward.store.database import Database
from lakeward.store.row import record
from lakeward.store.schema import VIEWS
from lakeward.store.trail import note

NAME_LENGTH: Final = 80
PAGE_LENGTH: Final = 32
QUERY_LENGTH: Final = 2000
MOST: Final = 500
"""Views that one lake has."""
_QUERY: Final = re.compile(r"[!$%&'()*+,./0-9:;=?@A-Z\[\]_a-z{|}~-]*")
_PARTS: Final = re.compile(r"[\s=&,;:|\"'(){}\[\]]+")


class View(msgspec.Struct, frozen=True, kw_only=True):
    """An address under a name; `created_at` is in ms since 1970."""

    view_id: str
    page: str
    name: str
    query: str
    """Without the question mark."""
    created_at: int
    created_by: str


class Views:
    """The views of a database."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._clock = Clock(now_ns)

    def all(self) -> list[View]:
        """Every view, by page and name."""
        query = select(VIEWS).order_by(VIEWS.c.page, VIEWS.c.name, VIEWS.c.view_id)
        with self._database.read() as connection:
            return [record(row, View) for row in connection.execute(query).mappings()]

    def make(self, page: str, name: str, query: str, *, actor: str) -> View:
        """Save an address of a page."""
        now_ns = self._clock.now()
        view = View(
            view_id=str(uuid7(nanoseconds=now_ns)),
            page=page,
            name=_checked_name(name),
            query=_checked_query(query),
            created_at=now_ns // 1_000_000,
            created_by=actor,
        )
        with self._database.write() as connection:
            if (connection.scalar(select(func.count()).select_from(VIEWS)) or 0) >= MOST:
                raise Terminal(f"there are {MOST} views already: remove one")
            try:
                connection.execute(insert(VIEWS).values(msgspec.structs.asdict(view)))
            except IntegrityError:
                raise _taken(view.name) from None
            note(connection, now_ns, actor, "view.make", view.view_id, {"page": page})
        return view

    def rename(self, view_id: str, name: str, *, actor: str) -> View:
        """Call a view otherwise."""
        now_ns, name = self._clock.now(), _checked_name(name)
        with self._database.write() as connection:
            view = _find(connection, view_id)
            mine = VIEWS.c.view_id == view.view_id
            try:
                connection.execute(update(VIEWS).where(mine).values(name=name))
            except IntegrityError:
                raise _taken(name) from None
            note(connection, now_ns, actor, "view.rename", view.view_id, {"page": view.page})
        return msgspec.structs.replace(view, name=name)

    def remove(self, view_id: str, *, actor: str) -> View:
        """Take a view away."""
        now_ns = self._clock.now()
        with self._database.write() as connection:
            view = _find(connection, view_id)
            connection.execute(delete(VIEWS).where(VIEWS.c.view_id == view.view_id))
            note(connection, now_ns, actor, "view.remove", view.view_id, {"page": view.page})
        return view


def tells_of(view: View, value: str) -> bool:
    """Whether a view's address or name names somebody: the id stands in it as a whole word."""
    return value in (view.name, *_PARTS.split(unquote_plus(view.query)))


def naming(connection: Connection, value: str) -> list[str]:
    """The ids of the views that name somebody. They are few, and looked through here: an address
    is written in percent signs, which the database does not read."""
    rows = connection.execute(select(VIEWS)).mappings()
    return [view.view_id for row in rows if tells_of(view := record(row, View), value)]


def _find(connection: Connection, view_id: str) -> View:
    query = select(VIEWS).where(VIEWS.c.view_id == view_id)
    fits = len(view_id) <= 36 and view_id.isprintable()
    if fits and (row := connection.execute(query).mappings().first()):
        return record(row, View)
    raise Terminal("there is no such view: it may have been removed")


def _checked_name(name: str) -> str:
    if not (0 < len(name) <= NAME_LENGTH and name.isprintable() and name == name.strip()):
        raise Terminal(
            f"a view's name is 1 to {NAME_LENGTH} printable characters, with no blank at its ends"
        )
    return name


def _checked_query(query: str) -> str:
    if len(query) > QUERY_LENGTH or not _QUERY.fullmatch(query):
        raise Terminal(
            f"a view's query is what stands behind the question mark of an address, up to "
            f"{QUERY_LENGTH} characters"
        )
    return query


def _taken(name: str) -> Terminal:
    return Terminal(f"a view named {name!r} is there already for this page: take another name")
