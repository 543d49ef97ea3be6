"""Erasures: what was asked, how far it is, and what each store said.

In: the steps of an erasure as they are done. Out: files that outlive a kill at any moment.
`Terminal` for a receipt that is not there or cannot be read.

    .lakeward/erasures/ID.json      the receipt; it names nobody: kind and keyed hash only
        {"format":1,"erasure_id":…,"people":[["user_id","5f3a…"]],"asked_at":…,"hidden_at":…,
         "gone_at":…,"stores":[{"name":"log","done":true,"records":12,"remains":"","until":""},…]}
    .lakeward/erasures/ID.people    who, mode 0600, while something is left to do: stores that were
                                    away are asked again without anybody at the keyboard; then it is
                                    overwritten and removed
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from lakeward.errors import LakeBusy, Terminal, Unreadable
from lakeward.lakedir import LakeDir, replace_file, sync_folder
from lakeward.person import Kind, Person

FORMAT = 1
ID = re.compile(r"[0-9a-f-]{36}")
Stage = Literal["asked", "hidden", "gone"]


class StoreNote(msgspec.Struct, frozen=True):
    """What became of the person in one store."""

    name: str
    done: bool
    records: int = 0
    """Records, rows or objects removed, over all attempts."""
    remains: str = ""
    """What the store keeps elsewhere for a time."""
    until: str = ""
    error: str = ""
    """Why it is not done yet."""


class Receipt(msgspec.Struct, frozen=True):
    """The proof for whoever asked; two stages: hidden from every question, then gone."""

    erasure_id: str
    people: tuple[tuple[Kind, str], ...]
    """Kind and keyed hash of each id."""
    asked_at: str
    hidden_at: str = ""
    gone_at: str = ""
    stores: tuple[StoreNote, ...] = ()
    unseen: tuple[str, ...] = ()
    """Processes whose memory no keeper of this machine can see: they may still hold records, which
    the suppression list keeps out wherever they arrive."""
    format: int = FORMAT

    @property
    def stage(self) -> Stage:
        """How far it is."""
        return "gone" if self.gone_at else "hidden" if self.hidden_at else "asked"

    def noted(self, note: StoreNote) -> Receipt:
        """With what a store said now; what earlier attempts removed is added."""
        before = next((old for old in self.stores if old.name == note.name), None)
        if before is not None:
            note = msgspec.structs.replace(
                note, records=note.records + before.records,
                remains=note.remains or before.remains, until=max(note.until, before.until),
            )  # fmt: skip
        others = tuple(old for old in self.stores if old.name != note.name)
        return msgspec.structs.replace(self, stores=(*others, note))


_decode = msgspec.json.Decoder(Receipt).decode
_decode_people = msgspec.json.Decoder(tuple[Person, ...]).decode


def folder(lake: LakeDir) -> Path:
    """Where erasures stand."""
    return lake.private / "erasures"


@contextmanager
def alone(lake: LakeDir) -> Iterator[None]:
    """One process erases at a time; LakeBusy when another does."""
    folder(lake).mkdir(mode=0o700, exist_ok=True)
    fd = os.open(folder(lake) / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in leftovers(lake):
            _wipe(path)
        yield
    except BlockingIOError:
        raise LakeBusy("another erasure is under way in this lake: try again later") from None
    finally:
        os.close(fd)


def ask(lake: LakeDir, erasure_id: str, people: Sequence[Person]) -> None:
    """Write down who is to be erased, durably: from now on the erasure comes to its end."""
    folder(lake).mkdir(mode=0o700, exist_ok=True)
    replace_file(folder(lake) / f"{erasure_id}.people", msgspec.json.encode(people) + b"\n")


def asked(lake: LakeDir) -> list[str]:
    """Erasures that are not at their end, the oldest first."""
    return sorted(path.stem for path in folder(lake).glob("*.people") if ID.fullmatch(path.stem))


def leftovers(lake: LakeDir) -> list[Path]:
    """Notes that were being written when their process was killed; who is alone here may take them
    away. They name a person whose erasure nobody was promised."""
    return [*folder(lake).glob(".*.people.*")]


def people(lake: LakeDir, erasure_id: str) -> tuple[Person, ...]:
    """Who is to be erased; Terminal when the erasure is at its end."""
    path = folder(lake) / f"{erasure_id}.people"
    try:
        return _decode_people(path.read_bytes())
    except FileNotFoundError:
        raise Terminal(f"erasure {erasure_id} is not waiting for anything") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Unreadable(f"{path} is damaged: remove it and ask for the erasure again") from None


def waiting(lake: LakeDir) -> list[Person]:
    """Everybody who is to be erased and may still be in a store; cheap when there is nobody."""
    found: list[Person] = []
    for erasure_id in asked(lake):
        with suppress(Terminal):  # it came to its end just now
            found += people(lake, erasure_id)
    return found


def forget(lake: LakeDir, erasure_id: str) -> None:
    """Overwrite and remove the note of who it was."""
    _wipe(folder(lake) / f"{erasure_id}.people")
    sync_folder(folder(lake))


def _wipe(path: Path) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.pwrite(fd, b" " * os.fstat(fd).st_size, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    path.unlink(missing_ok=True)


def save(lake: LakeDir, receipt: Receipt) -> None:
    """Store the receipt durably."""
    content = msgspec.json.format(msgspec.json.encode(receipt), indent=1) + b"\n"
    replace_file(folder(lake) / f"{receipt.erasure_id}.json", content)


def load(lake: LakeDir, erasure_id: str) -> Receipt:
    """A receipt by its id."""
    if not ID.fullmatch(erasure_id):
        raise Terminal("an erasure's id is a UUID: see `lakeward erase --list`")
    path = folder(lake) / f"{erasure_id}.json"
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        raise Terminal(f"there is no erasure {erasure_id}: see `lakeward erase --list`") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Unreadable(f"{path} cannot be read: restore it from a backup") from None


def receipts(lake: LakeDir) -> list[Receipt]:
    """Every receipt, the oldest first."""
    names = sorted(path.stem for path in folder(lake).glob("*.json") if ID.fullmatch(path.stem))
    return [load(lake, name) for name in names]
