"""One client's stream of changes: whether there is something new, and nothing of what it is.

In: where the log's durable end is. Out: bytes, handed to `send`. Ends by being cancelled.

    id: 1-3-52110                     the log's durable end
    event: changed
    data: {}                          at most every two seconds, and once at the beginning, unless
                                      the client has this end already

    : still here                      every ten seconds of silence

A page asks its questions anew when it hears of a change; each of them has an `ETag`. Nothing is
read but the end, so that a hundred open pages cost next to nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from lakeward.errors import LakewardError
from lakeward.log import Position
from lakeward.server.stream import KEEP_ALIVE_SECONDS
from lakeward.server.tail import write_position

PAUSE_SECONDS = 2.0
CHANGED = "id: {}\nevent: changed\ndata: {{}}\n\n"
STILL_HERE = b": still here\n\n"


class Changes:
    """Writes what one client hears."""

    def __init__(
        self,
        end: Callable[[], Position | None],
        after: str,
        send: Callable[[bytes], Awaitable[None]],
        *,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._end, self._told, self._send = end, after, send
        self._keep_alive, self._pause = keep_alive_seconds, pause_seconds

    async def run(self) -> None:
        """Write until cancelled."""
        await self._send(STILL_HERE)  # so that the client knows that it is heard
        spoke = time.monotonic()
        while True:
            end = await self._look()
            if end not in ("", self._told):
                self._told, spoke = end, time.monotonic()
                await self._send(CHANGED.format(end).encode())
            elif time.monotonic() - spoke >= self._keep_alive:
                spoke = time.monotonic()
                await self._send(STILL_HERE)
            await asyncio.sleep(min(self._pause, self._keep_alive))

    async def _look(self) -> str:
        """The end; empty while it cannot be read, which the questions' answers will say."""
        try:
            end = await asyncio.to_thread(self._end)
        except (OSError, LakewardError):
            return ""
        return "" if end is None else write_position(end)
