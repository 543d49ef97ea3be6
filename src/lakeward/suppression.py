"""Who was erased, so that late duplicates, imports and replays of them stay out.

In: a person and the time of the erase. Out: a verdict for each record: it names someone who was
erased, and is older than that. What the person does later is new and welcome. The list holds keyed
hashes alone; without the key file they say nothing.

    .lakeward/suppression.key     32 random bytes in hex
    .lakeward/suppressed.jsonl    {"kind":"user_id","hash":"9f2c…","at":1764072000000}

`hash` is SHA-256 of `key|kind|value`; `at` is in ms since 1970.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from lakeward.errors import Unreadable
from lakeward.interaction import id_ms
from lakeward.lakedir import LakeDir, create_file, sync_folder, write_all
from lakeward.person import Kind, Person, id_text

KINDS: Final[tuple[Kind, ...]] = ("user_id", "session_id", "anonymous_id")
REMEMBERED: Final = 65_536
"""Verdicts that are kept: who is in a slice of the log, is in it often."""


class Row(msgspec.Struct, frozen=True):
    """One line of the list."""

    kind: Kind
    hash: str
    at: int


class Who(msgspec.Struct, frozen=True):
    """Of a line no more than who and when: the rest of it need not even be decodable."""

    interaction_id: object = None
    user_id: object = None
    session_id: object = None
    anonymous_id: object = None


_who = msgspec.json.Decoder(Who).decode


def named(line: bytes) -> dict[str, object]:
    """Whom a line names; raises what decoding raises when it is no JSON at all."""
    return msgspec.structs.asdict(_who(line))


def who(line: bytes) -> dict[str, object]:
    """Whom a line names; nobody when it is no JSON at all."""
    try:
        return named(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


class Suppressed:
    """The list as it stands; False when nobody is on it."""

    def __init__(self, key: str, rows: list[Row]) -> None:
        self._key = key
        self._until: dict[tuple[str, str], int] = {}
        self._verdicts: dict[tuple[str, str], int] = {}
        for row in rows:
            place = row.kind, row.hash
            self._until[place] = max(row.at, self._until.get(place, 0))

    def __bool__(self) -> bool:
        return bool(self._until)

    def covers(self, record: dict[str, object]) -> bool:
        """Whether a record is of someone erased, and older than the erase."""
        for kind in KINDS:
            value = record.get(kind)
            if value is None:
                continue
            text = value if type(value) is str else id_text(value)
            if text is None or not (until := self.until(kind, text)):
                continue
            if _ms_of(record) <= until:
                return True
        return False

    def until(self, kind: Kind, value: str) -> int:
        """When the person was erased, in ms since 1970; 0 for someone who was not."""
        known = self._verdicts.get((kind, value))
        if known is None:
            if len(self._verdicts) >= REMEMBERED:
                self._verdicts.clear()
            known = self._until.get((kind, digest(self._key, Person(kind, value))), 0)
            self._verdicts[kind, value] = known
        return known


def _ms_of(record: dict[str, object]) -> int:
    """The time in a record's id; 0, so before any erase, when there is none to read."""
    try:
        return id_ms(str(record["interaction_id"]))
    except (KeyError, ValueError):
        return 0


def digest(key: str, person: Person) -> str:
    """The keyed hash of a person."""
    text = f"{key}|{person.kind}|{person.value}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hashed(lake: LakeDir, person: Person) -> str:
    """The keyed hash of a person in this lake; makes the key when there is none."""
    return digest(_key(lake, make=True), person)


def load(lake: LakeDir) -> Suppressed:
    """The list now. A line that was torn by a crash was not acknowledged and does not count."""
    try:
        content = (lake.private / "suppressed.jsonl").read_bytes()
    except FileNotFoundError:
        return Suppressed("", [])
    rows = []
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        try:
            rows.append(msgspec.json.decode(line, type=Row))
        except msgspec.MsgspecError:
            raise Unreadable("suppressed.jsonl has a damaged line: restore it") from None
    return Suppressed(_key(lake, make=False) if rows else "", rows)


def add(lake: LakeDir, person: Person, at_ms: int) -> None:
    """Put a person on the list, durably."""
    append(lake, [Row(person.kind, hashed(lake, person), at_ms)])


def append(lake: LakeDir, rows: list[Row]) -> None:
    """Add finished rows, durably; behind a torn line the list goes on in the next."""
    path = lake.private / "suppressed.jsonl"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            os.ftruncate(fd, _whole(path, size))
        write_all(fd, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_folder(lake.private)


def _whole(path: Path, size: int) -> int:
    return path.read_bytes()[:size].rfind(b"\n") + 1


def _key(lake: LakeDir, *, make: bool) -> str:
    path = lake.private / "suppression.key"
    if make and not path.exists():
        create_file(path, os.urandom(32).hex().encode())
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise Unreadable(
            f"{path} is missing, so nobody knows who was erased: restore it from a backup"
        ) from None
