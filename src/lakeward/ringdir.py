"""Where the rings of a lake stand: shared memory where there is some, else the lake's own disk.

In: a lake and the setting. Out: folders that belong to this user and to nobody else. Fails with
`Terminal` for a folder that is a link, someone else's or on a network file system.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lakeward.errors import Terminal
from lakeward.lakedir import LakeDir, refuse_network_file_system

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of ours inside, mode 0700, checked


def ring_folder(lake: LakeDir, configured: Path | None) -> Path:
    """The folder for rings, created private; falls back to the disk where no memory is shared."""
    if configured is not None:
        refuse_network_file_system(configured)
        return private_folder(configured)
    if os.path.ismount(SHARED_MEMORY) and os.access(SHARED_MEMORY, os.W_OK):
        mine = private_folder(SHARED_MEMORY / f"lakeward-{os.getuid()}")
        return private_folder(mine / lake.identity.lake_id)
    return private_folder(disk_folder(lake))


def disk_folder(lake: LakeDir) -> Path:
    """Rings on the lake's disk: used where shared memory is absent or too small."""
    return lake.private / "rings"


def private_folder(path: Path) -> Path:
    """Make `path` with mode 0700 and make sure that it is a folder of ours and not a link."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise Terminal(f"{path} is not a folder: remove it or set LAKEWARD_RING_DIR") from None
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise Terminal(f"{path} is a link and is not trusted: remove it or set LAKEWARD_RING_DIR")
    if found.st_uid != os.getuid():
        raise Terminal(f"{path} belongs to another user: remove it or set LAKEWARD_RING_DIR")
    if found.st_mode & 0o077:
        os.chmod(path, 0o700)
    return path


def known_folders(lake: LakeDir, configured: Path | None) -> tuple[Path, ...]:
    """Every folder in which rings of this lake may stand; nothing is created."""
    shared = SHARED_MEMORY / f"lakeward-{os.getuid()}" / lake.identity.lake_id
    first = configured if configured is not None else shared
    return tuple(path for path in dict.fromkeys((first, disk_folder(lake))) if path.is_dir())
