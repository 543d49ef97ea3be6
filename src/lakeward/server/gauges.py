"""Gauges: what the workers of one server count together, in one small shared file.

In: answers and batches of one worker. Out: sums over all workers, so that whichever is asked for
`/metrics` tells of all. Each worker writes its own row; a worker that died leaves its counts.

    row (8-byte words): answers by class of status (0 = none, 1xx … 5xx), interactions accepted,
                        rejected, commits, their ns, then commits by BOUNDS, each at most its
                        bound, then connections cut with an answer unread, by CUTS
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Final, get_args

from lakeward.server.unread import Reason

BOUNDS_MS: Final = (1, 2, 5, 10, 20, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
CLASSES: Final = 6
ACCEPTED, REJECTED, COMMITS, COMMIT_NS, BUCKETS = range(CLASSES, CLASSES + 5)
CUTS: Final[tuple[Reason, ...]] = get_args(Reason)
CUT: Final = BUCKETS + len(BOUNDS_MS)
WORDS: Final = CUT + len(CUTS)
ROW: Final = struct.Struct(f"<{WORDS}Q")


class Gauges:
    """One worker's row in the shared file, and the sum of all rows."""

    def __init__(self, path: Path | None, worker: int, workers: int) -> None:
        self._mine = worker * WORDS
        self._workers = workers
        self._map = _shared(path, ROW.size * workers)
        self._words = memoryview(self._map).cast("Q")

    def answered(self, status: int, ns: int) -> None:
        """A request has its answer; 0 when it got none."""
        del ns
        self._words[self._mine + min(status // 100, CLASSES - 1)] += 1

    def taken(self, accepted: int, rejected: int, ns: int) -> None:
        """A batch is durable, `ns` after its body was there."""
        words, mine = self._words, self._mine
        words[mine + ACCEPTED] += accepted
        words[mine + REJECTED] += rejected
        words[mine + COMMITS] += 1
        words[mine + COMMIT_NS] += ns
        for n, bound in enumerate(BOUNDS_MS):
            if ns <= bound * 1_000_000:
                words[mine + BUCKETS + n] += 1
                break

    def cut(self, reason: Reason) -> None:
        """A connection was cut whose client did not read."""
        self._words[self._mine + CUT + CUTS.index(reason)] += 1

    def sums(self) -> list[int]:
        """The words, added over all workers."""
        rows = [ROW.unpack_from(self._map, n * ROW.size) for n in range(self._workers)]
        return [sum(column) for column in zip(*rows, strict=True)]


def _shared(path: Path | None, size: int) -> mmap.mmap:
    """The file's memory; without a file, memory of this process alone."""
    if path is None:
        return mmap.mmap(-1, size)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(fd).st_size < size:
            os.posix_fallocate(fd, 0, size)
        return mmap.mmap(fd, size)
    finally:
        os.close(fd)
