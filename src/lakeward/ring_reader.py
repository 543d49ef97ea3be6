"""The keeper's side of a ring: open, drain, release, and adopt what a dead process left.

In: the path of a ring file. Out: payloads in the order of each lane, with the sequence reached.
Fails with `Unreadable` for a file of another version or with a damaged identity; a damaged frame
is never handed out, what it held is counted.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from pathlib import Path
from uuid import UUID
from zlib import crc32

import msgspec

from lakeward.errors import Unreadable
from lakeward.ring import (
    BEAT,
    CLOSED,
    COUNTERS,
    DRAINED,
    FRAME,
    FRAME_BYTES,
    HEADS,
    IDENTITY,
    IDENTITY_CRC,
    LABEL,
    LINES,
    MAGIC,
    MOST_LANES,
    OFFERED,
    REASONS,
    SHARES,
    SKIP,
    STATE,
    TABLE,
    TAILS,
    VERSION,
    Label,
    decode_label,
    identity_crc,
)

store_word = struct.Struct("<Q").pack_into

PATIENCE = 50
"""Rounds that a live owner's frame may fail its CRC before it is taken as damaged."""


class Identity(msgspec.Struct, frozen=True):
    """The part of a ring that never changes."""

    ring_id: str
    lake_id: str
    epoch: int
    pid: int
    created_ns: int
    lanes: tuple[tuple[int, int], ...]
    label: Label | None


class Drained(msgspec.Struct):
    """What one pass over a ring found, and the positions to release once it is durable."""

    positions: list[tuple[int, int, int]] = []
    """(lane, sequence, tail in bytes) for each lane that moved."""
    lines: list[bytes] = []
    """Payloads for the log, whole lines without the last line feed."""
    quarantined: list[bytes] = []
    """Payloads for the quarantine."""
    records: int = 0
    """Records in `lines`; one payload may hold several."""
    records_quarantined: int = 0
    damaged: int = 0


class RingReader:
    """One ring, mapped. Only the lake's keeper may call `release` and `beat`."""

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.path = path
        flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags)
        try:
            size = os.fstat(self._fd).st_size
            if size < COUNTERS:
                raise Unreadable(f"{path} is too short to be a ring: remove it")
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            self._map = mmap.mmap(self._fd, size, access=access)
            self.identity = read_identity(path, self._map[:COUNTERS], size)
        except BaseException:
            os.close(self._fd)
            raise
        n = len(self.identity.lanes)
        self._heads_at = slice(HEADS, HEADS + 8 * n)
        self._words = struct.Struct(f"<{n}Q")
        self._seen = b""
        self._failures = 0
        self._adopted = False
        self.skipped = False
        """Whether a damaged frame made the rest of its lane unreadable."""
        self.tails = list(self._words.unpack_from(self._map, TAILS))
        self.sequences = list(self._words.unpack_from(self._map, DRAINED))

    @property
    def ring_id(self) -> str:
        """The ring's UUID."""
        return self.identity.ring_id

    def drain(self, limit: int) -> Drained | None:
        """Frames published beyond the tails, about `limit` bytes at most; None when there are none.

        The tails do not move: call `release` once the frames are durable.
        """
        heads_bytes = self._map[self._heads_at]
        if heads_bytes == self._seen:
            return None
        drained = Drained()
        short = False
        for index, head in enumerate(self._words.unpack(heads_bytes)):
            tail = self.tails[index]
            if head != tail:
                reached = self._drain_lane(index, tail, min(head, tail + limit), head, drained)
                limit = max(limit - (reached - tail), 0)
                short |= reached < head
        if not short:
            self._seen = heads_bytes
            self._failures = 0
        return drained if drained.positions else None

    def _drain_lane(self, index: int, tail: int, goal: int, head: int, drained: Drained) -> int:
        """Collect one lane's frames from `tail` until `goal` is reached; where that was."""
        start, size = self.identity.lanes[index]
        first, sequence = tail, self.sequences[index]
        whole = head - tail <= size  # a lane holds no more: that head was written over
        while tail < goal and whole:
            at = start + tail % size
            stop = min(at + goal - tail, start + size)
            reached, sequence, whole = self._drain_stretch(
                at, stop, start + size, sequence, drained
            )
            tail += reached - at
        if not whole and not self._owner_may_finish():
            tail, self.skipped = head, True
        if tail != first:
            drained.positions.append((index, sequence, tail))
        return tail

    def _drain_stretch(
        self, at: int, stop: int, end: int, sequence: int, drained: Drained
    ) -> tuple[int, int, bool]:
        """Collect the frames that begin in [at, stop) of a lane ending at `end`; where the next one
        begins, the sequence reached, and whether every frame was whole. The keeper's hottest
        loop: what it does for a frame is done here, with local names."""
        map_, unpack, header, append = (
            self._map,
            FRAME.unpack_from,
            FRAME_BYTES,
            drained.lines.append,
        )
        records = damaged = 0
        whole = True
        last = end - header
        while at < stop:
            if at > last:
                at = end
                break
            length, crc, number, kind, _, count = unpack(map_, at)
            if length == SKIP:
                at = end
                break
            body = at + header
            payload = map_[body : body + length]
            if (
                crc32(payload, number & 0xFFFFFFFF) != crc
                or body + length > end
                or not 0 < count <= number - sequence  # memory that nobody wrote has a right CRC
            ):
                whole = False
                break
            damaged += number - count - sequence
            sequence = number
            at = (body + length + 7) & ~7
            if kind == LINES:
                append(payload)
                records += count
            else:
                drained.quarantined.append(payload)
                drained.records_quarantined += count
        drained.records += records
        drained.damaged += damaged
        return at, sequence, whole

    def _owner_may_finish(self) -> bool:
        """Whether a frame that fails its CRC deserves another look (a CPU still storing it)."""
        self._failures += 1
        return self._failures < PATIENCE

    def release(self, positions: list[tuple[int, int, int]]) -> None:
        """Hand the drained bytes back to the writers: only once their records are durable."""
        for lane, sequence, tail in positions:
            self.tails[lane] = tail
            self.sequences[lane] = sequence
            # Killed in between, the lane shows an old sequence before a new tail, and `align` of
            # the next keeper takes both from the ledger. The other way round it would drain again.
            store_word(self._map, TAILS + 8 * lane, tail)
            store_word(self._map, DRAINED + 8 * lane, sequence)

    def rewind(self) -> None:
        """Forget that the heads were seen, so that the next drain looks again."""
        self._seen = b""

    def beat(self, now_ns: int, errno: int) -> None:
        """Tell the owner that its keeper lives, and the disk's last errno (0: it works)."""
        struct.pack_into("<QQ", self._map, BEAT, now_ns, errno)

    def say_shares(self, shares: tuple[int, ...]) -> None:
        """Tell the owner which share of the users each kind of collection covers now."""
        words = [share + 1 for share in shares]
        struct.pack_into(f"<{len(words)}H", self._map, SHARES, *words)

    def beaten(self) -> tuple[int, int]:
        """The last heartbeat in ns since 1970 (0: never) and its errno."""
        beat, errno = struct.unpack_from("<QQ", self._map, BEAT)
        return beat, errno

    def tallies(self) -> tuple[list[int], list[list[int]]]:
        """Per lane: records offered, and the count of each reason, as the owner last stored."""
        lanes = len(self.identity.lanes)
        words = struct.unpack_from(f"<{lanes * REASONS}Q", self._map, COUNTERS)
        offered = list(self._words.unpack_from(self._map, OFFERED))
        return offered, [list(words[n * REASONS : (n + 1) * REASONS]) for n in range(lanes)]

    def unaccounted(self, published: list[int]) -> list[int]:
        """Per lane: records offered that are neither among `published` nor counted; as many as a
        frame holds for the instant in which a caller is in the middle of it."""
        offered, counts = self.tallies()
        return [
            n - sequence - sum(reasons)
            for n, sequence, reasons in zip(offered, published, counts, strict=True)
        ]

    def begun(self, lane: int) -> int:
        """Records in the frame that stands behind the lane's head: one being made, or the remains
        of an earlier one. The header of a frame of several is there before they count as offered.
        """
        start, size = self.identity.lanes[lane]
        (head,) = struct.unpack_from("<Q", self._map, HEADS + 8 * lane)
        at = head % size
        if size - at < FRAME_BYTES or FRAME.unpack_from(self._map, start + at)[0] == SKIP:
            at = 0
        count: int = FRAME.unpack_from(self._map, start + at)[5]
        return count

    def fill(self) -> float:
        """Share of the lanes' bytes that wait to be drained, 0 to 1."""
        heads = self._words.unpack_from(self._map, HEADS)
        tails = self._words.unpack_from(self._map, TAILS)
        waiting: int = sum(heads) - sum(tails)
        return max(waiting, 0) / sum(size for _, size in self.identity.lanes)

    def published(self) -> list[int]:
        """Per lane: the sequence of the last record published, found by walking the frames."""
        self.rewind()
        sequences = list(self.sequences)
        drained = self.drain(1 << 62)
        for lane, sequence, _ in drained.positions if drained else ():
            sequences[lane] = sequence
        return sequences

    def empty(self) -> bool:
        """Whether everything published has been released; a head behind its tail was written over
        by somebody, and a living owner's next store mends it."""
        heads = self._words.unpack_from(self._map, HEADS)
        return all(head <= tail for head, tail in zip(heads, self.tails, strict=True))

    def heads(self) -> list[int]:
        """Per lane: bytes that were ever put into it."""
        return list(self._words.unpack_from(self._map, HEADS))

    def refresh(self) -> None:
        """Take tails and sequences from the file again (for readers that are not the keeper)."""
        self.tails = list(self._words.unpack_from(self._map, TAILS))
        self.sequences = list(self._words.unpack_from(self._map, DRAINED))

    def closed(self) -> bool:
        """Whether the owner said goodbye."""
        (state,) = struct.unpack_from("<I", self._map, STATE)
        return bool(state == CLOSED)

    def adopt(self) -> bool:
        """Lock the ring when its owner is dead and its name means this very file or nothing."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        mine = os.fstat(self._fd)
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            there = mine
        if not self._adopted:
            self._adopted = True
            self._failures = PATIENCE
            self.rewind()
        return (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev)

    def owner_lives(self) -> bool:
        """Whether some process holds the ring's lock."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Let go of file and mapping."""
        self._map.close()
        os.close(self._fd)


def read_identity(path: Path, header: bytes, size: int) -> Identity:
    """Decode and check a ring's first bytes; Unreadable with the reason and the mend."""
    (
        magic, version, lanes, start, total, ring_id, pid, reasons, created, lake, epoch,
    ) = IDENTITY.unpack_from(header, 0)  # fmt: skip
    if magic != MAGIC:
        raise Unreadable(f"{path} is not a ring: remove it")
    if version != VERSION:
        raise Unreadable(
            f"{path} is a ring of format {version} and this Lakeward reads {VERSION}: "
            "run the keeper of the version that wrote it, or restart the app on this one"
        )
    (crc,) = struct.unpack_from("<I", header, IDENTITY_CRC)
    if (
        crc != identity_crc(header)
        or total != size
        or reasons != REASONS
        or (not 0 < lanes <= MOST_LANES)
    ):
        raise Unreadable(f"{path} has a damaged header: its records cannot be read, remove it")
    table = tuple(struct.unpack_from("<QQ", header, TABLE + 16 * i) for i in range(lanes))
    if any(at < start or at + length > size or length < FRAME_BYTES for at, length in table):
        raise Unreadable(f"{path} has a damaged lane table: remove it")
    (length,) = struct.unpack_from("<I", header, LABEL)
    try:
        label = decode_label(header[LABEL + 4 : LABEL + 4 + length])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        label = None
    return Identity(
        ring_id=str(UUID(bytes=ring_id)), lake_id=str(UUID(bytes=lake)), epoch=epoch, pid=pid,
        created_ns=created, lanes=tuple((a, b) for a, b in table), label=label,
    )  # fmt: skip
