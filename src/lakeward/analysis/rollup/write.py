"""Writing packs: the cells of files of the table, and of packs that become one.

In: files, read once for all counts and once for each kind of unit. Out: a Parquet file that is
sorted as questions look for cells, and what is in it. Fails with OSError and DuckDB's own errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from lakeward.analysis.events import look
from lakeward.analysis.rollup.cells import (
    ALL,
    COUNTS,
    EVERY,
    FACETS,
    FIGURES,
    KEYS,
    MOST,
    OTHER,
    TIMED,
    TIMES,
    TYPES,
    UNITS,
    UNITS_PART,
    Literals,
    at_day,
    binned,
    figures,
    flags,
    together,
    value_of,
)
from lakeward.analysis.rollup.sketch import planes, ranked
from lakeward.lake.delta import DataFile, Table
from lakeward.lake.files import select_of
from lakeward.lake.rows import listed, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROW_GROUP: Final = 8192
"""Few enough for cells of other fields to be left unread."""
ORDER: Final = "part, facet, grain, interaction_type, began, value"
SHARED: Final = "began, interaction_type, bot, own"


class Written(msgspec.Struct, frozen=True):
    """What a pack holds."""

    cells: int
    bytes: int
    other: tuple[str, ...]


def count(
    con: DuckDBPyConnection, table: Table, files: Sequence[DataFile], rules: tuple[str, ...],
    path: Path,
) -> Written:  # fmt: skip
    """Write the cells of these files."""
    rows = select_of(table, files)
    _clear(con)
    other = _frequent(con, rows)
    try:
        _hours(con, rows, rules, other)
        _sketches(con, rows, rules)
        return _written(con, _all_parts(), path, other)
    finally:
        _clear(con)


def unite(con: DuckDBPyConnection, packs: Sequence[str], path: Path) -> Written:
    """Write the cells of these packs, put together."""
    source = f"read_parquet({listed(packs)})"
    keys = ", ".join(KEYS)
    select = (
        f"SELECT {keys}, {together()}, sum(binned)::BIGINT AS binned, "
        f"bit_or(bits::BIT)::BLOB AS bits FROM {source} GROUP BY {keys}"
    )
    named = con.execute(
        f"SELECT DISTINCT facet FROM {source} WHERE part = {COUNTS} AND value = {quoted(OTHER)}"
    ).fetchall()
    return _written(con, select, path, tuple(sorted(name for (name,) in named)))


def _clear(con: DuckDBPyConnection) -> None:
    for name in ("frequent", "hours", "bits", "sketches"):
        con.execute(f"DROP TABLE IF EXISTS {name}")


def _frequent(con: DuckDBPyConnection, rows: str) -> tuple[str, ...]:
    """Make the table of the most frequent values of fields that have too many; these fields."""
    con.execute("CREATE TEMP TABLE frequent (facet VARCHAR, value VARCHAR)")
    about = ", ".join(f"approx_count_distinct({value_of(name)})" for name in FACETS)
    [told] = con.execute(f"SELECT {about} FROM ({rows}) i").fetchall()
    found = []
    for name, values in zip(FACETS, told, strict=True):
        if values * 2 < MOST:  # the number is a rough one
            continue
        con.execute(
            f"INSERT INTO frequent SELECT {quoted(name)}, value FROM (SELECT {value_of(name)} "
            f"AS value, count(*) AS n FROM ({rows}) i GROUP BY 1) WHERE value IS NOT NULL "
            f"ORDER BY n DESC, value LIMIT {MOST + 1}"
        )
        [(kept,)] = con.execute(
            f"SELECT count(*) FROM frequent WHERE facet = {quoted(name)}"
        ).fetchall()
        if kept > MOST:
            found.append(name)
            last = "(SELECT rowid FROM frequent ORDER BY rowid DESC LIMIT 1)"
            con.execute(f"DELETE FROM frequent WHERE rowid = {last}")
    return tuple(found)


def _kept(name: str, other: tuple[str, ...]) -> str:
    """The value of a field, or that it is one of the others."""
    value = value_of(name)
    if name not in other:
        return value
    known = f"(SELECT value FROM frequent WHERE facet = {quoted(name)})"
    return f"CASE WHEN {value} IS NULL OR {value} IN {known} THEN {value} ELSE {quoted(OTHER)} END"


def _hours(
    con: DuckDBPyConnection, rows: str, rules: tuple[str, ...], other: tuple[str, ...]
) -> None:
    """Make the table of counts and times by hour; one pass for all fields."""
    named = [f"f{n}" for n in range(len(FACETS))]
    values = ", ".join(
        f"{_kept(name, other)} AS {key}" for name, key in zip(FACETS, named, strict=True)
    )
    sets = [f"({SHARED})", *(f"({SHARED}, {key})" for key in named)]
    timed = [f"({SHARED}, bin)"]
    timed += [f"({SHARED}, bin, f{FACETS.index(name)})" for name in TIMED if name]
    which = " ".join(
        f"WHEN grouping({key}) = 0 THEN {quoted(name)}"
        for name, key in zip(FACETS, named, strict=True)
    )
    value = " ".join(f"WHEN grouping({key}) = 0 THEN {key}" for key in named)
    con.execute(
        f"CREATE TEMP TABLE hours AS SELECT CAST(CASE WHEN grouping(bin) = 0 THEN {TIMES} "
        f"ELSE {COUNTS} END AS TINYINT) AS part, CASE {which} ELSE '{ALL}' END AS facet, "
        f"CASE {value} END AS value, {SHARED}, bin, {together()}, "
        f"sum(n) FILTER (WHERE bin IS NOT NULL)::BIGINT AS binned "
        f"FROM (SELECT {flags(rules)}, {figures()}, {binned()}, {values} FROM ({rows}) i) "
        f"GROUP BY GROUPING SETS ({', '.join([*sets, *timed])})"
    )
    con.execute(f"DELETE FROM hours WHERE part = {TIMES} AND bin IS NULL")


def _sketches(con: DuckDBPyConnection, rows: str, rules: tuple[str, ...]) -> None:
    """Make the table of sketches: of hours for all types together, of days for each type, too."""
    kinds = (
        "facet VARCHAR, grain VARCHAR, began TIMESTAMPTZ, interaction_type VARCHAR, bot BOOLEAN, "
    )
    con.execute(f"CREATE TEMP TABLE sketches ({kinds}own BOOLEAN, plane TINYINT, bits BIT)")
    every = f"began, '{EVERY}' AS interaction_type, bot, own, place, rank"
    for unit in UNITS:
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE bits AS SELECT {SHARED}, place, max(rank) AS rank FROM ("
            f"{units_of(rows, unit, flags(rules))}) GROUP BY {SHARED}, place"
        )
        day = f"{at_day('began')} AS began, interaction_type, bot, own, place, rank"
        for grain, made in (
            ("hour", f"SELECT {every} FROM bits"),
            (
                "day",
                f"SELECT {every.replace('began,', at_day('began') + ' AS began,', 1)} FROM bits",
            ),
            ("day", f"SELECT {day} FROM bits"),
        ):
            con.execute(
                f"INSERT INTO sketches SELECT {quoted(unit)}, '{grain}', * FROM "
                f"({planes(made, SHARED)})"
            )


def units_of(rows: str, unit: str, flagged: str) -> str:
    """The index and rank of the unit of each of some rows, with what cells are keyed by."""
    dimension = look(unit, Literals()).sql
    return (
        f"SELECT {SHARED}, {ranked('unit')} FROM (SELECT {flagged}, {dimension} AS unit "
        f"FROM ({rows}) i) WHERE unit IS NOT NULL"
    )


def _all_parts() -> str:
    """Counts and times of hours, the same of days, and sketches."""
    keys = "part, facet, value, {at}, interaction_type, bot, own, bin"
    hours = keys.format(at="began")
    days = keys.format(at=f"{at_day('began')} AS began")
    figured = ", ".join(FIGURES)
    return (
        f"SELECT 'hour' AS grain, {hours}, {figured}, binned FROM hours UNION ALL BY NAME "
        f"SELECT 'day' AS grain, {days}, {together()}, sum(binned)::BIGINT AS binned FROM hours "
        f"GROUP BY part, facet, value, {at_day('began')}, interaction_type, bot, own, bin "
        f"UNION ALL BY NAME SELECT {UNITS_PART} AS part, grain, facet, {SHARED}, plane, "
        "bits::BLOB AS bits FROM sketches"
    )


def _written(con: DuckDBPyConnection, select: str, path: Path, other: tuple[str, ...]) -> Written:
    typed = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in TYPES.items())
    path.unlink(missing_ok=True)
    con.execute(
        f"COPY (SELECT {typed} FROM ({select}) ORDER BY {ORDER}) TO {quoted(str(path))} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
    )
    [(cells,)] = con.execute(f"SELECT count(*) FROM read_parquet({listed([str(path)])})").fetchall()
    return Written(cells, path.stat().st_size, other)
