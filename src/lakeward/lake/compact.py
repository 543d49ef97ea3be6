"""Compaction: from the log into the table, each interaction once.

In: the log, or another source (`lake/archive.py`), from where the table stands. Out: one commit for
each slice of it, with its rows and the position behind it, so that either both are in the table or
neither is. Killed at any point,
the next one goes on from the table's own word. Fails with OSError or `Transient` when disk or
bucket are away.

    take a slice → sort, each id once → leave out what the table has → Parquet → commit(rows,
    position)

A commit of another host in between makes ours fail; then the ids are looked up again in what is
new.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from lakeward.barrier import delivering
from lakeward.errors import LakeBusy, Terminal
from lakeward.lake import column, enrich
from lakeward.lake.batch import (
    ID,
    NEWER,
    Batch,
    batch_of,
    begins,
    has_newer_fields,
    unsuppressed,
)
from lakeward.lake.delta import (
    Conflict,
    DataFile,
    Snapshot,
    Table,
    digits,
    fresh_name,
    local_path,
    named,
)
from lakeward.lake.progress import Counts
from lakeward.lake.rows import (
    Undecodable,
    Written,
    connect,
    listed,
    readable,
    repaired,
    write,
    write_parts,
)
from lakeward.lake.scratch import scratch
from lakeward.lake.source import LogSource, Piece, Source
from lakeward.lakedir import LakeDir
from lakeward.settings import MIB
from lakeward.suppression import Suppressed
from lakeward.suppression import load as load_suppressed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

logger = logging.getLogger("lakeward.compact")

SLICE: Final = 64 * MIB
SMALLEST: Final = MIB
ATTEMPTS: Final = 50
SMALL: Final = 2_000
"""Rows of a day, come late, that are written together with those of other days."""


class Compacted(msgspec.Struct):
    """What one run did, in lines of the log and rows of the table."""

    read: int = 0
    added: int = 0
    duplicate: int = 0
    suppressed: int = 0
    erased: int = 0
    refused: int = 0
    gone: int = 0
    bytes: int = 0
    commits: int = 0


class Compactor:
    """Moves the log of one lake into its table; holds the lake's compaction lock."""

    def __init__(
        self,
        lake: LakeDir,
        table: Table,
        *,
        memory: int,
        threads: int = 2,
        geo: Path | None = None,
        prices: Path | None = None,
        slice_bytes: int = SLICE,
        set_aside: Callable[[list[tuple[bytes, str]]], None] = lambda lines: None,
        pause: Callable[[str], None] = lambda point: None,
        source: Source | None = None,
    ) -> None:
        self.lake = lake
        self.table = table
        self.done = Compacted()
        self._slice = min(slice_bytes, memory // 32)
        self._set_aside = set_aside
        self._pause = pause
        self._source = source or LogSource(lake)
        table.snapshot()
        self._source.reconcile(table)
        self._held = contextlib.ExitStack()
        self.scratch = self._held.enter_context(scratch(lake))
        self.con: DuckDBPyConnection = connect(memory // 4, threads, self.scratch, table.storage)
        enrich.register(self.con, geo, prices)

    def close(self) -> None:
        """Let go of DuckDB and of what it spilled."""
        self.con.close()
        self._held.close()

    def turned_to(self, source: Source) -> Compactor:
        """The same compactor, which takes from another source from now on."""
        source.reconcile(self.table)
        self._source = source
        return self

    def run(
        self, *, most: int | None = None, enough: Callable[[], bool] = lambda: False
    ) -> Compacted:
        """Compact until nothing is left, or it is enough, or at most so many slices."""
        while (most is None or self.done.commits < most) and not enough() and self.step():
            pass
        return self.done

    def step(self) -> bool:
        """Compact one slice; False when the table has the whole log. What does not fit into memory
        is tried again in smaller slices."""
        import duckdb

        while True:
            before = msgspec.structs.replace(self.done)
            try:
                return self._step()
            except (MemoryError, duckdb.OutOfMemoryException):
                if self._slice <= SMALLEST:
                    raise Terminal(
                        "compaction does not fit into its memory: raise LAKEWARD_COMPACT_MEMORY"
                    ) from None
                self._slice //= 2
                self.done = before

    def _step(self) -> bool:
        with delivering(self.lake):
            snapshot = self.table.snapshot()
            piece = self._source.take(self.table, self._slice)
            if piece is None:
                return False
            self._pause("after take")
            before = msgspec.structs.asdict(self.done)
            self._commit(snapshot, self._batch(piece), piece, before)
            self.done.bytes += len(piece.content)
        return True

    def _batch(self, taken: Piece) -> Batch:
        """The slice's lines, each id once, without those of erased people."""
        batch = batch_of(taken.content)
        self.done.read += batch.read
        self.done.erased += batch.erased
        self.done.duplicate += batch.duplicate
        if taken.holes:
            self.done.gone += self._source.missed(taken, batch.read)
        if batch.odd or has_newer_fields(taken.content):
            batch = self._mended(batch)
        suppressed = load_suppressed(self.lake)
        return self._unsuppressed(batch, suppressed) if suppressed else batch

    def _mended(self, batch: Batch) -> Batch:
        """The batch with records of a newer version, and lines that begin unlike ours, in the form
        that DuckDB reads."""
        newer = [line for line in batch.lines if NEWER in line]
        good, bad = repaired([*newer, *batch.odd])
        self._refuse([line for line in bad if not begins(line)])
        mended = {line[ID] for line in good}
        plain = [line for line in batch.lines if NEWER not in line or line[ID] not in mended]
        again = batch_of(b"".join(line + b"\n" for line in (*plain, *good)))
        self.done.duplicate += again.duplicate
        return again

    def _readable(self, part: Batch) -> Batch:
        """A part that DuckDB refused, less the lines that it cannot read even when mended."""
        lines, refused = readable(self.con, part.lines)
        mended, bad = repaired(refused)
        more, worse = readable(self.con, mended)
        self._refuse([*bad, *worse])
        return batch_of(b"".join(line + b"\n" for line in (*lines, *more)))

    def _refuse(self, lines: list[bytes]) -> None:
        """Hand on what the table cannot hold."""
        if lines:
            self._set_aside([(line, "the table cannot hold it") for line in lines])
        self.done.refused += len(lines)

    def _unsuppressed(self, batch: Batch, suppressed: Suppressed) -> Batch:
        kept, dark = unsuppressed(batch.lines, suppressed)
        bad = [line for line in dark if not line.endswith(b" ")]
        self._refuse(bad)
        self.done.erased += len(dark) - len(bad)  # an erase is overwriting them right now
        self.done.suppressed += len(batch.lines) - len(kept) - len(dark)
        return Batch(kept, ids_of(kept))

    def _commit(
        self, snapshot: Snapshot, batch: Batch, piece: Piece, before: dict[str, int]
    ) -> None:
        """Write and commit; again on a newer snapshot when another host was first."""
        looked: set[str] = set()
        written: dict[str, tuple[Batch, DataFile]] = {}
        parts = dict(batch.days())
        for _ in range(ATTEMPTS):
            self._leave_out_known(parts, snapshot, looked)
            looked = set(snapshot.files)
            self._write(parts, written)
            added = sum(file.rows for _, file in written.values())
            self._source.plan(piece, self._counts(before, added))
            self._pause("before commit")
            try:
                self.table.commit(
                    snapshot.version + 1,
                    add=[file for _, file in written.values()],
                    reached=piece.reached,
                )
            except Conflict:
                snapshot = self.table.snapshot()
                continue
            self._pause("after commit")
            self._source.settle()
            self.done.commits += 1
            self.done.added += added
            return
        raise Conflict("the table changes faster than this host can add to it: compact again")

    def _counts(self, before: dict[str, int], added: int) -> Counts:
        """What became of the lines of this slice."""
        now = msgspec.structs.asdict(self.done) | {"added": before["added"] + added}
        return Counts(**{name: now[name] - before[name] for name in Counts.__struct_fields__})

    def _write(self, parts: dict[str, Batch], written: dict[str, tuple[Batch, DataFile]]) -> None:
        """A file for each day that has none of exactly these rows yet."""
        due: list[str] = []
        for date, part in parts.items():
            before = written.get(date)
            if before is not None and before[0] is part:
                continue
            if before is not None:
                self.table.storage.delete([before[1].name])
                del written[date]
            if part.lines:
                due.append(date)
        small = [date for date in due if len(parts[date].lines) < SMALL]
        for dates in (small, *([date] for date in due if date not in small)):
            if dates:
                self._write_days(dates, parts, written)

    def _write_days(
        self, dates: list[str], parts: dict[str, Batch], written: dict[str, tuple[Batch, DataFile]]
    ) -> None:
        paths = [self.scratch / f"{date}.parquet" for date in dates]
        try:
            found = self._parquet([parts[date].lines for date in dates], paths)
        except Undecodable:
            for date in dates:
                parts[date] = self._readable(parts[date])
            dates = [date for date in dates if parts[date].lines]
            paths = [self.scratch / f"{date}.parquet" for date in dates]
            found = self._parquet([parts[date].lines for date in dates], paths)
        for date, local, rows in zip(dates, paths, found, strict=True):
            ids = parts[date].ids
            name = fresh_name(date, digits(ids[0].decode()), digits(ids[-1].decode()))
            self.table.storage.place(local, name)
            file = named(name, rows.bytes, rows.rows, rows.earliest, rows.latest)
            written[date] = (parts[date], file)

    def _parquet(self, parts: list[list[bytes]], paths: list[Path]) -> list[Written]:
        if len(parts) == 1:
            return [write(self.con, parts[0], paths[0])]
        return write_parts(self.con, parts, paths) if parts else []

    def _leave_out_known(
        self, parts: dict[str, Batch], snapshot: Snapshot, looked: set[str]
    ) -> None:
        """Take out of each part what the table has, in files that were not looked at yet; one
        question for all days, since late rows are of many."""
        hit: list[DataFile] = []
        asked: set[bytes] = set()
        for date, part in parts.items():
            for file in snapshot.dated(date):
                inside = [] if file.name in looked else part.between(file.first, file.last)
                if inside:
                    hit.append(file)
                    asked.update(inside)
        known = known_ids(self.con, self.table, hit, sorted(asked)) if hit else set()
        for date, part in list(parts.items()) if known else []:
            left = part.without(known)
            if len(left.lines) < len(part.lines):
                self.done.duplicate += len(part.lines) - len(left.lines)
                parts[date] = left


def ids_of(lines: list[bytes]) -> list[bytes]:
    """The ids that lines begin with."""
    return [line[ID] for line in lines]


def known_ids(
    con: DuckDBPyConnection, table: Table, files: list[DataFile], ids: list[bytes]
) -> set[bytes]:
    """Which of the ids stand in the files; reads only row groups that can hold one."""
    import pyarrow as pa

    low = max(ids[0].decode(), min(file.first for file in files)[:8])
    high = min(ids[-1].decode(), max(file.last for file in files)[:8] + "~")
    probe = pa.table({"id": column.texts([i.decode() for i in ids])})
    con.register("probe", probe)
    try:
        paths = listed(local_path(table.storage, file.name) for file in files)
        found = con.execute(
            f"SELECT interaction_id FROM read_parquet({paths}, hive_partitioning = false) "
            "WHERE interaction_id BETWEEN ? AND ? AND interaction_id IN (SELECT id FROM probe)",
            [low, high],
        ).fetchall()
    finally:
        con.unregister("probe")
    return {row[0].encode() for row in found}


@contextlib.contextmanager
def locked(lake: LakeDir, *, wait: bool = True) -> Iterator[None]:
    """The right to compact this lake; LakeBusy when another process has it and `wait` is false."""
    fd = os.open(lake.private / "compact.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise LakeBusy("another process compacts this lake: wait for it") from None
        yield
    finally:
        os.close(fd)
