"""Where a table's files stand: a folder of this machine, or a bucket.

In: names relative to the table. Out: bytes and files put there, each durable when the call returns.
`create` never replaces anything: of two writers of one name exactly one is told True, whose content
stands there, also when the answer to its first attempt was lost. Fails with OSError for the disk,
`Transient` for a bucket that is away and `Terminal` for one that refuses.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from lakeward.errors import MissingExtra, Terminal, Transient
from lakeward.lakedir import create_file, make_folders, sync_folder
from lakeward.settings import Settings

if TYPE_CHECKING:
    from obstore.store import S3Store


FORGOTTEN_MS: Final = 86_400_000


class Storage(Protocol):
    """A place for files that are written once."""

    uri: str
    """How Delta and DuckDB name it."""
    options: dict[str, str]
    """What deltalake needs to reach it."""
    file_system: Any
    """What DuckDB needs to reach it, None for a local disk."""

    def create(self, name: str, content: bytes) -> bool:
        """Store `content` under a new name; False when the name is taken."""

    def place(self, local: Path, name: str) -> None:
        """Move a finished local file in under a name that nobody else has."""

    def names(self) -> Iterator[tuple[str, int]]:
        """Every file's name and bytes."""

    def delete(self, names: Iterable[str]) -> None:
        """Remove files; those that are gone already are no error."""

    def is_forgotten(self, name: str, now_ms: int) -> bool:
        """Whether a file that no commit names is so old that none can be about to."""


class Folder:
    """A table in a folder of a local disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = str(root)
        self.options: dict[str, str] = {}
        self.file_system = None

    def is_forgotten(self, name: str, now_ms: int) -> bool:
        """Never: whoever writes to a folder remembers in the lake beside it."""
        return False

    def create(self, name: str, content: bytes) -> bool:
        """By a link to a finished file, which fails where the name is taken."""
        path = self.root / name
        make_folders(path.parent)
        return create_file(path, content)

    def place(self, local: Path, name: str) -> None:
        """Synced, then renamed into place."""
        path = self.root / name
        make_folders(path.parent)
        fd = os.open(local, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        try:
            os.rename(local, path)
        except OSError:  # another file system
            shutil.copyfile(local, path)
            local.unlink()
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            os.fsync(fd)
            os.close(fd)
        sync_folder(path.parent)

    def names(self) -> Iterator[tuple[str, int]]:
        """Every file below the folder."""
        for folder, _, files in os.walk(self.root):
            for file in files:
                path = Path(folder) / file
                with contextlib.suppress(FileNotFoundError):
                    yield str(path.relative_to(self.root)), path.stat().st_size

    def delete(self, names: Iterable[str]) -> None:
        """Unlink each, and a dated folder that is empty then."""
        for name in names:
            path = self.root / name
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()


class Bucket:
    """A table under a prefix of an S3 bucket; creation is a conditional put."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.uri = url.rstrip("/")
        bucket, _, self.prefix = self.uri.removeprefix("s3://").partition("/")
        if not bucket:
            raise Terminal("LAKEWARD_TABLE must be s3://bucket/prefix")
        self.options = _delta_options(settings)
        self.store = _store(bucket, self.prefix, settings)
        self.file_system = _file_system(settings)

    def create(self, name: str, content: bytes) -> bool:
        """A put that the service refuses where the name is taken."""
        from obstore.exceptions import AlreadyExistsError

        try:
            with _translated(self.uri):
                self.store.put(name, content, mode="create")
        except AlreadyExistsError:
            return self._holds(name, content)
        return True

    def _holds(self, name: str, content: bytes) -> bool:
        """Whether a put that was refused is one that had been done: the client repeats what the
        service answered with an error, and that may have been stored all the same."""
        with _translated(self.uri):
            return self.store.get(name).bytes().to_bytes() == content

    def place(self, local: Path, name: str) -> None:
        """Uploaded (in parts when large), then removed here."""
        with _translated(self.uri):
            self.store.put(name, local)
        local.unlink()

    def names(self) -> Iterator[tuple[str, int]]:
        """Every object below the prefix."""
        with _translated(self.uri):
            for page in self.store.list():
                yield from ((entry["path"], entry["size"]) for entry in page)

    def is_forgotten(self, name: str, now_ms: int) -> bool:
        """Made more than a day ago, and by a commit that never came, or was replaced so long ago
        that the table's log does not say so any more."""
        with _translated(self.uri):
            try:
                made = self.store.head(name)["last_modified"]
            except FileNotFoundError:
                return False
        return now_ms - made.timestamp() * 1000 >= FORGOTTEN_MS

    def delete(self, names: Iterable[str]) -> None:
        """Remove each object."""
        listed = list(names)
        if listed:
            with _translated(self.uri), contextlib.suppress(FileNotFoundError):
                self.store.delete(listed)


def table_storage(lake_root: Path, settings: Settings) -> Storage:
    """Where LAKEWARD_TABLE says the table is; by default in the lake's own folder."""
    if settings.table.startswith("s3://"):
        return Bucket(settings.table, settings)
    if "://" in settings.table:
        raise Terminal("LAKEWARD_TABLE must be a folder or s3://bucket/prefix")
    return Folder(Path(settings.table).absolute() if settings.table else lake_root / "table")


def _store(bucket: str, prefix: str, settings: Settings) -> S3Store:
    try:
        from obstore.store import S3Store
    except ImportError:
        raise MissingExtra("A table in S3", "lake") from None
    config, client = store_config(settings)
    return S3Store(bucket, prefix=prefix or None, config=config, client_options=client)


def _file_system(settings: Settings) -> Any:
    from lakeward.lake.ranged import RangedStore

    config, client = store_config(settings)
    return RangedStore("s3", config=config, client_options=client, skip_instance_cache=True)


def store_config(settings: Settings) -> tuple[Any, Any]:
    """What obstore needs to reach S3: its configuration and that of its HTTP client."""
    config: dict[str, Any] = {"region": settings.aws_region}
    if settings.aws_access_key_id:
        config["access_key_id"] = settings.aws_access_key_id
        config["secret_access_key"] = settings.aws_secret_access_key
    if settings.aws_endpoint:
        config["endpoint"] = settings.aws_endpoint
        config["virtual_hosted_style_request"] = False
    insecure = settings.aws_endpoint.startswith("http://")
    return config, {"allow_http": True} if insecure else {}


def _delta_options(settings: Settings) -> dict[str, str]:
    options = {"AWS_REGION": settings.aws_region, "aws_conditional_put": "etag"}
    if settings.aws_access_key_id:
        options["AWS_ACCESS_KEY_ID"] = settings.aws_access_key_id
        options["AWS_SECRET_ACCESS_KEY"] = settings.aws_secret_access_key
    if settings.aws_endpoint:
        options["AWS_ENDPOINT_URL"] = settings.aws_endpoint
        options["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] = "false"
        if settings.aws_endpoint.startswith("http://"):
            options["AWS_ALLOW_HTTP"] = "true"
    return options


@contextlib.contextmanager
def _translated(uri: str) -> Iterator[None]:
    """The store's errors as what the caller can do; never with its text, which may hold keys."""
    from obstore import exceptions as say

    try:
        yield
    except (say.PermissionDeniedError, say.UnauthenticatedError):
        raise Terminal(f"{uri} refuses these credentials: see docs/aws.md for the policy") from None
    except (say.AlreadyExistsError, FileNotFoundError):
        raise
    except say.BaseError as error:
        raise Transient(f"{uri} is away for now ({type(error).__name__})") from None
