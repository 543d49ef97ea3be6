"""Packs: the files of roll-ups, and the index that says of which files of the table each is.

In: a lake. Out: the index, read and replaced whole; the lock of who changes it. A pack is of whole
files of the table, which never change: it is right as long as the table names all of them, so a
file that an erase, retention or a merge took the place of takes its pack with it. An index that
cannot be read is none: roll-ups can always be made again.

    data-lake/rollup/2026-01-01-<uuid>/counts.route.hour.parquet   cells (see `cells`)
    data-lake/rollup/index.json   {"form":…,"packs":[{"name":…,"covers":[…],…}]}
    data-lake/.lakeward/rollup.lock   held by who makes or removes packs
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

import msgspec

from lakeward.analysis.rollup.cells import Form
from lakeward.lakedir import LakeDir, replace_file
from lakeward.lock import alone

FOLDER: Final = "rollup"
INDEX: Final = "index.json"


class Pack(msgspec.Struct, frozen=True):
    """A folder of cells."""

    name: str
    covers: tuple[str, ...]
    """Files of the table."""
    rows: int
    cells: int
    bytes: int
    files: tuple[str, ...]
    """Its own; a field that no interaction has, has none."""
    first: str
    """The first of its partitions' dates."""
    other: tuple[str, ...] = ()
    """Fields of which values are put together as `(other)`."""


class Index(msgspec.Struct, frozen=True):
    """All packs of one form."""

    form: Form
    packs: tuple[Pack, ...] = ()

    def of(self, files: Collection[str]) -> tuple[Pack, ...]:
        """The packs that are right for a table of these files."""
        return tuple(pack for pack in self.packs if all(name in files for name in pack.covers))


def folder(lake: LakeDir) -> Path:
    """Where packs are."""
    return lake.root / FOLDER


def read(lake: LakeDir) -> Index | None:
    """The index; None where there is none that can be read."""
    try:
        return msgspec.json.decode((folder(lake) / INDEX).read_bytes(), type=Index)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def save(lake: LakeDir, index: Index) -> None:
    """Put an index in the place of the one there is, then delete files that it does not name."""
    place = folder(lake)
    place.mkdir(mode=0o750, exist_ok=True)
    replace_file(place / INDEX, msgspec.json.encode(index) + b"\n")
    sweep(lake, index)


def sweep(lake: LakeDir, index: Index | None) -> int:
    """Delete packs that the index does not name; how many."""
    named = {pack.name for pack in index.packs} if index is not None else set()
    gone = [path for path in folder(lake).glob("*/") if path.name not in named]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def drop(lake: LakeDir) -> int:
    """Delete all roll-ups; how many packs. Who holds the lock."""
    with suppress(FileNotFoundError):
        (folder(lake) / INDEX).unlink()
    gone = sweep(lake, None)
    for path in folder(lake).glob(f".{INDEX}.*"):  # of a writer that was killed
        path.unlink(missing_ok=True)
    with suppress(OSError):
        folder(lake).rmdir()
    return gone


def locked(lake: LakeDir) -> AbstractContextManager[None]:
    """The right to change roll-ups."""
    return alone(lake, "rollup")
