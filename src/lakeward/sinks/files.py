"""Individual files: each interaction also as one readable file beside the log's line of it.

In: slices. Out: `raw/year=…/month=…/day=…/{interaction_id}.json`, indented, whole under its name or
not there. A repeated delivery writes the same again. They are copies for people: not synced one by
one, and pruned after so many days. `Undeliverable` names lines whose id is no safe file name.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from lakeward.errors import Undeliverable
from lakeward.followers.protocol import Slice
from lakeward.interaction import OURS, id_ms, iso
from lakeward.lakedir import LakeDir, make_folders, write_all
from lakeward.person import Gone, Person
from lakeward.settings import Settings

DAY_MS = 86_400_000
PRUNE_MOST = 5_000
"""Files deleted in one go, so that delivering is not held up by what is old."""
FOLDER = re.compile(r"year=(\d{4})/month=(\d\d)/day=(\d\d)")


class _Named(msgspec.Struct):
    interaction_id: str


class _Typed(msgspec.Struct):
    interaction_type: str = ""


class _Whose(msgspec.Struct):
    user_id: object = None
    session_id: object = None
    anonymous_id: object = None


_named = msgspec.json.Decoder(_Named).decode
_typed = msgspec.json.Decoder(_Typed).decode
_whose = msgspec.json.Decoder(_Whose).decode
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class IndividualFiles:
    """The files as a follower, and as a store that can forget a person."""

    name = "files"

    def __init__(
        self, lake: LakeDir, days: int, now_ms: Callable[[], int] = lambda: time.time_ns() // 10**6
    ) -> None:
        self._root = lake.root / "raw"
        self._days = days
        self._now_ms = now_ms
        self._pruned: set[Path] = set()

    @classmethod
    def from_settings(cls, settings: Settings, lake: LakeDir) -> IndividualFiles:
        """The files that settings describe."""
        return cls(lake, settings.individual_files_days)

    def deliver(self, piece: Slice) -> None:
        """One file for each line; of two records with one id on one day the later stands."""
        year, month, day = piece.day.split("-")
        folder = self._root / f"year={year}" / f"month={month}" / f"day={day}"
        make_folders(folder)
        refused: list[tuple[int, str]] = []
        for n, line in enumerate(piece.lines):
            try:
                name = _named(line).interaction_id
                content = msgspec.json.format(line, indent=2)
            except _UNDECODABLE:
                refused.append((n, "the line is no record with an interaction_id"))
                continue
            if OURS.fullmatch(name):
                _write(folder, name, content)
            else:
                refused.append((n, "the interaction_id is no UUID of version 7 or 8"))
        if refused:
            raise Undeliverable(refused)

    def tidy(self) -> None:
        """Delete files of days that are over for longer than the setting says."""
        if not self._days:
            return
        oldest = iso(self._now_ms() - self._days * DAY_MS)[:10]
        left = PRUNE_MOST
        for folder in self._folders():
            if _date(folder) >= oldest or folder in self._pruned:
                continue
            for path in _files(folder):
                if not left:
                    return
                path.unlink(missing_ok=True)
                left -= 1
            self._pruned.add(folder)

    def expire(self, over: Callable[[str, int], bool], earliest_ms: int) -> int:
        """Delete files of interactions that are over, by type and ms of the id; only those before
        `earliest_ms` can be."""
        gone = 0
        for folder in self._folders():
            for path in _files(folder):
                ms = id_ms(path.name.removeprefix("."))
                if ms >= earliest_ms:
                    continue
                with suppress(FileNotFoundError):
                    if over(_type(path.read_bytes()), ms):
                        path.unlink()
                        gone += 1
        return gone

    def _folders(self) -> list[Path]:
        return sorted(path for path in self._root.glob("year=*/month=*/day=*") if _date(path))

    def _of(self, person: Person) -> Iterator[Path]:
        for folder in self._folders():
            for path in _files(folder):
                try:
                    content = path.read_bytes()
                except FileNotFoundError:
                    continue
                if _names(content, person):
                    yield path

    def find(self, person: Person) -> int:
        """Files that name the person."""
        return sum(1 for _ in self._of(person))

    def erase(self, person: Person) -> Gone:
        """Delete those files."""
        gone = 0
        for path in self._of(person):
            path.unlink(missing_ok=True)
            gone += 1
        return Gone(gone)

    def close(self) -> None:
        """Hold nothing."""


def _write(folder: Path, name: str, content: bytes) -> None:
    """Whole under its name: a kill leaves a file with a dot, which the repeat overwrites."""
    temporary = folder / f".{name}.json"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o640)
    try:
        write_all(fd, content + b"\n")
    finally:
        os.close(fd)
    os.replace(temporary, folder / f"{name}.json")


def _date(folder: Path) -> str:
    found = FOLDER.search(folder.as_posix())
    return "-".join(found.groups()) if found else ""


def _files(folder: Path) -> Iterator[Path]:
    """The follower's own files, begun ones included; nothing that somebody else put there."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name.removeprefix(".")
            if name.endswith(".json") and OURS.fullmatch(name[:-5]):
                yield folder / entry.name


def _type(content: bytes) -> str:
    try:
        return _typed(content).interaction_type
    except _UNDECODABLE:  # a kill left it half written
        return ""


def _names(content: bytes, person: Person) -> bool:
    try:
        whose = _whose(content)
    except _UNDECODABLE:  # a kill left it half written
        return msgspec.json.encode(person.value)[1:-1] in content
    return bool(getattr(whose, person.kind) == person.value)
