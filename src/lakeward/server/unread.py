"""Answers that nobody reads: what waits in a worker's memory for its client, with an end to it.

In: connections whose answer fills more than the kernel takes, as they begin and cease to wait. Out:
connections cut, each counted by its reason. One that takes less than `LEAST` bytes in `SECONDS` is
`slow`; while all that waits is more than `MOST`, the one that has taken nothing for longest goes,
as `full`. A look once a second, and none while everybody reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Literal, Protocol

import msgspec

from lakeward.settings import MIB

Reason = Literal["slow", "full"]
SECONDS: Final = 30.0
LEAST: Final = 64 << 10
"""Bytes that a reader takes in `SECONDS`, at least."""
MOST: Final = 256 * MIB
"""Bytes of answers that wait in one worker."""
LOOK_SECONDS: Final = 1.0


class Transport(Protocol):
    """What is asked of a connection."""

    def get_write_buffer_size(self) -> int:
        """Bytes that wait."""

    def abort(self) -> None:
        """Close it and forget what waits."""


class _Wait(msgspec.Struct):
    """What waited when enough was taken last, and when that was."""

    size: int
    since: float


class Unread:
    """The connections of one worker whose clients are behind."""

    def __init__(
        self, counted: Callable[[Reason], None], *, seconds: float = SECONDS, most: int = MOST
    ) -> None:  # fmt: skip
        self._counted = counted
        self._seconds = seconds
        self._most = most
        self._waits: dict[Transport, _Wait] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, transport: Transport) -> None:
        """More waits there than a connection holds."""
        loop = asyncio.get_running_loop()
        self._waits[transport] = _Wait(transport.get_write_buffer_size(), loop.time())
        self._make_room(loop.time())
        if self._timer is None and self._waits:
            self._timer = loop.call_later(LOOK_SECONDS, self._look)

    def remove(self, transport: Transport) -> None:
        """It was read, or is gone."""
        self._waits.pop(transport, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._make_room(loop.time())
        self._timer = loop.call_later(LOOK_SECONDS, self._look) if self._waits else None

    def _make_room(self, now: float) -> None:
        total = 0
        for transport, wait in list(self._waits.items()):
            size = transport.get_write_buffer_size()
            if size <= wait.size - LEAST:
                wait.size, wait.since = size, now
            if now - wait.since >= self._seconds:
                self._cut(transport, "slow")
            else:
                total += size
        while total > self._most:
            slowest = min(self._waits, key=lambda each: self._waits[each].since)
            total -= slowest.get_write_buffer_size()
            self._cut(slowest, "full")

    def _cut(self, transport: Transport, reason: Reason) -> None:
        del self._waits[transport]
        self._counted(reason)
        transport.abort()
