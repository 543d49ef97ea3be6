"""Merging: small files of a day become larger ones, so that questions open few.

In: a snapshot. Out: commits that put one file in the place of several, rows unchanged. A merge that
another writer overtook is dropped; nothing is lost, the next run finds the same files again.

Files of a day are merged with others of about their size, `FAN` at a time, so that a row is written
again once for each power of `FAN`, however long the day; beyond `FULL` bytes a file stays.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakeward.lake.columns import COLUMNS
from lakeward.lake.delta import Conflict, DataFile, Snapshot, Table, fresh_name, local_path, named
from lakeward.lake.rows import Written, copy, listed
from lakeward.settings import MIB

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

logger = logging.getLogger("lakeward.compact")

FAN: Final = 8
FULL: Final = 64 * MIB
SMALLEST: Final = MIB // 4


def merge(con: DuckDBPyConnection, table: Table, scratch: Path, *, closed_before: str = "") -> int:
    """Merge what is worth it; the number of files that others took the place of.

    A day before `closed_before` (ISO) gets no more rows to speak of: all its small files are
    merged.
    """
    merged = 0
    done: set[str] = set()
    while True:
        snapshot = table.snapshot()
        group = next((g for g in groups(snapshot, closed_before) if g[0].date not in done), None)
        if group is None:
            return merged
        if replace(con, table, snapshot, group, scratch):
            merged += len(group)
        else:
            done.add(group[0].date)


def groups(snapshot: Snapshot, closed_before: str) -> Iterator[list[DataFile]]:
    """Files that are worth merging, each group of one day and in the order of ids."""
    by_date: dict[str, list[DataFile]] = {}
    for file in snapshot.files.values():
        if file.bytes < FULL:
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
    operation: str = "OPTIMIZE",
) -> bool:
    """Put one file in the place of `group`, without rows that `where` names; False when another
    writer removed one of them first."""
    local = scratch / "merged.parquet"
    written = copy(con, rewritten(table, group, where), local)
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


def rewritten(table: Table, group: list[DataFile], where: str = "") -> str:
    """The rows of some files, in the order of ids."""
    paths = listed(local_path(table.storage, file.name) for file in group)
    mixed = ", union_by_name = true" if len({file.generation for file in group}) > 1 else ""
    source = f"read_parquet({paths}, hive_partitioning = false{mixed})"
    condition = f" WHERE NOT ({where})" if where else ""
    columns = ", ".join(COLUMNS)
    order = " ORDER BY interaction_id" if len(group) > 1 else ""
    return f"SELECT {columns} FROM {source}{condition}{order}"


def _added(table: Table, group: list[DataFile], written: Written, local: Path) -> DataFile | None:
    if not written.rows:
        local.unlink()
        return None
    first, last = min(file.first for file in group), max(file.last for file in group)
    name = fresh_name(group[0].date, *(f"{digits[:8]}-{digits[8:]}" for digits in (first, last)))
    table.storage.place(local, name)
    return named(name, written.bytes, written.rows, written.earliest, written.latest)
