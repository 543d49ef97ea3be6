"""The keeper's task that compacts: a child process when enough of the log waits for the table.

In: how much waits, from files alone. Out: at most one child at a time, which dies with the keeper
and takes no more memory than `LAKEWARD_COMPACT_MEMORY`. A child that fails is started again later,
each time after twice as long.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
import time
from collections.abc import Callable

from lakeward.errors import LakewardError
from lakeward.lake.progress import waiting_bytes
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

logger = logging.getLogger("lakeward.keeper")

LOOK_SECONDS = 0.5
LONGEST_PAUSE = 600.0
FAREWELL_SECONDS = 2.0
BOOT = (
    "import ctypes,os,sys\n"
    "ctypes.CDLL(None).prctl(1, 9)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(0)\n"
    "os.nice(10)\n"
    "sys.path[:]=sys.argv[4].split(os.pathsep)\n"
    "from lakeward.cli.compact import child\n"
    "sys.exit(child(sys.argv[2], sys.argv[3]))\n"
)
"""Dies with its parent (PR_SET_PDEATHSIG), which may be gone before that was set."""
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "268435456"}
"""Slices are large and of one size: malloc keeps their memory instead of faulting it in anew."""


class Compaction:
    """Starts the compactor when it is time."""

    def __init__(
        self, lake: LakeDir, settings: Settings, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._now = now
        self._child = 0
        self._look_at = 0.0
        self._since: float | None = None
        self._pause_until = 0.0
        self._pause = settings.compact_seconds or 1.0
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
        if self._child and not self._reaped(now):
            return
        if now >= self._pause_until and self._is_time(now):
            self._start()

    def _is_time(self, now: float) -> bool:
        try:
            waiting = waiting_bytes(self._lake)
        except LakewardError as error:
            logger.error("%s", error)
            self._pause_until = now + LONGEST_PAUSE
            return False
        if not waiting:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        old = now - self._since >= self._settings.compact_seconds
        return old or waiting >= self._settings.compact_bytes

    def _start(self) -> None:
        folder = self._settings.source.env_file.parent
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        arguments = [str(os.getpid()), str(self._lake.root), str(folder), path]
        self._child = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-c", BOOT, *arguments],
            os.environ | ENVIRONMENT,
            setsigmask=(),
            setsigdef=[signal.SIGINT, signal.SIGTERM],
        )
        self._since = None

    def _reaped(self, now: float) -> bool:
        pid, status = os.waitpid(self._child, os.WNOHANG)
        if not pid:
            return False
        self._child = 0
        if os.waitstatus_to_exitcode(status) == 0:
            self._pause = self._settings.compact_seconds or 1.0
        else:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self._pause_until = now + self._pause
        return True

    def close(self) -> None:
        """End the child; what it did not commit, the next one does."""
        if not self._child:
            return
        os.kill(self._child, signal.SIGTERM)
        deadline = time.monotonic() + FAREWELL_SECONDS
        while not self._reaped(self._now()):
            if time.monotonic() >= deadline:
                os.kill(self._child, signal.SIGKILL)
                os.waitpid(self._child, 0)
                break
            time.sleep(0.01)
        self._child = 0
