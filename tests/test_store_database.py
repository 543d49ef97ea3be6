"""The app database on SQLite and a real PostgreSQL: opening, upgrading, transactions, refusals."""

from __future__ import annotations

import gc
import io
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event, func, insert, inspect, select, text

import lakeward.store
from conftest import Lake
from databases import Store, exit_code, forked, fresh_database, kill_at_commit
from lakeward.errors import LakewardError, SettingError, Terminal, Transient, Unreadable
from lakeward.settings import load
from lakeward.store.database import Database, open_database, sqlite
from lakeward.store.database import postgresql as parse_postgresql
from lakeward.store.migration import revisions
from lakeward.store.schema import AUDIT, METADATA, REVISION, REVISION_TABLE

ROOT = Path(__file__).resolve().parent.parent
NOTE = {"audit_id": "a", "at": 1, "actor": "ada", "action": "x", "subject": "y", "details": {}}


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A place for an app database that nobody has made yet, on each of the two."""
    server = request.param == "postgresql" and request.getfixturevalue("postgresql")
    made = Store(tmp_path, fresh_database(server) if server else "")
    yield made
    made.close()


def notes(database: Database) -> int:
    """How many rows of the audit there are."""
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(AUDIT)) or 0


def add_note(database: Database, name: str = "a") -> None:
    with database.write() as connection:
        connection.execute(insert(AUDIT).values(NOTE | {"audit_id": name}))


# Opening and upgrading


def test_a_fresh_database_has_the_tables_that_the_schema_describes(store: Store) -> None:
    with store.open().read() as connection:
        assert set(inspect(connection).get_table_names()) == {*METADATA.tables, REVISION_TABLE}
        context = MigrationContext.configure(
            connection, opts={"version_table": REVISION_TABLE, "compare_server_default": True}
        )
        assert compare_metadata(context, METADATA) == []
        assert revisions(connection) == {REVISION}
        constraints = inspect(connection).get_check_constraints("lakeward_keys")
        assert [found["name"] for found in constraints] == ["ck_lakeward_keys_kind"]


def test_every_table_bears_our_name_and_every_constraint_has_one() -> None:
    assert all(name.startswith("lakeward_") for name in [*METADATA.tables, REVISION_TABLE])
    for table in METADATA.tables.values():
        assert all(constraint.name for constraint in table.constraints)


def test_the_migrations_are_one_line_that_ends_at_the_revision_of_the_schema() -> None:
    config = Config()
    config.set_main_option(
        "script_location", str(Path(lakeward.store.__file__).parent / "migrations")
    )
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [REVISION]
    assert len(script.get_bases()) == 1
    assert not any(step.is_merge_point for step in script.walk_revisions())


def test_opening_again_keeps_what_is_there(store: Store) -> None:
    add_note(store.open())
    assert notes(store.open()) == 1


def test_a_current_database_is_opened_without_a_look_at_the_migrations(store: Store) -> None:
    store.open()
    code = (
        "import sys; from lakeward.settings import load\n"
        "from lakeward.store.database import open_database\n"
        "open_database(load()).close(); sys.exit('alembic' in sys.modules)"
    )
    environ = os.environ | store.env
    assert subprocess.run([sys.executable, "-c", code], env=environ, timeout=120).returncode == 0


def test_many_processes_may_open_a_fresh_database_at_once(store: Store) -> None:
    start, go = os.pipe()

    def opens() -> None:
        os.close(go)
        os.read(start, 1)  # all begin when the pipe is closed
        with open_database(store.settings()) as database:
            add_note(database, str(os.getpid()))

    children = [forked(opens) for _ in range(8)]
    os.close(start)
    os.close(go)
    assert [exit_code(pid) for pid in children] == [0] * 8
    database = store.open()
    assert notes(database) == 8
    with database.read() as connection:
        assert connection.scalar(text(f"SELECT count(*) FROM {REVISION_TABLE}")) == 1


def test_threads_of_one_process_may_open_it_at_once(store: Store) -> None:
    failures: list[BaseException] = []

    def opens(name: str) -> None:
        try:
            add_note(store.open(), name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=opens, args=(str(n),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert notes(store.open()) == 6


def test_an_upgrade_that_is_killed_leaves_nothing_and_the_next_one_does_it_all(
    store: Store,
) -> None:
    def upgrades() -> None:
        event.listen(Engine, "commit", kill_at_commit)
        open_database(store.settings())

    assert exit_code(forked(upgrades)) == -signal.SIGKILL
    unopened = parse_postgresql(store.url) if store.url else sqlite(store.file.parent)
    with unopened as database, database.read() as connection:
        assert inspect(connection).get_table_names() == []
    assert notes(store.open()) == 0


def test_a_migration_may_make_a_table_anew_without_losing_the_rows_that_name_it(
    tmp_path: Path,
) -> None:
    seen: list[tuple[int, int]] = []

    def look(connection: Connection) -> None:
        pragmas = ("foreign_keys", "busy_timeout")
        seen.append(tuple(connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in pragmas))  # type: ignore[arg-type]  # both are numbers

    event.listen(Engine, "commit", look)
    try:
        store = Store(tmp_path, "")
        store.open()
        notes(store.open())
    finally:
        event.remove(Engine, "commit", look)
    assert (0, 30_000) in seen  # while it is upgraded
    assert seen[-1] == (1, 5_000)


def test_a_database_of_a_later_version_is_refused_and_left_as_it_is(store: Store) -> None:
    with store.open().write() as connection:
        connection.execute(text(f"UPDATE {REVISION_TABLE} SET version_num = '9f3c'"))
    with pytest.raises(Unreadable, match=r"^the app database is of revision 9f3c and this Lake"):
        store.open()
    with pytest.raises(Unreadable):
        store.open()


def test_the_tables_of_a_host_app_in_the_same_database_stay_its_own(store: Store) -> None:
    store.open()
    with store.open().write() as connection:
        for table in (*reversed(METADATA.sorted_tables), REVISION_TABLE):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("CREATE TABLE alembic_version (version_num varchar(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
        connection.execute(text("CREATE TABLE keys (id integer)"))
    with store.open().read() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "theirs"
        assert inspect(connection).has_table("lakeward_keys")


def test_the_migrations_are_in_the_wheel(lake: Lake, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.glob("*.whl")
    folder = tmp_path / "100% unpacked"
    zipfile.ZipFile(wheel).extractall(folder)
    done = subprocess.run(
        [sys.executable, "-m", "lakeward.cli", "keys", "create", "--kind", "read", "--name", "r"],
        env=lake.process_env(PYTHONPATH=str(folder)), cwd=tmp_path,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("lwk_r_")


# Transactions


def test_what_raises_inside_a_transaction_is_undone(store: Store) -> None:
    database = store.open()

    def breaks() -> None:
        with database.write() as connection:
            connection.execute(insert(AUDIT).values(NOTE))
            raise Terminal("no")

    with pytest.raises(Terminal, match=r"^no$"):
        breaks()
    assert notes(database) == 0


def test_two_may_write_at_once_and_a_reader_waits_for_neither(store: Store) -> None:
    database = store.open()
    inside, finish = threading.Event(), threading.Event()

    def writes() -> None:
        with database.write() as connection:
            connection.execute(insert(AUDIT).values(NOTE))
            inside.set()
            finish.wait(120)

    first = threading.Thread(target=writes)
    first.start()
    assert inside.wait(120)
    assert notes(database) == 0  # and sees nothing half done
    second = threading.Thread(target=add_note, args=(database, "b"))
    second.start()
    finish.set()
    first.join()
    second.join()
    assert notes(database) == 2


def test_forked_children_and_their_parent_use_the_database_side_by_side(store: Store) -> None:
    database = store.open()
    add_note(database, "before")

    def adds() -> None:
        for n in range(10):
            add_note(database, f"{os.getpid()} {n}")

    children = [forked(adds) for _ in range(4)]
    adds()
    assert [exit_code(pid) for pid in children] == [0, 0, 0, 0]
    add_note(database, "after")
    assert notes(database) == 52


def test_the_connection_of_a_parent_survives_its_children(postgresql: str, tmp_path: Path) -> None:
    store = Store(tmp_path, fresh_database(postgresql))
    database = store.open()

    def session() -> int:
        with database.read() as connection:
            return connection.scalar(text("SELECT pg_backend_pid()")) or 0

    before = session()
    for _ in range(3):
        assert exit_code(forked(lambda: notes(database) or gc.collect())) == 0
        assert session() == before
    store.close()


def test_a_column_that_refuses_its_value_is_a_sentence_without_the_value(store: Store) -> None:
    database = store.open()
    add_note(database)
    with pytest.raises(Terminal, match="refuses") as refused:
        add_note(database)
    assert "ada" not in str(refused.value)
    with pytest.raises(LakewardError), database.read() as connection:
        connection.execute(text("SELECT hunter2 FROM nowhere"))


# SQLite


@pytest.fixture
def file(tmp_path: Path) -> Store:
    """A database of SQLite."""
    return Store(tmp_path, "")


def test_the_file_and_what_sqlite_puts_beside_it_are_private(file: Store) -> None:
    before = os.umask(0)
    try:
        database = file.open()
        with database.write() as connection:
            connection.execute(insert(AUDIT).values(NOTE))
            found = {p.name: p.stat().st_mode & 0o777 for p in file.file.parent.glob("app.db*")}
    finally:
        os.umask(before)
    assert found == dict.fromkeys(["app.db", "app.db-shm", "app.db-wal"], 0o600)


def test_readers_and_writers_do_not_stop_each_other_and_references_are_kept(file: Store) -> None:
    with file.open().read() as connection:
        pragmas = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        found = [connection.scalar(text(f"PRAGMA {name}")) for name in pragmas]
    assert found == ["wal", 1, 2, 5000]


@pytest.mark.parametrize("name", ["a lake", "100%", "q?mode=memory", "a#b", "é", "%41", "a:b"])
def test_a_lakes_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / name, "")
    add_note(store.open())
    assert store.file.stat().st_size > 0
    assert notes(store.open()) == 1


def test_a_file_that_is_deleted_under_a_running_app_does_not_come_back(file: Store) -> None:
    database = file.open()
    for path in file.file.parent.glob("app.db*"):
        path.unlink()
    with pytest.raises(Transient, match=r"app\.db cannot be used now \(unable to open"):
        notes(database)
    assert not file.file.exists()


def test_a_damaged_file_is_named_and_left_as_it_is(file: Store) -> None:
    file.open().close()
    file.file.write_bytes(b"no database at all" * 300)
    with pytest.raises(Unreadable, match=r"app\.db is damaged .*restore it from a backup"):
        file.open()
    assert file.file.read_bytes() == b"no database at all" * 300


def test_a_database_that_stays_busy_is_transient(file: Store) -> None:
    database = file.open()
    holder = sqlite3.connect(file.file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Transient, match="database is locked"):
        add_note(database)
    holder.close()
    add_note(database)


def test_a_lake_is_only_made_where_that_is_asked_for(file: Store) -> None:
    with pytest.raises(Terminal, match="there is no lake"):
        open_database(file.settings(), create=False)
    assert not file.lake.exists()


# PostgreSQL


PASSWORD = "Kq7hunter2Zz9"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{PASSWORD}@h/d",
        f"sqlite:///{PASSWORD}",
        f"postgresql+psycopg2://u:{PASSWORD}@h/d",
        PASSWORD,
        f"postgresql://u:{PASSWORD}@h:port/d",
        f"postgresql://u:{PASSWORD}%00@h/d",
        f"postgresql://u:{PASSWORD}@h/d?options=\udc80",
        f"postgresql://u:{PASSWORD}\n@h/d",
        f"://u:{PASSWORD}@h",
    ],
)
def test_what_is_no_url_of_postgresql_is_refused_without_showing_it(
    tmp_path: Path, url: str
) -> None:
    with pytest.raises(SettingError, match=r"^LAKEWARD_DATABASE_URL must be like") as refused:
        open_database(load({"LAKEWARD_DATABASE_URL": url}, tmp_path))
    assert PASSWORD not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize(
    "form",
    [
        "postgresql://ada:{}@127.0.0.1:1/app",
        "postgres://ada:{}@127.0.0.1:1/app",
        "postgresql://ada:{}@127.0.0.1:1/app?sslmode=disable&connect_timeout=2",
        "postgresql://127.0.0.1:1/app?password={}",
        "postgresql://ada:{}@127.0.0.1:1/app?unknown={}",
        "postgresql://ada:{}@127.0.0.1:1/app?connect_timeout={}",
        "postgresql://ada:{}@/app?host=/nowhere",
    ],
)
def test_a_database_that_is_away_is_a_sentence_that_shows_no_password(
    tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises((Transient, Terminal), match="LAKEWARD_DATABASE_URL") as refused:
        open_database(load({"LAKEWARD_DATABASE_URL": form.replace("{}", PASSWORD)}, tmp_path))
    assert isinstance(refused.value, Transient) or "unknown" in form or "timeout={}" in form
    assert "\n" not in str(refused.value)
    assert PASSWORD not in str(refused.value) + caplog.text
    assert not (tmp_path / "data-lake").exists()


@tries(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.sampled_from(["", "postgresql://", "postgresql://u:p@h/d?"]))
def test_whatever_the_url_is_it_is_taken_or_refused_by_one_sentence(rest: str, form: str) -> None:
    sentence = ""
    try:
        parse_postgresql(form + rest).close()
    except SettingError as error:
        sentence = str(error)
    assert "\n" not in sentence
    assert len(rest) < 4 or rest not in sentence


def test_a_connection_that_the_server_ended_is_made_anew(postgresql: str, tmp_path: Path) -> None:
    store = Store(tmp_path, fresh_database(postgresql))
    database = store.open()
    with database.read() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        assert connection.scalar(text("SHOW application_name")) == "lakeward"
    with psycopg.connect(store.url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    add_note(database)
    assert notes(database) == 1
    store.close()


def test_a_user_without_rights_is_told_so(postgresql: str, tmp_path: Path) -> None:
    url = fresh_database(postgresql)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
    with pytest.raises(Terminal, match=r"refuses \(InsufficientPrivilege\)"):
        Store(tmp_path, url.replace("postgres:@", "reader:@")).open()


def test_the_log_of_what_is_asked_holds_no_values(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "sqlalchemy", "alembic", "psycopg"):
        caplog.set_level(logging.DEBUG, name)
    database = store.open()
    add_note(database, "somebody-in-particular")
    with pytest.raises(Terminal):
        add_note(database, "somebody-in-particular")
    assert "INSERT INTO lakeward_audit" in caplog.text
    assert "somebody-in-particular" not in caplog.text


# What is not installed


@pytest.mark.parametrize(
    ("absent", "url", "extra"),
    [("sqlalchemy", "", "server"), ("alembic", "", "server"),
     ("psycopg", "postgresql://127.0.0.1:1/app", "postgres")],
)  # fmt: skip
def test_a_missing_extra_is_one_sentence_that_names_it(
    tmp_path: Path, absent: str, url: str, extra: str
) -> None:
    code = (
        f"import sys; sys.modules[{absent!r}] = None\n"
        "from lakeward.cli import main; sys.exit(main(['keys', 'list']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"LAKEWARD_DATABASE_URL": url},
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    [line] = io.StringIO(done.stderr)
    assert f"pip install 'lakeward[{extra}]'" in line
