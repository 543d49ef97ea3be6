"""The lake of the system that Lakeward replaces, as files of one object a line.

In: its folder, or one of its days. Out: a source for each day, that reads the day's streaming files
first and then each interaction's own file whose id they did not have; and its objects in our words.
`Terminal` where there is no such day.

    raw/year=2025/month=08/day=14/daily_summary.jsonl     one object a line
                                  {interaction_id}.json   one object, on many lines

Nothing of it is changed. Its words: a value that nobody knew is null; `session_id` may stand in
`metadata`; names may be written as in `responseStatus`.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from lakeward.errors import Terminal
from lakeward.interaction import Interaction, JsonObject

DAY: Final = re.compile(r"year=\d{4}/month=\d\d/day=\d\d")
LINES: Final = "*.jsonl"
OWN: Final = "*.json"
ID: Final = re.compile(rb'"(?:interaction_id|interactionId)"\s*:\s*"([^"\\]{1,200})"')
HUMP: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
LARGEST: Final = 1 << 20
"""Bytes of one interaction's file; a larger one is cut, and so is no object."""
FIELDS: Final = frozenset(field.name for field in msgspec.structs.fields(Interaction))
OTHER_NAMES: Final = {
    "ip": "ip_address", "response_time": "response_time_ms", "status_code": "response_status",
    "url": "path", "type": "interaction_type", "id": "interaction_id", "env": "environment",
}  # fmt: skip
"""What stands for a field of ours, where that is not there itself."""


def days(path: str) -> list[Path]:
    """The days of a lake, or the one that the path itself is, in their order."""
    root = Path(path)
    found = sorted(one for one in root.rglob("day=*") if DAY.search(one.as_posix()))
    found = [one for one in found if one.is_dir()]
    if not found and DAY.search(root.absolute().as_posix()):
        found = [root]
    if not found:
        raise Terminal(f"{path} has no days such as raw/year=2025/month=08/day=14")
    return found


def name_of(day: Path) -> str:
    """What a day is called in the report: where it stands in its lake."""
    found = DAY.search(day.absolute().as_posix())
    return found[0] if found else day.name


def opened(day: Path) -> io.BufferedReader:
    """All of a day, each interaction once, one object a line."""
    return io.BufferedReader(_Chained(partial(_pieces, day)), 1 << 16)


def size_of(day: Path) -> int:
    """Bytes of its files."""
    return sum(one.stat().st_size for pattern in (LINES, OWN) for one in day.glob(pattern))


def translated(values: JsonObject) -> JsonObject:
    """An object in our words."""
    said = {name: _known(value) for name, value in values.items() if value is not None}
    for name in [one for one in said if one not in FIELDS]:
        ours = HUMP.sub(lambda hump: f"_{hump[1].lower()}", name)
        ours = OTHER_NAMES.get(ours, ours)
        if ours in FIELDS and ours not in said:
            said[ours] = said.pop(name)
    metadata = said.get("metadata")
    if isinstance(metadata, dict):
        for name in ("session_id", "sessionId"):
            if name in metadata:
                session = metadata.pop(name)
                said.setdefault("session_id", session)
        if not metadata:
            del said["metadata"]
    return said


def _known(value: object) -> object:
    """A value without what nobody knew."""
    if isinstance(value, dict):
        return {name: _known(one) for name, one in value.items() if one is not None}
    return value


def _pieces(day: Path) -> Iterator[bytes]:
    seen: set[bytes] = set()
    for path in sorted(day.glob(LINES)):
        with path.open("rb") as file:
            ended = True
            for line in file:
                if found := ID.search(line):
                    seen.add(found[1])
                ended = line.endswith(b"\n")
                yield line
            if not ended:
                yield b"\n"  # the next file's first line is another one
    for path in sorted(day.glob(OWN)):
        if os.fsencode(path.stem) not in seen:
            with path.open("rb") as file:
                yield _one_line(file.read(LARGEST))


def _one_line(raw: bytes) -> bytes:
    """An object on one line; what is none stands there as it is, for the importer to set aside."""
    try:
        return msgspec.json.format(raw, indent=-1) + b"\n"
    except (msgspec.DecodeError, ValueError, RecursionError):
        return b" ".join(raw.split()) + b"\n"


class _Chained(io.RawIOBase):
    """Pieces of bytes, one after the other, as a file that is read from its beginning on."""

    def __init__(self, make: Callable[[], Iterator[bytes]]) -> None:
        self._make = make
        self._pieces = make()
        self._left = b""
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: object) -> int:
        """The next bytes; 0 at the end."""
        room = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # what RawIOBase is given
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        part = self._left[: len(room)]
        room[: len(part)] = part
        self._left = self._left[len(part) :]
        self._at += len(part)
        return len(part)

    def seekable(self) -> bool:
        """As far as to its beginning."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Begin again."""
        if whence != os.SEEK_SET or offset:
            raise io.UnsupportedOperation("it begins again, and nowhere else")
        self._pieces, self._left, self._at = self._make(), b"", 0
        return 0

    def tell(self) -> int:
        """How many bytes were read."""
        return self._at
