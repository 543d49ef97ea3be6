"""Merging: small files of a day become larger ones, so that questions open few.

In: a snapshot. Out: commits that put one file in the place of several, rows unchanged. A merge that
another writer overtook is dropped; nothing is lost, the next run finds the same files again.

Files of a day are merged with others of about their size, `FAN` at a time, so that a row is written
again once for each power of `FAN`, however long the day; beyond `FULL` bytes a file stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakeward.lake.columns import GENERATION
from lakeward.lake.delta import Conflict, DataFile, Snapshot, Table, fresh_name, local_path, named
from lakeward.lake.files import select_of
from lakeward.lake.rows import ARROW, ROW_GROUP, Written, copy, iso_of, quoted
from lakeward.settings import MIB

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

logger = logging.getLogger("lakeward.compact")

FAN: Final = 8
FULL: Final = 64 * MIB
SMALLEST: Final = MIB // 4
SPAN_ROWS: Final = 100_000


def merge(
    con: DuckDBPyConnection,
    table: Table,
    scratch: Path,
    *,
    closed_before: str = "",
    enough: Callable[[], bool] = lambda: False,
) -> int:
    """Merge what is worth it until it is enough; the number of files that others took the place of.

    A day before `closed_before` (ISO) gets no more rows to speak of: all its small files are
    merged.
    """
    merged = 0
    done: set[str] = set()
    while not enough():
        snapshot = table.snapshot()
        group = next((g for g in groups(snapshot, closed_before) if g[0].date not in done), None)
        if group is None:
            break
        if replace(con, table, snapshot, group, scratch):
            merged += len(group)
        else:
            done.add(group[0].date)
    return merged


def groups(snapshot: Snapshot, closed_before: str) -> Iterator[list[DataFile]]:
    """Files that are worth merging, each group of one day and in the order of ids."""
    by_date: dict[str, list[DataFile]] = {}
    for file in snapshot.files.values():
        if file.bytes < FULL and 0 < file.generation <= GENERATION:
            by_date.setdefault(file.date, []).append(file)
    for date, files in sorted(by_date.items()):
        files.sort(key=lambda file: file.first)
        if date < closed_before and len(files) > 1:
            yield from _filled(files)
            continue
        by_tier: dict[int, list[DataFile]] = {}
        for file in files:
            by_tier.setdefault(tier(file), []).append(file)
        for same in by_tier.values():
            if len(same) >= FAN:
                yield same[:FAN]


def _filled(files: list[DataFile]) -> Iterator[list[DataFile]]:
    """Neighbours that make a full file together."""
    group: list[DataFile] = []
    for file in files:
        if group and sum(f.bytes for f in group) + file.bytes > FULL:
            if len(group) > 1:
                yield group
            group = []
        group.append(file)
    if len(group) > 1:
        yield group


def tier(file: DataFile) -> int:
    """Which power of FAN the file's size is of."""
    size, level = SMALLEST, 0
    while file.bytes > size:
        size, level = size * FAN, level + 1
    return level


def replace(
    con: DuckDBPyConnection,
    table: Table,
    snapshot: Snapshot,
    group: list[DataFile],
    scratch: Path,
    *,
    where: str = "",
    values: str = "",
    operation: str = "OPTIMIZE",
) -> bool:
    """Put one file in the place of `group`, without rows that `where` names, and with `values` (an
    expression AS its column) in the place of a column's; False when another writer removed one of
    them first."""
    local = scratch / "merged.parquet"
    written = _written(con, group, rewritten(table, group, where, values), local)
    add = _added(table, group, written, local)
    for _ in range(50):
        try:
            table.commit(
                snapshot.version + 1, add=[add] if add else [], remove=group, operation=operation
            )
            return True
        except Conflict:
            snapshot = table.snapshot()
            if not all(file.name in snapshot.files for file in group):
                break
    if add:
        table.storage.delete([add.name])
    return False


def _written(con: DuckDBPyConnection, group: list[DataFile], source: str, local: Path) -> Written:
    """One file of all their rows, in the order of ids; Arrow's writer, as the rows are Arrow's."""
    if len(group) == 1:
        return copy(con, source, local)
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows, bounds = 0, []
    schema = con.sql(f"{source} LIMIT 0").to_arrow_table().schema
    with pq.ParquetWriter(local, schema, **ARROW) as writer:
        for span in _ordered(con, source, spans(group)):
            writer.write_table(span, row_group_size=ROW_GROUP)
            rows += span.num_rows
            bounds.append(pc.min_max(span["timestamp"]).as_py())
    earliest = min((span["min"] for span in bounds if span["min"]), default=None)
    latest = max((span["max"] for span in bounds if span["max"]), default=None)
    return Written(rows, local.stat().st_size, iso_of(earliest), iso_of(latest))


def _ordered(con: DuckDBPyConnection, source: str, bounds: list[str]) -> Iterator[pa.Table]:
    """Rows sorted span by span: a sort of the whole would need the memory of the whole, and
    DuckDB's costs several times what putting Arrow's columns in order does."""
    import pyarrow.compute as pc

    for low, high in pairwise(bounds):
        select = f"FROM ({source}) WHERE interaction_id >= ? AND interaction_id < ?"
        found = con.sql(select, params=[low, high]).to_arrow_table().combine_chunks()
        if found.num_rows:
            yield found.take(pc.sort_indices(found["interaction_id"]))


def spans(group: list[DataFile]) -> list[str]:
    """Bounds of ids between which there are about SPAN_ROWS each, if rows are spread evenly."""
    first, last = (min(int(f.first, 16) for f in group), max(int(f.last, 16) for f in group) + 1)
    parts = max(sum(file.rows for file in group) // SPAN_ROWS, 1)
    inner = {f"{first + (last - first) * n // parts:012x}" for n in range(1, parts)}
    return ["", *sorted(f"{bound[:8]}-{bound[8:]}" for bound in inner), "g"]


def rewritten(table: Table, group: list[DataFile], where: str = "", values: str = "") -> str:
    """The rows of some files, in the order in which they stand; of a single one all columns, those
    of another version, too."""
    if len(group) == 1:
        path = quoted(local_path(table.storage, group[0].name))
        source = f"SELECT * FROM read_parquet({path}, hive_partitioning = false)"
    else:
        source = select_of(table, group)
    if values:
        source = f"SELECT * REPLACE ({values}) FROM ({source})"
    return f"SELECT * FROM ({source}) WHERE ({where}) IS NOT TRUE" if where else source


def _added(table: Table, group: list[DataFile], written: Written, local: Path) -> DataFile | None:
    if not written.rows:
        local.unlink()
        return None
    first, last = min(file.first for file in group), max(file.last for file in group)
    generation = group[0].generation if len(group) == 1 else GENERATION
    name = fresh_name(group[0].date, first, last, generation)
    table.storage.place(local, name)
    return named(name, written.bytes, written.rows, written.earliest, written.latest)
