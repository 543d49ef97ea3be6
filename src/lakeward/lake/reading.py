"""What questions read: the table at one version and the lines of the log that are not in it yet.

In: a lake. Out: a DuckDB connection with the view `interactions` and one for each known type, which
together show each interaction once, and nobody who was erased. Fails with `Unreadable` or
`Transient` as the table does.

Table and tail are of one moment: how far the log is in the table stands in the same snapshot. While
it is open, a lease in `.lakeward/readers/` names its files, so that none of them is deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from lakeward.catalog import TYPES
from lakeward.errors import Transient
from lakeward.lake import dated, enrich
from lakeward.lake.batch import Batch, batch_of, has_newer_fields, take
from lakeward.lake.batch import unsuppressed as of_others
from lakeward.lake.columns import COLUMNS, PARTITION
from lakeward.lake.compact import ids_of, known_ids
from lakeward.lake.delta import Snapshot, Table, local_path
from lakeward.lake.files import select_of
from lakeward.lake.forget import condition
from lakeward.lake.lease import Lease, leased
from lakeward.lake.receipt import waiting
from lakeward.lake.rows import (
    Undecodable,
    as_file,
    connect,
    readable,
    repaired,
    rows_of,
    undecodable,
)
from lakeward.lake.storage import table_storage
from lakeward.lakedir import LakeDir
from lakeward.log import Position
from lakeward.person import Person
from lakeward.settings import Settings
from lakeward.suppression import Suppressed
from lakeward.suppression import load as load_suppressed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHOWN: Final = (*COLUMNS, PARTITION)
TAIL_MOST: Final = 256 << 20
"""Bytes of the log that are read beside the table; a keeper that compacts stays far below."""


class Reading:
    """A consistent look at one lake. Use as a context manager."""

    def __init__(
        self,
        lake: LakeDir,
        settings: Settings,
        *,
        memory: int = 1 << 30,
        threads: int = 2,
        spill: Path | None = None,
    ) -> None:
        self.lake = lake
        self.settings = settings
        self.table = Table(table_storage(lake.root, settings))
        self.con: DuckDBPyConnection = connect(memory, threads, spill, self.table.storage)
        self._lease: Lease | None = None
        self._dated = False
        try:
            enrich.register(self.con, settings.geoip, settings.ai_prices)
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self.snapshot, self._lease = leased(self.lake, self.table)
        self.reached: Position = self.table.reached(self.lake)
        self.files = [
            local_path(self.table.storage, file.name) for file in self.snapshot.files.values()
        ]
        self._load_tail()
        self.views = views(self.table, self.snapshot)
        self._hidden = waiting(self.lake)  # the tail has nobody of the suppression list anyway
        self.views["interactions"] = without(self.views["interactions"], self._hidden)
        for name, select in self.views.items():
            self.con.execute(f'CREATE VIEW "{name}" AS {select}')

    @property
    def hides(self) -> bool:
        """Whether rows are left out, as somebody's erasure is not at its end."""
        return bool(self._hidden)

    def create_dated(self, *, stitched: bool = True) -> None:
        """The view of questions that count by days; where the derived ones are, with the person."""
        if not self._dated:
            select = dated.select(self.table, self.snapshot)
            dated.create(self.con, without(select, self._hidden))
            self._dated = True
        if stitched:
            dated.create_stitched(self.con)

    def _load_tail(self) -> None:
        """The rows that the table does not have yet, in memory."""
        tail = tail_of(self.lake, self.reached)
        suppressed = load_suppressed(self.lake)
        if suppressed:
            tail = unsuppressed(tail, suppressed)
        lines = absent(self.con, self.table, self.snapshot, tail).lines
        try:
            self._fill_tail(lines)
        except Undecodable:  # a line that the compactor will mend or set aside
            good, odd = readable(self.con, lines)
            more, _ = readable(self.con, repaired(odd)[0])
            self._fill_tail([*good, *more])

    def _fill_tail(self, lines: list[bytes]) -> None:
        self.tail_rows = len(lines)
        dated = f"SELECT {', '.join(COLUMNS)}, {DATE_OF_ID} AS {PARTITION}"
        with as_file(lines or [b"{}"]) as path, undecodable():
            longest = max(map(len, lines), default=0)
            self.con.execute(
                f"CREATE OR REPLACE TABLE tail AS {dated} FROM ({rows_of(path, longest)}) "
                "WHERE interaction_id IS NOT NULL"
            )

    def close(self) -> None:
        """Let go of the files; they may be deleted from now on."""
        self.con.close()
        if self._lease is not None:
            self._lease.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_reading(
    lake: LakeDir, settings: Settings, *, memory: int = 1 << 30, threads: int = 2
) -> Reading:
    """A look at the lake as it is now: table and log together."""
    return Reading(lake, settings, memory=memory, threads=threads)


DATE_OF_ID: Final = "epoch_ms(('0x' || interaction_id[1:8] || interaction_id[10:13])::BIGINT)::DATE"
"""The event date is a function of the id."""


def views(table: Table, snapshot: Snapshot) -> dict[str, str]:
    """The select of each view by its name."""
    stored = select_of(table, snapshot.files.values(), dated=True)
    found = {"interactions": f"SELECT {', '.join(SHOWN)} FROM tail UNION ALL BY NAME {stored}"}
    for name in TYPES:
        found[name] = f"FROM interactions WHERE interaction_type = '{name}'"
    return found


def without(select: str, people: Sequence[Person]) -> str:
    """The select without rows of people whose erasure is not at its end."""
    if not people:
        return select
    return f"FROM ({select}) WHERE NOT ({' OR '.join(map(condition, people))})"


def tail_of(lake: LakeDir, start: Position) -> Batch:
    """The log behind `start`, each id once; Transient when that is more than memory should hold."""
    taken = take(lake, start, TAIL_MOST)
    if taken is None:
        return Batch([], [])
    if len(taken.content) >= TAIL_MOST and take(lake, taken.end, 1) is not None:
        raise Transient(
            f"the table is more than {TAIL_MOST >> 20} MiB behind the log: run `lakeward compact`"
        )
    batch = batch_of(taken.content)
    if batch.odd or has_newer_fields(taken.content):
        batch = mended([*batch.lines, *batch.odd])
    return batch


def mended(lines: list[bytes]) -> Batch:
    """The lines in the form that DuckDB reads, without what is no record."""
    good, _ = repaired(lines)
    return batch_of(b"".join(line + b"\n" for line in good))


def unsuppressed(batch: Batch, suppressed: Suppressed) -> Batch:
    """The batch without the lines of erased people."""
    kept, _ = of_others(batch.lines, suppressed)
    return Batch(kept, ids_of(kept))


def absent(con: DuckDBPyConnection, table: Table, snapshot: Snapshot, batch: Batch) -> Batch:
    """The batch without what the table has."""
    hit = [
        file
        for date, part in batch.days()
        for file in snapshot.dated(date)
        if part.between(file.first, file.last)
    ]
    known = known_ids(con, table, hit, batch.ids) if hit else set()
    return batch.without(known) if known else batch
