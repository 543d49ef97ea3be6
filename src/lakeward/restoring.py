"""Restoring: a lake made of a backup, in an empty folder.

In: an archive of `backup.py`. Out: a lake in a later epoch, so that no position of the time
before is taken for one of its own. `Unreadable` for an archive that is none, was cut short or
changed; `Terminal` for a folder that holds something, and for a member that would go anywhere
else. Whatever fails, the folder is as it was: the lake is put together beside it and renamed into
place.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import tarfile
import time
import zlib
from pathlib import Path
from typing import IO, Final

import msgspec

from lakeward.backup import FORMAT, MANIFEST, Hashed, Manifest, ledger_of
from lakeward.errors import Terminal, Unreadable
from lakeward.lakedir import (
    Identity,
    make_folders,
    read_identity,
    refuse_network_file_system,
    replace_file,
    sync_folder,
)
from lakeward.ledger import Epoch, replay
from lakeward.log import encode_published

NAME: Final = re.compile(r"(?:raw|quarantine|table|\.lakeward)(?:/[A-Za-z0-9_.=+:-]{1,128}){1,8}")
CHUNK: Final = 1 << 20
MANIFEST_MOST: Final = 1 << 30
_decode = msgspec.json.Decoder(Manifest).decode
_encode = msgspec.json.encode


def restore(archive: IO[bytes], root: Path, now_s: int | None = None) -> Manifest:
    """Make a lake of `archive` at `root`, which is empty or not there."""
    refuse_network_file_system(root)
    if root.is_symlink() or (root.exists() and (not root.is_dir() or any(root.iterdir()))):
        raise Terminal(f"{root} is not empty: restore into a new folder")
    make_folders(root.absolute().parent)
    aside = root.absolute().with_name(f".{root.name}.restoring-{os.getpid()}")
    aside.mkdir(mode=0o750)
    try:
        manifest = unpack(archive, aside)
        raise_epoch(aside, now_s if now_s is not None else int(time.time()))
        _sync_tree(aside)
        os.rename(aside, root)  # onto an empty folder, or none
        sync_folder(root.absolute().parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest


def unpack(archive: IO[bytes], folder: Path) -> Manifest:
    """Write every member below `folder` and compare with the manifest."""
    found: dict[str, tuple[int, str]] = {}
    manifest: Manifest | None = None
    try:
        plain = inflated(archive)
        with tarfile.open(fileobj=plain, mode="r|") as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isreg() else None
                if manifest is not None or source is None:
                    raise Unreadable(
                        f"the backup holds what is no file of a lake: {_shown(member)}"
                    )
                if member.name == MANIFEST and member.size < MANIFEST_MOST:
                    manifest = _decode(source.read())
                else:
                    found[member.name] = _write(folder, member, source)
        while plain.read(CHUNK):  # to the end, where gzip has its checksum
            pass
    except (tarfile.TarError, EOFError, zlib.error, msgspec.MsgspecError, UnicodeDecodeError):
        raise Unreadable("the file is no backup, or a part of one: take another") from None
    except OSError as error:
        if error.errno is None:  # gzip's and tarfile's own
            raise Unreadable("the backup is damaged or was cut short: take another") from None
        raise
    if manifest is None:
        raise Unreadable("the backup was cut short: take another")
    if manifest.format != FORMAT:
        raise Unreadable(
            f"the backup is of format {manifest.format} and this Lakeward knows {FORMAT}: use the "
            "version that made it"
        )
    if manifest.files != found:
        wrong = sorted(name for name in {*manifest.files, *found}
                       if manifest.files.get(name) != found.get(name))  # fmt: skip
        raise Unreadable(f"the backup is damaged ({wrong[0]}): take another")
    return manifest


def inflated(archive: IO[bytes]) -> IO[bytes]:
    """The tar stream, whether it was compressed or not."""
    start = archive.tell()
    magic = archive.read(2)
    archive.seek(start)
    return gzip.GzipFile(fileobj=archive) if magic == b"\x1f\x8b" else archive  # type: ignore[return-value]  # reads as one


def _write(folder: Path, member: tarfile.TarInfo, source: IO[bytes]) -> tuple[int, str]:
    """One file; the folders above it are made here, so that no link can stand among them."""
    parts = member.name.split("/")
    if not NAME.fullmatch(member.name) or any(part.strip(".") == "" for part in parts):
        raise Terminal(f"the backup holds a file that belongs to no lake: {_shown(member)}")
    path = folder / member.name
    private = parts[0] == ".lakeward"
    path.parent.mkdir(mode=0o700 if private else 0o750, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    hashed = Hashed(source)
    try:
        fd = os.open(path, flags, 0o600 if private else 0o640)
    except FileExistsError:
        raise Unreadable(f"the backup holds {_shown(member)} twice") from None
    with open(fd, "wb") as file:
        while chunk := hashed.read(CHUNK):
            file.write(chunk)
        file.flush()
        os.fsync(fd)
    return hashed.bytes, hashed.digest()


def raise_epoch(root: Path, now_s: int) -> None:
    """The copy's identity, ledger and published end in a new epoch. Its number is the second of the
    restoring, so that a backup that is restored twice makes two different pasts."""
    private = root / ".lakeward"
    identity = read_identity(private / "lake.json")
    state = replay(private / "ledger.jsonl").state
    epoch = max(identity.epoch + 1, state.epoch + 1, now_s)
    state.apply(Epoch(epoch, "restored"))
    replace_file(private / "ledger.jsonl", ledger_of(state))
    replace_file(private / "published", encode_published(epoch, state.batch, state.ends))
    replace_file(
        private / "lake.json",
        _encode(Identity(identity.format, identity.lake_id, epoch)) + b"\n",
    )


def _sync_tree(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        with contextlib.suppress(FileNotFoundError):
            sync_folder(Path(folder))


def _shown(member: tarfile.TarInfo) -> str:
    """A name from outside, fit for a message."""
    return repr(member.name[:100])


def bring_suppressed(root: Path, listed: Path) -> int:
    """Add a later suppression list to a restored lake, so that whoever was erased since the backup
    does not come back; the number of entries that are new. Its key stands beside it."""
    key = listed.with_name("suppression.key")
    try:
        lines, secret = listed.read_bytes().splitlines(keepends=True), key.read_bytes()
    except FileNotFoundError as error:
        raise Terminal(
            f"{error.filename} is not there: keep suppressed.jsonl and suppression.key together"
        ) from None
    mine, my_key = root / ".lakeward/suppressed.jsonl", root / ".lakeward/suppression.key"
    known = mine.read_bytes().splitlines(keepends=True) if mine.exists() else []
    if my_key.exists() and my_key.read_bytes() != secret and known:
        raise Terminal(f"{key} is not of this lake: its hashes mean nothing here")
    new = [line for line in lines if line not in set(known) and line.endswith(b"\n")]
    replace_file(my_key, secret)
    replace_file(mine, b"".join([*known, *new]))
    return len(new)
