"""Bytes of demos, each file once, under its SHA-256: on this host's disk or in a bucket.

In: a finished file and its hash. Out: the same bytes, at any time, until they are deleted. Putting
what is there already changes nothing, so whoever is in doubt puts again. Fails with `Full` for a
disk without room, `Transient` for a bucket that is away, `Terminal` for one that refuses.

    <private>/demos/ab/<sha256>               mode 0600, never executed, never served inline
    s3://bucket/prefix/ab/<sha256>            LAKEWARD_DEMO_STORE

Nobody is told whether a file was there before: it may be another partner's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from lakeward.confidence.demos.partial import NO_ROOM, YOUNG_SECONDS, Full
from lakeward.errors import SettingError, Terminal
from lakeward.lakedir import LakeDir, make_folders, sync_folder
from lakeward.settings import Settings

if TYPE_CHECKING:
    from obstore.store import S3Store

S3: Final = "s3"
"""The place of what is in a bucket; on a disk it is the lake's id."""
ONE_PUT: Final = 64 << 20
"""Up to here an object is made by one conditional request; larger ones in parts, which S3 puts
together at the end. Their name is their content, so the last of two writers does no harm."""
PIECE: Final = 8 << 20


class Blobs(Protocol):
    """A place for bytes under their hash."""

    place: str
    """How the app database names it."""

    def put(self, file: Path, digest: str) -> None:
        """Keep the content of a local file, durably; the file stays."""

    def has(self, digest: str) -> bool:
        """Whether it is there."""

    def opened(self, digest: str) -> contextlib.AbstractContextManager[Path]:
        """A local file with the content, for as long as the context lasts."""

    def delete(self, digest: str) -> None:
        """Let it go; what is gone already is no error."""


class Folder:
    """On this host's disk."""

    def __init__(self, root: Path, place: str) -> None:
        self.place = place
        self._root = root

    def path(self, digest: str) -> Path:
        """Where it stands."""
        return self._root / digest[:2] / digest

    def put(self, file: Path, digest: str) -> None:
        """By a link to the finished file, so that nobody ever sees a part of it."""
        path = self.path(digest)
        try:
            make_folders(path.parent, 0o700)
            with contextlib.suppress(FileExistsError):
                os.link(file, path)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise Full("the disk has no room for the upload: ask an admin for room") from None
            raise
        sync_folder(path.parent)

    def has(self, digest: str) -> bool:
        """Whether it is there."""
        return self.path(digest).is_file()

    @contextmanager
    def opened(self, digest: str) -> Iterator[Path]:
        """The file itself."""
        path = self.path(digest)
        if not path.is_file():
            raise Terminal("the bytes of the demo are not on this disk: send it once more")
        yield path

    def delete(self, digest: str) -> None:
        """Unlink it, and its folder when that is empty then."""
        path = self.path(digest)
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()

    def old(self, known: Collection[str]) -> list[str]:
        """What stands here for a while and no demo refers to, such as what was put before a process
        was killed."""
        return [
            path.name
            for path in self._root.glob("[0-9a-f][0-9a-f]/*")
            if path.name not in known and time.time() - path.stat().st_ctime > YOUNG_SECONDS
        ]


class Bucket:
    """Below a prefix of an S3 bucket."""

    place = S3

    def __init__(self, store: S3Store, bucket: str, prefix: str, judge: Any) -> None:
        self.bucket = bucket
        self._store, self._prefix, self._judge = store, prefix, judge

    def key(self, digest: str) -> str:
        """Its name in the bucket."""
        return self.named(f"{digest[:2]}/{digest}")

    def named(self, name: str) -> str:
        """The name in the bucket of what stands beside the demos."""
        return self._prefix + name

    def put(self, file: Path, digest: str) -> None:
        """Made once; larger than one request takes it, in parts."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        if self.has(digest):
            return
        with self._judged():
            if file.stat().st_size > ONE_PUT:
                obstore.put(self._store, self.key(digest), file, chunk_size=PIECE)
                return
            with contextlib.suppress(AlreadyExistsError, PreconditionError):
                obstore.put(self._store, self.key(digest), file.read_bytes(), mode="create",
                            use_multipart=False)  # fmt: skip

    def has(self, digest: str) -> bool:
        """Whether it is there."""
        import obstore

        with self._judged():
            try:
                obstore.head(self._store, self.key(digest))
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return False
        return True

    @contextmanager
    def opened(self, digest: str) -> Iterator[Path]:
        """A copy in a folder of its own, which goes with the context."""
        import obstore

        folder = Path(tempfile.mkdtemp(prefix="lakeward-demo-"))
        try:
            path = folder / digest
            with self._judged(), open(path, "xb", opener=_private) as file:
                for piece in obstore.get(self._store, self.key(digest)).stream(PIECE):
                    file.write(piece)
            yield path
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def delete(self, digest: str) -> None:
        """Of a bucket with versions the newest is hidden; docs/uploads.md says what else to do."""
        self.discard(f"{digest[:2]}/{digest}")

    def discard(self, name: str) -> None:
        """Delete an object beside the demos."""
        import obstore

        with self._judged(), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, self.named(name))

    def read(self, name: str) -> bytes | None:
        """A small object beside the demos, such as what a service wrote; None for none."""
        import obstore

        with self._judged():
            try:
                return bytes(obstore.get(self._store, self.named(name)).bytes())
            except FileNotFoundError:
                return None

    @contextmanager
    def _judged(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise self._judge(error) from None


def blobs_of(lake: LakeDir, settings: Settings) -> Folder | Bucket:
    """Where demos of this lake are kept from now on."""
    if not settings.demo_store:
        return Folder(lake.private / "demos", lake.identity.lake_id)
    bucket, _, prefix = settings.demo_store.removeprefix("s3://").partition("/")
    if not settings.demo_store.startswith("s3://") or not bucket:
        raise SettingError("LAKEWARD_DEMO_STORE must be s3://bucket/prefix, or empty")
    from lakeward.sinks import aws, verdict

    place = verdict.Place(f"bucket {bucket}", "LAKEWARD_DEMO_STORE")
    store = aws.s3_store(_in_bucket(settings, bucket), aws.session(settings))
    prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
    return Bucket(store, bucket, prefix, lambda error: verdict.of_obstore(error, place))


def _in_bucket(settings: Settings, bucket: str) -> Settings:
    import msgspec

    return msgspec.structs.replace(settings, data_lake_bucket=bucket)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
