"""A first form of what is to come."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from lakeward.lakedir import LakeDir


@contextmanager
def delivering(lake: LakeDir) -> Iterator[None]:
    """A first form."""
    with _held(lake, fcntl.LOCK_SH):
        yield


@contextmanager
def erasing(lake: LakeDir) -> Iterator[None]:
    """A first form."""
    with _held(lake, fcntl.LOCK_EX):
        yield


@contextmanager
def _held(lake: LakeDir, how: int) -> Iterator[None]:
    fd = os.open(lake.private / "erase.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)
