"""Writing packs: the cells of files of the table, and of packs that become one.

In: files, read once for all counts and once for each kind of unit. Out: Parquet files in a folder,
one for each part, field and grain. Fails with OSError and DuckDB's own errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec

from lakeward.analysis.events import look
from lakeward.analysis.rollup import bins
from lakeward.analysis.rollup.cells import (
    ALL,
    EVERY,
    FACETS,
    HOLDS,
    KEYS,
    MOST,
    OTHER,
    SHARED,
    TIMED,
    TYPES,
    UNITS,
    Grain,
    Literals,
    Part,
    at_day,
    binned,
    figures,
    flags,
    put,
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
"""Few enough for hours and types that are not asked for to be left unread."""
GRAINS: Final[tuple[Grain, ...]] = ("hour", "day")


class Written(msgspec.Struct, frozen=True):
    """What was written."""

    cells: int
    other: tuple[str, ...]


def count(
    con: DuckDBPyConnection, table: Table, files: Sequence[DataFile], rules: tuple[str, ...],
    place: Path,
) -> Written:  # fmt: skip
    """Write the cells of these files into a folder."""
    rows = select_of(table, files)
    _clear(con)
    other = _frequent(con, rows)
    try:
        _hours(con, rows, rules, other)
        _sketches(con, rows, rules)
        cells = 0
        for name, select in _parts(con):
            cells += _written(con, name, select, place)
        return Written(cells, other)
    finally:
        _clear(con)


def unite(con: DuckDBPyConnection, packs: Sequence[Path], place: Path) -> Written:
    """Write the cells of these packs, put together, into a folder."""
    cells = 0
    for name in sorted({path.name for pack in packs for path in pack.glob("*.parquet")}):
        part, facet, grain = parted(name)
        source = of_packs(packs, part, facet, grain)
        keys = ", ".join(KEYS[part])
        select = f"SELECT {keys}, {put(part)} FROM ({source}) GROUP BY {keys}"
        cells += _written(con, name, select, place)
    return Written(cells, ())


def of_packs(packs: Sequence[Path], part: Part, facet: str, grain: Grain) -> str:
    """The select of cells of packs; in one that has none of a field, no interaction has it."""
    having, lacking = [], []
    for pack in packs:
        path = pack / named(part, facet, grain)
        if path.exists():
            having.append(str(path))
        elif part != "units" and (path := pack / named(part, ALL, grain)).exists():
            lacking.append(str(path))
    told = [
        f"SELECT {', '.join(_item(name, nothing) for name in HOLDS[part])} "
        f"FROM read_parquet({listed(paths)})"
        for paths, nothing in ((having, False), (lacking, True))
        if paths
    ]
    empty = ", ".join(f"CAST(NULL AS {TYPES[name]}) AS {name}" for name in HOLDS[part])
    return " UNION ALL ".join(told) or f"SELECT {empty} WHERE FALSE"


def _item(name: str, nothing: bool) -> str:
    if name == "value" and nothing:
        return "CAST(NULL AS VARCHAR) AS value"
    return "CAST(bits AS BIT) AS bits" if name == "bits" else name


def named(part: Part, facet: str, grain: Grain) -> str:
    """The name of a file of cells."""
    return f"{part}.{facet or 'all'}.{grain}.parquet"


def parted(name: str) -> tuple[Part, str, Grain]:
    """The part, the field and the grain of a file of cells."""
    part, _, rest = name.removesuffix(".parquet").partition(".")
    facet, _, grain = rest.rpartition(".")
    return cast(Part, part), "" if facet == "all" else facet, cast(Grain, grain)


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
    shared = ", ".join(SHARED)
    keys = [f"f{n}" for n in range(len(FACETS))]
    values = ", ".join(
        f"{_kept(name, other)} AS {key}" for name, key in zip(FACETS, keys, strict=True)
    )
    sets = [f"({shared})", *(f"({shared}, {key})" for key in keys)]
    timed = [f"({shared}, bin)"]
    timed += [f"({shared}, bin, f{FACETS.index(name)})" for name in TIMED if name]
    which = " ".join(
        f"WHEN grouping({key}) = 0 THEN {quoted(name)}"
        for name, key in zip(FACETS, keys, strict=True)
    )
    value = " ".join(f"WHEN grouping({key}) = 0 THEN {key}" for key in keys)
    con.execute(
        f"CREATE TEMP TABLE hours AS SELECT grouping(bin) = 0 AS is_time, "
        f"CASE {which} ELSE '{ALL}' END AS facet, CASE {value} END AS value, {shared}, bin, "
        f"{together()}, sum(n) FILTER (WHERE bin IS NOT NULL)::BIGINT AS binned "
        f"FROM (SELECT {flags(rules)}, {figures()}, {binned()}, {values} FROM ({rows}) i) "
        f"GROUP BY GROUPING SETS ({', '.join([*sets, *timed])})"
    )
    con.execute("DELETE FROM hours WHERE is_time AND bin IS NULL")


def _sketches(con: DuckDBPyConnection, rows: str, rules: tuple[str, ...]) -> None:
    """Make the table of sketches: of hours for all types together, of days for each type, too."""
    kinds = (
        "facet VARCHAR, grain VARCHAR, began TIMESTAMPTZ, interaction_type VARCHAR, bot BOOLEAN, "
    )
    con.execute(f"CREATE TEMP TABLE sketches ({kinds}own BOOLEAN, plane TINYINT, bits BIT)")
    shared = ", ".join(SHARED)
    every = f"began, '{EVERY}' AS interaction_type, bot, own, place, rank"
    for unit in UNITS:
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE bits AS SELECT {shared}, place, max(rank) AS rank FROM ("
            f"{units_of(rows, unit, flags(rules))}) GROUP BY {shared}, place"
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
                f"({planes(made, shared)})"
            )


def units_of(rows: str, unit: str, flagged: str) -> str:
    """The index and rank of the unit of each of some rows, with what cells are keyed by."""
    dimension = look(unit, Literals()).sql
    shared = ", ".join(SHARED)
    return (
        f"SELECT {shared}, {ranked('unit')} FROM (SELECT {flagged}, {dimension} AS unit "
        f"FROM ({rows}) i) WHERE unit IS NOT NULL"
    )


def _parts(con: DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """Each file and its select: counts and times of hours, the same of days, and sketches."""
    known = con.execute(
        f"SELECT DISTINCT is_time, facet FROM hours WHERE (facet = '{ALL}' OR value IS NOT NULL) "
        "ORDER BY ALL"
    ).fetchall()
    for is_time, facet in known:
        part: Part = "times" if is_time else "counts"
        rows = f"SELECT * FROM hours WHERE is_time = {is_time} AND facet = {quoted(facet)}"
        if is_time:
            told = f"{', '.join(SHARED)}, value, {bins.band_of('bin')} AS band"
            rows = f"SELECT {told}, {bins.together('bin', 'binned')} FROM ({rows}) GROUP BY ALL"
        yield named(part, facet, "hour"), f"SELECT {', '.join(HOLDS[part])} FROM ({rows})"
        keys = ", ".join(KEYS[part])
        days = keys.replace("began", f"{at_day('began')} AS began", 1)
        group = keys.replace("began", at_day("began"), 1)
        yield (
            named(part, facet, "day"),
            f"SELECT {days}, {put(part)} FROM ({rows}) GROUP BY {group}",
        )
    for unit in UNITS:
        for grain in GRAINS:
            rows = f"FROM sketches WHERE facet = {quoted(unit)} AND grain = '{grain}'"
            yield named("units", unit, grain), f"SELECT {', '.join(HOLDS['units'])} {rows}"


def _written(con: DuckDBPyConnection, name: str, select: str, place: Path) -> int:
    """Write one file, sorted as questions look for cells; how many cells."""
    part, _, _ = parted(name)
    typed = ", ".join(f"CAST({column} AS {TYPES[column]}) AS {column}" for column in HOLDS[part])
    order = ", ".join(f"{key} NULLS FIRST" for key in KEYS[part])
    [(cells,)] = con.execute(
        f"COPY (SELECT {typed} FROM ({select}) ORDER BY {order}) TO {quoted(str(place / name))} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
    ).fetchall()
    return int(cells)
