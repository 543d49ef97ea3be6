"""A first form of what is to come."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from lakeward.lakedir import LakeDir
from lakeward.log import durable_files, read_published
from lakeward.person import Gone, Person


class LogEraser:
    """A first form."""

    def __init__(self, lake: LakeDir, stream: Literal["raw", "quarantine"]) -> None:
        self.name = "log" if stream == "raw" else "quarantine"
        self._lake = lake
        self._stream = stream

    def find(self, person: Person) -> int:
        """A first form."""
        return len(self._hits(person))

    def erase(self, person: Person) -> Gone:
        """A first form."""
        hits = self._hits(person)
        for path, offset, length in hits:
            fd = os.open(self._lake.root / path, os.O_WRONLY)
            os.pwrite(fd, b" " * (length - 1), offset)
            os.fdatasync(fd)
            os.close(fd)
        return Gone(len(hits))

    def _hits(self, person: Person) -> list[tuple[str, int, int]]:
        found = []
        published = read_published(self._lake.private / "published")
        if published is None:
            return []
        for segment, end in durable_files(self._lake, published, self._stream):
            offset = 0
            with (self._lake.root / segment.path).open("rb") as file:
                for line in file:
                    if offset >= end:
                        break
                    if line.strip():
                        record = msgspec.json.decode(line)
                        record = record.get("record") if self._stream == "quarantine" else record
                        if isinstance(record, dict) and person.matches(record):
                            found.append((segment.path, offset, len(line)))
                    offset += len(line)
        return found


@contextmanager
def paused(lake: LakeDir) -> Iterator[None]:
    """nobody removes lines while this is held."""
    fd = os.open(lake.private / "removals.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
