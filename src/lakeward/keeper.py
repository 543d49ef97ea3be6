"""The keeper: the one writer of a lake. It drains all rings into the log and says what is durable.

In: the rings in a folder. Out: whole lines in the log, a published end, tails moved only after
`fdatasync`. A disk that fails is an errno in every ring's heartbeat and another try; nothing is
released until it is durable. It is given its tasks and imports none of them.

One round, in this order, each step safe to be killed after:

    gather → intent in the ledger → write → fdatasync → settle, publish → release the tails
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol
from zlib import crc32

from lakeward.bell import HANDOVER, HELLO, Doorway
from lakeward.errors import LakeBusy, Terminal
from lakeward.fleet import Fleet, Gathered, any_owner_lives
from lakeward.interaction import iso
from lakeward.lakedir import LakeDir, recreate
from lakeward.ledger import STREAMS, Abort, Batch, Ledger, Part, State
from lakeward.lock import close_lock, sign, take_lock, take_rings, version_key
from lakeward.log import Log
from lakeward.recovery import raise_epoch, recover
from lakeward.removal import finish_pending
from lakeward.ringdir import disk_folder
from lakeward.version import VERSION

logger = logging.getLogger("lakeward.keeper")

ROUND_SECONDS = 0.02
CHORES_SECONDS = 0.2
WATCH_SECONDS = 1.0
RETRY_SECONDS = 0.25
FAREWELL_SECONDS = 5.0


class Task(Protocol):
    """Something the keeper drives besides the log: a follower, a chore, an alert."""

    def step(self, state: State) -> None:
        """Do a bounded piece of work; called after every round that published, and when idle."""

    def close(self) -> None:
        """Stop within the keeper's farewell."""


class Keeper:
    """Keeps one lake until told to stop. `run` blocks; everything else is for `run`."""

    def __init__(
        self,
        lake: LakeDir,
        ring_dir: Path,
        *,
        mode: str = "run",
        segment_bytes: int = 128 << 20,
        idle_seconds: float | None = None,
        tasks: Sequence[Task] = (),
        shares: Callable[[], tuple[int, ...]] = tuple,
        now_ns: Callable[[], int] = time.time_ns,
        fdatasync: Callable[[int], None] = os.fdatasync,
        pause: Callable[[str], None] = lambda _: None,
        rotate_bytes: int = 4 << 20,
    ) -> None:
        self.lake = lake
        self.ring_dir = ring_dir
        self.mode = mode
        self._segment_bytes = segment_bytes
        self._idle_seconds = idle_seconds
        self._tasks = tasks
        self._shares = shares
        self._now_ns = now_ns
        self._fdatasync = fdatasync
        self._pause = pause
        self._rotate_bytes = rotate_bytes
        self._stopping: float | None = None
        self._highwater = -1
        self._unreleased: Gathered | None = None
        self._rings_lock = -1
        self._errno = 0
        self._complained = 0.0

    def stop(self) -> None:
        """Ask `run` to drain and return; safe from signal handlers and other threads."""
        if self._stopping is None:
            self._stopping = time.monotonic() + FAREWELL_SECONDS

    def abandon(self) -> None:
        """In a child forked from a process that keeps in a thread: let go of every descriptor,
        so that the lake's lock is the parent's alone. Nothing is written."""
        with contextlib.suppress(OSError, AttributeError):
            os.close(self._lock)
            self._fleet.close()
            self._log.close()
            self._ledger.close()
        self._close_highwater()
        self._rings_lock = close_lock(self._rings_lock)

    def _close_highwater(self) -> None:
        if self._highwater >= 0:
            os.close(self._highwater)
            self._highwater = -1

    def run(self, wait: float = 0.0) -> None:
        """Hold the lake's lock and keep it; LakeBusy when another keeper holds it beyond `wait`."""
        deadline = time.monotonic() + wait
        while (lock := self._locked(deadline)) is None:
            if self._stopping is not None:
                return
            time.sleep(ROUND_SECONDS)
        self._lock = lock
        try:
            self._rings_lock = take_rings(self.ring_dir)
            while True:
                sign(self._lock, self.mode, str(self.ring_dir))
                if self._keep():
                    return
                self.lake = recreate(self.lake)
                deleted, self._lock = self._lock, take_lock(self.lake, wait)
                os.close(deleted)
        finally:
            for task in self._tasks:
                task.close()
            os.close(self._lock)
            self._rings_lock = close_lock(self._rings_lock)

    def _locked(self, deadline: float) -> int | None:
        """The lake's lock, None while another keeper may still leave it to this one."""
        try:
            return take_lock(self.lake, 0.0)
        except LakeBusy:
            if time.monotonic() >= deadline:
                raise
            return None

    def _keep(self) -> bool:
        """Open everything and go round until told to leave (True) or until the folder was deleted
        under a living application (False)."""
        started = time.monotonic()
        with contextlib.ExitStack() as held:
            while True:
                try:
                    self._open(held)
                    break
                except OSError as error:
                    held.close()
                    self._complain(error)
                    folders = (self.ring_dir, disk_folder(self.lake))
                    if self._may_leave(started, any_owner_lives(folders)):
                        return True
                    time.sleep(RETRY_SECONDS)
            doorway = Doorway(self.ring_dir)
            held.callback(doorway.close)
            return self._rounds(doorway)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Log, ledger and rings open for calling `round` by hand; the caller holds the lock."""
        with contextlib.ExitStack() as held:
            self._open(held)
            yield

    def catch_up(self, reached: Callable[[], bool]) -> None:
        """Where nobody keeps the lake: hold its lock and drain until `reached()` or nothing is
        left, then leave. LakeBusy when somebody does."""
        self._lock = take_lock(self.lake, 0.0)
        try:
            self._rings_lock = take_rings(self.ring_dir)
            sign(self._lock, self.mode, str(self.ring_dir))
            with self.opened():
                while not reached() and self.round():
                    pass
        finally:
            os.close(self._lock)
            self._rings_lock = close_lock(self._rings_lock)

    def _open(self, held: contextlib.ExitStack) -> None:
        private, identity = self.lake.private, self.lake.identity
        self._lock_path = os.fspath(private / "keeper.lock")
        self._ledger = Ledger(
            private / "ledger.jsonl", identity.lake_id, identity.epoch, self._rotate_bytes
        )
        held.callback(self._ledger.close)
        self._log = Log(self.lake, self._segment_bytes, self._fdatasync)
        held.callback(self._log.close)
        notes = recover(self._log, self._ledger, self.ring_dir / "highwater")
        held.callback(self._close_highwater)
        notes += self._finish_removals()
        folders = tuple(dict.fromkeys((self.ring_dir, disk_folder(self.lake))))
        self._fleet = Fleet(folders, self.lake, self._ledger, self._pause)
        held.callback(self._fleet.close)
        self._fleet.say_shares(self._shares())
        self._fleet.discover(self._now_ns(), thorough=True)
        if self._fleet.behind and not any("epoch" in note for note in notes):
            raise_epoch(self._log, self._ledger, "restored", notes)
        self.lake = self._log.lake
        self._unreleased = None
        for note in notes:
            logger.warning("%s", note)

    def _finish_removals(self) -> list[str]:
        """Nothing is kept waiting for it: what is recorded has no part in what was removed."""
        try:
            if finish_pending(self.lake, wait=False):
                return []
        except Terminal as error:
            return [f"a removal cannot be finished: {error}"]
        return ["a removal is finished later: a backup or another removal is under way"]

    def _rounds(self, doorway: Doorway) -> bool:
        chores = watch = idle_since = retry = time.monotonic()
        while True:
            messages = doorway.wait(ROUND_SECONDS)
            self._listen(messages)
            now = time.monotonic()
            if now < retry and self._stopping is None:
                self._fleet.beat(time.time_ns(), self._errno)
                continue
            try:
                if now >= watch:
                    if os.fstat(self._lock).st_nlink == 0:
                        return not self._fleet.owners_live()
                    self._watch()
                    watch = now + WATCH_SECONDS
                if HELLO in messages or now >= chores:  # who brings a ring, greets
                    self._fleet.discover(self._now_ns())
                worked = self.round()
                if now >= chores or self._stopping is not None:
                    chores = now + CHORES_SECONDS
                    worked = self._fleet.bury() or worked
                for task in self._tasks:
                    task.step(self._ledger.state)
                self._errno = 0
            except OSError as error:
                worked, retry = False, now + RETRY_SECONDS
                self._complain(error)
            self._fleet.beat(time.time_ns(), self._errno)
            doorway.answer()
            # Rings of dead owners wait for the next keeper when the disk does not take them.
            if self._errno or self._stopping is not None:
                needed = self._fleet.owners_live()
            else:
                needed = bool(self._fleet.rings)
            if needed:
                idle_since = now
            if self._stopping is not None and time.monotonic() >= self._stopping:
                return True
            if not worked and self._may_leave(idle_since, needed):
                self._drain_last()
                return True

    def _drain_last(self) -> None:
        """What was recorded behind the last round, by owners that are gone by now."""
        with contextlib.suppress(OSError):
            self._fleet.discover(self._now_ns(), thorough=True)
            while self.round() or self._fleet.bury():
                pass

    def round(self) -> bool:
        """Drain all rings once and make it durable; whether there was anything."""
        self._recover_intent()
        self._finish()
        gathered = self._fleet.gather()
        if gathered is None:
            return False
        try:
            self._commit(gathered)
        except BaseException:
            if self._unreleased is gathered:
                raise
            for reader, _ in gathered.positions:
                reader.rewind()
            raise
        self._ledger.rotate()
        return True

    def _commit(self, gathered: Gathered) -> None:
        self._make_durable(gathered)
        self._unreleased = gathered
        self._finish()

    def _finish(self) -> None:
        """Publish and release what is durable; a disk that refuses is asked again next round,
        and the batch is not written a second time."""
        if self._unreleased is not None:
            self._publish()
            self._release(self._unreleased)
            self._unreleased = None

    def _make_durable(self, gathered: Gathered) -> None:
        """Intent, bytes, fdatasync; on OSError the log and ledger are as before."""
        self._check_home()
        parts, contents = self._place(gathered)
        acks = {reader.ring_id: positions for reader, positions in gathered.positions}
        batch = Batch(self._ledger.state.batch + 1, parts, acks, gathered.damaged)
        self._ledger.append(batch)
        self._pause("before write")
        written: list[Part] = []
        try:
            for part, content in zip(parts, contents, strict=True):
                self._log.write(part.stream, content, part.lines)
                written.append(part)
        except OSError:
            for part in written:
                self._log.take_back(part)
            self._ledger.append(Abort(batch.batch))
            raise
        self._pause("after fdatasync")
        self._ledger.settle()

    def _place(self, gathered: Gathered) -> tuple[list[Part], list[bytes]]:
        parts: list[Part] = []
        contents: list[bytes] = []
        for stream in STREAMS:
            lines = gathered.lines.get(stream)
            if not lines:
                continue
            lines.append(b"")
            content = b"\n".join(lines)
            now_ms = self._now_ns() // 1_000_000
            segment, start = self._log.place(stream, len(content), now_ms)
            parts.append(
                Part(stream, segment, start, start + len(content), gathered.counts[stream],
                     crc32(content))
            )  # fmt: skip
            contents.append(content)
        return parts, contents

    def _publish(self) -> None:
        content = self._log.publish(self._ledger.state)
        with contextlib.suppress(OSError):  # memory is full: a restored lake is seen less surely
            if self._highwater < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
                self._highwater = os.open(self.ring_dir / "highwater", flags, 0o600)
            os.pwrite(self._highwater, content, 0)

    def _release(self, gathered: Gathered) -> None:
        self._pause("before release")
        for reader, positions in gathered.positions:
            reader.release(positions)
        self._pause("after release")

    def _recover_intent(self) -> None:
        """An abort that did not fit on the disk is written first of all."""
        if self._ledger.pending is not None:
            self._ledger.append(Abort(self._ledger.pending.batch))

    def _listen(self, messages: list[bytes]) -> None:
        for message in messages:
            if message.startswith(HANDOVER):
                asked = message.removeprefix(HANDOVER).decode("ascii", "replace")
                if self.mode == "spawn" or version_key(asked) > version_key(VERSION):
                    logger.warning("handing the lake over to version %s", asked)
                    self._stopping = 0.0

    def _watch(self) -> None:
        """Once a second: is the folder still where it was, and which rings vanished?"""
        self._check_home()
        self._fleet.say_shares(self._shares())
        self._fleet.discover(self._now_ns(), thorough=True)
        self._fleet.name_vanished(iso(self._now_ns() // 1_000_000))

    def _check_home(self) -> None:
        """OSError unless the lake's path still leads to the folder that this keeper locked."""
        there, mine = os.stat(self._lock_path), os.fstat(self._lock)
        if (there.st_ino, there.st_dev) != (mine.st_ino, mine.st_dev):
            raise OSError(errno.ESTALE, "another lake stands in this one's place")

    def _may_leave(self, idle_since: float, needed: bool) -> bool:
        now = time.monotonic()
        if self._stopping is not None:
            return now >= self._stopping or not needed
        return (
            self._idle_seconds is not None and not needed and now - idle_since > self._idle_seconds
        )

    def _complain(self, error: OSError) -> None:
        """Log a failing disk at most once a minute; the rings carry the errno meanwhile."""
        self._errno = error.errno or 5
        now = time.monotonic()
        if now - self._complained > 60 or not self._complained:
            self._complained = now
            logger.error("the lake cannot be written (%s): trying again", error.strerror)
