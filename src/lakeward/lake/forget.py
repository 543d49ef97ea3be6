"""Rows that leave the table: those of a person, and those that are too old.

In: a person, or the days that are over. Out: commits that put files without those rows in the place
of the files that hold them, which are then deleted as soon as nobody reads them. Statistics and
paths in the log name nobody, so nothing of a person is left in it. May be repeated at any point.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from lakeward.barrier import delivering, erasing
from lakeward.errors import Transient
from lakeward.interaction import iso
from lakeward.lake.delta import NAME, Conflict, DataFile, Table, local_path
from lakeward.lake.lease import leases
from lakeward.lake.merge import replace
from lakeward.lake.rows import connect, listed, quoted
from lakeward.lake.scratch import scratch
from lakeward.lake.storage import Folder, Storage, table_storage
from lakeward.lakedir import LakeDir, replace_file
from lakeward.person import Gone, Person
from lakeward.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DOOMED: Final = "doomed.json"
PATIENCE: Final = 90.0
"""Seconds to wait for readers that hold files with the person: longer than a query may take."""


class TableEraser:
    """Forgets people in the table."""

    name = "table"

    def __init__(
        self,
        lake: LakeDir,
        settings: Settings,
        *,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._table = Table(table_storage(lake.root, settings))
        self._patience = patience
        self._sleep = sleep

    def find(self, person: Person) -> int:
        """Rows of the table that name the person."""
        with self._present(), self._connected() as con:
            files = list(self._table.snapshot().files.values())
            return sum(hits(con, self._table, files, condition(person)).values())

    def erase(self, person: Person) -> Gone:
        """Rewrite the files that name the person, then delete the old ones."""
        with self._present():
            return self._erase(condition(person))

    def _erase(self, where: str) -> Gone:
        records = 0
        with scratch(self._lake) as folder, self._connected() as con:
            while True:
                snapshot = self._table.snapshot()
                found = hits(con, self._table, snapshot.files.values(), where)
                if not found:
                    break
                self._note_doomed([*self._doomed(), *found])
                for name, rows in found.items():
                    records += self._rewrite(con, snapshot.files[name], where, folder) * rows
        self._note_doomed([*self._doomed(), *self._replaced(where)])
        self._unlink(self._doomed())
        self._note_doomed([])
        return self._swept(records)

    @contextlib.contextmanager
    def _present(self) -> Iterator[None]:
        """What the libraries raise when a bucket is away, as an error that is tried again."""
        import duckdb
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (duckdb.Error, DeltaError, OSError) as error:
            where, kind = self._table.storage.uri, type(error).__name__
            raise Transient(f"the table at {where} is away for now ({kind})") from None

    def _replaced(self, where: str) -> list[str]:
        """Files with the person that merges took the place of and that wait to be vacuumed. Nobody
        can be about to commit them, so they need not wait."""
        if self._is_ours():
            return []  # all of them are swept
        gone, named = self._table.replaced(), self._table.snapshot().files
        files = [
            DataFile(name, size, 0, "")
            for name, size in self._table.storage.names()
            if name in gone and name not in named
        ]
        with self._connected() as con:
            return list(hits(con, self._table, files, where))

    def _is_ours(self) -> bool:
        """Whether no other lake writes to the table: it stands in this one's folder."""
        storage = self._table.storage
        return isinstance(storage, Folder) and storage.root.is_relative_to(self._lake.root)

    def _rewrite(self, con: DuckDBPyConnection, file: DataFile, where: str, folder: Path) -> bool:
        snapshot = self._table.snapshot()
        with delivering(self._lake):
            return file.name in snapshot.files and replace(
                con, self._table, snapshot, [file], folder, where=where, operation="DELETE"
            )

    def _swept(self, records: int) -> Gone:
        """Rows of commits that never happened: deleted where no other host can be about to
        commit."""
        storage = self._table.storage
        if isinstance(storage, Folder) and self._is_ours():
            with erasing(self._lake):
                named = set(self._table.snapshot().files) | leases(self._lake)
                storage.delete(name for name in _data_files(storage) if name not in named)
            return Gone(records)
        grace = int(self._settings.vacuum_seconds * 1000)
        return Gone(
            records,
            "files of commits that never happened, if a host died in the middle of one",
            iso(time.time_ns() // 1_000_000 + grace),
        )

    def _doomed(self) -> list[str]:
        """Files that an erase set out to replace, and that the table does not name any more."""
        try:
            content = (self._lake.private / DOOMED).read_bytes()
        except FileNotFoundError:
            return []
        named = self._table.snapshot().files
        return [name for name in msgspec.json.decode(content, type=list[str]) if name not in named]

    def _note_doomed(self, names: list[str]) -> None:
        replace_file(self._lake.private / DOOMED, msgspec.json.encode(names) + b"\n")

    def _unlink(self, names: list[str]) -> None:
        """Delete files once no reader on this machine holds them."""
        deadline = time.monotonic() + self._patience
        while names:
            held = leases(self._lake)
            self._table.storage.delete(name for name in names if name not in held)
            names = [name for name in names if name in held]
            if names and time.monotonic() >= deadline:
                raise Transient(f"{len(names)} files of the table are being read: erase again")
            if names:
                self._sleep(0.1)

    def _connected(self) -> DuckDBPyConnection:
        return connect(self._settings.compact_memory // 2, 2, None, self._table.storage)


def _data_files(storage: Storage) -> list[str]:
    return [name for name, _ in storage.names() if NAME.fullmatch(name)]


def condition(person: Person) -> str:
    """The SQL that is true for rows of a person and never null."""
    return f"{person.kind} IS NOT DISTINCT FROM {quoted(person.value)}"


def hits(
    con: DuckDBPyConnection, table: Table, files: Iterable[DataFile], where: str
) -> dict[str, int]:
    """Names of files that hold such rows, and how many."""
    by_path = {local_path(table.storage, file.name): file.name for file in files}
    if not by_path:
        return {}
    found = con.execute(
        f"SELECT filename, count(*) FROM read_parquet({listed(by_path)}, filename = true, "
        f"hive_partitioning = false) WHERE {where} GROUP BY 1"
    ).fetchall()
    return {by_path[path]: rows for path, rows in found}


def expire(
    lake: LakeDir,
    table: Table,
    con: DuckDBPyConnection,
    folder: Path,
    cutoffs: dict[str | None, int],
) -> int:
    """Delete rows older than the cut-off of their type (None: of all others), in ms since 1970; the
    number of rows. A day is over when the last of its ids is."""
    if not cutoffs:
        return 0
    general = cutoffs.get(None)
    gone = 0
    for file in list(table.snapshot().files.values()):
        snapshot = table.snapshot()
        if file.name not in snapshot.files:
            continue
        last_ms = int(file.last, 16) if file.generation else 1 << 62
        first_ms = int(file.first, 16) if file.generation else 0
        if all(first_ms >= cutoff for cutoff in cutoffs.values()):
            continue
        if len(cutoffs) == 1 and general is not None and last_ms < general:
            try:
                table.commit(snapshot.version + 1, remove=[file], operation="DELETE")
                gone += file.rows
            except Conflict:
                pass  # the next run comes by again
            continue
        where = expired(cutoffs)
        rows = hits(con, table, [file], where).get(file.name, 0)
        if rows and replace(
            con, table, snapshot, [file], folder, where=where, operation="DELETE"
        ):  # fmt: skip
            gone += rows
    return gone


def expired(cutoffs: dict[str | None, int]) -> str:
    """The SQL that is true for rows that are too old; ids order as their milliseconds do."""
    named = {name: ms for name, ms in cutoffs.items() if name is not None}
    clauses = [
        f"(interaction_type = {quoted(name)} AND interaction_id < {quoted(_bound(ms))})"
        for name, ms in named.items()
    ]
    if None in cutoffs:
        others = f"interaction_type NOT IN ({', '.join(map(quoted, named))}) AND " if named else ""
        clauses.append(f"({others}interaction_id < {quoted(_bound(cutoffs[None]))})")
    return " OR ".join(clauses)


def _bound(ms: int) -> str:
    text = f"{max(ms, 0):012x}"
    return f"{text[:8]}-{text[8:]}"
