"""The select of some of the table's files, whichever version wrote them.

In: data files. Out: SQL with the columns of this version, in their order; a column that a file does
not have is null there. Files of this version's generation are read as they stand, since looking at
every footer first costs more than many a question; of other generations each is looked at. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from lakeward.lake.columns import COLUMNS, GENERATION, PARTITION
from lakeward.lake.delta import DataFile, Table, local_path
from lakeward.lake.rows import listed


def select_of(table: Table, files: Iterable[DataFile], *, dated: bool = False) -> str:
    """Rows of the files in the order in which they stand; with the partition's date if `dated`."""
    types = COLUMNS | {PARTITION: "DATE"} if dated else COLUMNS
    by_generation: dict[bool, list[DataFile]] = {}
    for file in files:
        by_generation.setdefault(file.generation == GENERATION, []).append(file)
    parts: list[str] = []
    for known, group in by_generation.items():
        paths = listed(local_path(table.storage, file.name) for file in group)
        hive = f"true, hive_types = {{'{PARTITION}': DATE}}" if dated else "false"
        source = f"read_parquet({paths}, hive_partitioning = {hive}"
        if known:
            parts.append(f"SELECT {', '.join(types)} FROM {source})")
        else:
            names = ", ".join(f"'{name}'" for name in types)
            parts.append(
                f"SELECT COLUMNS(lambda c: c IN ({names})) FROM {source}, union_by_name = true)"
            )
    if list(by_generation) == [True]:
        return parts[0]
    empty = ", ".join(f"NULL::{kind} AS {name}" for name, kind in types.items())
    return " UNION ALL BY NAME ".join((f"SELECT {empty} WHERE false", *parts))
