"""Views that know the day: `dated` is `interactions` with `utc_date`, the UTC date of its time.

In: a reading's table, snapshot and tail. Out: views. Fails where `interactions` does.

Of a file whose times all lie within the day of its partition, `utc_date` is the partition's date:
no column is read for it, and DuckDB leaves out files of other days. Other files (rows that came
with ids of their own may say another time than their id) and the tail have it computed. So a
question about days in UTC need not read the time at all, which is a third of what it reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lakeward.lake import identity
from lakeward.lake.columns import COLUMNS, PARTITION
from lakeward.lake.delta import DataFile, Snapshot, Table
from lakeward.lake.files import select_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DATED: Final = "dated"
STITCHED: Final = "stitched_dated"
"""The same with the person."""
DAY: Final = "utc_date"
COMPUTED: Final = f"(timestamp AT TIME ZONE 'UTC')::DATE AS {DAY}"


def select(table: Table, snapshot: Snapshot) -> str:
    """The rows of `interactions` with their day."""
    names = ", ".join((*COLUMNS, PARTITION))
    parts = [f"SELECT {names}, {COMPUTED} FROM tail"]
    sure: dict[bool, list[DataFile]] = {}
    for file in snapshot.files.values():
        sure.setdefault(of_its_day(file), []).append(file)
    for known, files in sure.items():
        day = f"{PARTITION} AS {DAY}" if known else COMPUTED
        parts.append(f"SELECT {names}, {day} FROM ({select_of(table, files, dated=True)})")
    return " UNION ALL BY NAME ".join(parts)


def of_its_day(file: DataFile) -> bool:
    """Whether all times of the file are within the day of its partition, by its statistics."""
    return file.earliest[:10] == file.latest[:10] == file.date != ""


def create(con: DuckDBPyConnection, select: str) -> None:
    """The view over a select with `utc_date`."""
    con.execute(f"CREATE VIEW IF NOT EXISTS {DATED} AS {select}")


def create_stitched(con: DuckDBPyConnection) -> None:
    """The same with the person, where the derived views are, too."""
    stitched = identity.STITCHED.replace("FROM interactions i", f"FROM {DATED} i")
    con.execute(f"CREATE VIEW IF NOT EXISTS {STITCHED} AS {stitched}")
