"""A file that a command writes for somebody: new, private, whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakeward.errors import Terminal
from lakeward.lakedir import sync_folder


@contextmanager
def fresh(output: Path) -> Iterator[Path]:
    """A file beside `output`, for this user alone, that takes its place once it is whole."""
    if output.exists() or output.is_symlink():
        raise Terminal(f"{output} exists: name a new file")
    aside = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        yield aside
        fd = os.open(aside, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(fd)
        os.close(fd)
        os.link(aside, output)
        sync_folder(output.absolute().parent)
    finally:
        aside.unlink(missing_ok=True)
