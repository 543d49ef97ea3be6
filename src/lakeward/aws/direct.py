"""A collector without a disk: what is committed is an object in S3, and nothing is anywhere else.

In: settings with a bucket, lines of the server's own making. Out: after `commit`, an object
`raw/…/<id>-000001-<segment>-<from>-<to>.jsonl.gz` of a log that only these objects make up: its id
is this process's, its places are bytes; then, where there is a table, its items. `NotDurable` when
either does not take them in time; then the lines are forgotten, as whoever sent them is told so and
sends again with the same ids.

What cannot be stored is told in the answer and counted in the log; there is no quarantine here.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

from uuid_utils import uuid7

from lakeward.aws.items import Items
from lakeward.collector import Collector
from lakeward.errors import LakewardError, NotDurable, Terminal, Transient
from lakeward.followers.cursor import Cursor
from lakeward.followers.protocol import Slice
from lakeward.interaction import LATEST_NS, iso
from lakeward.ring import FULL, LINES, PUT, REASONS, TOO_LARGE
from lakeward.rollout import Shares, configured
from lakeward.settings import Settings

EPOCH: Final = 1
MOST_BYTES: Final = 32 << 20
FIRST_PAUSE: Final = 0.05


class Bucket(Protocol):
    """What is asked of a bucket."""

    def put_once(self, key: str, lines: tuple[bytes, ...]) -> None:
        """Make an object."""


class Buffer:
    """Stands in for a ring: frames until the next commit."""

    ring_id = UUID(int=0)
    path = Path(os.devnull)

    def __init__(self, frame_most: int) -> None:
        self.frame_most = frame_most
        self.lines: list[bytes] = []
        self._size = self._accepted = 0
        self._reasons = [0] * REASONS

    def append(self, payload: bytes, kind: int = LINES, count: int = 1) -> int:
        """Keep a frame; what is for the quarantine is counted only."""
        if len(payload) > self.frame_most:
            return TOO_LARGE
        if kind != LINES:
            self._accepted += count
            return PUT
        if self._size + len(payload) > MOST_BYTES:
            return FULL
        self.lines.extend(payload.split(b"\n", count - 1))
        self._size += len(payload) + 1
        self._accepted += count
        return PUT

    def taken(self) -> tuple[bytes, ...]:
        """All lines, which are gone from here then."""
        lines, self.lines, self._size = tuple(self.lines), [], 0
        return lines

    def count(self, reason: int, n: int = 1) -> None:
        """Count what was offered and not kept."""
        self._reasons[reason] += n

    def tallies(self) -> tuple[int, int, list[int]]:
        """Records offered, accepted, and count of each reason."""
        return self._accepted + sum(self._reasons), self._accepted, list(self._reasons)

    def capacity(self) -> int:
        """Bytes of one commit."""
        return MOST_BYTES

    def waiting_bytes(self) -> int:
        """Not committed yet."""
        return self._size

    @property
    def beat(self) -> Sequence[int]:
        """As if a keeper had just looked."""
        return time.time_ns(), 0


class Holder:
    """Stands in for an attachment: commits are objects."""

    looked_ns, next_look_ns = 0, LATEST_NS

    def __init__(
        self,
        ring: Buffer,
        bucket: Bucket,
        shares: Shares,
        now_ms: Callable[[], int],
        items: Items | None = None,
    ) -> None:
        self.ring = ring
        self.shares = shares
        self.secret = os.urandom(32)
        self.writer = str(uuid7())
        self._bucket = bucket
        self._items = items
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._day = ""
        self._segment = self._offset = 0

    def salts(self, day: str) -> bytes:
        """Of this process alone."""
        return blake2b(day.encode(), key=self.secret).digest()

    def ensure_keeper(self) -> None:
        """There is none."""

    def commit(self, timeout: float) -> None:
        """Make the object, then its items; again while there is time."""
        with self._lock:
            lines = self.ring.taken()
            if lines:
                self._made(self._piece(lines), time.monotonic() + timeout)

    async def acommit(self, timeout: float) -> None:
        """As `commit`, beside the event loop."""
        await asyncio.to_thread(self.commit, timeout)

    def close(self, timeout: float) -> None:
        """Hold nothing."""

    def abandon(self) -> None:
        """Hold nothing."""

    def _piece(self, lines: tuple[bytes, ...]) -> Slice:
        """Lines in the next place. Whatever becomes of them, nothing else is ever made in it."""
        day = iso(self._now_ms())[:10]
        if day != self._day:
            self._day, self._segment, self._offset = day, self._segment + 1, 0
        start = Cursor(EPOCH, self._segment, self._offset)
        self._offset += sum(len(line) + 1 for line in lines)
        return Slice(start, Cursor(EPOCH, self._segment, self._offset), lines, day)

    def _made(self, piece: Slice, deadline: float) -> None:
        year, month, date = piece.day.split("-")
        folder = f"raw/year={year}/month={month}/day={date}"
        key = f"{folder}/{self.writer}-{piece.name}.jsonl.gz"
        insisted("S3", deadline, lambda: self._bucket.put_once(key, piece.lines))
        if self._items is not None:
            for part in self._items.parts(piece):
                insisted("DynamoDB", deadline, partial(self._items.deliver, part))


def insisted(place: str, deadline: float, attempt: Callable[[], None]) -> None:
    """Attempt it until it is done or there is no time; NotDurable then, or where it cannot be."""
    pause, why = FIRST_PAUSE, "no time was left"
    while time.monotonic() < deadline:
        try:
            attempt()
            return
        except Terminal as error:
            raise NotDurable(f"not in {place}: {error}") from None
        except (Transient, OSError) as error:
            why = str(error) if isinstance(error, LakewardError) else f"{place} is not reached"
        if time.monotonic() + pause >= deadline:
            break
        time.sleep(pause)
        pause *= 2
    raise NotDurable(f"not in {place}: {why}")


class DirectCollector(Collector):
    """A `Collector` whose commits are objects of a bucket, and items of a table if there is one."""

    def __init__(self, settings: Settings, bucket: Bucket, items: Items | None = None) -> None:
        self._bucket = bucket
        self._items = items
        super().__init__(settings)

    def _hook(self) -> None:
        """Nothing outlives this object."""

    def _hold(self) -> Holder:
        return Holder(
            Buffer(self.settings.frame_bytes), self._bucket, configured(self.settings)[0],
            lambda: self.clock.now() // 1_000_000, self._items,
        )  # fmt: skip
