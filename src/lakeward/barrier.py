"""The barrier between deliveries and erases: once an erase is through, no delivery that began
before it is still under way.

In: a lake. Out: a lock held while a follower takes lines from the log, delivers them and moves its
cursor, or while the table gets a commit; and one that waits for all of those to end. Who delivers
again afterwards reads a log without the person.

    .lakeward/erase.lock   shared by deliveries, exclusive for an erase
    .lakeward/erase.turn   passed through by both: an erase that waits lets no new delivery begin,
                           so a stream of short deliveries cannot keep it waiting for ever
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from lakeward.lakedir import LakeDir


@contextmanager
def delivering(lake: LakeDir) -> Iterator[None]:
    """Hold this from the reading of lines until what was made of them is settled."""
    with _locked(lake, "erase.turn", fcntl.LOCK_SH) as turn:
        lock = _open(lake, "erase.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            fcntl.flock(turn, fcntl.LOCK_UN)
            yield
        finally:
            os.close(lock)


@contextmanager
def erasing(lake: LakeDir) -> Iterator[None]:
    """Wait until every delivery that began before has ended; none begins while this is held."""
    with _locked(lake, "erase.turn", fcntl.LOCK_EX), _locked(lake, "erase.lock", fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(lake: LakeDir, name: str, how: int) -> Iterator[int]:
    fd = _open(lake, name)
    try:
        fcntl.flock(fd, how)
        yield fd
    finally:
        os.close(fd)


def _open(lake: LakeDir, name: str) -> int:
    return os.open(lake.private / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
