"""A keeper's task that starts a child when something in the app database is due, at most one.

In: the app database, looked at without its library, and a question of it. Out: a child, while the
answer is yes; and one now and then, for what time alone brings. Where there is no database no child
is started; one that fails is started again later. A database elsewhere is not looked at: there a
child looks every half minute.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final

from lakeward.cli.child import Child
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

LOOK_SECONDS: Final = 2.0
AWAY_SECONDS: Final = 30.0
"""Between children where the database is not a file that can be looked at."""
ANYWAY_SECONDS: Final = 3600.0
"""Between children where nothing is due, and somebody is there."""
PAUSE_SECONDS: Final = 60.0
FAREWELL_SECONDS: Final = 0.0
"""A kill at any point is safe, so nobody's stop waits for the child."""
NEEDS: Final = ("sqlalchemy", "alembic")


class Due:
    """Starts the child when there is something for it."""

    module: ClassVar[str]
    """Whose `child` the child runs."""
    question: ClassVar[str]
    """SQL with `:now` in ms: whether something is due, and whether anybody is there."""

    def __init__(
        self, lake: LakeDir, ring_dir: Path, settings: Settings,
        now: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:  # fmt: skip
        self._path = lake.private / "app.db"
        self._words = (str(lake.root), str(settings.source.env_file.parent), str(ring_dir))
        self._elsewhere = bool(settings.database_url)
        self._now, self._now_ms = now, now_ms
        self._child = Child(self.module, PAUSE_SECONDS, farewell=FAREWELL_SECONDS)
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
        due, anybody = self.looked(self._path, self._now_ms())
        return due or (anybody and now - self._began >= ANYWAY_SECONDS)

    @classmethod
    def looked(cls, path: Path, now_ms: int) -> tuple[bool, bool]:
        """Whether something is due in a database of SQLite, and whether anybody is there. One that
        is not there, is of another version or cannot be read has neither: others say so."""
        if not path.exists():
            return False, False
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as seen:
                due, anybody = seen.execute(cls.question, {"now": now_ms}).fetchone()
        except sqlite3.Error:
            return False, False
        return bool(due), bool(anybody)

    def close(self) -> None:
        """End the child; what it did not do, the next one does."""
        self._child.close()
