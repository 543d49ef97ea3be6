"""A first form of what is to come."""

from __future__ import annotations

import hashlib
import os

import msgspec

from lakeward.interaction import id_ms
from lakeward.lakedir import LakeDir, create_file
from lakeward.person import Person


class Row(msgspec.Struct, frozen=True):
    """A first form."""

    kind: str
    hash: str
    at: int


class Suppressed:
    """A first form."""

    def __init__(self, lake: LakeDir, rows: list[Row]) -> None:
        self._lake = lake
        self._until: dict[tuple[str, str], int] = {}
        for row in rows:
            self._until[row.kind, row.hash] = max(row.at, self._until.get((row.kind, row.hash), 0))

    def __bool__(self) -> bool:
        return bool(self._until)

    def covers(self, record: dict[str, object]) -> bool:
        """A first form."""
        for kind in ("user_id", "session_id", "anonymous_id"):
            value = record.get(kind)
            if isinstance(value, str) and self._until:
                until = self._until.get((kind, hashed(self._lake, Person(kind, value))))
                if until is not None and id_ms(str(record["interaction_id"])) <= until:
                    return True
        return False


def hashed(lake: LakeDir, person: Person) -> str:
    """A first form."""
    path = lake.private / "suppression.key"
    if not path.exists():
        create_file(path, os.urandom(32).hex().encode())
    return hashlib.sha256(f"{path.read_text()}|{person.kind}|{person.value}".encode()).hexdigest()


def add(lake: LakeDir, person: Person, at_ms: int) -> None:
    """A first form."""
    row = Row(person.kind, hashed(lake, person), at_ms)
    with (lake.private / "suppressed.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(row) + b"\n")


def load(lake: LakeDir) -> Suppressed:
    """A first form."""
    try:
        content = (lake.private / "suppressed.jsonl").read_bytes()
    except FileNotFoundError:
        return Suppressed(lake, [])
    return Suppressed(lake, [msgspec.json.decode(line, type=Row) for line in content.splitlines()])
