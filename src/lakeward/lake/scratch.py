"""A folder for files on their way into the table, which leaves nothing behind.

In: a lake. Out: a folder of one's own under `.lakeward/scratch/`, locked while its process lives.
Who makes one, removes those of the dead: there may be rows of people in them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from uuid_utils import uuid7

from lakeward.lakedir import LakeDir


@contextlib.contextmanager
def scratch(lake: LakeDir) -> Iterator[Path]:
    """A folder that is removed with all that is in it."""
    parent = lake.private / "scratch"
    parent.mkdir(mode=0o700, exist_ok=True)
    sweep(lake)
    hidden = parent / f".{uuid7()}"
    hidden.mkdir(mode=0o700)
    fd = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    path = hidden.with_name(hidden.name[1:])
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.rename(hidden, path)  # nobody sweeps it before it is locked
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(fd)


def sweep(lake: LakeDir) -> None:
    """Remove the folders of processes that are gone."""
    for path in (lake.private / "scratch").glob("[!.]*"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(fd)
