"""Which files were imported into a lake: `<lake>/.lakeward/imports.jsonl`.

One JSON line per step, appended and fsynced, never rewritten; the last line of a content counts:

    {"content":"6f1c…","name":"access.log.gz","state":"started","lines":25000,"recorded":24990,
     "refused":0,"quarantined":10,"at":"2025-08-14T16:11:28.677Z","how":{"as":"access",…},"log":{…}}

`content` is the BLAKE2b of the uncompressed bytes, so a renamed or recompressed file is known.
`lines` units are durable and are not read again; `log` is where the lake's log stood then; `at` is
when the first try began; `refused` ends a try of which the collector kept nothing. A torn last
line is passed over. While a `Manifest` is open it holds the lock on `imports.lock`; `Transient`
when another import holds it or the disk refuses a line, `Terminal` when the folder cannot be made.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Literal

import msgspec

from lakeward.errors import Terminal, Transient
from lakeward.interaction import JsonObject
from lakeward.lakedir import sync_folder


class Entry(msgspec.Struct, frozen=True):
    """How far the import of one content has come, and with which options it began."""

    content: str
    name: str
    state: Literal["started", "done", "refused"]
    at: str
    how: JsonObject
    log: JsonObject
    lines: int = 0
    recorded: int = 0
    refused: int = 0
    quarantined: int = 0
    suppressed: int = 0


class Manifest:
    """The open manifest of a lake, locked against other imports until it is closed."""

    def __init__(self, lake: Path) -> None:
        folder = lake / ".lakeward"
        try:
            lake.mkdir(mode=0o750, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._lock = os.open(folder / "imports.lock", flags, 0o600)
        except OSError as error:
            raise Terminal(f"{error.filename} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise Transient(
                f"another import into {lake} is running; start this one when it has ended"
            ) from error
        self._path = folder / "imports.jsonl"
        self._entries = _read(self._path)

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def find(self, content: str) -> Entry | None:
        """The last entry of a content."""
        return self._entries.get(content)

    def append(self, entry: Entry) -> None:
        """Make `entry` durable and current."""
        try:
            _append(self._path, msgspec.json.encode(entry) + b"\n")
        except OSError as error:
            raise Transient(
                f"{self._path} cannot be written ({error.strerror}); import again to go on"
            ) from error
        self._entries[entry.content] = entry


def _read(path: Path) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                try:
                    entry = msgspec.json.decode(line, type=Entry)
                except ValueError:
                    continue  # torn by a crash: the step it told of was not acknowledged
                entries[entry.content] = entry
    return entries


def _append(path: Path, line: bytes) -> None:
    new = not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(fd, "a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)
