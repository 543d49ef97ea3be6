"""Retention as the keeper drives it: once a day a child process removes what is over, from the
table, the log, the quarantine and the individual files.

In: settings. Out: a process that ends when it is done, and with its keeper; it takes no more memory
than `LAKEWARD_COMPACT_MEMORY`. A run that was interrupted or failed is begun again, each time after
twice as long, until the day is noted in `.lakeward/retention.json`. `lakeward compact` does the
same at once.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lakeward.cli.child import Child
from lakeward.errors import LakewardError, SettingError
from lakeward.interaction import iso
from lakeward.lake.progress import read_progress
from lakeward.lakedir import LakeDir, open_lake
from lakeward.log import Position
from lakeward.retention import Expired, Rule, cutoffs, expire_log, note_day, read_notes
from lakeward.settings import Settings, load
from lakeward.sinks.files import IndividualFiles

logger = logging.getLogger("lakeward.retention")

LOOK_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0


def tabled(settings: Settings) -> bool:
    """Whether the log goes into a table here."""
    needs = ("duckdb", "deltalake", "pyarrow")
    return settings.compact and all(importlib.util.find_spec(name) for name in needs)


def tidy(lake: LakeDir, settings: Settings, now_ms: int) -> Expired:
    """Remove what is over from everything but the table, and note the day."""
    over = cutoffs(settings, now_ms)
    if not over:
        return Expired()
    done = expire_log(lake, settings, now_ms, table=_table(lake, settings))
    rule = Rule(over, now_ms, 0)
    files = IndividualFiles.from_settings(settings, lake)
    done.individual = files.expire(
        lambda kind, ms: rule.over(rule.kind(kind), ms), max(over.values())
    )
    note_day(lake, now_ms)
    return done


def _table(lake: LakeDir, settings: Settings) -> Position | None:
    """How far the table is; None where the log goes into none."""
    if not tabled(settings) and not (lake.private / "table.json").exists():
        return None
    return read_progress(lake).done.position()


def told(done: Expired) -> Iterator[str]:
    """What a run did, in sentences."""
    if done.lines:
        yield f"{done.lines:,} lines of log and quarantine expired, {done.files:,} files whole"
    if done.individual:
        yield f"{done.individual:,} individual files expired"
    if done.held:
        yield f"{done.held:,} lines are over and wait for: {', '.join(sorted(done.waits_for))}"
    if done.left_behind:
        yield f"not waited for any longer: {', '.join(sorted(done.left_behind))}"


class Tidying:
    """The keeper's task: one child a day."""

    def __init__(
        self,
        lake: LakeDir,
        settings: Settings,
        now: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._lake = lake
        self._env_folder = settings.source.env_file.parent
        self._now = now
        self._now_ms = now_ms
        self._child = Child(__name__, 2 * FIRST_PAUSE, longest_pause=LONGEST_PAUSE)
        self._look_at = 0.0
        try:
            self._wanted = bool(cutoffs(settings, now_ms()))
        except SettingError as error:
            self._wanted = False
            logger.error("nothing is removed: %s", error)

    def step(self, state: object) -> None:
        """Every few seconds: reap, look at the day, start."""
        del state
        now = self._now()
        if not self._wanted or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if self._child and not self._reaped(now):
            return
        if now >= self._child.not_before and read_notes(self._lake).day != self._today():
            self._child.start(str(self._lake.root), str(self._env_folder))

    def _today(self) -> str:
        return iso(self._now_ms())[:10]

    def _reaped(self, now: float) -> bool:
        code = self._child.reaped(now)
        if code == 0:
            self._child.not_before = now + FIRST_PAUSE
        return code is not None

    def close(self) -> None:
        """End the child; the next one goes on."""
        self._child.close()


def child(lake_dir: str, env_folder: str) -> int:
    """What the keeper's child does."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        os.nice(10)
        settings = load(folder=Path(env_folder))
        resource.setrlimit(resource.RLIMIT_DATA, (settings.compact_memory,) * 2)
        lake = open_lake(Path(lake_dir), create=False)
        now_ms = time.time_ns() // 1_000_000
        if tabled(settings):
            from lakeward.cli.compact import compact

            report = compact(lake, settings, over=cutoffs(settings, now_ms))
            if report.expired:
                logger.info("%d rows of the table expired", report.expired)
        for sentence in told(tidy(lake, settings, now_ms)):
            logger.info("%s", sentence)
    except (LakewardError, OSError) as error:
        logger.error("retention failed: %s", error)
        return 1
    except MemoryError:
        logger.error("retention failed: raise LAKEWARD_COMPACT_MEMORY")
        return 1
    finally:
        sys.stderr.flush()
    return 0
