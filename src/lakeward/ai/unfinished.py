"""Turns that their process did not end: out of its file of drafts, as records.

In: the path of a file that a process may have left. Out: a lock on it while its owner is dead, and
the fields of a record for each turn that was open, with exactly the pieces that were handed to the
app. Fails with `Unreadable` for what is no file of drafts; a torn frame and what follows it is cut.
Nothing of what stands in the file is in any error: it is not scrubbed yet.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import Final
from uuid import UUID
from zlib import crc32

import msgspec

from lakeward.ai.draft_file import (
    ASIDE,
    BEGUN,
    CHUNK_BYTES,
    FIELDS,
    FRAME,
    HEAD,
    MAGIC,
    MOST_BYTES,
    PAGE,
    PAYLOAD,
    SUFFIX,
    TEXT,
    VERSION,
    Aside,
    Rules,
)
from lakeward.ai.messages import flat
from lakeward.errors import Unreadable
from lakeward.interaction import EARLIEST_MS, LATEST_MS, JsonObject, id_ms, iso, parse_iso

CHUNK_HEAD: Final = struct.Struct("<16sQQQQ")
DIED: Final = "ProcessDied"
MOST_HEAD: Final = 1 << 18
LONGEST_TURN_MS: Final = 86_400_000


class Left(msgspec.Struct, frozen=True):
    """What a process left."""

    pid: int
    rules: Rules
    turns: list[JsonObject]
    """Keyword fields of `ai_conversation` records, with id and time."""


class Turn(msgspec.Struct):
    """A turn as it stands in the chunks."""

    chunks: dict[int, bytes] = {}
    last_ns: int = 0
    dropped: int = 0


def lock(path: Path) -> int | None:
    """A descriptor that holds the file of a dead owner; None while its owner lives, or it is gone.
    Unreadable for what is not a file of this user's alone."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError:
        raise Unreadable("it is a link, or cannot be opened") from None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_nlink > 1:
            raise Unreadable("it is not a file of this user alone")
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        named = os.lstat(path)
        if (named.st_ino, named.st_dev) == (found.st_ino, found.st_dev):
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def drafts_in(folders: Sequence[Path]) -> list[Path]:
    """Files of drafts, whoever owns them."""
    found: list[Path] = []
    for folder in dict.fromkeys(folders):
        try:
            with os.scandir(folder) as entries:
                found += [
                    Path(entry.path)
                    for entry in entries
                    if entry.name.endswith(SUFFIX) and not entry.is_dir(follow_symlinks=False)
                ]
        except OSError:
            continue
    return sorted(found)


def peek(path: Path) -> Left | None:
    """What stands in a file now, also while its owner writes; None where nothing can be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return read(fd)
    except (Unreadable, OSError):
        return None
    finally:
        os.close(fd)


def blank(fd: int, kept: Set[str]) -> None:
    """Overwrite all chunks but those of some turns: each turn's first one first, without it there
    is no turn."""
    raw = os.pread(fd, os.fstat(fd).st_size, 0)
    start = HEAD.unpack_from(raw)[2]
    found = []
    for at in range(start, len(raw) - CHUNK_BYTES + 1, CHUNK_BYTES):
        turn, place, *_ = CHUNK_HEAD.unpack_from(raw, at)
        if (not place or str(UUID(bytes=turn)) not in kept) and any(raw[at : at + CHUNK_BYTES]):
            found.append((place, at))
    for _, at in sorted(found):
        os.pwrite(fd, bytes(CHUNK_BYTES), at)


def read(fd: int, *, turns: bool = True) -> Left:
    """What stands in a file that nobody writes any more; its head alone without `turns`."""
    size = os.fstat(fd).st_size
    if not HEAD.size <= size <= MOST_BYTES:
        raise Unreadable("its size is not that of a file of drafts")
    raw = os.pread(fd, size if turns else min(size, MOST_HEAD), 0)
    magic, version, start, pid, _, length, crc = HEAD.unpack_from(raw)
    rules = raw[HEAD.size : HEAD.size + length]
    if magic != MAGIC or version != VERSION or start % PAGE or crc32(rules) != crc:
        raise Unreadable("its head is not that of a file of drafts")
    try:
        told = msgspec.json.decode(rules, type=Rules)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable("its rules cannot be read") from None
    if not turns:
        return Left(pid, told, [])
    found = sorted(_turns(raw, start).items())  # by id: in the order in which they began
    return Left(pid, told, [made for turn, left in found if (made := _made(turn, left))])


def _turns(raw: bytes, start: int) -> dict[bytes, Turn]:
    found: dict[bytes, Turn] = {}
    for at in range(start, len(raw) - CHUNK_BYTES + 1, CHUNK_BYTES):
        turn, place, used, last_ns, dropped = CHUNK_HEAD.unpack_from(raw, at)
        if not 0 < place <= MOST_BYTES // CHUNK_BYTES or used > CHUNK_BYTES - PAYLOAD:
            continue
        left = found.setdefault(turn, Turn())
        left.chunks[place] = raw[at + PAYLOAD : at + PAYLOAD + used]
        if place == 1:
            left.last_ns, left.dropped = last_ns, dropped
    return found


def _frames(left: Turn) -> Iterator[tuple[int, bytes]]:
    """The frames up to the first that is torn."""
    parts: list[bytes] = []
    for place in range(1, len(left.chunks) + 1):
        if place not in left.chunks:
            break
        parts.append(left.chunks[place])
    stream = b"".join(parts)
    at = 0
    while at + FRAME.size <= len(stream):
        size, crc, kind = FRAME.unpack_from(stream, at)
        at += FRAME.size
        content = stream[at : at + size]
        if len(content) < size or crc32(content, kind) != crc:
            return
        yield kind, content
        at += size


def _made(turn: bytes, left: Turn) -> JsonObject | None:
    """The record of one turn; None for a turn that was closed, of which chunks were still left."""
    fields: JsonObject = {}
    pieces: list[str] = []
    asides: list[Aside] = []
    began = False
    for kind, content in _frames(left):
        if kind == TEXT:
            pieces.append(content.decode("utf-8", "replace"))
        elif kind == ASIDE:
            with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                asides.append(msgspec.json.decode(content, type=Aside))
        elif kind in (BEGUN, FIELDS):
            began = began or kind == BEGUN
            try:
                told = msgspec.json.decode(content)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                continue
            if isinstance(told, dict):
                fields |= told
    if not began:
        return None
    return _ended(str(UUID(bytes=turn)), fields, _said("".join(pieces), asides), left)


def _said(text: str, asides: Sequence[Aside]) -> JsonObject:
    """The answer so far: thoughts and text, and calls with the beginning of their arguments."""
    said: JsonObject = {"role": "assistant"}
    thought = "".join(aside.piece for aside in asides if aside.call is None)
    parts = [("reasoning", thought), ("text", text)]
    content = [{"type": kind, "text": whole} for kind, whole in parts if whole]
    if content:
        said["content"] = flat(content)
    calls: dict[int, JsonObject] = {}
    for aside in asides:
        if aside.call is None:
            continue
        made = calls.setdefault(aside.call, {"arguments": ""})
        made["arguments"] += aside.piece
        for name in ("id", "name"):
            if value := getattr(aside, name):
                made[name] = value
    if calls:
        said["tool_calls"] = list(calls.values())
    return said


def _ended(interaction_id: str, fields: JsonObject, said: JsonObject, left: Turn) -> JsonObject:
    fields.pop("tool_calls", None)
    asked = fields.pop("messages", None)
    messages = asked if isinstance(asked, list) else []
    if len(said) > 1:
        messages = [*messages, said]
    if messages:
        fields["messages"] = messages
    began_ms = _began(fields.pop("timestamp", None), interaction_id)
    took = left.last_ns / 1e6 - began_ms
    if 0 <= took <= LONGEST_TURN_MS:
        fields["duration_ms"] = round(took, 3)
    if left.dropped:
        fields["pieces_dropped"] = left.dropped
    fields.pop("interaction_type", None)
    return fields | {
        "interaction_id": interaction_id,
        "timestamp": iso(began_ms),
        "status": "failed",
        "error_type": DIED,
    }


def _began(timestamp: object, interaction_id: str) -> int:
    """ms since 1970 at which the turn began."""
    ms = id_ms(interaction_id)
    if isinstance(timestamp, str):
        with contextlib.suppress(ValueError, OverflowError):  # what the id says is as good
            ms = parse_iso(timestamp)
    return min(max(ms, EARLIEST_MS), LATEST_MS)
