"""The feed: follows the log while somebody watches, and hands each watcher what passes its sieve.

In: the log, read as it grows. Out: for each `Watcher` exact counts and the newest records that are
not sent yet; for all of them the last `Hour`, who is `Online` and which
routes are lit. Runs on one event loop, reads in threads.

Nothing is kept beyond its bound: a watcher holds the newest 200 records, or 2 MiB of them, and
counts the rest. So a burst shows a sample and exact numbers, and a client that reads slowly misses
records and is told how many. With nobody watching, nothing runs; the next watcher makes the hour
whole again from the end of the log.

A failing disk is `trouble`, one sentence for the page, and another try.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable

import msgspec

from lakeward.errors import LakewardError, Unreadable
from lakeward.lakedir import LakeDir
from lakeward.log import Position
from lakeward.server.hour import MINUTE, MINUTES, Hour
from lakeward.server.lit import Lights
from lakeward.server.online import Online, Visitors
from lakeward.server.sieve import Sieve
from lakeward.server.tail import NOWHERE, Block, Entry, Tail

logger = logging.getLogger("lakeward.server")

POLL_SECONDS = 0.1
LINGER_SECONDS = 30.0
HOUR_BYTES = 256 << 20
MOST_ROWS, MOST_BYTES = 200, 2 << 20
RATE_SECONDS = 10
COMPLAIN_SECONDS = 60.0
TORN_LOOKS = 10


class Batch(msgspec.Struct, frozen=True):
    """What a watcher is owed: the newest records, and how many there were in truth."""

    entries: list[Entry]
    seen: int
    matched: int
    end: Position

    @property
    def hidden(self) -> int:
        """Matching records that are counted and not among the entries."""
        return self.matched - len(self.entries)


class Watcher:
    """One stream's share of the feed."""

    def __init__(
        self,
        sieve: Sieve,
        most: int = MOST_ROWS,
        most_bytes: int = MOST_BYTES,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sieve = sieve
        self.wake = asyncio.Event()
        self.restarted = False
        self.position = NOWHERE
        self._most, self._most_bytes, self._now = most, most_bytes, now
        self._entries: deque[Entry] = deque()
        self._bytes = self._seen = self._matched = 0
        self._rates: deque[tuple[float, int]] = deque()

    def offer(self, block: Block) -> None:
        """Take in a block: count all of it, keep the newest of what passes."""
        sieve = self.sieve
        kept = block.rows if sieve.open else [e for e in block.rows if sieve.keeps(e)]
        self._seen += len(block.rows)
        self._matched += len(kept)
        for entry in kept[-self._most :]:
            self._entries.append(entry)
            self._bytes += len(entry.line)
        while len(self._entries) > self._most or (
            self._bytes > self._most_bytes and len(self._entries) > 1
        ):
            self._bytes -= len(self._entries.popleft().line)
        self.position = block.end
        if kept:
            self._count(len(kept))
        if block.rows:
            self.wake.set()

    def take(self) -> Batch | None:
        """What is owed since the last call, None when nothing came."""
        if not self._seen:
            return None
        batch = Batch(list(self._entries), self._seen, self._matched, self.position)
        self._entries.clear()
        self._bytes = self._seen = self._matched = 0
        return batch

    def restart(self, position: Position) -> None:
        """The log's past has changed: what was not sent is void."""
        self.take()
        self.position, self.restarted = position, True
        self.wake.set()

    def rate(self) -> float:
        """Matching records a second, over the last ten seconds."""
        self._count(0)
        return round(sum(n for _, n in self._rates) / RATE_SECONDS, 1)

    def _count(self, n: int) -> None:
        now = self._now()
        if n:
            self._rates.append((now, n))
        while self._rates and self._rates[0][0] < now - RATE_SECONDS:
            self._rates.popleft()


class Feed:
    """Follows one lake's log for all watchers of this process."""

    def __init__(
        self,
        lake: LakeDir,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        poll_seconds: float = POLL_SECONDS,
        linger_seconds: float = LINGER_SECONDS,
        hour_bytes: int = HOUR_BYTES,
        internal: Collection[str] = (),
    ) -> None:
        self.tail = Tail(lake)
        self.hour, self.online, self.lights = Hour(), Online(), Lights()
        self._visitors = Visitors(internal)
        self._telling = asyncio.Lock()
        self.head = NOWHERE
        self.trouble = ""
        self.cut = False
        self.watchers: set[Watcher] = set()
        self._now_ns = now_ns
        self._poll, self._linger, self._hour_bytes = poll_seconds, linger_seconds, hour_bytes
        self._known = asyncio.Event()
        self._looking = asyncio.Lock()
        self._begun = False
        self._task: asyncio.Task[None] | None = None
        self._loaders: set[asyncio.Task[None]] = set()
        self._wanted = 0.0
        self._replaced = self._torn = 0
        self._complained = float("-inf")

    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return self._now_ns() // 1_000_000

    @property
    def loading(self) -> bool:
        """Whether part of the hour is still being read."""
        return bool(self._loaders)

    async def ready(self) -> None:
        """Follow, unless it is followed already; returns once all that is durable now is seen."""
        self._wanted = time.monotonic()
        if self._task is None or self._task.done():
            self._known.clear()
            self._begun = False
            self._task = asyncio.create_task(self._run())
        await self._known.wait()
        await self._look()

    async def whole(self, seconds: float) -> None:
        """Wait until the hour is read, at most so long."""
        if self._loaders:
            await asyncio.wait(set(self._loaders), timeout=seconds)

    def attach(self, watcher: Watcher) -> None:
        """Hand the watcher everything behind the head from now on."""
        watcher.position = self.head
        self.watchers.add(watcher)

    def detach(self, watcher: Watcher) -> None:
        """The watcher has left."""
        self.watchers.discard(watcher)
        self._wanted = time.monotonic()

    def stop(self) -> None:
        """End everything at once."""
        for task in (self._task, *self._loaders):
            if task is not None:
                task.cancel()

    async def _run(self) -> None:
        while self.watchers or time.monotonic() - self._wanted < self._linger:
            await self._look()
            await asyncio.sleep(self._poll)

    async def _look(self) -> None:
        """One look at the log; whoever asks for one waits for those before."""
        async with self._looking:
            try:
                await self._step()
                self.trouble = ""
            except (OSError, LakewardError) as error:
                self._complain(error)
                self._known.set()

    async def _step(self) -> None:
        end = await asyncio.to_thread(self.tail.end)
        if end is None:
            self._torn += 1
            if self._torn >= TORN_LOOKS:
                raise Unreadable("`published` is damaged: start the keeper")
            return
        self._torn = 0
        if not self._begun:
            await self._begin(end)
        elif self._past_changed(end):
            await self._renew(end)
        elif self.head == NOWHERE and end != NOWHERE:
            self.head = Position(end.epoch)
        while self.head != end:
            block = await asyncio.to_thread(self.tail.read, self.head, end)
            self.head = block.end
            self._count_rows(block, self.hour)
            self.lights.add(entry.row for entry in block.rows)
            for watcher in self.watchers:
                watcher.offer(block)
            await self._count_people(block, self.online)

    def _past_changed(self, end: Position) -> bool:
        """Whether the end is of another log than the head: replaced, of another epoch, shorter."""
        replaced, self._replaced = self._replaced != self.tail.replaced, self.tail.replaced
        if self.head == NOWHERE:
            return False
        before = (self.head.segment, self.head.offset)
        return replaced or end.epoch != self.head.epoch or (end.segment, end.offset) < before

    async def _begin(self, end: Position) -> None:
        """Nobody watched until now: the hour lacks what came since the head, or all of it."""
        start, head = self.head, self.head
        if head == NOWHERE or self._past_changed(end):
            await self._renew(end)
        else:
            if await asyncio.to_thread(self.tail.between, start, end) > self._hour_bytes:
                await self._renew(end)
            else:
                self.head = end
                self._load(start, end)
        self._begun = True
        self._known.set()

    async def _renew(self, end: Position) -> None:
        """Begin anew at `end`: another hour, and word to every watcher."""
        self.tail.forget()
        self.hour, self.online = Hour(), Online()
        self._replaced = self.tail.replaced
        since = self.now_ms / 1000 - MINUTES * MINUTE / 1000
        start, self.cut = await asyncio.to_thread(self.tail.before, end, self._hour_bytes, since)
        self.head = end
        self._load(start, end)
        for watcher in self.watchers:
            watcher.restart(end)

    def _load(self, start: Position, end: Position) -> None:
        loader = asyncio.create_task(self._count(start, end, self.hour, self.online))
        self._loaders.add(loader)
        loader.add_done_callback(self._loaders.discard)

    async def _count(self, start: Position, end: Position, hour: Hour, online: Online) -> None:
        """Count what lies between two positions into the hour, block by block."""
        try:
            while start != end and hour is self.hour:
                block = await asyncio.to_thread(self.tail.read, start, end)
                self._count_rows(block, hour)
                await self._count_people(block, online)
                start = block.end
        except (OSError, LakewardError) as error:
            self._complain(error)
            self.cut = True

    def _count_rows(self, block: Block, hour: Hour) -> None:
        hour.add((entry.row for entry in block.rows), self.now_ms)

    async def _count_people(self, block: Block, online: Online) -> None:
        """In a thread, as agents are looked up in long lists; one at a time."""
        async with self._telling:
            seen = await asyncio.to_thread(self._visitors.of, [entry.row for entry in block.rows])
        online.add(seen, self.now_ms)

    def _complain(self, error: Exception) -> None:
        """A sentence for the page, and for our log at most once a minute."""
        said = error.strerror if isinstance(error, OSError) else str(error)
        self.trouble = f"the log cannot be read ({said}): trying again"
        now = time.monotonic()
        if now - self._complained > COMPLAIN_SECONDS:
            self._complained = now
            logger.warning("%s", self.trouble)


def newest(tail: Tail, end: Position, sieve: Sieve, most: int, size: int) -> list[Entry]:
    """The newest matching records before `end`, oldest first, from the last `size` bytes."""
    found: deque[Entry] = deque(maxlen=most)
    for block in blocks(tail, tail.before(end, size)[0], end):
        found.extend(entry for entry in block.rows if sieve.keeps(entry))
    return list(found)


def blocks(tail: Tail, start: Position, end: Position) -> Iterable[Block]:
    """All blocks between two positions."""
    while start != end:
        block = tail.read(start, end)
        yield block
        start = block.end
