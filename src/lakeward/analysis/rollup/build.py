"""Making roll-ups: files of the table that no pack is of are counted, small packs put together.

In: a lake and its table. Out: packs, one after the other, each settled before the next is begun, so
a process that is killed loses one. A pack whose files are not the table's any more when it is made
is thrown away. Fails as reading the table does.

    files of a day without a pack ──► cells of hours ──► cells of days ──► pack ──► index
    many packs of a month         ──► cells put together ─────────────────► pack ──► index

A day that is not over is counted when it has enough rows that no pack is of; until then, and
whatever comes after it, questions count rows.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from uuid_utils import uuid7

from lakeward.analysis.rollup.cells import form
from lakeward.analysis.rollup.packs import Index, Pack, drop, folder, locked, read, save
from lakeward.analysis.rollup.write import count, unite
from lakeward.lake.delta import DataFile, Snapshot, Table
from lakeward.lake.lease import leased
from lakeward.lake.receipt import asked
from lakeward.lake.rows import connect
from lakeward.lake.scratch import scratch
from lakeward.lake.storage import table_storage
from lakeward.lakedir import LakeDir, make_folders, sync_folder
from lakeward.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LEAST_ROWS: Final = 20_000
"""Rows of a day that goes on which are worth a pack."""
MOST_PACKS: Final = 12
"""Packs of a month; with one more they become one."""


class Made(msgspec.Struct):
    """What a run did, and what there is."""

    made: int = 0
    united: int = 0
    rows: int = 0
    packs: int = 0
    bytes: int = 0
    covered: int = 0
    total: int = 0
    """Rows of the table, and of those the ones that packs are of."""


class Builder:
    """Makes the packs of one lake."""

    def __init__(
        self,
        lake: LakeDir,
        settings: Settings,
        *,
        memory: int = 1 << 30,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._memory = memory
        self._now = now
        self._pause = pause
        self._table = Table(table_storage(lake.root, settings))
        self._form = form(settings.internal)

    def run(self) -> Made:
        """Make packs until there is nothing to make; few rows need none."""
        made = Made()
        with scratch(self._lake) as place:
            con = connect(self._memory // 2, 2, place, self._table.storage)
            with closing(con):
                while self._step(con, place, made):
                    pass
        return made

    def _step(self, con: DuckDBPyConnection, place: Path, made: Made) -> bool:
        """One pack; False when there is nothing to do."""
        if asked(self._lake):
            return False  # an erasure goes first
        with locked(self._lake):
            snapshot, lease = leased(self._lake, self._table)
            with closing(lease):
                total = sum(file.rows for file in snapshot.files.values())
                if total < self._settings.rollup_rows or not snapshot.files:
                    drop(self._lake)
                    made.total = total
                    return False
                index = self._index(snapshot)
                if files := self._uncounted(snapshot, index):
                    return self._settle(con, index, self._counted(con, files, place, made))
                if packs := next(self._many(index), None):
                    united = self._united(con, packs, place, made)
                    left = tuple(pack for pack in index.packs if pack not in packs)
                    return self._settle(con, Index(index.form, left), united)
                save(self._lake, index)
                _sum_up(made, index, total)
                return False

    def _index(self, snapshot: Snapshot) -> Index:
        """The packs that are right."""
        found = read(self._lake)
        if found is None or found.form != self._form:
            return Index(self._form)
        there = tuple(
            pack for pack in found.of(snapshot.files) if (folder(self._lake) / pack.name).exists()
        )
        return Index(self._form, there)

    def _uncounted(self, snapshot: Snapshot, index: Index) -> list[DataFile]:
        """The files of one day that no pack is of, the earliest day that is worth it."""
        covered = {name for pack in index.packs for name in pack.covers}
        over = (self._now() - timedelta(days=1)).date().isoformat()
        by_date: dict[str, list[DataFile]] = {}
        for file in snapshot.files.values():
            if file.name not in covered:
                by_date.setdefault(file.date, []).append(file)
        for date, files in sorted(by_date.items()):
            if date < over or sum(file.rows for file in files) >= LEAST_ROWS:
                return sorted(files, key=lambda file: file.first)
        return []

    def _many(self, index: Index) -> Iterator[list[Pack]]:
        """The packs of a month that has too many, or that is over and has more than one."""
        by_month: dict[str, list[Pack]] = {}
        for pack in index.packs:
            by_month.setdefault(pack.first[:7], []).append(pack)
        over = (self._now() - timedelta(days=2)).date().isoformat()[:7]
        for month, packs in sorted(by_month.items()):
            if len(packs) > (1 if month < over else MOST_PACKS):
                yield packs

    def _counted(
        self, con: DuckDBPyConnection, files: list[DataFile], place: Path, made: Made
    ) -> tuple[Pack, Path]:
        local = _fresh(place)
        written = count(con, self._table, files, self._form.rules, local)
        rows = sum(file.rows for file in files)
        made.made, made.rows = made.made + 1, made.rows + rows
        covers = tuple(file.name for file in files)
        return _pack(files[0].date, covers, rows, written.cells, local, written.other), local

    def _united(
        self, con: DuckDBPyConnection, packs: list[Pack], place: Path, made: Made
    ) -> tuple[Pack, Path]:
        local = _fresh(place)
        paths = [folder(self._lake) / pack.name for pack in packs]
        written = unite(con, paths, local)
        made.united += len(packs)
        covers = tuple(name for pack in packs for name in pack.covers)
        first = min(pack.first for pack in packs)
        other = tuple(sorted({name for pack in packs for name in pack.other}))
        rows = sum(pack.rows for pack in packs)
        return _pack(first, covers, rows, written.cells, local, other), local

    def _settle(self, con: DuckDBPyConnection, index: Index, made: tuple[Pack, Path]) -> bool:
        """Put the pack in its place and into the index, if it still is one."""
        del con
        pack, local = made
        self._pause("made")
        files = self._table.snapshot().files
        if asked(self._lake) or not all(name in files for name in pack.covers):
            shutil.rmtree(local)
            return True
        make_folders(folder(self._lake))
        _place(local, folder(self._lake) / pack.name)
        self._pause("placed")
        save(self._lake, Index(index.form, (*index.packs, pack)))
        self._pause("indexed")
        return True


def _fresh(place: Path) -> Path:
    """An empty folder for the files of a pack."""
    local = place / "pack"
    shutil.rmtree(local, ignore_errors=True)
    local.mkdir()
    return local


def _pack(
    first: str, covers: tuple[str, ...], rows: int, cells: int, local: Path, other: tuple[str, ...]
) -> Pack:
    files = sorted(local.iterdir())
    size = sum(path.stat().st_size for path in files)
    names = tuple(path.name for path in files)
    return Pack(f"{first}-{uuid7()}", covers, rows, cells, size, names, first, other)


def _place(local: Path, final: Path) -> None:
    """Move a finished folder in, durably."""
    for path in local.iterdir():
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    sync_folder(local)
    os.rename(local, final)
    sync_folder(final.parent)


def _sum_up(made: Made, index: Index, total: int) -> None:
    made.packs, made.total = len(index.packs), total
    made.bytes = sum(pack.bytes for pack in index.packs)
    made.covered = sum(pack.rows for pack in index.packs)
