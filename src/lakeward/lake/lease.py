"""Who reads which files of the table on this machine, so that nobody deletes them meanwhile.

In: names of files. Out: `.lakeward/readers/<uuid>`, a file that lists them and is locked while its
process lives. A lease is made before the snapshot is looked at a second time: whoever removes a
file from the table later, sees the lease; who did it before, is seen by the second look.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from uuid_utils import uuid7

from lakeward.lake.delta import Snapshot, Table
from lakeward.lakedir import LakeDir, write_all


class Lease:
    """A promise that someone reads these files; it ends with the process, whatever ends that."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._path = folder / str(uuid7())
        # Under a hidden name until it is locked: whoever looks would take it for one of the dead.
        hidden = self._path.with_name(f".{self._path.name}")
        self._fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        write_all(self._fd, "\n".join(names).encode())
        os.rename(hidden, self._path)

    def close(self) -> None:
        """End it."""
        self._path.unlink(missing_ok=True)
        os.close(self._fd)


def leased(lake: LakeDir, table: Table) -> tuple[Snapshot, Lease]:
    """A snapshot whose files stay: looked at again after the lease was made, as a file may have
    been deleted in between."""
    snapshot = table.snapshot()
    while True:
        lease = Lease(lake.private / "readers", snapshot.files)
        again = table.snapshot()
        if again.version == snapshot.version:
            return snapshot, lease
        lease.close()
        snapshot = again


def leases(lake: LakeDir) -> set[str]:
    """Files that someone on this machine reads now; leases of the dead are removed."""
    names: set[str] = set()
    for path in (lake.private / "readers").glob("[!.]*"):
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
            except BlockingIOError:
                names.update(path.read_text().split("\n"))
            finally:
                os.close(fd)
    return names
