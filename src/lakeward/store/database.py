"""The app database: SQLite in the lake's private folder, or PostgreSQL by `LAKEWARD_DATABASE_URL`.

In: settings. Out: a `Database` at the newest revision, whose `read` and `write` hand out a
connection inside one transaction. Fails with `Transient` when the database is away or busy,
`Unreadable` when it is damaged or of a later version, `Terminal` when it refuses, `SettingError`
for a URL that is none, `MissingExtra` without a driver. No message holds any part of the URL: a
password with an unescaped `@` or `/` would be read, and shown, as host or database.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoneFree

from lakeward.errors import (
    LakewardError,
    MissingExtra,
    SettingError,
    Terminal,
    Transient,
    Unreadable,
)
from lakeward.lakedir import create_file, open_lake
from lakeward.settings import Settings
from lakeward.store.migration import is_current, upgrade

BUSY_SECONDS = 5
UPGRADE_SECONDS = 30
ADVISORY_LOCK = int.from_bytes(b"lakeward", "big")
WRITES = "lakeward_writes"


class Unusable(Terminal):
    """The database refuses, or is not ours: no other words of whoever asked would have helped."""


class Database:
    """An engine; `path` is that of the SQLite file, None for PostgreSQL."""

    def __init__(self, engine: Engine, path: Path | None = None) -> None:
        self.engine = engine
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give idle connections back; the object can be used again."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._speaking(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: committed at the end, undone when anything is raised."""
        with self._speaking(), self.engine.connect() as connection:
            connection = connection.execution_options(**{WRITES: True})
            with connection.begin():
                yield connection

    def bring_up(self) -> None:
        """Upgrade to the newest revision; of many processes one does it and the others wait."""
        with self.read() as connection:
            if is_current(connection):
                return
        with self._speaking(), self.engine.connect() as connection:
            connection = connection.execution_options(**{WRITES: True})
            if self.path:
                _loosen_sqlite(connection)
            with connection.begin():
                if not self.path:
                    _wait_in_postgresql(connection)
                if not is_current(connection):
                    upgrade(connection)
                if self.path and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise Terminal("the upgrade of the app database broke references: undone")

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn what the driver raises into one sentence of ours."""
        try:
            yield
        except SQLAlchemyError as error:
            raise self._sentence(error) from None

    def _sentence(self, error: SQLAlchemyError) -> LakewardError:
        cause = getattr(error, "orig", None) or error
        away = isinstance(error, OperationalError | InterfaceError | NoneFree)
        if self.path is None and away:
            return Transient(
                "the database of LAKEWARD_DATABASE_URL does not answer or does not let this user "
                "in: check that it runs, and the URL"
            )
        if self.path is None:
            return Unusable(
                f"the database of LAKEWARD_DATABASE_URL refuses ({type(cause).__name__}): check "
                "the URL, and that its user may make and change tables"
            )
        if away:  # SQLite's words hold no values
            return Transient(f"{self.path} cannot be used now ({cause}): check disk and rights")
        if type(cause) is sqlite3.DatabaseError:
            return Unreadable(f"{self.path} is damaged ({cause}): restore it from a backup")
        return Unusable(f"{self.path} refuses ({type(cause).__name__}): it was changed by others")


def open_database(settings: Settings, *, create: bool = True) -> Database:
    """The app database at its newest revision; the lake is made when absent and `create`."""
    if settings.database_url:
        database = postgresql(settings.database_url)
    else:
        database = sqlite(open_lake(settings.lake_dir, create=create).private)
    try:
        database.bring_up()
    except BaseException:
        database.close()
        raise
    return database


def sqlite(folder: Path, *, read_only: bool = False) -> Database:
    """The file `app.db` in `folder`, of mode 0600 (SQLite gives its -wal and -shm the same)."""
    path = folder / "app.db"
    mode = "ro" if read_only else "rw"
    if not path.exists():
        # not by opening it: closing a second descriptor drops the locks this process has on it
        create_file(path, _blank())

    def connect() -> sqlite3.Connection:
        # not rwc: a file that was deleted under a running app does not come back readable by all
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_SECONDS,
            isolation_level=None, check_same_thread=False,
        )  # fmt: skip
        try:
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA synchronous=FULL")
        except BaseException:  # of a damaged file
            connection.close()
            raise
        return connection

    # a connection for each transaction: opening one is cheap, and none crosses a fork
    engine = create_engine(
        "sqlite+pysqlite://", creator=connect, poolclass=NullPool, hide_parameters=True
    )
    event.listen(engine, "begin", _begin)
    return Database(engine, path)


def _blank() -> bytes:
    """An empty database that is in WAL mode from birth: switching later fails among many openers.

    Bytes 18 and 19 of SQLite's header are the versions for writing and reading; 2 is WAL.
    """
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.execute("PRAGMA user_version=1")  # gives it a first page
        memory.execute("PRAGMA user_version=0")
        content = bytearray(memory.serialize())
    content[18:20] = b"\x02\x02"
    return bytes(content)


def _begin(connection: Connection) -> None:
    """Writers queue from the start: one that began by reading could not wait for its turn."""
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _loosen_sqlite(connection: Connection) -> None:
    """For an upgrade: wait longer; and a table that is made anew keeps the rows that name it."""
    raw: Any = connection.connection.driver_connection  # these hold outside a transaction only
    raw.execute(f"PRAGMA busy_timeout={UPGRADE_SECONDS * 1000}")
    raw.execute("PRAGMA foreign_keys=OFF")


def _wait_in_postgresql(connection: Connection) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{UPGRADE_SECONDS}s'"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))


def postgresql(url: str) -> Database:
    """The database of a URL such as `postgresql://user:password@host/database`."""
    parsed = _parse(url)
    ours = {"connect_timeout": str(BUSY_SECONDS), "application_name": "lakeward"}
    parsed = parsed.update_query_dict(
        {name: value for name, value in ours.items() if name not in parsed.query}
    )
    try:
        engine = create_engine(
            parsed, pool_size=2, pool_pre_ping=True, pool_recycle=600, hide_parameters=True
        )
    except ImportError:
        raise MissingExtra("a PostgreSQL database", "postgres") from None
    me = weakref.ref(engine)
    os.register_at_fork(after_in_child=lambda: _in_child(me))
    return Database(engine)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
            parts = (url, parsed.username, parsed.password, parsed.host, parsed.database)
            query = (str(value) for values in parsed.normalized_query.values() for value in values)
            if all(str(part or "").isprintable() for part in (*parts, *parsed.query, *query)):
                return parsed.set(drivername="postgresql+psycopg")
    except (SQLAlchemyError, ValueError):
        pass
    raise SettingError(
        "LAKEWARD_DATABASE_URL must be like postgresql://user:password@host/database, special "
        "characters in it written as %XX, or empty for SQLite in the lake's private folder"
    )


def _in_child(me: weakref.ref[Engine]) -> None:
    """A forked child makes connections of its own; the parent's stay open for the parent."""
    if engine := me():
        engine.dispose(close=False)
