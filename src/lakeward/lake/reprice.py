"""AI turns that are in the table without a cost get one, where there is a price for them now.

In: the table, and the day from which on. Out: commits that put files with the completed turns in
the place of those that hold them, all other rows and columns as they were. Fails with
`MissingExtra` and `SettingError` before it touches anything, and may be repeated at any point: what
has been written stays, and a run that finds nothing to complete writes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from lakeward.barrier import delivering
from lakeward.errors import MissingExtra
from lakeward.lake import enrich, pricelist, turns
from lakeward.lake.compact import locked
from lakeward.lake.delta import DataFile, Table, local_path
from lakeward.lake.merge import replace
from lakeward.lake.prices import available
from lakeward.lake.rows import connect, quoted
from lakeward.lake.scratch import scratch
from lakeward.lake.storage import table_storage
from lakeward.lake.vacuum import vacuum
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

UNPRICED: Final = "interaction_type = 'ai_conversation' AND ai_metadata->>'$.cost_usd' IS NULL"
OURS: Final = (
    f"interaction_type = 'ai_conversation' AND ai_metadata->>'$.price_source' IN {turns.OURS}"
)


class Repriced(msgspec.Struct):
    """What a run did, in turns and files."""

    turns: int = 0
    """Turns that gained something: a cost, or tokens."""
    files: int = 0
    unpriced: int = 0
    """Turns from that day on that still have no cost."""


def reprice(lake: LakeDir, settings: Settings, *, since: str = "", again: bool = False) -> Repriced:
    """Complete turns from the day `since` (ISO, UTC) on; with `again` those, too, whose cost was
    looked up before, at the prices that hold now for the turn's own date."""
    if not pricelist.read(settings.ai_prices).rows and not available():
        raise MissingExtra("Prices of models", "ai")
    done = Repriced()
    with locked(lake), scratch(lake) as folder:
        table = Table(table_storage(lake.root, settings))
        con = connect(settings.compact_memory // 4, 2, folder, table.storage)
        try:
            enrich.register(con, settings.geoip, settings.ai_prices, again=again)
            for file in list(table.snapshot().files.values()):
                if file.date >= since:
                    with delivering(lake):
                        _complete(con, table, file, folder, done, again)
        finally:
            con.close()
        vacuum(lake, table, settings.vacuum_seconds)
    return done


def _complete(
    con: DuckDBPyConnection, table: Table, file: DataFile, folder: Path, done: Repriced, again: bool
) -> None:
    snapshot = table.snapshot()
    if file.name not in snapshot.files:
        return  # another writer took its place; the next run comes by again
    due = f"({UNPRICED} OR {OURS})" if again else f"({UNPRICED})"
    turn = enrich.TURN_CALL
    path = quoted(local_path(table.storage, file.name))
    found = con.execute(
        f"SELECT count(*) FILTER (new IS DISTINCT FROM ai_metadata), "
        "count(*) FILTER (new->>'$.cost_usd' IS NULL) "
        f"FROM (SELECT ai_metadata, {turn} AS new "
        f"FROM read_parquet({path}, hive_partitioning = false) WHERE {due})"
    ).fetchone()
    gained, left = found or (0, 0)
    values = f"CASE WHEN {due} THEN {turn} ELSE ai_metadata END AS ai_metadata"
    if gained and not replace(
        con, table, snapshot, [file], folder, values=values, operation="UPDATE"
    ):
        return
    done.turns += gained
    done.files += bool(gained)
    done.unpriced += left
