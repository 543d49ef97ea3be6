"""One interaction by its id: id → day → file → row group → row.

In: an id. Out: the record as the log holds it, or None. The id's millisecond names the day and, by
the files' names, the few files that can hold it; their footers name the row group; one column of
that is read to find the row, and the others only for it. What is not in the table yet is looked for
in the log's tail, and an AI turn is completed there as it will be in the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakeward.errors import Terminal, Transient
from lakeward.interaction import OURS, id_ms, iso
from lakeward.lake.batch import BEGIN, take
from lakeward.lake.columns import NESTED, RECORD
from lakeward.lake.delta import DataFile, Table, digits, local_path
from lakeward.lake.rows import connect, quoted
from lakeward.lake.storage import table_storage
from lakeward.lake.turns import Turns
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings
from lakeward.suppression import load as load_suppressed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Record = dict[str, Any]
ATTEMPTS: Final = 5
REMEMBERED: Final = 512
"""Footers of files that are kept."""
PIECE: Final = 32 << 20
"""Bytes of the log that are searched at a time."""
NULLS_OF_A_CALL: Final = frozenset(
    {
        "method", "path", "response_status", "response_time_ms", "ip_address", "user_agent",
        "session_id",
    }
)  # fmt: skip
"""Fields that an `api_call` has even where they are null."""


class Group(msgspec.Struct, frozen=True):
    """A row group: the bounds of its ids, and the record's columns that hold something in it."""

    first: str
    last: str
    columns: list[str]


def groups_of(path: str, file_system: Any) -> list[Group]:
    """The row groups of a Parquet file, from its footer."""
    import pyarrow.parquet as pq

    with file_system.open(path, "rb") if file_system else open(path, "rb") as file:
        footer = pq.read_metadata(file)
    groups: list[Group] = []
    for n in range(footer.num_row_groups):
        group = footer.row_group(n)
        first, last, columns = "", "g", []
        for column in map(group.column, range(group.num_columns)):
            name, bounds = column.path_in_schema, column.statistics
            if name == "interaction_id" and bounds is not None and bounds.has_min_max:
                first, last = bounds.min, bounds.max
            empty = bounds is not None and bounds.null_count == group.num_rows
            if name in RECORD and not empty:
                columns.append(name)
        groups.append(Group(first, last, columns))
    return groups


class Lookup:
    """Finds interactions of one lake; keeps its connection, so that the second is fast."""

    def __init__(self, lake: LakeDir, settings: Settings) -> None:
        self.lake = lake
        self._table = Table(table_storage(lake.root, settings))
        self._con: DuckDBPyConnection = connect(256 << 20, 1, None, self._table.storage)
        self._con.execute("SET parquet_metadata_cache = true")
        self._turns = Turns(settings.ai_prices)
        self._footers: dict[str, list[Group]] = {}

    def get(self, interaction_id: str) -> Record | None:
        """The record; None when there is none. Terminal for what is no id of ours."""
        wanted = interaction_id.strip().lower()
        if not OURS.fullmatch(wanted):
            raise Terminal(f"{interaction_id[:60]!r} is no interaction id: it must be a UUID")
        record = self._in_table(wanted) or self._in_tail(wanted)
        if record is not None:
            suppressed = load_suppressed(self.lake)
            if suppressed and suppressed.covers(record):
                return None
        return record

    def _in_table(self, wanted: str) -> Record | None:
        import duckdb

        for _ in range(ATTEMPTS):
            try:
                return self._in_files(wanted)
            except (FileNotFoundError, duckdb.IOException):
                continue  # merged or erased meanwhile: the next snapshot names another file
        raise Transient("the table's files come and go: look again")

    def _in_files(self, wanted: str) -> Record | None:
        snapshot = self._table.snapshot()
        ms = digits(wanted)
        for file in snapshot.dated(iso(id_ms(wanted))[:10]):
            if not file.first <= ms <= file.last:
                continue
            groups = [g for g in self._footer(file) if g.first <= wanted <= g.last]
            if not groups:
                continue
            columns = list(dict.fromkeys(name for group in groups for name in group.columns))
            path = quoted(local_path(self._table.storage, file.name))
            found = self._con.execute(
                f"SELECT {', '.join(columns)} FROM read_parquet({path}, hive_partitioning = false) "
                "WHERE interaction_id = ?",
                [wanted],
            ).fetchone()
            if found is not None:
                return record_of(dict.fromkeys(RECORD) | dict(zip(columns, found, strict=True)))
        return None

    def _footer(self, file: DataFile) -> list[Group]:
        """The file's row groups, remembered: a file never changes."""
        if file.name not in self._footers:
            if len(self._footers) >= REMEMBERED:
                self._footers.clear()
            path = local_path(self._table.storage, file.name)
            self._footers[file.name] = groups_of(path, self._table.storage.file_system)
        return self._footers[file.name]

    def _in_tail(self, wanted: str) -> Record | None:
        place = self._table.reached(self.lake)
        while (taken := take(self.lake, place, PIECE)) is not None:
            at = _line_of(taken.content, BEGIN + wanted.encode() + b'"')
            if at >= 0:
                line = taken.content[at : taken.content.index(b"\n", at)]
                return self._turns.record(msgspec.json.decode(line, type=Record))
            place = taken.end
        return None

    def close(self) -> None:
        """Let go of DuckDB."""
        self._con.close()


def _line_of(content: bytes, begin: bytes) -> int:
    """Where the line stands that begins so, -1 if none does: a record may hold others."""
    at = content.find(begin)
    while at > 0 and content[at - 1] != ord("\n"):
        at = content.find(begin, at + 1)
    return at


def get(lake: LakeDir, settings: Settings, interaction_id: str) -> Record | None:
    """One record by its id."""
    lookup = Lookup(lake, settings)
    try:
        return lookup.get(interaction_id)
    finally:
        lookup.close()


def record_of(row: Record) -> Record:
    """A row of the table as the record was: absent fields absent, objects objects."""
    record: Record = {}
    extra: Record = {}
    for name in RECORD:
        value = row[name]
        if value is None:
            if name in NULLS_OF_A_CALL and row["interaction_type"] == "api_call":
                record[name] = None
        elif name == "timestamp":
            record[name] = value if isinstance(value, str) else iso(round(value.timestamp() * 1000))
        elif name == "extra":
            extra = msgspec.json.decode(value)
        elif name in NESTED:
            record[name] = msgspec.json.decode(value)
        else:
            record[name] = value
    return record | extra
