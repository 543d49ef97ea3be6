"""The driver: takes one follower along the log, a slice at a time, and remembers how far it is.

In: a subscription and the log as it grows. Out: every line behind the cursor delivered, or counted
as what it became instead. `step` never raises: an error of the follower is a pause before the same
slice again, records set aside in the quarantine, or the follower's end, by its branch.

    verify → plan, synced → ⟨ read → deliver → quarantine → settle ⟩

The part in brackets is one attempt; while it lasts, no erase can finish (`barrier`), so that none
carries a person past it. Each step is safe to be killed after: the next driver begins at verify,
with the same plan.
"""

from __future__ import annotations

import fcntl
import logging
import os
import random
import time
from collections.abc import Callable

import msgspec

from lakeward.barrier import delivering
from lakeward.errors import Rejected, Terminal, Throttled, Transient, Undeliverable
from lakeward.followers import state
from lakeward.followers.cursor import Counts, Cursor, CursorFile, Progress, carried
from lakeward.followers.protocol import Follower, Slice, Subscription, Tidy
from lakeward.followers.slices import Lookout, Read, Stretch, beyond, day_of, sift
from lakeward.lakedir import LakeDir
from lakeward.rollout import ALL
from lakeward.suppression import load

logger = logging.getLogger("lakeward.courier")

IDLE_SECONDS = 1.0
LOCK_SECONDS = 0.5
REST_SECONDS = 5.0
TIDY_SECONDS = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 300.0

SetAside = Callable[[str, list[tuple[bytes, str]]], None]
"""Puts lines of a follower into the quarantine, each with its reason; returns when that is
durable, Transient when it is not."""


class Driver:
    """Drives one follower; holds its lock, so that no other process does."""

    def __init__(
        self,
        lake: LakeDir,
        subscription: Subscription,
        set_aside: SetAside,
        *,
        share: Callable[[int], int] = lambda feature: ALL,
        mend: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        pause: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = subscription.name
        self._lake = lake
        self._subscription = subscription
        self._set_aside = set_aside
        self._share = share
        self._mend = mend
        self._clock = clock
        self._chance = chance
        self._pause = pause
        self._lookout = Lookout(lake)
        self._lock = -1
        self._follower: Follower | None = None
        self._cursor: CursorFile | None = None
        self._failures = 0
        self._first_seen: float | None = None
        self._tidy_at = 0.0
        self.stopped = False
        self.listening = False
        """Whether the wait that `step` asks for may end as soon as something is published."""

    def step(self, *, linger: bool = True) -> float:
        """One slice, or a look at whether there is one; the seconds until the next step."""
        self.listening = False
        if self.stopped:
            return REST_SECONDS
        try:
            if not self._locked():
                return LOCK_SECONDS
            wait = self._advance(linger)
        except Terminal as error:
            self._stop(str(error))
            return REST_SECONDS
        except Throttled as error:
            return self._back_off(str(error), error.seconds)
        except Transient as error:
            return self._back_off(str(error))
        except OSError as error:
            return self._back_off(f"the disk or network says: {error.strerror or 'no'}")
        except Exception as error:
            # Its text may quote a record; its type and the log's line number do not.
            return self._back_off(f"the follower failed with {type(error).__name__}")
        return wait

    def _locked(self) -> bool:
        """Whether this is the one driver of the follower; opens lock and cursor when it is."""
        if self._lock >= 0:
            return True
        folder = self._lake.private / "cursors"
        folder.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(folder / f"{self.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._lock = fd
        return True

    def _opened(self) -> CursorFile:
        if self._cursor is None:
            self._cursor = CursorFile(self._lake, self.name)
            self._cursor.change(lambda progress: carried(self._lake, progress))
            self._verified(self._cursor)
        if self._follower is None:
            self._follower = self._subscription.open()
            state.write(self._lake, self.name, state.Condition("running"))
        return self._cursor

    def _advance(self, linger: bool) -> float:
        cursor = self._opened()
        self._tidy()
        if cursor.progress.planned is None:
            stretch = self._lookout.waiting(cursor.progress.done)
            if stretch is None:
                self._first_seen = None
                self.listening = True
                return IDLE_SECONDS
            if not stretch.here:
                self._skip(cursor, stretch)
                return 0.0
            if linger and (wait := self._wait_for(stretch)):
                self.listening = True
                return wait
            self._plan(cursor, stretch)
        progress = self._verified(cursor)
        if progress.planned is None:
            return 0.0
        planned = self._lookout.planned(progress)
        if planned is None or not planned.here:
            self._skip(cursor, planned)
            return 0.0
        with delivering(self._lake):
            self._attempt(cursor, progress, planned)
        self._first_seen = None
        self._succeed()
        return 0.0

    def _verified(self, cursor: CursorFile) -> Progress:
        """What the cursor file holds now. An erase that was killed between the log and the cursors
        is finished first."""
        try:
            return cursor.verified()
        except Terminal:
            self._mend()
            return cursor.verified()

    def _wait_for(self, stretch: Stretch) -> float:
        """Seconds for which the slice may still grow."""
        pace, now = self._subscription.pace, self._clock()
        if self._first_seen is None:
            self._first_seen = now
        if not stretch.last or stretch.end - stretch.start >= pace.bytes:
            return 0.0
        return max(self._first_seen + pace.seconds - now, 0.0)

    def _plan(self, cursor: CursorFile, stretch: Stretch) -> None:
        end = self._lookout.cut(stretch, self._subscription.pace)
        epoch, feature = self._lake.identity.epoch, self._subscription.feature
        share = ALL if feature is None else self._share(feature)
        self._pause("before plan")
        cursor.plan(Cursor(epoch, stretch.segment.number, end), share)
        self._pause("after plan")

    def _attempt(self, cursor: CursorFile, progress: Progress, stretch: Stretch) -> None:
        assert progress.planned is not None
        feature = self._subscription.feature
        start = Cursor(progress.planned.epoch, stretch.segment.number, stretch.start)
        read = sift(
            self._lookout.lines(stretch), start, progress.planned, day_of(stretch.segment),
            suppressed=load(self._lake),
            sampled=None if feature is None else beyond(progress.share, feature),
        )  # fmt: skip
        self._pause("before deliver")
        bad = self._deliver(read) if read.piece.lines else {}
        self._pause("after deliver")
        if bad:
            self._set_aside(self.name, [(read.piece.lines[n], why) for n, why in bad.items()])
            self._pause("after quarantine")
        good = Counts(delivered=len(read.piece.lines) - len(bad), quarantined=len(bad))
        cursor.settle(read.left_out.plus(good))
        self._pause("after settle")

    def _deliver(self, read: Read) -> dict[int, str]:
        """Deliver the slice; the lines that can never be, by index, with the reason."""
        assert self._follower is not None
        piece = read.piece
        try:
            self._follower.deliver(piece)
        except Undeliverable as error:
            return {n: why for n, why in error.records if 0 <= n < len(piece.lines)}
        except Rejected as error:
            if len(piece.lines) == 1:
                return {0: str(error)}
            bad: dict[int, str] = {}
            for n, (begin, behind) in enumerate(read.places):
                start = msgspec.structs.replace(piece.start, offset=begin)
                end = msgspec.structs.replace(piece.end, offset=behind, crc=0)
                one = Slice(start, end, (piece.lines[n],), piece.day)
                if self._deliver(Read(one, ((begin, behind),), Counts())):
                    bad[n] = str(error)
            return bad
        return {}

    def _skip(self, cursor: CursorFile, stretch: Stretch | None) -> None:
        """Retention did not wait any longer: what the segment held is counted, not delivered."""
        if stretch is None:
            raise Terminal(
                "the log lost the segment that was being delivered: compare the backup, or "
                f"delete {cursor.path.name} to start again"
            )
        segment = stretch.segment

        def skipping(progress: Progress) -> Progress:
            inside = progress.inside if progress.done.segment == segment.number else 0
            end = segment.end if segment.end is not None else stretch.end
            missed = max(segment.lines - inside, 0)
            return Progress(
                Cursor(self._lake.identity.epoch, segment.number, end), None, ALL, segment.lines,
                progress.counts.plus(Counts(expired=missed)),
            )  # fmt: skip

        cursor.change(skipping)
        logger.warning("%s: segment %d was deleted before it was delivered",
                       self.name, segment.number)  # fmt: skip

    def _tidy(self) -> None:
        follower: object = self._follower
        if isinstance(follower, Tidy) and self._clock() >= self._tidy_at:
            self._tidy_at = self._clock() + TIDY_SECONDS
            follower.tidy()

    def _succeed(self) -> None:
        if self._failures:
            self._failures = 0
            state.write(self._lake, self.name, state.Condition("running"))

    def _back_off(self, sentence: str, least: float = 0.0) -> float:
        """Full jitter: many hosts that failed together do not come back together."""
        bound = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures, 30))
        self._failures += 1
        state.write(self._lake, self.name, state.Condition("retrying", sentence))
        return max(self._chance() * bound, min(least, LONGEST_PAUSE), 0.02)

    def _stop(self, sentence: str) -> None:
        self.stopped = True
        logger.error("%s stops: %s", self.name, sentence)
        state.write(self._lake, self.name, state.Condition("stopped", sentence))
        self.close()

    def close(self) -> None:
        """Let go of the follower and its lock."""
        follower, self._follower = self._follower, None
        try:
            if follower is not None:
                follower.close()
        except Exception as error:
            logger.warning("%s: closing failed with %s", self.name, type(error).__name__)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
