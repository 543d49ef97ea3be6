"""Copying the table: the files of one version, which stay while they are read.

In: a lake. Out: the files of a version and the part of its log that leads there. `Transient` when
the log was tidied at that very moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from lakeward.errors import Transient
from lakeward.lake.delta import Table
from lakeward.lake.lease import leased
from lakeward.lake.storage import Folder, table_storage
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

LOG_FILE: Final = re.compile(r"(\d{20})(\.checkpoint[0-9a-z.-]*\.parquet|\.json)")
POINTER: Final = "_last_checkpoint"


@contextmanager
def copied(lake: LakeDir, settings: Settings) -> Iterator[tuple[int, list[tuple[str, Path]]]]:
    """(version, files) of a table in a folder; (-1, []) when there is none or it is in a bucket."""
    storage = table_storage(lake.root, settings)
    if not isinstance(storage, Folder) or not (storage.root / "_delta_log").is_dir():
        yield -1, []
        return
    snapshot, lease = leased(lake, Table(storage))
    with closing(lease):
        names = [*snapshot.files, *log_files(storage.root / "_delta_log", snapshot.version)]
        yield snapshot.version, [(name, storage.root / name) for name in names]


def log_files(folder: Path, version: int) -> Iterator[str]:
    """The newest checkpoint up to `version` and the commits behind it."""
    found = {
        path.name: match for path in folder.iterdir() if (match := LOG_FILE.fullmatch(path.name))
    }
    numbers = {name: int(match[1]) for name, match in found.items()}
    start = max(
        (n for name, n in numbers.items() if "checkpoint" in name and n <= version), default=0
    )
    names = [name for name, n in numbers.items() if start <= n <= version]
    if not {f"{n:020d}.json" for n in range(start + bool(start), version + 1)} <= set(names):
        raise Transient("the table's log was tidied while it was copied: try again")
    yield from (f"_delta_log/{name}" for name in sorted(names))
    if start and pointed(folder / POINTER) == start:
        yield f"_delta_log/{POINTER}"


def pointed(path: Path) -> int:
    """The version that the pointer to the last checkpoint names; -1 without one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, object]).get("version", -1)  # type: ignore[return-value]  # compared only
    except (FileNotFoundError, msgspec.MsgspecError):
        return -1
