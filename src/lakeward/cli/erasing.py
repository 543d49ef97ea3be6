"""The keeper's task that ends what erasures began: stores that were away are asked again, and what
comes late of an erased person is taken out of the log once an hour.

In: notes of erasures that wait, and a suppression list. Out: at most one child process at a time,
which dies with the keeper; each try that does not come to an end doubles the pause. Whoever erases
by hand meanwhile goes first.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from lakeward.cli.child import Child
from lakeward.errors import LakewardError
from lakeward.lake.receipt import asked, leftovers
from lakeward.lakedir import LakeDir, open_lake
from lakeward.settings import Settings, load

logger = logging.getLogger("lakeward.keeper")

LOOK_SECONDS = 5.0
FIRST_PAUSE = 60.0
LONGEST_PAUSE = 3600.0
SWEEP_SECONDS = 3600.0


class Erasing:
    """Goes on with erasures that wait."""

    def __init__(
        self, lake: LakeDir, settings: Settings, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._lake = lake
        self._folder = settings.source.env_file.parent
        self._now = now
        self._child = Child(__name__, FIRST_PAUSE, longest_pause=LONGEST_PAUSE)
        self._look_at = now() + LOOK_SECONDS  # whoever asked is usually still at it
        self._sweep_at = now() + SWEEP_SECONDS

    def step(self, state: object) -> None:
        """Every five seconds: reap, look, start."""
        del state
        now = self._now()
        if self._child:
            if self._child.reaped(now) == 0:
                self._look_at = now + LOOK_SECONDS
        elif now >= max(self._look_at, self._child.not_before):
            self._look_at = now + LOOK_SECONDS
            waits = asked(self._lake) or leftovers(self._lake)
            if waits or (now >= self._sweep_at and self._has_list()):
                self._sweep_at = now + SWEEP_SECONDS
                self._child.start(str(self._lake.root), str(self._folder))

    def _has_list(self) -> bool:
        return (self._lake.private / "suppressed.jsonl").exists()

    def close(self) -> None:
        """End the child; the next one goes on."""
        self._child.close()


def child(lake_dir: str, env_folder: str) -> int:
    """What the keeper's child does; 1 while a store is still away."""
    from lakeward.cli.erase import resume
    from lakeward.lake.sweep import sweep

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.nice(10)
    try:
        lake = open_lake(Path(lake_dir), create=False)
        receipts = resume(lake, load(folder=Path(env_folder)))
        swept = sweep(lake)
    except (LakewardError, OSError) as error:
        logger.error("erasing: %s", error if isinstance(error, LakewardError) else error.strerror)
        return 1
    if swept:
        logger.info("erasing: %d late lines of erased people blanked", swept)
    for receipt in receipts:
        logger.info("erasure %s: %s", receipt.erasure_id, receipt.stage)
    return int(any(not receipt.gone_at for receipt in receipts))
