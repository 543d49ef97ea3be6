"""Turns: a few places that many want, shared fairly among who asks.

In: who wants a place. Out: a place, in turns: those who wait are served one after the other,
however many times each of them asks. Says no to one who waits for too many, and to all while too
many wait.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque


class Turns:
    """Places of one worker, on its event loop."""

    def __init__(self, places: int, *, most: int, each: int) -> None:
        self._free = places
        self._most = most
        self._each = each
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """Who waits, whose turn is next first."""
        self._asked: Counter[str] = Counter()
        """What each one waits for or has."""

    def admits(self, who: str) -> bool:
        """Whether one may ask for another place."""
        return self._asked[who] < self._each and self._asked.total() < self._most

    @property
    def idle(self) -> bool:
        """Whether nobody has or wants a place."""
        return not self._asked

    def ask(self, who: str) -> asyncio.Future[None]:
        """A place, once the future is done; it is to be given back by `give`."""
        self._asked[who] += 1
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._free:
            self._free -= 1
            place.set_result(None)
        else:
            self.join(who, place)
        return place

    def join(self, who: str, place: asyncio.Future[None]) -> None:
        """Wait in somebody else's turn, too: whosever is first."""
        if not place.done():
            self._queues.setdefault(who, deque()).append(place)

    def give(self, who: str, place: asyncio.Future[None]) -> None:
        """Give back what `who` asked for, or wait for it no longer."""
        self._asked -= Counter({who: 1})
        if not place.done() or place.cancelled():
            place.cancel()
            return
        while self._queues:
            first = next(iter(self._queues))
            queue = self._queues.pop(first)
            following = queue.popleft()
            if following.done():  # its turn came in another queue, or it left
                if queue:
                    self._queues = {first: queue} | self._queues
                continue
            if queue:
                self._queues[first] = queue
            following.set_result(None)
            return
        self._free += 1
