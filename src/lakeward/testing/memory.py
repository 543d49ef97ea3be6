"""A collector that keeps what is recorded in a list: for tests of apps that use Lakeward.

In: what `Collector` takes, with settings from a mapping instead of the environment. Out: decoded
records, the quarantine and the counts. Everything up to the ring is the real collector: scrubbing,
placement, validation, encoding, joins. There is no file, no shared memory, no keeper, no thread and
no hook into fork or exit. Constructing fails with SettingError as `load` does; nothing else fails.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from lakeward.collector import Collector
from lakeward.interaction import LATEST_NS, JsonObject
from lakeward.ring import LINES, PUT, REASONS, TOO_LARGE
from lakeward.rollout import Shares, configured
from lakeward.settings import Settings, load

NOTHING: Mapping[str, str] = MappingProxyType({})
NO_RING = UUID(int=0)


class MemoryRing:
    """Stands in for a ring. Lists only grow by one call each, so threads need no lock."""

    ring_id = NO_RING
    path = Path(os.devnull)

    def __init__(self, frame_most: int) -> None:
        self.frame_most = frame_most
        self.lines: list[bytes] = []
        self.quarantined: list[bytes] = []
        self.refused: list[tuple[int, int]] = []
        """(reason, how many)."""

    def append(self, payload: bytes, kind: int = LINES, count: int = 1) -> int:
        """Keep one frame of `count` lines, unless it is too large for a real ring."""
        if len(payload) > self.frame_most:
            return TOO_LARGE
        kept = self.lines if kind == LINES else self.quarantined
        kept.extend(payload.split(b"\n", count - 1))
        return PUT

    def count(self, reason: int, n: int = 1) -> None:
        """Count what was offered and not kept."""
        self.refused.append((reason, n))

    def tallies(self) -> tuple[int, int, list[int]]:
        """Records offered, records accepted (the quarantined included), count of each reason."""
        reasons = [0] * REASONS
        for reason, n in list(self.refused):
            reasons[reason] += n
        accepted = len(self.lines) + len(self.quarantined)
        return accepted + sum(reasons), accepted, reasons

    def capacity(self) -> int:
        """No limit but the machine's."""
        return 0

    def waiting_bytes(self) -> int:
        """Nothing waits for a disk."""
        return 0

    @property
    def beat(self) -> Sequence[int]:
        """As if a keeper had just looked."""
        return time.time_ns(), 0

    def clear(self) -> None:
        """Forget everything."""
        self.lines, self.quarantined, self.refused = [], [], []


class MemoryHolder:
    """Stands in for an attachment: what is put in is as durable as it will ever be."""

    looked_ns, next_look_ns = 0, LATEST_NS
    secret = b"lakeward.testing"

    def __init__(self, ring: MemoryRing, shares: Shares) -> None:
        self.ring = ring
        self.shares = shares

    def salts(self, day: str) -> bytes:
        """A salt that is the same in every run, so that sessions are."""
        return blake2b(day.encode(), key=self.secret).digest()

    def ensure_keeper(self) -> None:
        """There is none."""

    def commit(self, timeout: float) -> None:
        """At once."""

    async def acommit(self, timeout: float) -> None:
        """At once."""

    def close(self, timeout: float) -> None:
        """Hold nothing."""

    def abandon(self) -> None:
        """Hold nothing."""


class MemoryCollector(Collector):
    """A `Collector` whose lake is a list.

    `settings` are a mapping such as `{"LAKEWARD_IP": "truncate"}` or a `Settings`; neither the
    environment nor a `.env` file is read, what is not given has its default. `now_ns` is the clock,
    such as a `FrozenClock`. What was recorded can be read after `close()` too.
    """

    def __init__(
        self,
        settings: Settings | Mapping[str, str] = NOTHING,
        *,
        scrub: Callable[[JsonObject], JsonObject] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        if not isinstance(settings, Settings):
            settings = load(settings, Path(os.devnull))
        self._ring = MemoryRing(settings.frame_bytes)
        super().__init__(settings, scrub=scrub, now_ns=now_ns)

    def _hook(self) -> None:
        """Nothing outlives this object, so there is nothing to be told of."""

    def _hold(self) -> MemoryHolder:
        return MemoryHolder(self._ring, configured(self.settings)[0])

    @property
    def records(self) -> list[dict[str, Any]]:
        """What was recorded, decoded, in order."""
        return [msgspec.json.decode(line) for line in self._ring.lines]

    @property
    def quarantined(self) -> list[dict[str, Any]]:
        """What its type refused, scrubbed, each with the reason."""
        return [msgspec.json.decode(line) for line in self._ring.quarantined]

    def clear(self) -> None:
        """Forget records, quarantine and counts."""
        self._ring.clear()
        self._disabled = 0
        self._unplaced = dict.fromkeys(self._unplaced, 0)
