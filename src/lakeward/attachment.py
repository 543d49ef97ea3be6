"""One process's attachment to its lake: its ring, its registration, and its watch on the keeper.

In: settings. Out: a ring that a keeper drains, and waits for durability. Opening may raise
(`Terminal`, OSError); afterwards only `commit` does. It is made by the collector on first use, once
per process: a forked child abandons the parent's and makes its own.
"""

from __future__ import annotations

import fcntl
import importlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol
from uuid import UUID

from lakeward import spawn
from lakeward.bell import Bell, greet
from lakeward.errors import LakewardError, NotDurable, Terminal, Transient
from lakeward.interaction import iso
from lakeward.keeper import Keeper, Task
from lakeward.lakedir import LakeDir, create_file, open_lake
from lakeward.lock import is_kept
from lakeward.ring import Label, Ring, create
from lakeward.ringdir import disk_folder, private_folder, ring_folder
from lakeward.rollout import ShareFile, Shares, configured
from lakeward.salts import DailySalts
from lakeward.settings import Settings
from lakeward.version import VERSION

logger = logging.getLogger("lakeward")

STALE_NS = 2_000_000_000
CHECK_NS = 5_000_000_000
UNSEEN_SECONDS = 10.0
FIRST_POLL, LONGEST_POLL = 0.0005, 0.02


class Frames(Protocol):
    """Where encoded records go: a `Ring`, or what stands in for one in a test."""

    def append(self, payload: bytes, kind: int = 1, count: int = 1) -> int:
        """Keep one frame of `count` records; one of the answers of `Ring.append`."""

    def count(self, reason: int, n: int = 1) -> None:
        """Count `n` records that were offered and not kept."""

    def tallies(self) -> tuple[int, int, list[int]]:
        """Records offered, records accepted, and the count of each reason."""

    def capacity(self) -> int:
        """Bytes that there is room for."""

    def waiting_bytes(self) -> int:
        """Bytes that are not durable yet."""

    @property
    def ring_id(self) -> UUID:
        """Which ring it is."""

    @property
    def path(self) -> Path:
        """Its file."""

    @property
    def beat(self) -> Sequence[int]:
        """Wall-clock ns of the keeper's last round, and its errno."""


class Holder(Protocol):
    """What a collector asks of its attachment; `lakeward.testing` has one without any file."""

    looked_ns: int
    next_look_ns: int
    shares: Shares

    @property
    def ring(self) -> Frames:
        """Where records go."""

    @property
    def salts(self) -> Callable[[str], bytes]:
        """The secret of a day."""

    @property
    def secret(self) -> bytes | None:
        """The secret that stays."""

    def ensure_keeper(self) -> None:
        """See to it that someone makes what is held durable."""

    def commit(self, timeout: float) -> None:
        """Wait until everything held now is durable."""

    async def acommit(self, timeout: float) -> None:
        """As `commit`, without holding the event loop."""

    def close(self, timeout: float) -> None:
        """Wait up to `timeout` for the keeper, then let go."""

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's."""


class Attachment:
    """A ring in a lake. Holds the ring file, its lock, a registration and a socket."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.lake = open_lake(settings.lake_dir)
        self.ring_dir = ring_folder(self.lake, settings.ring_dir)
        self.salts: Callable[[str], bytes] = DailySalts(self.ring_dir / "salts")
        self.secret = lasting_secret(self.lake)
        """Key of the hashes that must be the same tomorrow; None where it cannot be kept."""
        self.ring = self._create_ring()
        self.bell = Bell(self.ring_dir, self.ring.ring_id.hex[-16:])
        self._registration = self._register()
        greet(self.ring_dir)
        self._configured, self._fixed = configured(settings)
        self.shares: Shares = self._configured
        """The rollout's shares in force."""
        self.looked_ns = self.next_look_ns = 0
        """Wall-clock ns between which a caller need not look at the heartbeat again."""
        self._started_ns = 0
        self._opened = time.monotonic()
        self._quiet_until = 0.0
        self._checking = threading.Lock()
        self._thread: tuple[Keeper, threading.Thread] | None = None
        self.keeper_error = ""

    def _label(self) -> Label:
        return Label(
            pid=os.getpid(),
            host=socket.gethostname()[:64],
            service=(self._settings.service or Path(sys.argv[0] or "python").name)[:64],
            version=VERSION,
            started=iso(time.time_ns() // 1_000_000),
        )

    def _create_ring(self) -> Ring:
        """In shared memory; on the lake's disk when the memory is too small or full."""
        folders = dict.fromkeys((self.ring_dir, disk_folder(self.lake)))
        failure: OSError | None = None
        for folder in folders:
            try:
                return create(
                    private_folder(folder), lake_id=self.lake.identity.lake_id,
                    epoch=self.lake.identity.epoch, total=self._settings.ring_bytes,
                    lanes=self._settings.ring_lanes, frame=self._settings.frame_bytes,
                    label=self._label(),
                )  # fmt: skip
            except OSError as error:
                failure = failure or error
        assert failure is not None
        raise Transient(
            f"no ring of {self._settings.ring_bytes} bytes in {self.ring_dir}: {failure.strerror}"
        ) from failure

    def _register(self) -> int:
        """Leave a locked file in the lake, so that `doctor` can name a ring it cannot see."""
        path = self.lake.collectors / f"{self.ring.ring_id}.json"
        temporary = path.with_suffix(".tmp")
        try:
            self.lake.collectors.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fd = os.open(temporary, flags, 0o600)
        except OSError:
            return -1
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            label = self._label()
            os.write(fd, f"pid {label.pid} on {label.host} {label.service}\n".encode())
            os.rename(temporary, path)
        except OSError:
            os.close(fd)
            return -1
        return fd

    def ensure_keeper(self) -> None:
        """See to it that someone keeps the lake; looks no further while the heartbeat is fresh,
        and starts a keeper at most every 5 seconds, by one caller. Heartbeats are wall-clock
        times: one from the future is of a clock that was set back, and is not believed."""
        now, beat = time.time_ns(), self.ring.beat[0]
        if abs(now - beat) <= STALE_NS:
            self.looked_ns, self.next_look_ns = now, beat + STALE_NS
            self.shares = tuple(
                mine if said is None or n in self._fixed else said
                for n, (mine, said) in enumerate(
                    zip(self._configured, self.ring.said_shares(), strict=False)
                )
            )
            return
        if not self._checking.acquire(blocking=False):
            return
        try:
            if abs(now - self._started_ns) < CHECK_NS:
                return
            self._started_ns = self.looked_ns = now
            self.next_look_ns = now + CHECK_NS
            if not is_kept(self.lake):
                self._start_keeper()
            elif not beat and time.monotonic() - self._opened > UNSEEN_SECONDS:
                raise Terminal(
                    f"the keeper of {self.lake.root} does not see the rings in {self.ring_dir}: "
                    "share that folder with it, or give this app a lake of its own"
                )
        except (OSError, LakewardError) as error:
            self.keeper_error = str(error)
            if time.monotonic() >= self._quiet_until:
                self._quiet_until = time.monotonic() + 60.0
                logger.warning("lakeward: no keeper: %s", error)
        finally:
            self._checking.release()

    def _start_keeper(self) -> None:
        settings = self._settings
        if settings.keeper == "spawn":
            spawn.spawn(
                self.lake, self.ring_dir, settings.segment_bytes, settings.keeper_idle_seconds,
                settings.source.env_file,
            )  # fmt: skip
        elif settings.keeper == "thread":
            keeper = Keeper(
                self.lake,
                self.ring_dir,
                mode="thread",
                segment_bytes=settings.segment_bytes,
                tasks=_tasks(self.lake, self.ring_dir, settings),
                shares=ShareFile(os.environ, settings.source.env_file),
            )
            thread = threading.Thread(
                target=_keep_quietly, args=(keeper,), name="lakeward-keeper", daemon=True
            )
            thread.start()
            self._thread = keeper, thread
        else:
            raise Terminal(f"nobody keeps {self.lake.root}: start `lakeward run`")

    def commit(self, timeout: float) -> None:
        """Wait until everything in the ring now is durable; NotDurable when it is not in time."""
        mark = self.ring.mark()
        deadline = time.monotonic() + timeout
        pause = FIRST_POLL
        while not self.ring.reached(mark):
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._not_durable(timeout)
            self.ensure_keeper()
            self.bell.nudge()
            self.bell.wait(min(pause, left))
            pause = min(pause * 2, LONGEST_POLL)

    async def acommit(self, timeout: float) -> None:
        """As `commit`, without holding the event loop."""
        mark = self.ring.mark()
        deadline = time.monotonic() + timeout
        while not self.ring.reached(mark):
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._not_durable(timeout)
            self.ensure_keeper()
            await self.bell.heard(min(LONGEST_POLL, left))

    def _not_durable(self, timeout: float) -> NotDurable:
        beat, errno = self.ring.beat
        if errno:
            why = f"the keeper cannot write the lake ({os.strerror(errno)})"
        elif not beat:
            why = self.keeper_error or "no keeper has seen this process"
        else:
            why = "the keeper does not answer"
        return NotDurable(f"not durable after {timeout:g} s: {why}")

    def close(self, timeout: float) -> None:
        """Wait up to `timeout` for the keeper, then leave the ring to it."""
        try:
            if not self.ring.reached(self.ring.mark()):
                self.commit(timeout)
        except LakewardError as error:
            logger.warning("lakeward: left %d bytes to the next keeper: %s",
                           self.ring.waiting_bytes(), error)  # fmt: skip
        self.bell.nudge()
        self.bell.close()
        self.ring.close()
        if self._registration >= 0:
            os.close(self._registration)
        if self._thread is not None:
            keeper, thread = self._thread
            keeper.stop()
            thread.join(timeout + 1)

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's, without a trace."""
        self.ring.abandon()
        self.bell.close(remove=False)
        if self._registration >= 0:
            os.close(self._registration)
        if self._thread is not None:
            self._thread[0].abandon()


def lasting_secret(lake: LakeDir) -> bytes | None:
    """The lake's own random key, made once and readable by its user alone."""
    path = lake.private / "secret"
    try:
        if not path.exists():
            create_file(path, os.urandom(32))
        return path.read_bytes()
    except OSError:
        return None


def _tasks(lake: LakeDir, ring_dir: Path, settings: Settings) -> list[Task]:
    """What every keeper drives besides the log. The list is made on the commands' floor, which is
    only entered here where this process itself is the keeper; a spawned one enters it, too."""
    made: list[Task] = importlib.import_module("lakeward.cli.run").tasks(lake, ring_dir, settings)
    return made


def _keep_quietly(keeper: Keeper) -> None:
    try:
        keeper.run(wait=1.0)
    except (LakewardError, OSError) as error:
        logger.warning("lakeward: the keeper thread ended: %s", error)
