"""The table's log in the Delta format: who reads it sees a whole commit or nothing of it.

In: files to add and to remove, and how far the lake's log is in the table then. Out: one JSON file
`_delta_log/00000000000000000042.json`, created where none of that name stands, so that of two
writers of one version exactly one wins. Fails with `Conflict` for the other, who looks at the new
snapshot and tries again; `Unreadable` when the table is none of ours.

    {"txn":{"appId":"lakeward:<lake id>:<epoch>","version":962072674306,…}}
    {"add":{"path":"event_date=2026-11-25/<first>-<last>-<uuid>.c1.parquet","partitionValues":…,"stats":…}}
    {"remove":{"path":…}}

The name of a data file carries the first and the last millisecond of its ids, in the twelve hex
digits that the ids begin with, and the generation of its columns. Statistics hold numbers of rows
and the bounds of `timestamp` alone: nothing in the log names a person. Reading is deltalake's
matter.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote

import msgspec
from uuid_utils import uuid7

from lakeward.errors import MissingExtra, Transient, Unreadable
from lakeward.lake.columns import COLUMNS, GENERATION, PARTITION, delta_schema
from lakeward.lake.storage import Folder, Storage
from lakeward.lakedir import Identity
from lakeward.log import Position

CHECKPOINT_EVERY: Final = 50
NAME = re.compile(
    r"event_date=(\d{4}-\d\d-\d\d)/([0-9a-f]{12})-([0-9a-f]{12})-[0-9a-f-]{36}\.c(\d+)\.parquet"
)
OFFSET_BITS: Final = 37
"""A segment has at most 64 GiB, so position fits into one number that grows with the log."""


class Conflict(Transient):
    """Another writer made this version of the table first."""


class DataFile(msgspec.Struct, frozen=True):
    """A Parquet file of the table. `first` and `last` bound its ids (48 bits of ms in hex)."""

    name: str
    bytes: int
    rows: int
    date: str
    first: str = ""
    last: str = "g"
    generation: int = 0
    earliest: str = ""
    latest: str = ""
    """Bounds of `timestamp` in ISO 8601."""


class Snapshot(msgspec.Struct, frozen=True):
    """The table at one version; -1 before it is made."""

    version: int
    files: dict[str, DataFile]

    def dated(self, date: str) -> list[DataFile]:
        """Files of one day's partition, by their first id."""
        return sorted(
            (file for file in self.files.values() if file.date == date), key=lambda f: f.first
        )


def named(name: str, size: int, rows: int, earliest: str = "", latest: str = "") -> DataFile:
    """A data file as its name describes it; one that others wrote has the widest bounds."""
    match = NAME.fullmatch(name)
    if match is None:
        date = re.match(r"event_date=([^/]+)/", name)
        return DataFile(name, size, rows, date[1] if date else "")
    return DataFile(
        name, size, rows, match[1], match[2], match[3], int(match[4]), earliest, latest
    )  # fmt: skip


def fresh_name(date: str, first: str, last: str, generation: int = GENERATION) -> str:
    """A name that no other file has, for rows whose ids begin with `first` to `last`."""
    bounds = f"{first}-{last}-" if generation else ""
    return f"{PARTITION}={date}/{bounds}{uuid7()}.c{generation}.parquet"


def digits(interaction_id: str) -> str:
    """The twelve hex digits of an id that are its millisecond."""
    return interaction_id[:8] + interaction_id[9:13]


class Origin(Protocol):
    """Whose log lines are of: a lake here, or one that only its objects are left of."""

    @property
    def identity(self) -> Identity:
        """Its id and epoch."""


def app_of(origin: Origin) -> str:
    """The name under which a log's progress stands in the table."""
    return f"lakeward:{origin.identity.lake_id}:{origin.identity.epoch}"


def number_of(position: Position) -> int:
    """A position of one epoch as a number that grows with it."""
    return position.segment << OFFSET_BITS | position.offset


def position_of(number: int, epoch: int) -> Position:
    """The position that `number_of` made a number of."""
    return Position(epoch, number >> OFFSET_BITS, number & ((1 << OFFSET_BITS) - 1))


class Table:
    """An open Delta table; not shared between threads."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._delta: Any = None
        self._files: dict[str, DataFile] = {}
        self._version = -1
        self._checkpointed = -1

    def snapshot(self) -> Snapshot:
        """The newest version."""
        if self._delta is None:
            self._delta = _opened(self.storage)
            if self._delta is None:
                return Snapshot(-1, {})
        elif self._moved():
            self._delta.update_incremental()
        version = self._delta.version()
        if version != self._version:
            self._files = {file.name: file for file in _files(self._delta)}
            self._version = version
        return Snapshot(version, dict(self._files))

    def _moved(self) -> bool:
        """Whether there can be a newer version. On a disk two looks tell, at a hundredth of the
        price: is the next version there, and is the checkpoint the one that was seen?"""
        if not isinstance(self.storage, Folder):
            return True
        log = self.storage.root / "_delta_log"
        try:
            checkpoint = (log / "_last_checkpoint").stat().st_mtime_ns
        except FileNotFoundError:
            checkpoint = 0
        same, self._checkpointed = checkpoint == self._checkpointed, checkpoint
        return not same or (log / f"{self._version + 1:020d}.json").exists()

    def reached(self, origin: Origin) -> Position:
        """How far a log is in the newest snapshot."""
        known = self._delta is not None
        number = self._delta.transaction_version(app_of(origin)) if known else None
        return position_of(number or 0, origin.identity.epoch)

    def commit(
        self,
        version: int,
        *,
        add: Sequence[DataFile] = (),
        remove: Sequence[DataFile] = (),
        reached: Sequence[tuple[Origin, Position]] = (),
        operation: str = "WRITE",
    ) -> None:
        """Make version `version`; Conflict when another writer has made it."""
        changes = operation != "OPTIMIZE"
        now = time.time_ns() // 1_000_000
        info = {"timestamp": now, "operation": operation, "engineInfo": "lakeward"}
        # No two commits are of the same bytes, so that storage can tell ours from another's.
        actions: list[dict[str, Any]] = [{"commitInfo": info | {"txnId": str(uuid7())}}]
        if version == 0:
            actions += _first_actions(now)
        elif self._lacks_columns():
            actions.append(self._wider())
        for origin, position in reached:
            txn = {"appId": app_of(origin), "version": number_of(position), "lastUpdated": now}
            actions.append({"txn": txn})
        actions += [{"remove": _removed(file, now, changes=changes)} for file in remove]
        actions += [{"add": _added(file, now, changes=changes)} for file in add]
        content = b"".join(msgspec.json.encode(action) + b"\n" for action in actions)
        if not self.storage.create(f"_delta_log/{version:020d}.json", content):
            raise Conflict(f"version {version} of the table was made by another writer")
        if version and version % CHECKPOINT_EVERY == 0:
            self.checkpoint()

    def replaced(self, hours: int = 0) -> set[str]:
        """Names of files that were in the table and that others took the place of so long ago; some
        may be deleted already."""
        if self._delta is None:
            return set()
        names = self._delta.vacuum(
            retention_hours=hours, enforce_retention_duration=False, dry_run=True, full=False
        )
        return {unquote(name) for name in names}

    def _lacks_columns(self) -> bool:
        """Whether the table was made by a version that knew fewer columns."""
        return not COLUMNS.keys() <= {field.name for field in self._delta.schema().fields}

    def _wider(self) -> dict[str, Any]:
        """The action that gives the table this version's columns as well; its own stay."""
        fields = msgspec.json.decode(self._delta.schema().to_json())["fields"]
        known = {field["name"] for field in fields}
        ours = msgspec.json.decode(delta_schema())["fields"]
        fields += [field for field in ours if field["name"] not in known]
        found = self._delta.metadata()
        return _metadata(
            str(found.id), fields, found.created_time, dict(found.configuration or CONFIGURATION)
        )

    def checkpoint(self) -> None:
        """Write the sum of the log so far, so that readers need not add it up."""
        self.snapshot()
        self._delta.create_checkpoint()
        self._delta.cleanup_metadata()


def _opened(storage: Storage) -> Any:
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError
    except ImportError:
        raise MissingExtra("The table", "lake") from None
    if isinstance(storage, Folder) and not (storage.root / "_delta_log").is_dir():
        return None
    try:
        delta = DeltaTable(storage.uri, storage_options=storage.options or None)
    except TableNotFoundError:
        return None
    except DeltaError as error:
        if "No files in log segment" in str(error):
            return None
        raise Unreadable(f"the table at {storage.uri} cannot be read: restore its log") from None
    except OSError:
        raise Transient(f"the table at {storage.uri} is away for now") from None
    names = {field.name for field in delta.schema().fields}
    if not {"interaction_id", "timestamp", PARTITION} <= names:
        raise Unreadable(f"{storage.uri} is a table of something else: choose another place")
    return delta


def _files(delta: Any) -> Iterable[DataFile]:
    columns = delta.get_add_actions(flatten=True)
    names = [field.name for field in columns.schema]

    def values(name: str) -> list[Any]:
        if name not in names:
            return [None] * columns.num_rows
        found: list[Any] = columns.column(name).to_pylist()
        return found

    rows = zip(
        values("path"), values("size_bytes"), values("num_records"), values("min.timestamp"),
        values("max.timestamp"), strict=True,
    )  # fmt: skip
    for path, size, count, earliest, latest in rows:
        yield named(unquote(path), size, count or 0, _iso(earliest), _iso(latest))


def _iso(moment: Any) -> str:
    """A statistic as text, whatever this version of deltalake gives it as."""
    if moment is None:
        return ""
    text = moment.isoformat() if hasattr(moment, "isoformat") else str(moment)
    return text.replace("+00:00", "Z")


CONFIGURATION: Final = {
    "delta.dataSkippingStatsColumns": "timestamp",
    "delta.logRetentionDuration": "interval 2 days",
}


def _first_actions(now: int) -> list[dict[str, Any]]:
    fields = msgspec.json.decode(delta_schema())["fields"]
    return [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        _metadata(str(uuid7()), fields, now, CONFIGURATION),
    ]


def _metadata(
    table_id: str, fields: list[Any], created: int | None, configuration: dict[str, str]
) -> dict[str, Any]:
    schema = msgspec.json.encode({"type": "struct", "fields": fields}).decode()
    return {
        "metaData": {
            "id": table_id,
            "name": "interactions",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": schema,
            "partitionColumns": [PARTITION],
            "configuration": configuration,
            "createdTime": created,
        }
    }


def _added(file: DataFile, now: int, *, changes: bool) -> dict[str, Any]:
    stats: dict[str, Any] = {"numRecords": file.rows}
    if file.earliest:
        stats["minValues"] = {"timestamp": file.earliest}
        stats["maxValues"] = {"timestamp": file.latest}
    return {
        "path": file.name,
        "partitionValues": {PARTITION: file.date},
        "size": file.bytes,
        "modificationTime": now,
        "dataChange": changes,
        "stats": msgspec.json.encode(stats).decode(),
    }


def _removed(file: DataFile, now: int, *, changes: bool) -> dict[str, Any]:
    return {
        "path": file.name,
        "deletionTimestamp": now,
        "dataChange": changes,
        "extendedFileMetadata": True,
        "partitionValues": {PARTITION: file.date},
        "size": file.bytes,
    }


def local_path(storage: Storage, name: str) -> str:
    """How DuckDB opens a file of the table."""
    if isinstance(storage, Folder):
        return str(Path(storage.root) / name)
    return f"{storage.uri}/{name}"
