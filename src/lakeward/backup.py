"""Backup: a lake as one tar file, made while everything goes on, and a lake made of it again.

In: a lake, and files that others add (table, app database). Out: a stream of members, the
manifest with the SHA-256 of each as the last one, so that a file that was cut short is known by
what it lacks. Fails with `Transient` when the lake changed too fast to be copied, `Unreadable`
for an archive that is none or is damaged, `Terminal` for a folder that is not empty.

    raw/… quarantine/… table/…    as in the lake; the log up to one durable end
    .lakeward/…                   journals, cursors, identity, secret; ledger and published end are
                                  made for that end, so that the sum of the copy holds
    manifest.json                 {"format":1,"lakeward":…,"lake_id":…,"epoch":1,"made_at":…,
                                   "notes":[…],"files":{"raw/…":[52110,"9f86…"],…}}

What is erased while the archive is made may be in it. The suppression list is copied last for that.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from pathlib import Path
from typing import IO, Final
from zlib import crc32

import msgspec

from lakeward.errors import Transient
from lakeward.lakedir import LakeDir
from lakeward.ledger import STREAMS, State, Stream, replay
from lakeward.log import SegmentLine, encode_published, read_published, read_segments

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
MADE: Final = frozenset({"lake.json", "ledger.jsonl", "segments.jsonl", "published"})
"""Files of the private folder that are written for the copy, not copied."""
LAST: Final = ("suppression.key", "suppressed.jsonl", "erasures")
"""What is copied after everything else: who is not to come back."""
LEFT_OUT: Final = frozenset(
    {"rings", "collectors", "readers", "scratch", "salts", "keeper.log", "app.db", "app.db-wal",
     "app.db-shm", "table.json", "unnamed.json", "quiet.json",
     "quiet-refused.json", "erase.turn", "alerts.state", "alerts.state-journal", "alerts.lock"}
)  # fmt: skip
"""What belongs to running processes, or is worked out again."""
WITHOUT: Final = frozenset({"cursors/files.json", "cursors/files.state"})
"""Individual files are not packed: without a cursor their follower makes them again."""


class Manifest(msgspec.Struct, frozen=True):
    """What an archive holds; `files` gives bytes and SHA-256 of each."""

    lakeward: str
    lake_id: str
    epoch: int
    made_at: str
    notes: tuple[str, ...]
    files: dict[str, tuple[int, str]]
    format: int = FORMAT


_decode_line = msgspec.json.Decoder(SegmentLine).decode


class Packer:
    """Puts files into a tar stream and remembers what they were."""

    def __init__(self, file: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|")  # noqa: SIM115 - closed by `close`
        self.files: dict[str, tuple[int, str]] = {}

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """The first `size` bytes of a file; Transient when there are fewer."""
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, int(time.time())
        hashed = Hashed(file)
        try:
            self._tar.addfile(info, hashed)
        except OSError as error:
            if hashed.bytes < size and error.errno is None:
                raise Transient(f"{name} shrank while it was copied: try again") from None
            raise
        self.files[name] = (size, hashed.digest())

    def add_file(self, name: str, path: Path, size: int | None = None) -> None:
        """A file as it is, or its beginning."""
        with path.open("rb") as file:
            self.add(name, file, os.fstat(file.fileno()).st_size if size is None else size)

    def add_bytes(self, name: str, content: bytes) -> None:
        """A small file that is made here."""
        self.add(name, io.BytesIO(content), len(content))

    def close(self, manifest: Manifest) -> None:
        """The manifest, then the end."""
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        self.add_bytes(MANIFEST, content + b"\n")
        self._tar.close()


class Hashed(io.RawIOBase):
    """Reads another file and hashes what passes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        """As the other file does."""
        content = self._file.read(size)
        self._hash.update(content)
        self.bytes += len(content)
        return content

    def digest(self) -> str:
        """SHA-256 of what was read, in hex."""
        return self._hash.hexdigest()


def pack_private(packer: Packer, lake: LakeDir) -> None:
    """Journals, cursors and all else in the private folder, but not the log's own files. First of
    all, so that no cursor is ahead of the copied log."""
    for path in sorted(lake.private.iterdir()):
        name = path.name
        if name not in MADE and name not in LEFT_OUT and name not in LAST:
            _pack_tree(packer, lake.private, path)


def pack_suppressed(packer: Packer, lake: LakeDir) -> None:
    """Who was erased until now."""
    for name in LAST:
        _pack_tree(packer, lake.private, lake.private / name)


def _pack_tree(packer: Packer, private: Path, path: Path) -> None:
    """A file or the files of a folder, without locks and without files being written."""
    inner = str(path.relative_to(private))
    if (
        inner in WITHOUT
        or path.is_symlink()
        or path.name.startswith(".")
        or path.suffix in {".lock", ".sock"}
    ):
        return
    if path.is_dir():
        for entry in sorted(path.iterdir()):
            _pack_tree(packer, private, entry)
    elif path.is_file():
        content = path.read_bytes()
        if path.suffix == ".jsonl":  # someone may be in the middle of a line
            content = content[: content.rfind(b"\n") + 1]
        packer.add_bytes(f".lakeward/{inner}", content)


def pack_log(packer: Packer, lake: LakeDir) -> State:
    """The log up to one durable end, and the ledger's sum at that end; whoever removes lines must
    not run meanwhile."""
    state = settled(lake)
    ends = {stream: state.ends.get(stream, (0, 0, 0)) for stream in STREAMS}
    packer.add_bytes(".lakeward/lake.json", (lake.private / "lake.json").read_bytes())
    packer.add_bytes(".lakeward/ledger.jsonl", ledger_of(state))
    packer.add_bytes(".lakeward/published", encode_published(state.epoch, state.batch, state.ends))
    for segment in read_segments(lake)[0]:
        last, last_end, _ = ends[segment.stream]
        path = lake.root / segment.path
        if segment.number <= last and path.exists():  # it may be over: removals say so
            size = last_end if segment.number == last else segment.end
            packer.add_file(segment.path, path, size)
    packer.add_bytes(".lakeward/segments.jsonl", segments_until(lake, ends))
    return state


def segments_until(lake: LakeDir, ends: dict[Stream, tuple[int, int, int]]) -> bytes:
    """segments.jsonl as it was at these ends: without files opened later, and without the seal of
    a file that grew after them."""
    kept = []
    streams: dict[int, Stream] = {}
    content = (lake.private / "segments.jsonl").read_bytes()
    for line in content[: content.rfind(b"\n") + 1].splitlines(keepends=True):
        row = _decode_line(line)
        if row.stream is not None:
            streams[row.segment] = row.stream
        last, last_end, _ = ends[streams[row.segment]]
        grown = row.sealed is not None and row.segment == last and row.bytes != last_end
        if row.segment <= last and not grown:
            kept.append(line)
    return b"".join(kept)


def settled(lake: LakeDir) -> State:
    """The ledger's sum, its last batch included when that was published."""
    journal = replay(lake.private / "ledger.jsonl")
    published = read_published(lake.private / "published")
    pending = journal.pending
    if pending is not None and published is not None and published.batch >= pending.batch:
        journal.state.apply(pending)
    return journal.state


def ledger_of(state: State) -> bytes:
    """A ledger that begins with this sum."""
    body = msgspec.json.encode(state)
    return b"%08x %s\n" % (crc32(body), body)
