"""The keeper's task that compacts: a child process when enough of the log waits for the table.

In: how much waits, from files alone. Out: at most one child at a time, which dies with the keeper
and takes no more memory than `LAKEWARD_COMPACT_MEMORY`. A child that fails is started again later,
each time after twice as long.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Callable

from lakeward.cli.child import LONGEST_PAUSE, Child
from lakeward.errors import LakewardError
from lakeward.lake.progress import waiting_bytes
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

logger = logging.getLogger("lakeward.keeper")

LOOK_SECONDS = 0.5
COMPACTOR = "lakeward.cli.compact"
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    "MALLOC_ARENA_MAX": "2",
    "DUCKDB_JE_MALLOC_CONF": "retain:false",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""Slices are large and of one size: malloc keeps their memory instead of faulting it in anew,
in few arenas: each keeps what it had, and the libraries start threads by the dozen.
Arrow's own pool would reserve a gigabyte at once, and DuckDB's keeps the addresses of memory that
it gave back: the limit counts both."""


class Compaction:
    """Starts the compactor when it is time."""

    def __init__(
        self, lake: LakeDir, settings: Settings, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._now = now
        self._child = Child(COMPACTOR, 2 * (settings.compact_seconds or 1.0))
        self._look_at = 0.0
        self._since: float | None = None
        self._possible = settings.compact and all(
            importlib.util.find_spec(name) for name in ("duckdb", "deltalake", "pyarrow")
        )

    def step(self, state: object) -> None:
        """Twice a second: reap, look, start."""
        del state
        now = self._now()
        if not self._possible or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if self._child and self._child.reaped(now) is None:
            return
        if now >= self._child.not_before and self._is_time(now):
            self._start()

    def _is_time(self, now: float) -> bool:
        try:
            waiting = waiting_bytes(self._lake)
        except LakewardError as error:
            logger.error("%s", error)
            self._child.not_before = now + LONGEST_PAUSE
            return False
        if not waiting:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        old = now - self._since >= self._settings.compact_seconds
        return old or waiting >= self._settings.compact_bytes

    def _start(self) -> None:
        folder = str(self._settings.source.env_file.parent)
        environ = os.environ | ENVIRONMENT
        self._child.start(str(self._lake.root), folder, environ=environ)
        self._since = None

    def close(self) -> None:
        """End the child; what it did not commit, the next one does."""
        self._child.close()
