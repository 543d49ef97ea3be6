"""The quarantine as people ask for it: what was set aside, why, and what was brought back since.

In: a lake and a selection. Out: durable entries, oldest or newest first. Entries that were brought
back are marked in a journal of their own; the quarantine itself is never changed. `Unreadable` for
a damaged journal is not raised: a torn line was not acknowledged, and what it marked is brought
back once more under the same id.

    .lakeward/replays.jsonl   {"quarantine_id":"01a2…","at":"2026-11-26T00:02:11.120Z"}
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from lakeward.lakedir import LakeDir, sync_folder, write_all
from lakeward.log import Position, read_lines, read_segments

NOT_PERMITTED: Final = "This key may not send that `interaction_type`."
"""The reason of entries that came with a key which does not permit their type: they are brought
back only when they are asked for by it or by their id."""


class Entry(msgspec.Struct, frozen=True):
    """One line of the quarantine. `record` is absent where only length and hash were kept."""

    quarantine_id: str
    quarantined_at: str
    reason: str
    environment: str = ""
    interaction_type: str = ""
    follower: str = ""
    note: str = ""
    bytes: int = 0
    hash: str = ""
    record: Any = None


class Mark(msgspec.Struct, frozen=True):
    """One line of the journal."""

    quarantine_id: str
    at: str


class Selection(msgspec.Struct, frozen=True):
    """Which entries; what is empty does not select. `reason` is any part of it; times are as
    `quarantined_at` writes them, and a day is the beginning of one."""

    reason: str = ""
    interaction_type: str = ""
    follower: str = ""
    day: str = ""
    since: str = ""
    ids: frozenset[str] = frozenset()

    def covers(self, entry: Entry) -> bool:
        """Whether an entry is selected."""
        return (
            self.reason.casefold() in entry.reason.casefold()
            and self.interaction_type in {"", entry.interaction_type}
            and self.follower in {"", entry.follower}
            and entry.quarantined_at.startswith(self.day)
            and entry.quarantined_at >= self.since
            and (not self.ids or entry.quarantine_id in self.ids)
        )


_entry = msgspec.json.Decoder(Entry).decode
_mark = msgspec.json.Decoder(Mark).decode


def entries(lake: LakeDir, selection: Selection) -> Iterator[Entry]:
    """Selected entries, oldest first."""
    for line, _ in read_lines(lake, stream="quarantine"):
        entry = _read(line)
        if entry is not None and selection.covers(entry):
            yield entry


def newest(lake: LakeDir, selection: Selection, n: int) -> list[Entry]:
    """At most `n` selected entries, newest first; reads no more files than it needs."""
    found: list[Entry] = []
    for segment in reversed([s for s in read_segments(lake)[0] if s.stream == "quarantine"]):
        wanted: deque[Entry] = deque(maxlen=n - len(found))
        for line, position in read_lines(lake, Position(0, segment.number, 0), "quarantine"):
            if position.segment != segment.number:
                break
            entry = _read(line)
            if entry is not None and selection.covers(entry):
                wanted.append(entry)
        found += reversed(wanted)
        if len(found) >= n:
            break
    return found


def _read(line: bytes) -> Entry | None:
    """None for what somebody else wrote there."""
    try:
        return _entry(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def brought_back(lake: LakeDir) -> set[str]:
    """Ids of the entries that are marked."""
    try:
        content = (lake.private / "replays.jsonl").read_bytes()
    except FileNotFoundError:
        return set()
    marked = set()
    for line in content.splitlines():
        try:
            marked.add(_mark(line).quarantine_id)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
    return marked


def mark(lake: LakeDir, ids: Iterable[str], at: str) -> None:
    """Note durably that these entries were brought back."""
    path = lake.private / "replays.jsonl"
    lines = b"".join(msgspec.json.encode(Mark(i, at)) + b"\n" for i in ids)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            lines = b"\n" + lines  # behind a line that a crash tore
        write_all(fd, lines)
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_folder(lake.private)
