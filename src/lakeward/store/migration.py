"""The way of a database to the newest revision.

In: a connection inside a transaction. Out: the same, upgraded; the caller commits, so a step that
is killed leaves nothing. Fails with `Unreadable` for a database that a later Lakeward wrote.
"""

from __future__ import annotations

from importlib.resources import as_file, files

from sqlalchemy import Connection, column, inspect, select, table

from lakeward.errors import Unreadable
from lakeward.store.schema import REVISION, REVISION_TABLE


def is_current(connection: Connection) -> bool:
    """Whether nothing has to be done."""
    return revisions(connection) == {REVISION}


def revisions(connection: Connection) -> set[str]:
    """Where the database stands; empty when it is new."""
    if not inspect(connection).has_table(REVISION_TABLE):
        return set()
    version = table(REVISION_TABLE, column("version_num"))
    return set(connection.scalars(select(version.c.version_num)))


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing."""
    # here, because it costs 200 ms and a database that is current needs none of it
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    with as_file(files("lakeward.store") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
        if unknown := revisions(connection) - known:
            raise Unreadable(
                f"the app database is of revision {', '.join(sorted(unknown))} and this Lakeward "
                f"knows {REVISION}: use the version that wrote it, or a later one"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
