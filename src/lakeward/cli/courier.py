"""The courier: the keeper's child that drives every configured follower, each in its own thread.

In: settings. Out: followers that go along with the log; one that is slow, away or stopped holds up
no other, and none of them the keeper. It ends with its keeper, or when the lake in its place is
another; the keeper's task starts it again, each time after twice as long while it fails.

On SIGTERM what is durable is delivered without lingering, for at most two seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from lakeward.cli.child import end, ended, start
from lakeward.errors import LakewardError, Transient
from lakeward.followers.driver import Driver
from lakeward.lakedir import LakeDir, open_lake, read_identity
from lakeward.removal import finish_pending
from lakeward.rollout import ShareFile
from lakeward.settings import Settings, load
from lakeward.sinks.registry import configured, follower_names

logger = logging.getLogger("lakeward.courier")

POLL_SECONDS, WATCH_SECONDS = 0.1, 1.0
WAITED_FOR_SECONDS = 0.01
"""Between looks where senders wait for S3."""
FLUSH_SECONDS, FAREWELL_SECONDS = 2.0, 3.0
FIRST_PAUSE, LONGEST_PAUSE, STEADY_SECONDS = 0.5, 60.0, 60.0
COMMIT_SECONDS = 10.0
TOLD, MOVED = 15, 75
"""Exit codes: told to stop, and the lake or the keeper is another."""


class Courier:
    """The keeper's task: there is a courier as long as there is a follower for it to drive."""

    def __init__(
        self, lake: LakeDir, settings: Settings, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._lake = lake
        self._env_folder = settings.source.env_file.parent
        self._now = now
        self._wanted = bool(follower_names(settings))
        self._child = 0
        self._started = 0.0
        self._pause = FIRST_PAUSE
        self._next_start = 0.0

    def step(self, state: object) -> None:
        """Start the courier, and again when it died."""
        del state
        if not self._wanted:
            return
        now = self._now()
        if self._child:
            code = ended(self._child)
            if code is None:
                return
            self._child = 0
            if code == 0:  # it found nothing to do
                self._wanted = False
                return
            steady = now - self._started >= STEADY_SECONDS
            self._pause = FIRST_PAUSE if steady else min(self._pause * 2, LONGEST_PAUSE)
            self._next_start = now + self._pause
            logger.error("the courier ended with %d: starting it again", code)
        if now >= self._next_start:
            self._started = now
            self._child = start(__name__, str(self._lake.root), str(self._env_folder))

    def close(self) -> None:
        """Let it deliver what it can, then end it."""
        child, self._child = self._child, 0
        if child:
            end(child, FAREWELL_SECONDS)


def child(lake_dir: str, env_folder: str) -> int:
    """What the child does; 0 when no follower is configured."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load(folder=Path(env_folder))
        lake = open_lake(Path(lake_dir), create=False)
        return courier(lake, settings, stop)
    except (LakewardError, OSError) as error:
        logger.error("%s", error)
        return 1
    finally:
        sys.stderr.flush()


def courier(lake: LakeDir, settings: Settings, stop: threading.Event) -> int:
    """Drive all followers until told to stop, orphaned, or in another lake's place."""
    if not follower_names(settings):
        return 0
    finish_pending(lake)
    shares = ShareFile(os.environ, settings.source.env_file)
    returns = Returns(lake, settings)
    drivers = [
        Driver(
            lake,
            subscription,
            returns,
            share=lambda feature: shares()[feature],
            mend=lambda: finish_pending(lake),
        )
        for subscription in configured(settings, lake)
    ]
    bulletin = Bulletin(lake)
    threads = [
        threading.Thread(target=drive, args=(driver, stop, bulletin), name=driver.name, daemon=True)
        for driver in drivers
    ]
    for thread in threads:
        thread.start()
    parent, code, watch_at = os.getppid(), TOLD, 0.0
    while not stop.wait(WAITED_FOR_SECONDS if settings.ack == "s3" else POLL_SECONDS):
        bulletin.look()
        if time.monotonic() >= watch_at:
            watch_at = time.monotonic() + WATCH_SECONDS
            if os.getppid() != parent or not _same(lake):
                code = MOVED
                stop.set()
    bulletin.end()
    deadline = time.monotonic() + FLUSH_SECONDS
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
    return code


def drive(driver: Driver, stop: threading.Event, bulletin: Bulletin) -> None:
    """One follower's thread."""
    try:
        while not stop.is_set():
            edition = bulletin.edition
            wait = driver.step()
            if driver.listening:
                bulletin.wait(edition, wait)
            else:
                stop.wait(wait)
        while driver.step(linger=False) == 0.0:
            pass
    finally:
        driver.close()


class Bulletin:
    """Tells all threads that something was published; one look for however many followers."""

    def __init__(self, lake: LakeDir) -> None:
        self._path = lake.private / "published"
        self._content = b""
        self._changed = threading.Condition()
        self._ended = False
        self.edition = 0

    def look(self) -> None:
        """Wake everybody when the durable end is another."""
        with contextlib.suppress(FileNotFoundError):
            content = self._path.read_bytes()
            if content != self._content:
                self._content = content
                self._next()

    def end(self) -> None:
        """Wake everybody, and let nobody wait any more."""
        self._ended = True
        self._next()

    def _next(self) -> None:
        with self._changed:
            self.edition += 1
            self._changed.notify_all()

    def wait(self, edition: int, seconds: float) -> None:
        """Until there is a later edition, or so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self.edition != edition, seconds)


def _same(lake: LakeDir) -> bool:
    """Whether the lake is still the one, in the epoch, that the cursors were checked against."""
    try:
        return read_identity(lake.private / "lake.json") == lake.identity
    except (OSError, LakewardError):
        return False


class Returns:
    """Puts what cannot be delivered into the quarantine, through a ring like everybody; only for
    as long as it takes, since a keeper stays while a ring has an owner."""

    def __init__(
        self, lake: LakeDir, settings: Settings, keeper: Literal["external", "spawn"] = "external"
    ) -> None:
        from lakeward.collector import Collector  # most couriers never return a line

        self._collector = Collector(
            msgspec.structs.replace(
                settings, lake_dir=lake.root, keeper=keeper, collect=True, exit_seconds=0.0
            )
        )
        self._lock = threading.Lock()

    def __call__(self, follower: str, lines: list[tuple[bytes, str]]) -> None:
        """Return when all lines are durable in the quarantine; Transient when they are not."""
        with self._lock:
            try:
                for line, reason in lines:
                    if not self._collector.return_line(follower, reason, line):
                        raise Transient("there is no room to quarantine what cannot be delivered")
                self._collector.commit(COMMIT_SECONDS)
            finally:
                self._collector.detach()
