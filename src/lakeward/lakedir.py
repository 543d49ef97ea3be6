"""The lake's folder: who it is (id, epoch) and where its files stand.

In: a path. Out: a `LakeDir` with the identity from `.lakeward/lake.json`, created once and
atomically, so that processes racing to be first agree. Fails with `Terminal` for a network file
system or a file of another version, and with OSError when the disk says no.

    data-lake/raw/year=2025/month=08/day=14/daily_summary.jsonl    the log, open to any reader
    data-lake/quarantine/year=…/month=…/day=…/quarantine.jsonl     what could not be delivered
    data-lake/.lakeward/lake.json                                  {"format":1,"lake_id":…,…}
    data-lake/.lakeward/{segments.jsonl,published,ledger.jsonl,keeper.lock,keeper.log,collectors/}
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from uuid_utils import uuid7

from lakeward.errors import Terminal, Unreadable

FORMAT = 1
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph"})


class Identity(msgspec.Struct, frozen=True):
    """Content of `lake.json`. The epoch rises when the log's past is not what it was."""

    format: int
    lake_id: str
    epoch: int


_decode_identity = msgspec.json.Decoder(Identity).decode


class LakeDir(msgspec.Struct, frozen=True):
    """Paths of one lake together with its identity."""

    root: Path
    identity: Identity

    @property
    def private(self) -> Path:
        """The folder that only Lakeward reads."""
        return self.root / ".lakeward"

    @property
    def collectors(self) -> Path:
        """One registration file for each process that records."""
        return self.private / "collectors"

    def with_epoch(self, epoch: int) -> LakeDir:
        """Store a higher epoch durably and return the folder under it."""
        identity = msgspec.structs.replace(self.identity, epoch=epoch)
        replace_file(self.private / "lake.json", msgspec.json.encode(identity) + b"\n")
        return LakeDir(self.root, identity)


def open_lake(root: Path, *, create: bool = True) -> LakeDir:
    """The lake at `root`; made when absent and `create`, else Terminal."""
    private = root / ".lakeward"
    path = private / "lake.json"
    refuse_network_file_system(root)
    if not path.exists():
        if not create:
            raise Terminal(f"there is no lake at {root}: start your app or `lakeward run` first")
        root.mkdir(mode=0o750, parents=True, exist_ok=True)
        private.mkdir(mode=0o700, exist_ok=True)
        identity = Identity(format=FORMAT, lake_id=str(uuid7()), epoch=1)
        create_file(path, msgspec.json.encode(identity) + b"\n")
    return LakeDir(root, read_identity(path))


def recreate(lake: LakeDir) -> LakeDir:
    """The folder was deleted under a running app: the same lake again, in a new epoch."""
    if (lake.private / "lake.json").exists():
        fresh = open_lake(lake.root)
        if fresh.identity.lake_id != lake.identity.lake_id:
            raise Terminal(f"{lake.root} is another lake now: restart the apps that write to it")
        return fresh
    lake.root.mkdir(mode=0o750, parents=True, exist_ok=True)
    lake.private.mkdir(mode=0o700, exist_ok=True)
    identity = Identity(lake.identity.format, lake.identity.lake_id, lake.identity.epoch + 1)
    create_file(lake.private / "lake.json", msgspec.json.encode(identity) + b"\n")
    return LakeDir(lake.root, identity)


def read_identity(path: Path) -> Identity:
    """Decode `lake.json`, refusing what this version cannot know."""
    try:
        identity = _decode_identity(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable(f"{path} is not a lake's identity: restore it from a backup") from None
    if identity.format != FORMAT:
        raise Unreadable(
            f"{path} is of lake format {identity.format} and this Lakeward knows {FORMAT}: "
            "use the version that wrote it"
        )
    return identity


def create_file(path: Path, content: bytes) -> bool:
    """Write `path` whole and durable unless it exists; False when another process was first."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid7().hex[-8:]}")
    try:
        _write_synced(temporary, content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        sync_folder(path.parent)
        return True
    finally:
        temporary.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path`, durably: readers see the old or the new, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid7().hex[-8:]}")
    try:
        _write_synced(temporary, content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _write_synced(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, content: bytes) -> None:
    """Write all of `content` at the file's position; OSError (as ENOSPC) when it does not fit."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(path: Path) -> None:
    """Make the names in `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folders(path: Path, mode: int = 0o750) -> None:
    """Create `path` and its missing parents, each durable in the folder above it."""
    if path.is_dir():
        return
    make_folders(path.parent, mode)
    path.mkdir(mode=mode, exist_ok=True)
    sync_folder(path.parent)


def refuse_network_file_system(path: Path) -> None:
    """Raise Terminal when `path` (or its nearest existing parent) is on NFS, SMB and the like."""
    kind = file_system_of(path)
    if kind in NETWORK_FILE_SYSTEMS:
        raise Terminal(
            f"{path} is on {kind}, whose locks and syncs cannot be trusted: use a local disk"
        )


def file_system_of(path: Path) -> str:
    """Type of the file system that holds `path` ("ext4"), or "" where that cannot be told."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    target = os.path.realpath(path)
    best, kind = "", ""
    for line in mounts.splitlines():
        left, dash, right = line.partition(" - ")
        parts = left.split()
        if not dash or len(parts) < 5:
            continue
        point = parts[4].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind
