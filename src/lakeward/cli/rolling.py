"""The keeper's task that keeps roll-ups: a child process some minutes after the table changed.

In: the note of what compaction did, from files alone. Out: at most one child at a time, which dies
with the keeper and takes no more memory than `LAKEWARD_COMPACT_MEMORY`. One that fails is started
again, each time after twice as long; until then, questions count more rows.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lakeward.cli.child import Child
from lakeward.cli.compact import small_stacks
from lakeward.cli.compaction import ENVIRONMENT
from lakeward.cli.tidy import tabled
from lakeward.errors import LakewardError, SettingError
from lakeward.lakedir import LakeDir, open_lake
from lakeward.settings import Settings, load

logger = logging.getLogger("lakeward.rollup")

EVERY_SECONDS: Final = 300.0
FIRST_PAUSE, LONGEST_PAUSE = 600.0, 3600.0


class Rolling:
    """Starts the child when it is time."""

    def __init__(
        self,
        lake: LakeDir,
        settings: Settings,
        now: Callable[[], float] = time.monotonic,
        *,
        every: float = EVERY_SECONDS,
    ) -> None:
        self._lake = lake
        self._folder = settings.source.env_file.parent
        self._now = now
        self._every = every
        self._child = Child(__name__, FIRST_PAUSE, longest_pause=LONGEST_PAUSE)
        self._look_at = now() + every
        self._seen: tuple[int, int] | None = None
        self._tried: tuple[int, int] | None = None
        self._possible = tabled(settings)

    def step(self, state: object) -> None:
        """Every few minutes: reap, look, start."""
        del state
        now = self._now()
        if not self._possible:
            return
        if self._child:
            if self._child.reaped(now) == 0:
                self._seen = self._tried
        elif now >= max(self._look_at, self._child.not_before):
            self._look_at = now + self._every
            told = self._stamp()
            if told is not None and told != self._seen:
                self._tried = told
                environ = os.environ | ENVIRONMENT
                self._child.start(str(self._lake.root), str(self._folder), environ=environ)

    def _stamp(self) -> tuple[int, int] | None:
        """What changes when compaction did something."""
        try:
            found = (self._lake.private / "table.json").stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size

    def close(self) -> None:
        """End the child; what it did not settle, the next one does."""
        self._child.close()


def child(lake_dir: str, env_folder: str) -> int:
    """What the keeper's child does."""
    from lakeward.analysis.rollup.build import Builder

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.nice(10)
    small_stacks()
    try:
        settings = load(folder=Path(env_folder))
        resource.setrlimit(resource.RLIMIT_DATA, (settings.compact_memory,) * 2)
        lake = open_lake(Path(lake_dir), create=False)
        made = Builder(lake, settings, memory=settings.compact_memory).run()
        if made.made:
            logger.info("%d rows counted into roll-ups", made.rows)
    except (LakewardError, SettingError, OSError) as error:
        logger.error("roll-ups: %s", error if isinstance(error, LakewardError) else "the disk")
        return 1
    except Exception as error:  # its text may quote a path
        logger.error("roll-ups: %s", type(error).__name__)
        return 1
    finally:
        sys.stderr.flush()
    return 0
