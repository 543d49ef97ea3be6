"""One lake, one keeper: the lock file in the lake's private folder, and what stands in it.

In: a lake. Out: an open descriptor that holds the lock for as long as it is open. Fails with
`LakeBusy` when another keeper holds it, and with OSError where the file cannot be made.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lakeward.errors import LakeBusy
from lakeward.lakedir import LakeDir
from lakeward.version import VERSION


@contextmanager
def alone(lake: LakeDir, name: str) -> Iterator[None]:
    """Hold the lake's lock of that name; wait for whoever holds it."""
    fd = os.open(lake.private / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


class Bearing(msgspec.Struct, frozen=True):
    """What stands in the lock file: who keeps the lake, for people and for hand-over."""

    pid: int
    version: str
    mode: str
    ring_dir: str


def sign(lock: int, mode: str, ring_dir: str) -> None:
    """Write into the held lock file who holds it."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, msgspec.json.encode(Bearing(os.getpid(), VERSION, mode, ring_dir)), 0)


def version_key(version: str) -> tuple[int, ...]:
    """A version's numbers, for comparing."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def take_lock(lake: LakeDir, wait: float) -> int:
    """The lake's one keeper lock; LakeBusy after `wait` seconds."""
    deadline = time.monotonic() + wait
    fd = os.open(lake.private / "keeper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except OSError:
            if time.monotonic() >= deadline:
                holder = os.pread(fd, 512, 0).decode("utf-8", "replace")
                os.close(fd)
                raise LakeBusy(f"another keeper holds {lake.root}: {holder}") from None
        time.sleep(0.02)


def is_kept(lake: LakeDir) -> bool:
    """Whether some process holds the keeper lock just now."""
    try:
        fd = os.open(lake.private / "keeper.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(fd)


def take_rings(ring_dir: Path) -> int:
    """Lock the ring folder: a copy of a lake has the original's id and so its folder, and must
    not drain the original's rings."""
    fd = os.open(ring_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise LakeBusy(
            f"the rings in {ring_dir} are kept for another folder: give this lake its own "
            "LAKEWARD_RING_DIR"
        ) from None
    return fd


def close_lock(fd: int) -> int:
    """Close a lock that may not be held; returns what stands for none."""
    if fd >= 0:
        os.close(fd)
    return -1
