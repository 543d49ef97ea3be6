"""Sizes: what a lake takes of its disk, by zone and by day.

In: a lake, and where its table is. Out: bytes and files of each zone, and of those that are kept by
days the bytes of each day. Files are looked at and not opened; of a zone with more files than are
looked at the figures are a least. What cannot be looked at has a sentence instead.

    log          raw/year=…/month=…/day=…/daily_summary*.jsonl
    individual   raw/year=…/month=…/day=…/<id>.json
    quarantine   quarantine/year=…/month=…/day=…
    table        table/event_date=…, or where LAKEWARD_TABLE says
    rollups      rollup/
    private      .lakeward/, the lake's own books
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final, Literal

import msgspec

from lakeward.errors import LakewardError
from lakeward.lake.storage import Folder, table_storage
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

Name = Literal["log", "individual", "quarantine", "table", "rollups", "private"]
DATED: Final[tuple[Name, ...]] = ("log", "individual", "quarantine", "table")
MOST_FILES: Final = 200_000
FOLDERS: Final = re.compile(r"year=(\d{4})/month=(\d\d)/day=(\d\d)/")
PARTITION: Final = re.compile(r"event_date=(\d{4}-\d\d-\d\d)/")


class Zone(msgspec.Struct, frozen=True):
    """A part of the lake."""

    name: Name
    bytes: int
    files: int
    at_least: bool = False
    """Whether there are more files than were looked at."""
    sentence: str = ""
    """Why it could not be looked at."""


class Sizes(msgspec.Struct, frozen=True):
    """What it takes, and what is left."""

    zones: tuple[Zone, ...]
    days: dict[str, dict[Name, int]]
    """Day → zone → bytes, the days in order."""
    free: int
    """Bytes that are free on the lake's disk."""
    total: int
    """Bytes of the lake's disk."""


def sizes(lake: LakeDir, settings: Settings) -> Sizes:
    """Look at every zone."""
    days: dict[str, Counter[Name]] = {}
    zones = [
        *_of_log(lake, days),
        _of_quarantine(lake, days),
        _of_table(lake, settings, days),
        _zone("rollups", _files(lake, "rollup"), {}),
        _zone("private", _files(lake, ".lakeward"), {}),
    ]
    disk = os.statvfs(lake.root)
    return Sizes(
        zones=tuple(zones),
        days={day: dict(days[day]) for day in sorted(days)},
        free=disk.f_bavail * disk.f_frsize,
        total=disk.f_blocks * disk.f_frsize,
    )


Days = dict[str, Counter[Name]]
Files = Iterator[tuple[str, int]]


def _of_log(lake: LakeDir, days: Days) -> Iterator[Zone]:
    """The two kinds of files below `raw`, in one walk."""
    found = list(islice(_files(lake, "raw"), MOST_FILES + 1))
    kinds: tuple[tuple[Name, str], ...] = (("log", ".jsonl"), ("individual", ".json"))
    for name, ending in kinds:
        zone = _zone(name, (each for each in found if each[0].endswith(ending)), days)
        yield msgspec.structs.replace(zone, at_least=len(found) > MOST_FILES)


def _of_quarantine(lake: LakeDir, days: Days) -> Zone:
    return _zone("quarantine", _files(lake, "quarantine"), days)


def _of_table(lake: LakeDir, settings: Settings, days: Days) -> Zone:
    """Wherever it is; files of earlier versions take room, too, until they are deleted."""
    try:
        return _zone("table", table_storage(lake.root, settings).names(), days)
    except (LakewardError, OSError) as error:
        said = str(error) if isinstance(error, LakewardError) else "it cannot be looked at"
        return Zone("table", 0, 0, sentence=said)


def _files(lake: LakeDir, folder: str) -> Files:
    return Folder(lake.root / folder).names()


def _zone(name: Name, files: Iterator[tuple[str, int]], days: Days) -> Zone:
    size = count = 0
    for path, length in islice(files, MOST_FILES):
        size += length
        count += 1
        if name in DATED and (day := _day(path)):
            days.setdefault(day, Counter())[name] += length
    return Zone(name, size, count, at_least=next(files, None) is not None)


def _day(path: str) -> str:
    if found := FOLDERS.search(path):
        return "-".join(found.groups())
    partition = PARTITION.search(path)
    return partition[1] if partition else ""
