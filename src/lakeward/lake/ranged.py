"""Files of a bucket as DuckDB reads them: from several threads, by one handle.

In: a path. Out: an fsspec file whose place is each thread's own. DuckDB's threads share a file's
handle and read by `seek` and then `read`, two calls between which another thread may seek: with one
place for all of them a read gets what stands elsewhere, or falls short at the end. Fails as
obstore does.
"""

from __future__ import annotations

import io
import threading
from typing import Any, Final

import obstore
from obstore.fsspec import FsspecStore

READ_AHEAD: Final = 1 << 20
KNOWN_FILES: Final = 100_000


class RangedStore(FsspecStore):
    """obstore's file system with files that threads may share.

    Of a file that nobody writes twice, size and date are asked for once: DuckDB asks about nine
    times for each file of each statement.
    """

    def __init__(self, protocol: Any, **options: Any) -> None:
        super().__init__(protocol, **options)
        self._known: dict[str, dict[str, Any]] = {}

    async def _info(self, path: str, **options: Any) -> dict[str, Any]:
        found = self._known.get(path)
        if found is None:
            found = await super()._info(path, **options)
            if path.endswith(".parquet"):
                if len(self._known) >= KNOWN_FILES:
                    self._known.clear()
                self._known[path] = found
        return found

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:  # type: ignore[override]  # of any mode
        if mode != "rb":
            return super()._open(path, mode, **options)
        bucket, name = self._split_path(path)
        return RangedFile(self._construct_store(bucket), name, int(self.info(path)["size"]))


class RangedFile(io.RawIOBase):
    """A file to read, whose place and buffer are of each thread."""

    def __init__(self, store: Any, name: str, size: int) -> None:
        super().__init__()
        self._store, self._name, self.size = store, name, size
        self._mine = threading.local()

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, as this thread alone sees it."""
        base = (0, self.tell(), self.size)[whence]
        self._mine.place = max(base + place, 0)
        return self.tell()

    def tell(self) -> int:
        """Where this thread is."""
        return int(getattr(self._mine, "place", 0))

    def read(self, count: int | None = -1) -> bytes:
        """The next bytes; fewer at the end alone."""
        first = self.tell()
        last = self.size if count is None or count < 0 else min(first + count, self.size)
        if first >= last:
            return b""
        start, held = getattr(self._mine, "held", (0, b""))
        if not start <= first or last > start + len(held):
            start = first
            end = min(max(last, first + READ_AHEAD), self.size)
            held = bytes(obstore.get_range(self._store, self._name, start=start, end=end))
            self._mine.held = (start, held)
        self._mine.place = last
        return held[first - start : last - start]

    def readinto(self, buffer: Any) -> int:
        """As `read`, into what is there."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def readall(self) -> bytes:
        """What is left."""
        return self.read()

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True
