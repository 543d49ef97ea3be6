"""Erasing a person from the app database: rows keep what was done, and lose who it was.

In: a person. Out: no row, page or write-ahead log of SQLite holds the id any more; in PostgreSQL no
table does, and its server's own logs follow when it recycles them. `Transient` when the database is
away or in use for too long.

Each table says here in which columns the id of a person can stand; a test fails for a table that
does not. A column of text that is the id becomes `erased`; in a column of JSON each text that is,
does.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import OperationalError

from lakeward.errors import Transient
from lakeward.person import Gone, Person
from lakeward.store.database import Database
from lakeward.store.demos_schema import DEMOS, JOBS, THUMBNAILS, TRANSCRIPTS, UPLOADS
from lakeward.store.evidence_schema import (
    ANALYSES,
    CHANGES,
    CLAIMS,
    INVITATIONS,
    OPT_OUTS,
    PARTNERS,
    RECEIPTS,
    RESPONSES,
    REVIEWS,
    SCORES,
    SENDS,
    WITNESSES,
)
from lakeward.store.people import plain_email
from lakeward.store.schema import (
    ALERT_CHANGES,
    ALERT_SERIES,
    ASSIGNMENTS,
    ATTEMPTS,
    AUDIT,
    FLAGS,
    INCIDENTS,
    KEYS,
    LINKS,
    LOGINS,
    OUTBOX,
    PEOPLE,
    SECRETS,
    SNOOZES,
    TELLINGS,
    VIEWS,
)
from lakeward.store.views import naming
from lakeward.store.withdrawal import ERASED, named, withdraw
from lakeward.store.witness_erasure import forget, held

PERSONAL: Final[Mapping[Table, Sequence[Column[Any]]]] = {
    KEYS: (KEYS.c.created_by, KEYS.c.name),
    AUDIT: (AUDIT.c.actor, AUDIT.c.subject, AUDIT.c.details),
    PEOPLE: (PEOPLE.c.email, PEOPLE.c.created_by),
    LINKS: (),  # these three hold digests, and ids that mean nothing without the row of the person
    LOGINS: (),
    ATTEMPTS: (),
    SECRETS: (),
    OUTBOX: (OUTBOX.c.user_id, OUTBOX.c.session_id, OUTBOX.c.address),
    FLAGS: (FLAGS.c.created_by, FLAGS.c.definition),  # conditions and groups may name people
    ASSIGNMENTS: (ASSIGNMENTS.c.value,),
    INCIDENTS: (),  # of series: their names are of routes, types and businesses
    ALERT_SERIES: (),
    ALERT_CHANGES: (ALERT_CHANGES.c.actor,),
    TELLINGS: (),
    SNOOZES: (SNOOZES.c.created_by,),
    VIEWS: (VIEWS.c.created_by,),
    PARTNERS: (PARTNERS.c.created_by,),
    WITNESSES: (WITNESSES.c.created_by,),
    INVITATIONS: (INVITATIONS.c.created_by,),
    RESPONSES: (RESPONSES.c.created_by,),
    REVIEWS: (REVIEWS.c.reviewer,),
    CHANGES: (CHANGES.c.fields,),
    CLAIMS: (),  # these name witnesses, who are forgotten whole
    ANALYSES: (),
    SCORES: (),
    OPT_OUTS: (),  # digests of addresses, and ids of providers
    RECEIPTS: (),
    SENDS: (),
    UPLOADS: (UPLOADS.c.owner, UPLOADS.c.title, UPLOADS.c.file_name),
    DEMOS: (DEMOS.c.owner, DEMOS.c.title, DEMOS.c.file_name),
    TRANSCRIPTS: (TRANSCRIPTS.c.given_by,),
    JOBS: (),
    THUMBNAILS: (),
}
"""Where a person's id can stand, for every table of the schema."""
_OWN: Final = (OUTBOX, ASSIGNMENTS)
_OTHERS: Final = [table for table, columns in PERSONAL.items() if columns and table not in _OWN]
"""Messages have an erasure of their own: they are many, and one that waits is withdrawn. The
assignments of a person go whole: without the unit a row says nothing. So do saved views whose name
or address names the person; of the others the maker is erased as elsewhere."""
BATCH: Final = 1000
WAIT_SECONDS: Final = 5.0
WAL: Final = "the PostgreSQL server's own logs, replicas and backups"


class DatabaseEraser:
    """The app database as a store that can forget."""

    name = "database"

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, person: Person) -> int:
        """Rows that name the person."""
        with self._database.read() as connection:
            assigned = select(func.count()).select_from(ASSIGNMENTS).where(_assigned(person))
            own = named(connection, person.value) + (connection.scalar(assigned) or 0)
            own += len(naming(connection, person.value)) + held(connection, person.value)
            return own + sum(
                len(_rows(connection, table, _spelled(table, person))) for table in _OTHERS
            )

    def erase(self, person: Person) -> Gone:
        """Replace the id in every row, and let nothing of it stay in pages that are free now."""
        changed = 0
        with self._database.write() as connection:
            if self._database.path:
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            changed += withdraw(connection, person.value, time.time_ns() // 10**6)
            changed += connection.execute(delete(ASSIGNMENTS).where(_assigned(person))).rowcount
            changed += forget(connection, person.value)
            viewed = VIEWS.c.view_id.in_(naming(connection, person.value))
            changed += connection.execute(delete(VIEWS).where(viewed)).rowcount
            for table in _OTHERS:
                value = _spelled(table, person)
                for row in _rows(connection, table, value):
                    _replace(connection, table, row, value)
                    changed += 1
        if self._database.path:
            _rewrite_sqlite(self._database)
            return Gone(changed)
        _rewrite_postgresql(self._database)
        return Gone(changed, WAL if changed else "")


def _assigned(person: Person) -> ColumnElement[bool]:
    return ASSIGNMENTS.c.value == person.value


def _spelled(table: Table, person: Person) -> str:
    """The id as the table has it."""
    return plain_email(person.value) if table is PEOPLE else person.value


def _rows(connection: Connection, table: Table, value: str) -> list[RowMapping]:
    """Rows of a table that hold the value. JSON is looked through here because the two databases
    ask differently: a batch at a time, of which only what holds the value is kept."""
    columns = PERSONAL[table]
    query = select(*table.primary_key.columns, *columns)
    if not any(isinstance(column.type, JSON) for column in columns):
        query = query.where(or_(*(column == value for column in columns)))
    found = connection.execute(query.execution_options(yield_per=BATCH)).mappings()
    return [row for row in found if any(_holds(row[c.name], value) for c in columns)]


def _replace(connection: Connection, table: Table, row: RowMapping, value: str) -> None:
    (key,) = table.primary_key.columns
    # A key in force has a name of its own, a person an address, a review a reviewer: that of the
    # erased one is of its id.
    instead = f"{ERASED} {row[key.name]}" if table in (KEYS, PEOPLE, REVIEWS) else ERASED
    changes = {
        column.name: _without(row[column.name], value, instead)
        for column in PERSONAL[table]
        if _holds(row[column.name], value)
    }
    connection.execute(update(table).where(key == row[key.name]).values(changes))
    if table is PEOPLE and PEOPLE.c.email.name in changes:
        _shut_out(connection, row[key.name])


def _shut_out(connection: Connection, person_id: str) -> None:
    """Who is forgotten cannot log in, nor be known to a provider."""
    mine = PEOPLE.c.person_id == person_id
    gone = {
        "password": None,
        "issuer": None,
        "subject": None,
        "disabled_at": time.time_ns() // 10**6,
    }
    connection.execute(update(PEOPLE).where(mine).values(gone))
    for table in (LINKS, LOGINS):
        connection.execute(delete(table).where(table.c.person_id == person_id))


def _holds(found: object, value: str) -> bool:
    match found:
        case dict():
            return any(_holds(item, value) for pair in found.items() for item in pair)
        case list():
            return any(_holds(item, value) for item in found)
        case _:
            return found == value


def _without(found: Any, value: str, instead: str) -> Any:
    match found:
        case dict():
            return {
                _without(name, value, instead): _without(item, value, instead)
                for name, item in found.items()
            }
        case list():
            return [_without(item, value, instead) for item in found]
        case _:
            return instead if found == value else found


def _rewrite_sqlite(database: Database) -> None:
    """Write every page anew and empty the write-ahead log; what was overwritten stood in both."""
    assert database.path is not None
    connection = sqlite3.connect(
        f"{database.path.absolute().as_uri()}?mode=rw", uri=True, timeout=WAIT_SECONDS,
        isolation_level=None,
    )  # fmt: skip
    try:
        connection.execute("VACUUM")
        deadline = time.monotonic() + WAIT_SECONDS
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise Transient(f"{database.path} is being read: its log is emptied next time")
            time.sleep(0.02)
    except sqlite3.OperationalError as error:
        raise Transient(f"{database.path} cannot be rewritten now ({error}): try again") from None
    finally:
        connection.close()


def _rewrite_postgresql(database: Database) -> None:
    """Old versions of rows, and samples that the planner keeps, go with a full vacuum."""
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"SET lock_timeout = '{int(WAIT_SECONDS)}s'"))
            for table in PERSONAL:
                connection.execute(text(f'VACUUM (FULL, ANALYZE) "{table.name}"'))
            connection.invalidate()  # whoever gets it next waits as long as he likes
    except OperationalError:
        raise Transient("the database of LAKEWARD_DATABASE_URL is in use: try again") from None
