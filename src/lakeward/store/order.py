"""Ids of rows that stand in the order in which they were written.

In: the moment. Out: a UUID of version 7 whose bits below the millisecond are those of the moment,
too (RFC 9562, method 3): 250 ns apart, and later than every id that this process made before. Of
one transaction, and of one clock, rows so come back as they went in.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from typing import Final

STEPS: Final = 4096
"""Of a millisecond."""
BACK: Final = 1000
"""Milliseconds by which a clock may go back without an id going back."""


class Order:
    """The last place that was given away, in steps since 1970."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self, place: int) -> int:
        """A place at or behind this one, which nobody has. A clock that went back by more than a
        second is believed."""
        with self._lock:
            if 0 <= self._last - place < BACK * STEPS:
                place = self._last + 1
            self._last = place
        return place


_order = Order()


def ordered_id(now_ns: int) -> str:
    """The id of what is written now."""
    ms, rest = divmod(now_ns, 1_000_000)
    ms, step = divmod(_order.next(ms * STEPS + rest * STEPS // 1_000_000), STEPS)
    tail = secrets.randbits(62)
    return str(uuid.UUID(int=ms << 80 | 7 << 76 | step << 64 | 2 << 62 | tail))
