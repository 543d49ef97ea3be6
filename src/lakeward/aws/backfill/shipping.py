"""Waiting until a follower has shipped the log as far as it was when somebody asked.

In: the follower's driver, which drives it where no keeper does, and a place in the log. Out: when
the follower is there. `Terminal` with its own sentence where it has stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lakeward.errors import Terminal
from lakeward.followers import state
from lakeward.followers.cursor import read_progress
from lakeward.followers.driver import Driver
from lakeward.lakedir import LakeDir
from lakeward.log import Segment, durable_files, read_published

Place = tuple[int, int]
"""Segment and offset."""


def durable(lake: LakeDir) -> list[tuple[Segment, int]]:
    """The log's files as they are now, each with its durable end."""
    published = read_published(lake.private / "published")
    return list(durable_files(lake, published)) if published else []


def shipped(
    lake: LakeDir, driver: Driver, until: Place, told: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:  # fmt: skip
    """Return when the follower has all before `until`; `told` hears of what it meets."""
    path, said = lake.private / "cursors" / f"{driver.name}.json", ""
    try:
        while True:
            done = read_progress(path).done
            if (done.segment, done.offset) >= until:
                return
            wait = driver.step(linger=False)
            now = state.read(lake, driver.name)
            if driver.stopped or now.state == "stopped":
                raise Terminal(f"the follower {driver.name} has stopped: {now.sentence}")
            if now.state == "retrying" and now.sentence != said:
                told(said := now.sentence)
            sleep(wait)
    finally:
        driver.close()
