"""Routes that are lit: how often each was called in the last ten seconds.

In: rows, as they arrive. Out: rates, the largest first. Never fails.

What counts is when a row was read here, not the time that it tells of: a route lights up when
something happens. Bounded: 200 routes a second, what is beyond goes to `(other)`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from lakeward.server.hour import OTHER, is_error, route_of
from lakeward.server.tail import Row

SECONDS: Final = 10
MOST, LISTED = 200, 12


class Lit(msgspec.Struct, frozen=True):
    """A route: calls a second, and how many of ten seconds failed; `share` is of the busiest."""

    route: str
    rate: float
    errors: int
    share: float


class Lights:
    """Counts of the last ten seconds, by the second."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seconds: deque[tuple[int, dict[str, list[int]]]] = deque()

    def add(self, rows: Iterable[Row]) -> None:
        """Count rows that have a route, or a path."""
        counts = self._running()
        for row in rows:
            route = route_of(row)
            if not route:
                continue
            if route not in counts and len(counts) >= MOST:
                route = OTHER
            count = counts.setdefault(route, [0, 0])
            count[0] += 1
            count[1] += is_error(row)

    def _running(self) -> dict[str, list[int]]:
        second = int(self._now())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, {}))
        self._expire()
        return self._seconds[-1][1]

    def _expire(self) -> None:
        oldest = int(self._now()) - SECONDS
        while self._seconds and self._seconds[0][0] <= oldest:
            self._seconds.popleft()

    def snapshot(self) -> list[Lit]:
        """The busiest routes of the last ten seconds."""
        self._expire()
        sums: dict[str, list[int]] = {}
        for _, counts in self._seconds:
            for route, (n, errors) in counts.items():
                total = sums.setdefault(route, [0, 0])
                total[0] += n
                total[1] += errors
        ranked = sorted(sums.items(), key=lambda item: (item[0] == OTHER, -item[1][0], item[0]))
        most = max((n for n, _ in sums.values()), default=1)
        return [
            Lit(route, round(n / SECONDS, 1), errors, round(n / most, 4))
            for route, (n, errors) in ranked[:LISTED]
        ]
