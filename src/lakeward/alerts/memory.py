"""What watching remembers: detectors, how far it has come, and what stands open; one file.

In: the lake. Out: a `Memory`, of which nothing is kept until `commit`, and then all of it or, where
the process is killed, nothing. Only one may be open for changing it, by the lock beside it; another
one gets `LakeBusy`. A file that is none is set aside by a new one, which is logged.

    .lakeward/alerts.state    SQLite: words (name, content)       MessagePack, one for each purpose
                                      series (key, entry, kept)   an Entry and a packed detector
    .lakeward/alerts.lock     locked while somebody watches

It holds names of series and figures, nothing of anybody, and may be lost: then watching learns from
the lake again.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from lakeward.alerts.signal import Kind
from lakeward.analysis.anomaly.watch import Kept, Series
from lakeward.errors import LakeBusy
from lakeward.lakedir import LakeDir

logger = logging.getLogger("lakeward.alerts")
Word = TypeVar("Word", bound=msgspec.Struct)
VERSION: Final = 3
"""One more whenever an `Entry` or what is in it changes, so that older ones say something else."""
STATE: Final = "alerts.state"
TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS words (name TEXT PRIMARY KEY, content BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS series "
    "(key TEXT PRIMARY KEY, entry BLOB NOT NULL, kept BLOB) WITHOUT ROWID",
)


class Last(msgspec.Struct, frozen=True):
    """The newest row of a series, and what was expected of it."""

    at: int
    value: float
    expected: float
    low: float
    high: float


class Episode(msgspec.Struct, frozen=True):
    """Something that is wrong with a series."""

    since: int
    kind: Kind
    direction: Literal["up", "down"]
    """To which side it began; what goes back too far is the same one."""
    calm: int = 0
    """Buckets in a row in which all was well."""


class Entry(msgspec.Struct, frozen=True):
    """A series that is watched."""

    series: Series
    unit: str
    volume: float
    """Of its group in an hour, as the last ranking saw it."""
    zero: bool
    """Whether a bucket without anything is one of zero."""
    last: Last | None = None
    episode: Episode | None = None
    told: bool = False
    """Whether the alarm was one to be told of."""
    since: int | None = None
    """The first bucket that its detector was fed; not known of those that were there before."""

    @property
    def seconds(self) -> int:
        """How long its buckets are."""
        return round(self.series.step)


class OtherVersion(sqlite3.DatabaseError):
    """What is remembered was written by a Lakeward that remembers other things."""


class Memory:
    """The open file."""

    def __init__(self, con: sqlite3.Connection) -> None:
        """As `opened` made it."""
        self._con = con
        self.entries: dict[str, Entry] = {}
        self._changed: dict[str, Kept | None] = {}
        self._gone: set[str] = set()
        for key, entry in con.execute("SELECT key, entry FROM series ORDER BY key"):
            self.entries[key] = msgspec.msgpack.decode(entry, type=Entry)

    def word(self, default: Word) -> Word:
        """What was kept of this kind, else the default."""
        kind = type(default)
        row = self._con.execute(
            "SELECT content FROM words WHERE name = ?", [kind.__name__]
        ).fetchone()
        try:
            return default if row is None else msgspec.msgpack.decode(row[0], type=kind)
        except msgspec.DecodeError:  # of another version: begun anew
            return default

    def keep(self, word: msgspec.Struct) -> None:
        """Keep a word in the place of the one of its kind."""
        self._con.execute(
            "INSERT OR REPLACE INTO words VALUES (?, ?)",
            [type(word).__name__, msgspec.msgpack.encode(word)],
        )

    def kept(self, key: str) -> Kept | None:
        """The detector of a series, if there is one yet."""
        if key in self._changed:
            return self._changed[key]
        row = self._con.execute("SELECT kept FROM series WHERE key = ?", [key]).fetchone()
        if row is None or row[0] is None:
            return None
        return msgspec.msgpack.decode(row[0], type=Kept)

    def put(self, key: str, entry: Entry, kept: Kept | None) -> None:
        """Keep a series and its detector."""
        self.entries[key] = entry
        self._changed[key] = kept
        self._gone.discard(key)

    def rank(self, key: str, entry: Entry) -> None:
        """Change what is said of a series, and leave its detector alone."""
        self.put(key, entry, self.kept(key))

    def drop(self, keys: Iterable[str]) -> None:
        """Forget some series."""
        for key in list(keys):
            self.entries.pop(key, None)
            self._changed.pop(key, None)
            self._gone.add(key)

    def clear(self) -> None:
        """Forget everything."""
        self._con.execute("DELETE FROM words")
        self.drop(self.entries)

    def commit(self) -> None:
        """Make all of it durable."""
        self._con.executemany("DELETE FROM series WHERE key = ?", [[key] for key in self._gone])
        self._con.executemany(
            "INSERT OR REPLACE INTO series VALUES (?, ?, ?)",
            (
                [
                    key, msgspec.msgpack.encode(self.entries[key]),
                    None if kept is None else msgspec.msgpack.encode(kept),
                ]
                for key, kept in self._changed.items()
            ),
        )  # fmt: skip
        self._con.commit()
        self._changed.clear()
        self._gone.clear()


@contextlib.contextmanager
def opened(lake: LakeDir) -> Iterator[Memory]:
    """The memory of a lake, for one who watches it; LakeBusy while another one does."""
    with _locked(lake.private / "alerts.lock"):
        path = lake.private / STATE
        try:
            con, memory = _open(path)
        except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
            logger.error("%s %s: watching begins anew", path, _reason(error))
            _remove(path)
            con, memory = _open(path)
        try:
            yield memory
        finally:
            con.close()


@contextlib.contextmanager
def looked_at(lake: LakeDir) -> Iterator[Memory | None]:
    """The memory as it is, for one who changes nothing; None where there is none to read."""
    path = lake.private / STATE
    con = None
    try:
        con = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)
        found = Memory(con) if _version(con) == VERSION else None
    except (sqlite3.DatabaseError, msgspec.DecodeError):
        found = None
    try:
        yield found
    finally:
        if con is not None:
            con.close()


def is_foreign(lake: LakeDir) -> bool:
    """Whether there is a memory, of another version: the next look begins anew."""
    try:
        con = sqlite3.connect(f"{(lake.private / STATE).as_uri()}?mode=ro", uri=True, timeout=30)
    except sqlite3.DatabaseError:
        return False
    try:
        return _version(con) not in (0, VERSION)
    except sqlite3.DatabaseError:
        return False
    finally:
        con.close()


@contextlib.contextmanager
def throwaway() -> Iterator[Memory]:
    """An empty memory that nobody sees."""
    con = sqlite3.connect(":memory:")
    try:
        for statement in TABLES:
            con.execute(statement)
        yield Memory(con)
    finally:
        con.close()


def _open(path: Path) -> tuple[sqlite3.Connection, Memory]:
    con = sqlite3.connect(path, timeout=30)
    try:
        con.execute("PRAGMA synchronous = FULL")
        if _version(con) not in (0, VERSION):
            raise OtherVersion
        if con.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("damaged")
        for statement in TABLES:
            con.execute(statement)
        con.execute(f"PRAGMA user_version = {VERSION}")
        con.commit()
        path.chmod(0o600)
        return con, Memory(con)
    except BaseException:
        con.close()
        raise


def _reason(error: Exception) -> str:
    if isinstance(error, OtherVersion):
        return "was made by another version of Lakeward"
    return f"is no memory of alerts ({type(error).__name__})"


def _version(con: sqlite3.Connection) -> int:
    return int(con.execute("PRAGMA user_version").fetchone()[0])


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LakeBusy("another process watches this lake just now: try again later") from None
        yield
    finally:
        os.close(fd)
