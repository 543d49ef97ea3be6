"""Every store of this lake that holds personal data: the one place where they are put together.

In: a lake and its settings. Out: its erasers, those of the log first. A store that cannot be opened
(away, its extra missing) stands there all the same and says so when it is asked: an erasure that
left it out would be none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

from lakeward.ai.draft_eraser import DraftEraser
from lakeward.errors import LakewardError
from lakeward.lake.erase import Stores
from lakeward.lakedir import LakeDir
from lakeward.person import Eraser, Gone, Person
from lakeward.removal import LogEraser
from lakeward.settings import Settings

Maker = Callable[[LakeDir, Settings, ExitStack], Eraser]


class Closed:
    """A store that could not be opened."""

    def __init__(self, name: str, error: LakewardError) -> None:
        self.name = name
        self._error = error

    def find(self, person: Person) -> int:
        """Says why not."""
        raise self._error

    def erase(self, person: Person) -> Gone:
        """Says why not."""
        raise self._error


@contextmanager
def opened(lake: LakeDir, settings: Settings) -> Iterator[Stores]:
    """The stores, with their connections open."""
    with ExitStack() as held:
        source: list[Eraser] = [
            DraftEraser(lake, settings), LogEraser(lake, "raw"), LogEraser(lake, "quarantine")
        ]  # fmt: skip
        others: list[Eraser] = []
        for name, make in used(lake, settings):
            try:
                others.append(make(lake, settings, held))
            except LakewardError as error:
                others.append(Closed(name, error))
        yield Stores(source, others)


def witness_names(lake: LakeDir, settings: Settings, values: Sequence[str]) -> list[str]:
    """Ids under which the lake may know whoever spoke of a partner and goes by one of these."""
    if "database" not in dict(used(lake, settings)) or find_spec("sqlalchemy") is None:
        return []
    from lakeward.store.database import open_database
    from lakeward.store.witness_erasure import names_of

    with open_database(settings) as database, database.read() as connection:
        return [name for value in values for name in names_of(connection, value)]


def used(lake: LakeDir, settings: Settings) -> Iterator[tuple[str, Maker]]:
    """What this lake fills besides its log; a sink that was switched off may still hold people, so
    whatever is named by a setting counts."""
    yield "files", _files
    if settings.table or (lake.root / "table").exists() or find_spec("duckdb") is not None:
        yield "table", _table
        yield "rollups", _rollups  # behind the table: what it does not name any more goes
    if settings.data_lake_bucket:
        yield "s3", _s3
    if settings.interactions_table:
        yield "dynamodb", _dynamodb
    if settings.database_url or (lake.private / "app.db").exists():
        yield "database", _database


def _files(lake: LakeDir, settings: Settings, held: ExitStack) -> Eraser:
    from lakeward.sinks.files import IndividualFiles

    return IndividualFiles.from_settings(settings, lake)


def _table(lake: LakeDir, settings: Settings, held: ExitStack) -> Eraser:
    from lakeward.lake.forget import TableEraser

    return TableEraser(lake, settings)


def _rollups(lake: LakeDir, settings: Settings, held: ExitStack) -> Eraser:
    from lakeward.analysis.rollup.eraser import RollupEraser

    return RollupEraser(lake, settings)


def _s3(lake: LakeDir, settings: Settings, held: ExitStack) -> Eraser:
    from lakeward.sinks.s3 import S3Archive

    archive = S3Archive.from_settings(settings, lake)
    held.callback(archive.close)
    return archive


def _dynamodb(lake: LakeDir, settings: Settings, held: ExitStack) -> Eraser:
    from lakeward.sinks.dynamodb import DynamoTable

    table = DynamoTable.from_settings(settings, lake)
    held.callback(table.close)
    return table


def _database(lake: LakeDir, settings: Settings, held: ExitStack) -> Eraser:
    from lakeward.store.database import open_database
    from lakeward.store.eraser import DatabaseEraser

    return DatabaseEraser(held.enter_context(open_database(settings)))
