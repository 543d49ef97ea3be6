"""Lines of the log as rows of the table: what DuckDB reads, enriches and writes.

In: lines, sorted, each id once. Out: a Parquet file with its row count and bounds. Fails with
`Undecodable` when a line is no record of ours after all; `repaired` then says which.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakeward.errors import MissingExtra, Rejected
from lakeward.interaction import iso, parse_iso
from lakeward.lake import enrich
from lakeward.lake.batch import begins
from lakeward.lake.columns import COLUMNS, NESTED, RECORD, reading, selected
from lakeward.lake.storage import Storage
from lakeward.lakedir import write_all

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

ROW_GROUP: Final = 20_480
"""Rows of a group: few enough for one of them to be found within milliseconds."""
PARQUET: Final = (
    f"FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}, "
    "WRITE_BLOOM_FILTER false, RETURN_STATS"
)
ARROW: Final[dict[str, Any]] = {
    "compression": "zstd",
    "version": "2.6",
    "data_page_version": "2.0",
    "use_dictionary": [name for name in COLUMNS if name != "interaction_id"],
    "column_encoding": {"interaction_id": "DELTA_BYTE_ARRAY"},
}
"""The same for Arrow's writer."""
BUFFER: Final = 1 << 20
"""DuckDB takes twice this for each thread; a longer line needs more."""


class Undecodable(Rejected):
    """DuckDB refused a line."""


class Written(msgspec.Struct, frozen=True):
    """What a Parquet file holds: rows, bytes, and the bounds of `timestamp` in ISO 8601."""

    rows: int
    bytes: int
    earliest: str
    latest: str


def connect(
    memory: int, threads: int = 2, spill: Path | None = None, storage: Storage | None = None
) -> DuckDBPyConnection:
    """DuckDB within `memory` bytes, which can read what stands in `storage`; what does not fit
    goes to the folder `spill`, or fails."""
    try:
        import duckdb
    except ImportError:
        raise MissingExtra("The table", "lake") from None
    con = duckdb.connect()
    for setting, value in {
        "memory_limit": f"{memory // 1024}KiB",
        "threads": str(threads),
        "TimeZone": "UTC",
        "temp_directory": str(spill) if spill else "",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "enable_progress_bar": "false",
    }.items():
        con.execute(f"SET {setting} = {quoted(value)}")
    if storage is not None and storage.file_system is not None:
        con.register_filesystem(storage.file_system)
    return con


def quoted(text: str) -> str:
    """A text as SQL spells it; for paths of ours, where no parameter is possible."""
    return "'" + text.replace("'", "''") + "'"


def listed(paths: Iterable[str]) -> str:
    """Paths as a SQL list."""
    return "[" + ", ".join(quoted(path) for path in paths) + "]"


PIECE: Final = 4096
"""Lines that are joined at a time: small enough for the same memory to be used again and again."""


@contextmanager
def as_file(lines: list[bytes]) -> Iterator[str]:
    """Lines as a file in memory that DuckDB opens by its path."""
    fd = os.memfd_create("lakeward")
    try:
        for start in range(0, len(lines), PIECE):
            write_all(fd, b"\n".join(lines[start : start + PIECE]) + b"\n")
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def rows_of(path: str, longest: int) -> str:
    """The select that makes rows of the lines in `path`, enrichment included."""
    lines = (
        f"SELECT {selected()} FROM read_json({quoted(path)}, format = 'newline_delimited', "
        f"columns = {reading()}, maximum_object_size = {max(BUFFER, 2 * longest)})"
    )
    return enrich.enriched(lines)


def write(con: DuckDBPyConnection, lines: list[bytes], path: Path) -> Written:
    """A Parquet file of sorted lines."""
    with as_file(lines) as source:
        written = copy(con, rows_of(source, max(map(len, lines))), path)
    if written.rows != len(lines):
        raise Undecodable(f"{len(lines)} lines became {written.rows} rows")
    return written


def write_parts(
    con: DuckDBPyConnection, parts: list[list[bytes]], paths: list[Path]
) -> list[Written]:
    """A Parquet file of each of some small parts. They are parsed together: a statement of this
    many columns costs more than a thousand rows."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    lines = [line for part in parts for line in part]
    with as_file(lines) as source:
        rows = _arrow(con, rows_of(source, max(map(len, lines))))
    if rows.num_rows != len(lines):
        raise Undecodable(f"{len(lines)} lines became {rows.num_rows} rows")
    written, start = [], 0
    for part, path in zip(parts, paths, strict=True):
        piece = rows.slice(start, len(part))
        start += len(part)
        pq.write_table(piece, path, row_group_size=ROW_GROUP, **ARROW)
        bounds = pc.min_max(piece["timestamp"]).as_py()
        size = path.stat().st_size
        written.append(Written(len(part), size, iso_of(bounds["min"]), iso_of(bounds["max"])))
    return written


def _arrow(con: DuckDBPyConnection, select: str) -> pa.Table:
    with undecodable():
        return con.sql(select).to_arrow_table()


@contextmanager
def undecodable() -> Iterator[None]:
    """DuckDB's refusal of a line as an error of ours, without its text, which quotes the line."""
    import duckdb

    try:
        yield
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise Undecodable(type(error).__name__) from None


def copy(con: DuckDBPyConnection, select: str, path: Path) -> Written:
    """Run a select of the table's columns into a Parquet file; Undecodable for what is no JSON."""
    with undecodable():
        row = con.execute(f"COPY ({select}) TO {quoted(str(path))} ({PARQUET})").fetchall()[0]
    stats: dict[str, Any] = row[4].get('"timestamp"', {})
    return Written(row[1], row[2], _iso(stats.get("min") or ""), _iso(stats.get("max") or ""))


def iso_of(moment: datetime | None) -> str:
    """A moment in UTC as ISO 8601 with milliseconds, nothing as nothing."""
    if moment is None:
        return ""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _iso(text: str) -> str:
    """DuckDB's `2025-11-24 16:00:00.001+00` as ISO 8601 with milliseconds."""
    moment = text.removesuffix("+00").replace(" ", "T")
    if not moment:
        return ""
    whole, _, part = moment.partition(".")
    return f"{whole}.{(part + '000')[:3]}Z"


def readable(con: DuckDBPyConnection, lines: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Lines that DuckDB takes for records, and those that it does not, found by halving."""
    if not lines:
        return [], []
    try:
        with as_file(lines) as source:
            if _arrow(con, rows_of(source, max(map(len, lines)))).num_rows == len(lines):
                return lines, []
    except Undecodable:
        pass
    if len(lines) == 1:
        return [], lines
    half = len(lines) // 2
    (first, bad), (second, more) = readable(con, lines[:half]), readable(con, lines[half:])
    return first + second, bad + more


def repaired(lines: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Lines that DuckDB can read, and those that are no records at all.

    Values that do not fit their column, and fields that have no column, go to `extra`.
    """
    good: list[bytes] = []
    bad: list[bytes] = []
    for line in lines:
        try:
            record = msgspec.json.decode(line, type=dict[str, Any])
            fitted = msgspec.json.encode(_fitted(record))
            if begins(fitted):
                good.append(fitted)
            else:
                bad.append(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
            bad.append(line)
    return good, bad


def _fitted(record: dict[str, Any]) -> dict[str, Any]:
    fitted: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in record.items():
        (fitted if _fits(name, value) else extra)[name] = value
    identity = {"interaction_id": fitted.pop("interaction_id", None)}
    return identity | fitted | ({"extra": extra} if extra else {})


def _fits(name: str, value: Any) -> bool:
    if value is None:
        return name in RECORD
    match RECORD.get(name) if name != "extra" else None:
        case "INTEGER":
            return type(value) is int and -(2**31) <= value < 2**31
        case "BIGINT":
            return type(value) is int and -(2**63) <= value < 2**63
        case "DOUBLE":
            return type(value) in (int, float)
        case "TIMESTAMPTZ":
            return isinstance(value, str) and _is_instant(value)
        case "VARCHAR":
            return name in NESTED or isinstance(value, str)
        case _:
            return False


def _is_instant(text: str) -> bool:
    """Whether a text is a time in the record's own spelling."""
    try:
        return iso(parse_iso(text)) == text
    except (ValueError, OverflowError):
        return False
