"""The ring: one memory-mapped file per process into which callers put encoded records.

In: bytes. Out: frames that another process drains, also after this one was killed. Nothing here
waits: a full ring or a busy moment is an answer (False), never a delay. Creating a ring may fail
with OSError (no space, read-only, foreign folder); using one cannot.

The file, little-endian, format 1 (`docs/formats/ring.md` draws every byte):

    0     identity    magic "LAKERING", version, lanes, sizes, ring id, owner, lake, label, CRC
    192   keeper      u64 heartbeat, u64 errno, 16 u16 rollout shares; written by the keeper
    1024  heads       u64 per lane: bytes ever published         written by the owner
    1536  offered     u64 per lane: records ever offered         written by the owner
    2048  tails       u64 per lane: bytes ever drained           written by the keeper
    2560  drained     u64 per lane: sequence of the last record  written by the keeper
    3072  lane table  u64 start, u64 size per lane
    4096  counters    32 u64 per lane, one for each reason       written by the owner
    …     lanes       frames: u32 size, u32 CRC, u64 sequence, u16 kind, u16 0, u32 count, payload

A writer fills a frame beyond the head and then moves the head with one aligned 8-byte store, so a
killed writer shows nothing of a half-made frame. On a weakly ordered CPU a reader may see the head
before the bytes; the CRC (over payload and sequence) tells, and the reader looks again later.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID
from zlib import crc32

import msgspec
from uuid_utils import uuid7

from lakeward.errors import Terminal

MAGIC: Final = b"LAKERING"
VERSION: Final = 1
IDENTITY: Final = struct.Struct("<8sHHIQ16sIIQ16sI")  # …, created ns, lake id, epoch
IDENTITY_CRC: Final = 92
STATE, LABEL = 128, 256
BEAT, KEEPER_STATE, SHARES = 192, 200, 208
MOST_SHARES: Final = 16
HEADS, OFFERED, TAILS, DRAINED, TABLE, COUNTERS = 1024, 1536, 2048, 2560, 3072, 4096
MOST_LANES: Final = 64
REASONS: Final = 32
FRAME: Final = struct.Struct("<IIQHHI")
FRAME_BYTES: Final = FRAME.size
SKIP: Final = 0xFFFFFFFF
"""In the size word: nothing more before the lane's end, go on at its start."""

LINES, QUARANTINED = 1, 2
"""Kinds of frame: finished lines for the log, finished lines for the quarantine."""

PUT, FULL, CONTENDED, TOO_LARGE = 1, 0, -1, -2
"""Answers of `append`: kept; no lane has room; every lane is in use at this instant; never fits."""

INTERRUPTED: Final = 0
"""The one reason that the ring itself counts: an exception came from outside, mid-record."""

OPEN, CLOSED = 0, 1
"""States that an owner writes at `STATE`."""

PAGE: Final = mmap.PAGESIZE


class Label(msgspec.Struct, frozen=True):
    """Who owns a ring, for people reading `doctor`."""

    pid: int
    host: str
    service: str
    version: str
    started: str


decode_label = msgspec.json.Decoder(Label).decode


class Lane:
    """Writer's view of one lane; touched only by the caller that took it."""

    __slots__ = ("at", "head", "index", "limit", "offered", "reasons", "sequence", "size", "start")

    def __init__(self, index: int, start: int, size: int) -> None:
        self.index, self.start, self.size = index, start, size
        self.at = 0
        self.head = 0
        self.limit = size
        self.offered = 0
        self.sequence = 0
        self.reasons = index * REASONS


Pool = tuple[list[Lane], Iterator[Lane], int]
"""Free lanes, the iterator that takes one, and how many there are."""


def _pool(lanes: list[Lane]) -> Pool:
    return lanes, iter(lanes.pop, None), len(lanes)


class Ring:
    """The owner's side. Safe from threads, signal handlers, finalisers and after `fork`.

    Free lanes stand in a list whose `pop` is atomic: a caller takes one, so no lane is ever
    written by two. They are taken with a `for` over `iter(list.pop, None)` because CPython runs
    signal handlers after calls, and between a called `pop()` and its `try` an exception raised by
    a handler would lose the lane for good; between a `for` step and its body it runs none.
    """

    def __init__(self, path: Path, fd: int, lanes: list[Lane], ring_id: UUID, frame: int) -> None:
        self.path = path
        self.ring_id = ring_id
        self._fd = fd
        self._map = mmap.mmap(fd, os.fstat(fd).st_size)
        self._view = memoryview(self._map)
        self._words = self._view[: COUNTERS + len(lanes) * REASONS * 8].cast("Q")
        words = self._words
        self._heads = words[HEADS // 8 : HEADS // 8 + len(lanes)]
        self._offered = words[OFFERED // 8 : OFFERED // 8 + len(lanes)]
        self._tails = words[TAILS // 8 : TAILS // 8 + len(lanes)]
        self._counters = words[COUNTERS // 8 :]
        self.beat = words[BEAT // 8 : BEAT // 8 + 2]
        """[0] wall-clock ns of the keeper's last round, 0 before the first; [1] its errno."""
        self._shares = self._view[SHARES : SHARES + 2 * MOST_SHARES].cast("H")
        self._lanes = lanes
        self._narrow_most = lanes[1].size // 2
        self.frame_most = frame
        self._pool = _pool(lanes[:0:-1])
        self._wide_pool = _pool(lanes[:1])
        self._late: deque[tuple[int, int]] = deque()
        self._pack = FRAME.pack_into
        self._crc = crc32

    def append(self, payload: bytes, kind: int = LINES, count: int = 1, wide: bool = False) -> int:
        """Put one frame of `count` records: PUT, FULL, CONTENDED or TOO_LARGE, never a wait."""
        size = len(payload)
        if size > self.frame_most:
            return TOO_LARGE
        need = (size + FRAME_BYTES + 7) & ~7
        if need > self._narrow_most:
            wide = True
        free, take, tries = self._wide_pool if wide else self._pool
        try:
            for lane in take:
                full = False
                try:
                    if (
                        lane.at + need <= lane.size and lane.head + need <= lane.limit
                    ) or self._make_room(lane, need):
                        at = lane.start + lane.at
                        sequence = lane.sequence + count
                        if count > 1:
                            # Says how many are in flight, should this process be killed now.
                            self._pack(self._map, at, size, 0, sequence, kind, 0, count)
                        lane.offered += count
                        self._offered[lane.index] = lane.offered
                        try:
                            crc = self._crc(payload, sequence & 0xFFFFFFFF)
                            self._pack(self._map, at, size, crc, sequence, kind, 0, count)
                        except BaseException:
                            self._counters[lane.reasons + INTERRUPTED] += count
                            raise
                        # No call stands between here and the store into heads, so no signal
                        # handler can raise there; killed anywhere, the frame counts whole or not.
                        at += FRAME_BYTES
                        self._map[at : at + size] = payload
                        lane.sequence = sequence
                        lane.at += need
                        lane.head += need
                        self._heads[lane.index] = lane.head
                        return PUT
                    full = True
                finally:
                    if full:
                        free.insert(0, lane)
                    else:
                        free.append(lane)
                tries -= 1
                if not tries:
                    return FULL if wide else self.append(payload, kind, count, wide=True)
        except IndexError:
            pass
        return CONTENDED if wide else self.append(payload, kind, count, wide=True)

    def _make_room(self, lane: Lane, need: int) -> bool:
        """Look at the tail again and skip the lane's end when the frame does not fit there."""
        lane.limit = self._tails[lane.index] + lane.size
        rest = lane.size - lane.at
        wraps = need > rest
        if lane.head + need + (rest if wraps else 0) > lane.limit:
            return False
        if wraps:
            if rest >= FRAME_BYTES:
                self._pack(self._map, lane.start + lane.at, SKIP, 0, 0, 0, 0, 0)
            lane.at = 0
            lane.head += rest
        return True

    def count(self, reason: int, n: int = 1) -> None:
        """Count `n` records that were offered and not kept, for `reason` (1 … 31)."""
        late = self._late
        late.append((reason, n))
        free, take, _ = self._pool
        try:
            for lane in take:
                try:
                    while late:
                        reason, n = late.popleft()
                        self._tally(lane, reason, n)
                    return
                finally:
                    free.append(lane)
        except IndexError:
            return  # every lane is taken: it stays in `late` for the next caller

    def _tally(self, lane: Lane, reason: int, n: int) -> None:
        """Offered first: killed in between, the record shows as in flight, never as negative."""
        lane.offered += n
        self._offered[lane.index] = lane.offered
        self._counters[lane.reasons + reason] += n

    def said_shares(self) -> list[int | None]:
        """The rollout shares that the keeper says, in hundredths of a percent; None: nothing."""
        return [word - 1 if word else None for word in self._shares]

    def mark(self) -> tuple[int, ...]:
        """The heads now: everything this process has put into the ring so far."""
        return tuple(self._heads)

    def reached(self, mark: tuple[int, ...]) -> bool:
        """Whether the keeper has made durable everything up to `mark`."""
        return all(tail >= head for tail, head in zip(self._tails, mark, strict=True))

    def waiting_bytes(self) -> int:
        """Bytes published and not yet drained."""
        return sum(self._heads) - sum(self._tails)

    def capacity(self) -> int:
        """Bytes that all lanes hold together."""
        return sum(lane.size for lane in self._lanes)

    def tallies(self) -> tuple[int, int, list[int]]:
        """Records offered, records accepted, and the count of each reason."""
        if self._late:
            late, self._late = self._late, deque()
            for reason, n in late:
                self.count(reason, n)
        reasons = [0] * REASONS
        for slot, n in enumerate(self._counters):
            reasons[slot % REASONS] += n
        return sum(self._offered), sum(lane.sequence for lane in self._lanes), reasons

    def close(self) -> None:
        """Say goodbye: the keeper drains the rest, folds the counters and removes the file."""
        if self._fd >= 0:
            self._words[STATE // 8] = CLOSED
        self.abandon()

    def abandon(self) -> None:
        """Let go of file and mapping without a word (a forked child must: a mapping alone keeps
        the parent's lock alive)."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        views = (self._heads, self._offered, self._tails, self._counters, self.beat, self._shares)
        for view in views:
            view.release()
        self._words.release()
        self._view.release()
        self._map.close()
        os.close(fd)


def create(
    folder: Path, *, lake_id: str, epoch: int, total: int, lanes: int, frame: int, label: Label
) -> Ring:
    """A new ring in `folder`, fully allocated, locked by this process and renamed into place.

    OSError when the folder or the space is not to be had; Terminal when `frame` cannot fit.
    """
    ring_id = UUID(bytes=uuid7().bytes)
    plan = _plan(total, lanes, frame)
    path = folder / f"{ring_id}.ring"
    temporary = folder / f".{ring_id}.tmp"
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, total)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ring = _format(path, fd, ring_id, lake_id, epoch, total, plan, label, frame)
        os.rename(temporary, path)
    except BaseException:
        os.close(fd)
        temporary.unlink(missing_ok=True)
        raise
    return ring


def _plan(total: int, lanes: int, frame: int) -> list[Lane]:
    """Lane 0 is wide enough for two of the largest frames; the others share the rest."""
    start = -(-(COUNTERS + lanes * REASONS * 8) // PAGE) * PAGE
    wide = -(-(2 * (frame + FRAME_BYTES + 8)) // PAGE) * PAGE
    narrow = (total - start - wide) // (lanes - 1) // PAGE * PAGE
    if narrow < PAGE:
        raise Terminal(
            f"a ring of {total} bytes with {lanes} lanes has no room for frames of {frame} bytes: "
            "raise LAKEWARD_RING_BYTES or lower LAKEWARD_FRAME_BYTES"
        )
    wide = total // PAGE * PAGE - start - narrow * (lanes - 1)
    plan = [Lane(0, start, wide)]
    for index in range(1, lanes):
        plan.append(Lane(index, start + wide + (index - 1) * narrow, narrow))
    return plan


def _format(
    path: Path, fd: int, ring_id: UUID, lake_id: str, epoch: int, total: int,
    plan: list[Lane], label: Label, frame: int,
) -> Ring:  # fmt: skip
    header = bytearray(COUNTERS)
    IDENTITY.pack_into(
        header, 0, MAGIC, VERSION, len(plan), plan[0].start, total, ring_id.bytes,
        os.getpid(), REASONS, time.time_ns(), UUID(lake_id).bytes, epoch,
    )  # fmt: skip
    text = msgspec.json.encode(label)[: HEADS - LABEL - 4]
    struct.pack_into("<I", header, LABEL, len(text))
    header[LABEL + 4 : LABEL + 4 + len(text)] = text
    for lane in plan:
        struct.pack_into("<QQ", header, TABLE + lane.index * 16, lane.start, lane.size)
    struct.pack_into("<I", header, IDENTITY_CRC, identity_crc(header))
    os.pwrite(fd, header, 0)
    return Ring(path, fd, plan, ring_id, frame)


def identity_crc(header: bytes | bytearray) -> int:
    """CRC of what never changes: identity, label and lane table."""
    crc = crc32(header[:IDENTITY_CRC])
    crc = crc32(header[LABEL:HEADS], crc)
    return crc32(header[TABLE:COUNTERS], crc)
