"""The keeper's task for PowerConfidence: a child process when something is due, at most one.

In: the app database, looked at without opening it anew each time. Out: a child, which invites and
reminds people, scores partners, and lets the lake hear of it. Where there is no partner no child is
started; one that fails is started again later.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lakeward.cli.child import Child, worked
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

logger = logging.getLogger("lakeward.confidence")

LOOK_SECONDS: Final = 2.0
AWAY_SECONDS: Final = 30.0
"""Between children where the database is not a file that can be looked at."""
ANYWAY_SECONDS: Final = 3600.0
"""Evidence ages without anybody doing anything."""
PAUSE_SECONDS: Final = 60.0
FAREWELL_SECONDS: Final = 0.0
"""A kill at any point is safe, so nobody's stop waits for the child."""
NEEDS: Final = ("sqlalchemy", "alembic")
DUE: Final = (
    "SELECT EXISTS (SELECT 1 FROM lakeward_changes WHERE recorded_at IS NULL) "
    "OR EXISTS (SELECT 1 FROM lakeward_invitations WHERE state IN ('waiting', 'sent', 'opened') "
    "AND coalesce(due_at, expires_at) <= ?), "
    "EXISTS (SELECT 1 FROM lakeward_partners)"
)


class Witnessing:
    """Starts the child when there is something for it."""

    def __init__(
        self, lake: LakeDir, ring_dir: Path, settings: Settings,
        now: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:  # fmt: skip
        self._path = lake.private / "app.db"
        self._words = (str(lake.root), str(settings.source.env_file.parent), str(ring_dir))
        self._elsewhere = bool(settings.database_url)
        self._now, self._now_ms = now, now_ms
        self._child = Child(__name__, PAUSE_SECONDS, farewell=FAREWELL_SECONDS)
        self._able = settings.collect and all(map(find_spec, NEEDS))
        self._look_at = now() + LOOK_SECONDS
        self._began = now()

    def step(self, state: object) -> None:
        """Twice a second: reap, look, start."""
        del state
        now = self._now()
        if not self._able or (self._child and self._child.reaped(now) is None):
            return
        if now < max(self._look_at, self._child.not_before):
            return
        self._look_at = now + LOOK_SECONDS
        if self._asks(now):
            self._began = now
            self._child.start(*self._words)

    def _asks(self, now: float) -> bool:
        """Whether there is anything to do."""
        if self._elsewhere:
            return now - self._began >= AWAY_SECONDS
        due, partners = looked(self._path, self._now_ms())
        return due or (partners and now - self._began >= ANYWAY_SECONDS)

    def close(self) -> None:
        """End the child; what it did not do, the next one does."""
        self._child.close()


def looked(path: Path, now_ms: int) -> tuple[bool, bool]:
    """Whether something is due in a database of SQLite, and whether it has partners. A database
    that is not there, is of another version or cannot be read has neither: others say so."""
    if not path.exists():
        return False, False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as seen:
            due, partners = seen.execute(DUE, (now_ms,)).fetchone()
    except sqlite3.Error:
        return False, False
    return bool(due), bool(partners)


def child(lake_dir: str, env_folder: str, ring_dir: str) -> int:
    """What the child does: one round."""
    return worked(logger, "PowerConfidence", once, lake_dir, env_folder, ring_dir)


def once(lake: LakeDir, settings: Settings) -> None:
    """Invite, remind, score, tell."""
    from lakeward.cli.confidence import rounded

    rounded(settings)
