"""Where flags come from: a file, or (in `database.py`) the app database.

In: a path. Out: the flags as they are now, or None when they are still those that were read
before. Fails with `Rejected` for what is no such file, OSError when it cannot be read; nothing is
kept between two readings.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from lakeward.errors import Rejected
from lakeward.flags.feature import LARGEST, Payload, read_json, read_toml

FRESH_NS: Final = 2_000_000_000
"""A file that changed this recently is read once more: a second write within the same tick of the
file system's clock would look like the first."""


class Snapshot(msgspec.Struct, frozen=True):
    """Flags of a moment."""

    payload: Payload
    version: str
    """Another one whenever the flags are others."""
    mark: str
    """What the source knows this moment by; empty when it has to look again."""


class Source(Protocol):
    """A place that flags are read from."""

    name: str
    """As exposures have it: `file` or `database`."""

    def read(self, mark: str) -> Snapshot | None:
        """The flags now; None when they are those of `mark`."""

    def close(self) -> None:
        """Give back what is held; reading again is allowed."""


class FileSource:
    """A file in JSON, or in TOML by its ending `.toml`."""

    name = "file"

    def __init__(self, path: str | Path, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.path = Path(path)
        self._now_ns = now_ns

    def read(self, mark: str) -> Snapshot | None:
        """Read it when it is not the file of `mark`."""
        if mark and mark == _mark(os.stat(self.path)):
            return None
        with open(self.path, "rb", opener=_without_waiting) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise Rejected(f"{self.path} is no file: name one in JSON or TOML")
            content = file.read(LARGEST + 1)
            after = os.fstat(file.fileno())
        if len(content) > LARGEST:
            raise Rejected(f"{self.path} is larger than {LARGEST >> 20} MiB")
        settled = _mark(before) == _mark(after) and self._now_ns() - after.st_mtime_ns > FRESH_NS
        version = hashlib.blake2b(content, digest_size=8).hexdigest()
        return Snapshot(self._payload(content), version, _mark(after) if settled else "")

    def close(self) -> None:
        """Nothing is held."""

    def _payload(self, content: bytes) -> Payload:
        read = read_toml if self.path.suffix.lower() == ".toml" else read_json
        try:
            return read(content)
        except Rejected as error:
            raise Rejected(f"{self.path}: {error}") from None


def plain(path: Path) -> dict[str, Any]:
    """A file's content as plain objects, for whoever copies definitions as they were written."""
    content = path.read_bytes()
    if path.suffix.lower() == ".toml":
        return tomllib.loads(content.decode())
    return msgspec.json.decode(content, type=dict[str, Any])


class FixedSource:
    """Flags that never change: for tests, and for definitions in code."""

    name = "code"

    def __init__(self, payload: Payload) -> None:
        self._payload = payload

    def read(self, mark: str) -> Snapshot | None:
        """Once."""
        return None if mark else Snapshot(self._payload, "1", "1")

    def close(self) -> None:
        """Nothing is held."""


def _without_waiting(path: str, flags: int) -> int:
    """A pipe without a writer is opened at once, and refused."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _mark(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns}-{found.st_size}-{found.st_ino}"
