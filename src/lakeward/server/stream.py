"""One client's stream of server-sent events, from the feed to the socket.

In: a feed, a sieve, a place to go on from. Out: bytes, handed to `send`, which may wait for a slow
client: meanwhile the watcher counts and forgets. Ends by being cancelled.

    id: 1-3-52110                     the position behind the last record counted
    event: batch
    data: {"rows":[…],"seen":40,"matched":12,"backlog":false}

    event: skipped                    before a batch: matching records that are counted, not shown
    data: {"n":1200,"why":"burst"}    "slow" when the client was the reason

    event: hour                       the hour, or the minutes of it that changed
    data: {"hour":{…},"rate":42.1,"online":{…},"lit":[…],"loading":false,"cut":false,"trouble":""}

    event: reset                      forget what you have: the log is another one, or too far ahead
    data: {"why":"epoch"}             or "position"

    : still here                      every ten seconds of silence
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from lakeward.errors import LakewardError
from lakeward.log import Position
from lakeward.server.feed import Batch, Feed, Watcher, newest
from lakeward.server.glance import glance
from lakeward.server.hour import first_minute
from lakeward.server.sieve import Sieve
from lakeward.server.tail import Block, Entry, write_position

BATCH_SECONDS, HOUR_SECONDS, KEEP_ALIVE_SECONDS = 0.25, 1.0, 10.0
SLOW_SECONDS = 0.5
BACKLOG_ROWS, BACKLOG_BYTES = 100, 4 << 20
RESUME_BYTES, RESUME_BLOCK = 4 << 20, 64 << 10

Send = Callable[[bytes], Awaitable[None]]


class Stream:
    """Writes what one client watches."""

    def __init__(
        self,
        feed: Feed,
        sieve: Sieve,
        after: Position | None,
        send: Send,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        self._feed, self._sieve, self._after = feed, sieve, after
        self._send_bytes, self._keep_alive = send, keep_alive_seconds
        self._watcher = Watcher(sieve)
        self._version = 0
        self._stack: list[str] = []
        self._said: tuple[Any, ...] = ()
        self._slow = False

    async def run(self) -> None:
        """Write until cancelled."""
        try:
            await self._feed.ready()
            await self._begin()
            await self._follow()
        finally:
            self._feed.detach(self._watcher)

    async def _begin(self) -> None:
        """Go on where the client was, or show the newest records."""
        if self._after is not None:
            if await self._can_resume(self._after) and await self._resume(self._after):
                await self._hour()
                return
            await self._event("reset", {"why": "position"})
        self._feed.attach(self._watcher)
        head = self._watcher.position  # taken before any wait: what comes behind it is offered
        await self._hour()
        await self._backlog(head)

    async def _can_resume(self, after: Position) -> bool:
        tail, head = self._feed.tail, self._feed.head
        with contextlib.suppress(OSError, LakewardError):
            if await asyncio.to_thread(tail.holds, after, head):
                return await asyncio.to_thread(tail.between, after, head) <= RESUME_BYTES
        return False

    async def _resume(self, after: Position) -> bool:
        """Send every record behind `after` until the feed's head is reached; False when it runs
        away or is another log's."""
        feed, position, read = self._feed, after, 0
        while position != feed.head:
            if position.epoch != feed.head.epoch or read > 2 * RESUME_BYTES:
                return False
            block = await asyncio.to_thread(feed.tail.read, position, feed.head, RESUME_BLOCK)
            read, position = read + RESUME_BLOCK, block.end
            if block.rows:
                await self._batch(_all_of(block, self._sieve))
        feed.attach(self._watcher)
        return True

    async def _backlog(self, head: Position) -> None:
        size = BACKLOG_BYTES if not self._sieve.open else BACKLOG_BYTES // 4
        entries: list[Entry] = []
        with contextlib.suppress(OSError, LakewardError):  # the feed says so, and begins anew
            entries = await asyncio.to_thread(
                newest, self._feed.tail, head, self._sieve, BACKLOG_ROWS, size
            )
        await self._batch(Batch(entries, 0, len(entries), head), backlog=True)

    async def _follow(self) -> None:
        """Batches as they come, at most four a second; the hour once a second; else a comment."""
        watcher, now = self._watcher, time.monotonic()
        batch_at, hour_at, comment_at = now, now + HOUR_SECONDS, now + self._keep_alive
        while True:
            now = time.monotonic()
            if watcher.restarted:
                await self._restart()
            if now >= batch_at and watcher.wake.is_set():
                watcher.wake.clear()
                if (batch := watcher.take()) is not None:
                    await self._batch(batch)
                    batch_at, comment_at = now + BATCH_SECONDS, now + self._keep_alive
            if now >= hour_at:
                hour_at = now + HOUR_SECONDS
                if await self._hour():
                    comment_at = now + self._keep_alive
            if now >= comment_at:
                comment_at = now + self._keep_alive
                await self._send(b": still here\n\n")
            await self._rest(min(hour_at, comment_at), batch_at)

    async def _rest(self, until: float, batch_at: float) -> None:
        """Sleep until something is due; a record that arrives wakes up, not before `batch_at`."""
        now = time.monotonic()
        if batch_at > now:
            await asyncio.sleep(min(batch_at, until) - now if until > now else 0)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(until - now, 0)):
                await self._watcher.wake.wait()

    async def _restart(self) -> None:
        self._watcher.restarted = False
        self._watcher.take()
        head = self._watcher.position
        self._version, self._stack = 0, []
        await self._event("reset", {"why": "epoch"})
        await self._hour()
        await self._backlog(head)

    async def _batch(self, batch: Batch, *, backlog: bool = False) -> None:
        if batch.hidden:
            why = "slow" if self._slow else "burst"
            self._slow = False
            await self._event("skipped", {"n": batch.hidden, "why": why})
        rows = [glance(entry) for entry in batch.entries]
        data = {"rows": rows, "seen": batch.seen, "matched": batch.matched, "backlog": backlog}
        await self._event("batch", data, write_position(batch.end))

    async def _hour(self) -> bool:
        """Send what changed of the hour since the last time; whether anything did."""
        feed, sieve = self._feed, self._sieve
        rate = self._watcher.rate()
        online, lit = feed.online.snapshot(feed.now_ms), feed.lights.snapshot()
        said = (feed.hour.version, first_minute(feed.now_ms), rate, online, lit, feed.loading,
                feed.cut, feed.trouble)  # fmt: skip
        if said == self._said:
            return False
        self._said = said
        hour = feed.hour.snapshot(feed.now_ms, sieve.types, sieve.route, self._version, self._stack)
        self._version, self._stack = feed.hour.version, hour.stack
        await self._event(
            "hour",
            {"hour": hour, "rate": rate, "online": online, "lit": lit, "loading": feed.loading,
             "cut": feed.cut, "trouble": feed.trouble},
        )  # fmt: skip
        return True

    async def _event(self, name: str, data: dict[str, Any], id_: str = "") -> None:
        """One event; JSON has no line feeds, so it is one line of data."""
        head = f"id: {id_}\n" if id_ else ""
        content = msgspec.json.encode(data)
        await self._send(f"{head}event: {name}\ndata: ".encode() + content + b"\n\n")

    async def _send(self, content: bytes) -> None:
        started = time.monotonic()
        await self._send_bytes(content)
        self._slow = self._slow or time.monotonic() - started > SLOW_SECONDS


def _all_of(block: Block, sieve: Sieve) -> Batch:
    """A batch with everything of a block that passes."""
    kept = [entry for entry in block.rows if sieve.keeps(entry)]
    return Batch(kept, len(block.rows), len(kept), block.end)
