"""A file on its way in: pieces are appended, and count once they are on the disk.

In: an upload's id, where it goes on, bytes. Out: how many are safe. Fails with `InUse` while
somebody else writes to it, `Full` when the disk takes no more, and `Lost` when fewer bytes are
there than were safe.

    <private>/demos/unfinished/<upload id>     mode 0600, locked by whoever writes

What came after the last `sync` is cut off when somebody goes on: only what was told is counted on.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final, Self

from lakeward.errors import LakewardError, Terminal
from lakeward.lakedir import LakeDir, make_folders, write_all

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PIECE: Final = 1 << 20
LEFT_FREE: Final = 64 << 20
"""What an upload leaves of the disk for the lake itself."""
YOUNG_SECONDS: Final = 3600.0


class InUse(LakewardError):
    """Another request writes to this upload."""


class Full(LakewardError):
    """The disk has no room for it."""


class Lost(Terminal):
    """Bytes that were safe are not there any more."""


def folder_of(lake: LakeDir) -> Path:
    """Where uploads of this lake grow."""
    return lake.private / "demos" / "unfinished"


class Partial:
    """The file of one upload, locked until it is closed; `size` bytes are in it. Who has the lock
    asks the app database how many are safe, and begins there; `unsafe` came after the last `sync`.
    """

    def __init__(self, folder: Path, upload_id: str) -> None:
        make_folders(folder, 0o700)
        self.path = folder / upload_id
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = -1
        try:
            self._fd = os.open(self.path, flags, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.size = os.fstat(self._fd).st_size
            self.unsafe = 0
        except BlockingIOError:
            self.close()
            raise InUse("another request sends to this upload: wait for its end") from None
        except BaseException as error:
            self.close()
            raise _full(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, received: int) -> None:
        """Go on after so many bytes; what came after them is not counted on."""
        found = os.fstat(self._fd)
        if found.st_size < received:
            raise Lost("a part of the upload is lost: begin it once more")
        if found.st_nlink > 1:
            self._copied(received)
        self._cut(received)

    def write(self, content: bytes) -> None:
        """Append; what did not fit whole is cut off again."""
        try:
            write_all(self._fd, content)
        except OSError as error:
            self._cut(self.size)
            raise _full(error) from None
        self.size += len(content)
        self.unsafe += len(content)

    def sync(self) -> int:
        """Make all that was written safe; how many bytes that is."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise _full(error) from None
        self.unsafe = 0
        return self.size

    def digest(self) -> str:
        """The SHA-256 of all of it, read in pieces."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def unlink(self) -> None:
        """Remove the file while it is locked, so that nobody goes on with it."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others write."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _copied(self, size: int) -> None:
        """A file that was kept under its hash already, before somebody was killed, is not to be
        written to any more: go on in a copy."""
        copy = self.path.with_name(f".{self.path.name}")
        fd = os.open(copy, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with self.path.open("rb") as source, os.fdopen(os.dup(fd), "wb") as target:
            while size > 0 and (piece := source.read(min(PIECE, size))):
                size -= target.write(piece)
        os.fsync(fd)
        os.rename(copy, self.path)
        os.close(self._fd)
        self._fd = fd

    def _cut(self, size: int) -> None:
        os.ftruncate(self._fd, size)
        os.lseek(self._fd, size, os.SEEK_SET)
        self.size = size
        self.unsafe = 0


def has_room(folder: Path, size: int) -> bool:
    """Whether the disk could take so much now, and the lake go on."""
    make_folders(folder, 0o700)
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >= size + min(
        LEFT_FREE, disk.f_blocks * disk.f_frsize // 8
    )


def sweep(folder: Path, wanted: Collection[str]) -> int:
    """Remove files of uploads that are over; how many. A young one may be of an upload that began
    after `wanted` was asked for, and a locked one is being written."""
    removed = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name in wanted or time.time() - path.stat().st_mtime < YOUNG_SECONDS:
            continue
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            removed += 1
        except BlockingIOError:
            continue
        finally:
            os.close(fd)
    return removed


def _full(error: BaseException) -> BaseException:
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return Full("the disk has no room for the upload: try later, or ask an admin for room")
    return error
