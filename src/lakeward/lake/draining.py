"""Draining: everything that was recorded before now stands in the log when this returns.

In: a lake and where its rings are. Out: the names of processes whose memory cannot be seen from
here. Asks the keeper that runs, and keeps the lake itself for as long as none does. `NotDurable`
when the log does not take it in time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lakeward.bell import Bell
from lakeward.errors import LakeBusy, NotDurable, Unreadable
from lakeward.fleet import registrations
from lakeward.keeper import Keeper
from lakeward.lakedir import LakeDir
from lakeward.ring_reader import RingReader
from lakeward.ringdir import known_folders, ring_folder
from lakeward.settings import Settings

POLL_SECONDS = 0.02


def drain(lake: LakeDir, settings: Settings, seconds: float = 30.0) -> list[str]:
    """See to it that what all rings hold now reaches the log."""
    folders = known_folders(lake, settings.ring_dir)
    goals = {path: heads for path in _rings(folders) if (heads := _heads(path, lake)) is not None}
    seen = {path.stem for path in goals}
    unseen = [
        owner for path, owner, lives in registrations(lake) if lives and path.stem not in seen
    ]
    deadline = time.monotonic() + seconds
    if not _waiting(goals):
        return unseen
    ring_dir = ring_folder(lake, settings.ring_dir)
    with closing(Bell(ring_dir, f"drain-{os.getpid()}")) as bell:
        while _waiting(goals):
            if time.monotonic() >= deadline:
                raise NotDurable("what was recorded does not reach the log: see `lakeward doctor`")
            try:
                keeper = Keeper(lake, ring_dir, segment_bytes=settings.segment_bytes)
                keeper.catch_up(lambda: not _waiting(goals))
            except LakeBusy:
                bell.nudge()
                bell.wait(POLL_SECONDS)
    return unseen


def _rings(folders: tuple[Path, ...]) -> Iterator[Path]:
    for folder in folders:
        yield from folder.glob("*.ring")


def _heads(path: Path, lake: LakeDir) -> list[int] | None:
    """How far each lane was filled; None for what is no ring of this lake."""
    with _opened(path) as reader:
        if reader is None or reader.identity.lake_id != lake.identity.lake_id:
            return None
        return reader.heads()


def _waiting(goals: dict[Path, list[int]]) -> dict[Path, list[int]]:
    """The rings that are not drained up to their goal; one that was folded is gone."""
    left = {}
    for path, goal in goals.items():
        with _opened(path) as reader:
            if reader is not None and any(
                tail < head for tail, head in zip(reader.tails, goal, strict=True)
            ):
                left[path] = goal
    return left


@contextmanager
def _opened(path: Path) -> Iterator[RingReader | None]:
    try:
        reader = RingReader(path, writable=False)
    except (Unreadable, OSError):
        yield None
        return
    with closing(reader):
        yield reader
