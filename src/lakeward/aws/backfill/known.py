"""Which records a lake has, on disk: by id a digest of the first line that has it.

In: the log, followed as far as it is durable. Out: answers by id, exact, in as little memory as
SQLite takes. Only a copy of what the log says, about 60 bytes a record: it may be deleted at any
time, and a kill loses at most what was read last.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

from lakeward.lakedir import LakeDir
from lakeward.log import Position, read_lines
from lakeward.suppression import who

TABLES: Final = """
CREATE TABLE IF NOT EXISTS known (id BLOB PRIMARY KEY, mark BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS done (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS said (what TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
ROWS: Final = 10_000


def id_of(line: bytes) -> bytes | None:
    """The id of a line, short; None when it has none."""
    found = who(line).get("interaction_id")
    if not isinstance(found, str) or not found:
        return None
    try:
        uuid = UUID(found)
    except ValueError:
        return found.encode()
    return uuid.bytes if str(uuid) == found else found.encode()


class Known:
    """The open file; `digest` says what of a line is compared."""

    def __init__(self, path: Path, lake: LakeDir, place: str, digest: Callable[[bytes], bytes]):
        self._path, self._lake, self._digest = path, lake, digest
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._db = self._opened(f"{place}, epoch {lake.identity.epoch}")

    def _opened(self, place: str) -> sqlite3.Connection:
        """What was kept for another place, or is damaged, is begun anew."""
        for _ in range(2):
            with contextlib.closing(os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))):
                pass
            db = sqlite3.connect(self._path, isolation_level=None)
            with contextlib.suppress(sqlite3.DatabaseError):
                db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {TABLES}")
                found = db.execute("SELECT value FROM said WHERE what = 'place'").fetchone()
                if found is None or found[0] == place:
                    db.execute("INSERT OR IGNORE INTO said VALUES ('place', ?)", [place])
                    return db
            db.close()
            self._removed()
        raise OSError(f"{self._path} cannot be written")

    def follow(self) -> None:
        """Read what became durable in the log."""
        found = dict(self._db.execute("SELECT what, value FROM said"))
        segment, offset = int(found.get("segment", 0)), int(found.get("offset", 0))
        rows: list[tuple[bytes, bytes]] = []
        at = Position(0, segment, offset)
        for line, at in read_lines(self._lake, at):  # noqa: B020 - where it ends, it goes on
            key = id_of(line)
            if key is not None:
                rows.append((key, self._digest(line)))
            if len(rows) >= ROWS:
                self._keep(rows, at)
                rows = []
        self._keep(rows, at)

    def _keep(self, rows: list[tuple[bytes, bytes]], at: Position) -> None:
        with self._whole():
            self._db.executemany("INSERT OR IGNORE INTO known VALUES (?, ?)", rows)
            place = [("segment", str(at.segment)), ("offset", str(at.offset))]
            self._db.executemany("INSERT OR REPLACE INTO said VALUES (?, ?)", place)

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def marks(self, keys: list[bytes]) -> dict[bytes, bytes]:
        """Of those ids that the lake has, the digest of the first line."""
        found: dict[bytes, bytes] = {}
        for n in range(0, len(keys), 500):
            part = keys[n : n + 500]
            places = ",".join("?" * len(part))
            asked = f"SELECT id, mark FROM known WHERE id IN ({places})"  # noqa: S608 - `?` only
            found.update(self._db.execute(asked, part))
        return found

    def is_done(self, name: str) -> bool:
        """Whether a part of the source was taken."""
        asked = "SELECT 1 FROM done WHERE name = ?"
        return self._db.execute(asked, [name]).fetchone() is not None

    def done(self, name: str, report: str) -> None:
        """A part of the source was taken; `report` says what became of all so far."""
        with self._whole():
            self._db.execute("INSERT OR IGNORE INTO done VALUES (?)", [name])
            self.say("report", report)

    def said(self, what: str) -> str:
        """Something that was kept with `say`."""
        asked = "SELECT value FROM said WHERE what = ?"
        row = self._db.execute(asked, [what]).fetchone()
        return str(row[0]) if row else ""

    def say(self, what: str, value: str) -> None:
        """Keep a word for the next run."""
        self._db.execute("INSERT OR REPLACE INTO said VALUES (?, ?)", [what, value])

    def close(self, forget: bool = False) -> None:
        """Let go of the file, or take it away."""
        self._db.close()
        if forget:
            self._removed()

    def _removed(self) -> None:
        for end in ("", "-wal", "-shm"):
            Path(f"{self._path}{end}").unlink(missing_ok=True)
