"""The file of drafts: what the turns under way have received, where a death does not reach it.

In: chunks that one turn at a time writes. Out: the same to who opens the file when its owner is
dead. Making it may fail with OSError; growing it is an answer. The file is this user's alone.

The file, little-endian, format 1 (`docs/formats/draft.md` draws every byte):

    0     head       magic "LAKEDRFT", u32 version, u32 where the chunks begin, u64 pid,
                     u64 created ns, u32 length and u32 CRC of the JSON that follows: whose they
                     are and by which rules to scrub
    4096  chunks     16-byte turn id, u64 place in the turn from 1 (0: free), u64 bytes used,
                     u64 ns of the last piece, u64 pieces that found no room, payload

The payloads of a turn's chunks, in their places, are a run of frames: u32 size, u32 CRC of the
content begun with the kind, u8 kind, content. A chunk's count of bytes moves last, so a killed
writer shows nothing of a half-made frame.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import time
from pathlib import Path
from typing import Final, Literal, NamedTuple
from zlib import crc32

import msgspec
from uuid_utils import uuid7

from lakeward.settings import Settings

TYPE: Final = "ai_conversation"
MAGIC: Final = b"LAKEDRFT"
VERSION: Final = 1
HEAD: Final = struct.Struct("<8sIIQQII")
PAGE: Final = mmap.ALLOCATIONGRANULARITY
CHUNK_BYTES: Final = 4096
PAYLOAD: Final = 48
"""Where the payload of a chunk begins."""
PLACE, USED, LAST_NS, DROPPED = 2, 3, 4, 5
"""Words of a chunk, behind the two of the turn's id."""
FRAME: Final = struct.Struct("<IIB")
BEGUN, TEXT, FIELDS, ASIDE = 1, 2, 3, 4
"""Kinds of frame: the fields of the beginning, a piece of the answer's text, fields that came
later, a piece of something that is no text."""

EXTENT_BYTES: Final = 64 * CHUNK_BYTES
"""By what the file grows."""
MOST_BYTES: Final = 16 << 20
SUFFIX: Final = ".draft"
WAIT_SECONDS: Final = 0.05
"""For another thread that waits for the disk."""


class Aside(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of an answer that is no text of it: of a call of a tool, or of a thought."""

    piece: str = ""
    """What comes next of the call's arguments, or of the thought."""
    call: int | None = None
    """Number of the call in the answer; None: a thought."""
    id: str | None = None
    name: str | None = None
    """Which tool it calls, said once."""


class Rules(msgspec.Struct, frozen=True):
    """Whose drafts they are, and by which rules of its app they must be scrubbed; the head of a
    file holds them."""

    lake: str = ""
    """Id of the lake."""
    sensitive_keys: tuple[str, ...] = ()
    allow_keys: tuple[str, ...] = ()
    sensitive_paths: tuple[str, ...] = ()
    detect_emails: bool = False
    detect_phones: bool = False
    ip: Literal["full", "truncate", "hash", "none"] = "full"
    ai_content: Literal["full", "redacted", "none"] = "full"


def rules_of(lake: str, settings: Settings) -> Rules:
    """The rules of an app's settings."""
    names = Rules.__struct_fields__[1:]
    return Rules(lake, **{name: getattr(settings, name) for name in names})


class Chunk(NamedTuple):
    """A piece of the file that one turn at a time writes."""

    map: mmap.mmap
    words: memoryview
    """Of this chunk alone."""
    at: int
    """Where it begins in the mapping."""


class File:
    """The file of one process. Holds a descriptor, its lock and mappings."""

    def __init__(self, folder: Path, rules: bytes) -> None:
        temporary = folder / f".{uuid7()}.tmp"
        self.path = temporary.with_name(temporary.stem[1:] + SUFFIX)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(temporary, flags, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._start = -(-(HEAD.size + len(rules)) // PAGE) * PAGE
            head = HEAD.pack(MAGIC, VERSION, self._start, os.getpid(), time.time_ns(),
                             len(rules), crc32(rules))  # fmt: skip
            os.pwrite(self._fd, (head + rules).ljust(self._start, b"\0"), 0)
            os.rename(temporary, self.path)
        except BaseException:
            os.close(self._fd)
            temporary.unlink(missing_ok=True)
            raise
        self._extents: list[list[Chunk]] = []
        self.free: list[Chunk] = []
        self._growing = threading.RLock()

    def take(self) -> Chunk | None:
        """A free chunk; None when the file is as large as it may be, or the disk is full or slow
        to give another who waits for it what he wants."""
        try:
            return self.free.pop()
        except IndexError:
            pass
        growing = self._growing
        if not growing.acquire(timeout=WAIT_SECONDS):
            return None
        try:
            if not self.free:
                self._grow()
            return self.free.pop()
        except IndexError:
            return None
        finally:
            growing.release()

    def _grow(self) -> None:
        """Allocated before it is mapped: a full mount is an answer here, and no SIGBUS later."""
        end = self._start + len(self._extents) * EXTENT_BYTES
        if self._fd < 0 or end + EXTENT_BYTES > MOST_BYTES:
            return
        try:
            os.posix_fallocate(self._fd, end, EXTENT_BYTES)
            mapped = mmap.mmap(self._fd, EXTENT_BYTES, offset=end)
        except OSError:
            return
        with memoryview(mapped) as view, view.cast("Q") as words:
            chunks = [
                Chunk(mapped, words[at // 8 : (at + CHUNK_BYTES) // 8], at)
                for at in range(0, EXTENT_BYTES, CHUNK_BYTES)
            ]
        self._extents.append(chunks)
        self.free += chunks

    def shrink(self) -> bool:
        """Use the first extent alone; for when no turn is open. Whether there is more to `trim`."""
        if len(self._extents) < 2:
            return False
        self._release(1)
        self.free = list(self._extents[0])
        return True

    def trim(self) -> None:
        """Give the disk back what is not used, unless the file grows again just now."""
        growing = self._growing
        if not growing.acquire(blocking=False):
            return
        try:
            if self._fd >= 0 and len(self._extents) == 1:
                os.ftruncate(self._fd, self._start + EXTENT_BYTES)
        finally:
            growing.release()

    def _release(self, first: int) -> None:
        gone = self._extents[first:]
        del self._extents[first:]
        for chunks in gone:
            for chunk in chunks:
                chunk.words.release()
            chunks[0].map.close()

    def abandon(self) -> None:
        """Let go of descriptor and mappings: in a forked child, where the lock is the parent's (a
        mapping alone keeps it), and at the end."""
        fd, self._fd = self._fd, -1
        self.free = []
        self._release(0)
        if fd >= 0:
            os.close(fd)
