"""Rates: how often one client may come, counted by all workers of a server together.

In: who asks, how much, and how much a second is allowed. Out: 0, or the seconds until there is
room. Never fails and never grows: a table of fixed size in shared memory, in which each client has
a slot by a keyed hash of its name. Two that share a slot share what is allowed: of 10,000 active
ones a hundredth do.

    slot (8 bytes)   when all that was taken so far has been allowed for, in ns of the monotonic
                     clock (the "theoretical arrival time" of GCRA, ITU-T I.371); 0: never seen
"""

from __future__ import annotations

import ipaddress
import mmap
import os
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Final

SLOTS: Final = 1 << 20
BURST_NS: Final = 10 * 1_000_000_000
"""What may be taken at once: as much as is allowed in this time."""


class Rates:
    """The table. Workers write it without a lock: a race lets one request too many through."""

    def __init__(
        self, path: Path | None, secret: bytes, now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._secret = secret[:64]
        self._now_ns = now_ns
        size = SLOTS * 8
        if path is None:
            self._map = mmap.mmap(-1, size)
        else:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                if os.fstat(fd).st_size < size:
                    os.ftruncate(fd, size)  # sparse: a page is there once a client is in it
                self._map = mmap.mmap(fd, size)
            finally:
                os.close(fd)
        self._slots = memoryview(self._map).cast("Q")

    def take(self, who: str, amount: int, per_second: int) -> float:
        """Let `who` take an amount when it has not taken too much; else the seconds to wait.

        What is larger than all that is left is allowed, and has to be waited for afterwards, so
        that a large batch gets through at all.
        """
        if per_second <= 0:
            return 0.0
        digest = blake2b(who.encode("utf-8", "replace"), digest_size=8, key=self._secret).digest()
        slot = int.from_bytes(digest) % SLOTS
        now = self._now_ns()
        due = self._slots[slot]
        if due > now + 86_400 * 10**9:  # of a clock that is not this one
            due = 0
        ahead = max(due - now, 0)
        if ahead >= BURST_NS:
            return (ahead - BURST_NS) / 1e9 + 0.001
        self._slots[slot] = now + ahead + amount * 1_000_000_000 // per_second
        return 0.0


def group(address: str | None) -> str | None:
    """The name under which an address is counted: an IPv6 host is its /64; None: not counted,
    because it is this machine's, or none."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        elif not parsed.is_loopback:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
    return None if parsed.is_loopback else str(parsed)
