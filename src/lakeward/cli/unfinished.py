"""The keeper's task that records the AI turns which their process did not end.

In: the folders of the lake's rings, in which a process that streams has a file of drafts. Out: at
most one child at a time, which makes a record of each turn that stands in the files of the dead and
deletes them when the records are durable. Killed at any point it is done again, with the same ids.
A child that fails is started again later, each time after twice as long.

Turns of people who were erased after they began are not recorded.

What a dead process had recorded itself comes first: while a ring of its still waits, its drafts do,
so that of two records with one id the one that tells of the end stands first in the log.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from lakeward.ai.draft_file import TYPE, Rules
from lakeward.ai.unfinished import drafts_in, lock, read
from lakeward.barrier import delivering
from lakeward.cli.child import Child, worked
from lakeward.errors import Unreadable
from lakeward.lakedir import LakeDir
from lakeward.ring_reader import RingReader
from lakeward.ringdir import disk_folder
from lakeward.settings import Settings
from lakeward.suppression import load as load_suppressed

logger = logging.getLogger("lakeward.drafts")

LOOK_SECONDS: Final = 1.0
LONGEST_WAIT: Final = 60.0
"""For a ring with the dead process's number: it may be another's by now."""
MOST_FILES: Final = 64
"""Of one child."""
FIRST_PAUSE: Final = 2.0


class Unfinished:
    """Starts the child when a dead process left a file."""

    def __init__(
        self,
        lake: LakeDir,
        ring_dir: Path,
        settings: Settings,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake = lake
        self._ring_dir = ring_dir
        self._env_folder = settings.source.env_file.parent
        self._collects = settings.collect
        self._now = now
        self._child = Child(__name__, FIRST_PAUSE)
        self._look_at = 0.0
        self._seen: dict[Path, float] = {}
        """When the owner of a file was first found dead."""

    def step(self, state: object) -> None:
        """Once a second: reap, look, start."""
        del state
        now = self._now()
        if not self._collects or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if self._child and self._child.reaped(now) is None:
            return
        if now < self._child.not_before:
            return
        ready = self._ready(now)[:MOST_FILES]
        if ready:
            words = (str(self._lake.root), str(self._env_folder), str(self._ring_dir))
            self._child.start(*words, *map(str, ready))

    def _ready(self, now: float) -> list[Path]:
        """Files of the dead that wait for nothing."""
        folders = (self._ring_dir, disk_folder(self._lake))
        lake_id = self._lake.identity.lake_id
        dead = {
            path: pid for path in drafts_in(folders) if (pid := _owner(path, lake_id)) is not None
        }
        self._seen = {path: self._seen.get(path, now) for path in dead}
        if not dead:
            return []
        waiting = _owners(folders)
        return [
            path
            for path, pid in dead.items()
            if pid not in waiting or now >= self._seen[path] + LONGEST_WAIT
        ]

    def close(self) -> None:
        """End the child; what it did not record, the next one does."""
        self._child.close()


def _owner(path: Path, lake_id: str) -> int | None:
    """The process id of a file's dead owner, 0 where the file does not say; None: it lives, or
    another lake's keeper has to do with it."""
    try:
        fd = lock(path)
        if fd is None:
            return None
        try:
            left = read(fd, turns=False)
            return left.pid if left.rules.lake == lake_id else None
        finally:
            os.close(fd)
    except (Unreadable, OSError):
        return 0


def _owners(folders: Sequence[Path]) -> set[int]:
    """Process ids of the owners of all rings that are not drained to the end."""
    found: set[int] = set()
    for path in (path for folder in dict.fromkeys(folders) for path in folder.glob("*.ring")):
        try:
            reader = RingReader(path, writable=False)
        except (Unreadable, OSError):
            continue
        found.add(reader.identity.pid)
        reader.close()
    return found


def child(lake_dir: str, env_folder: str, ring_dir: str, *paths: str) -> int:
    """What the child does: all turns of the files, then their end."""

    def work(lake: LakeDir, settings: Settings) -> None:
        recover(lake, settings, list(map(Path, paths)))

    return worked(logger, "recording unfinished turns", work, lake_dir, env_folder, ring_dir)


def recover(
    lake: LakeDir,
    settings: Settings,
    paths: Sequence[Path],
    *,
    pause: Callable[[str], None] = lambda _: None,
) -> int:
    """Record the turns of files whose owners are dead, and delete the files; how many turns."""
    told = 0
    for path in paths:
        try:
            fd = lock(path)
        except Unreadable as error:
            _delete(path, str(error))
            continue
        if fd is None:
            continue
        try:
            # An erasure that begins now takes what is recorded here out of the log again.
            with delivering(lake):
                told += _recover(lake, settings, path, fd, pause)
        finally:
            os.close(fd)
    if told:
        logger.info("%d AI turns were recorded that their process did not end", told)
    return told


def _recover(
    lake: LakeDir, settings: Settings, path: Path, fd: int, pause: Callable[[str], None]
) -> int:
    try:
        left = read(fd)
    except Unreadable as error:
        _delete(path, str(error))
        return 0
    if left.rules.lake != lake.identity.lake_id:
        return 0
    suppressed = load_suppressed(lake)
    turns = [turn for turn in left.turns if not suppressed.covers(turn)]
    if len(turns) < len(left.turns):
        logger.info("%d AI turns are left out: who they name was erased",
                    len(left.turns) - len(turns))  # fmt: skip
    if turns:
        from lakeward.collector import Collector  # the child's, not the keeper's

        collector = Collector(_settings(lake, settings, left.rules))
        try:
            for turn in turns:
                pause("before record")
                collector.record(TYPE, **turn)
                pause("before commit")
                collector.commit(LONGEST_WAIT)  # one by one: a ring holds any one of them
        finally:
            collector.detach()
    pause("before delete")
    path.unlink(missing_ok=True)
    pause("after delete")
    return len(turns)


def _settings(lake: LakeDir, settings: Settings, rules: Rules) -> Settings:
    """The keeper's, with the rules of scrubbing of the app that died; its environment, version and
    service stand in the draft."""
    told = msgspec.structs.asdict(rules)
    del told["lake"]
    return msgspec.structs.replace(
        settings, lake_dir=lake.root, keeper="external", service="", exit_seconds=0.0, **told
    )


def _delete(path: Path, why: str) -> None:
    """What cannot be read may hold anything, and nobody will ever read it."""
    logger.error("%s was deleted unread: %s", path.name, why)
    path.unlink(missing_ok=True)
