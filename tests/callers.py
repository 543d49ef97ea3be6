"""Clients that call a served application from many threads, and what must be in the lake then."""

from __future__ import annotations

import threading
from collections import Counter

import httpx

from conftest import Lake, wait_until
from servers import Server

PER_CONNECTION = 25


class Callers:
    """Threads that each send distinct calls, and what they got whole."""

    def __init__(self, server: Server, threads: int, calls: int) -> None:
        self.answered: list[tuple[str, int]] = []
        self.failed: list[str] = []
        self._server = server
        self._calls = calls
        self._threads = [threading.Thread(target=self._call, args=(n,)) for n in range(threads)]

    def start(self) -> Callers:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def wait_for(self, more: int) -> None:
        """Until so many more answers have come."""
        goal = len(self.answered) + more
        wait_until(lambda: len(self.answered) >= goal, what=f"{more} more answers")

    def wait(self) -> Callers:
        """Until all have called."""
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()
        return self

    def _call(self, number: int) -> None:
        """Over a few connections, so that several workers serve one caller."""
        for first in range(0, self._calls, PER_CONNECTION):
            with httpx.Client(base_url=self._server.url, timeout=120, verify=False) as client:
                for n in range(first, first + PER_CONNECTION):
                    path = f"/call/{number}/{n}"
                    try:
                        response = client.get(path)
                    except httpx.TransportError:
                        self.failed.append(path)
                    else:
                        assert response.status_code == 200
                        self.answered.append((path, int(response.text)))


def assert_each_recorded_once(lake: Lake, callers: Callers) -> None:
    """Every answered call is in the lake, and none twice; the sum holds."""
    rows = lake.rows()
    paths = Counter(row["path"] for row in rows)
    answered = {path for path, _ in callers.answered}
    assert answered - set(paths) == set()
    assert set(paths) - answered <= set(callers.failed)
    assert set(paths.values()) == {1}
    assert len({row["interaction_id"] for row in rows}) == len(rows)
