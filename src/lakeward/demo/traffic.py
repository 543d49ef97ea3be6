"""The visitors of a plan, on their way: several at once, each when his time has come.

In: a plan, the platform's port, staff's token. Out: every visit done, and the outage as it was.
Fails with `Gone` as soon as the platform is away, with `Unexpected` for the first visit that went
otherwise than planned; whichever it is, everybody stops.

While the partners' API is switched off, nobody reads it but the requests that are to meet the
outage: that makes their number one of the plan, not of the timing.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from lakeward.demo.browser import Browser
from lakeward.demo.client import Client, Hands
from lakeward.demo.plan import Plan, Visitor
from lakeward.demo.truth import OutageTold
from lakeward.demo.visit import Unexpected, Visit
from lakeward.interaction import iso

THREADS: Final = 12
STAFF_AGENT: Final = "lakeward-demo-staff/1"
READER_AGENT: Final = "partner-directory/2.1"
LAST_COMES: Final = 0.85
"""The share of the run in which visitors come; then those who are there go on."""
THINKS: Final = 1 / 400
"""The longest pause between two acts, as a share of the run."""
LEAVE_SECONDS: Final = 10.0
UNAVAILABLE: Final = 503


class Stopped(Exception):
    """Everybody goes home."""


class Gate:
    """Readers of the API, and the outage that shuts them out."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._shut = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Pass as soon as the API is open; it stays so meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._shut)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Nobody reads while the block runs."""
        with self._changed:
            self._shut = True
            self._changed.wait_for(lambda: not self._readers)
        try:
            yield
        finally:
            with self._changed:
                self._shut = False
                self._changed.notify_all()


class Traffic:
    """A plan on its way."""

    def __init__(self, plan: Plan, port: int, staff: str, *, chromium: str = "") -> None:
        self._plan, self._port, self._staff, self._chromium = plan, port, staff, chromium
        self._gate = Gate()
        self._stop = threading.Event()
        in_browser = [who for who in plan.visitors if who.browser and chromium]
        self._browsing = in_browser
        self._waiting = iter([who for who in plan.visitors if who not in in_browser])
        self._lock = threading.Lock()
        self._began = 0.0
        self.visits = 0
        self.outage: OutageTold | None = None
        self.arms: dict[int, str] = {}
        """The variant of the page of matches that each visitor was shown, by number."""
        self._error: BaseException | None = None

    def run(self, progress: Callable[[int, int], None]) -> None:
        """Let everybody come, and tell now and then how many have gone again."""
        self._began = time.monotonic()
        jobs = [self._outage, self._browsers, *[self._visitors] * THREADS]
        threads = [threading.Thread(target=self._guarded, args=(job,), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                progress(self.visits, len(self._plan.visitors))
                self._stop.wait(0.1)
        finally:  # at Ctrl-C, too: the visitors go home first
            self._stop.set()
            deadline = time.monotonic() + LEAVE_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        progress(self.visits, len(self._plan.visitors))
        if self._error is not None:
            raise self._error

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
            self._stop.set()

    def _visitors(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                visitor = next(self._waiting, None)
            if visitor is None:
                return
            if self._sleep_until(visitor.comes * LAST_COMES * self._plan.seconds):
                self._visit(visitor, Client(self._port, visitor.agent, visitor.referrer))

    def _browsers(self) -> None:
        if not self._browsing:
            return
        with Browser(self._chromium, self._port) as browser:
            for visitor in self._browsing:
                if not self._stop.is_set():
                    self._visit(visitor, browser.hands(visitor.referrer))

    def _visit(self, visitor: Visitor, hands: Hands) -> None:
        staff = Client(self._port, STAFF_AGENT, staff=self._staff, follow=False)
        dice = random.Random(visitor.number)  # noqa: S311 - pauses, not secrets
        longest = THINKS * self._plan.seconds

        def pause() -> None:
            if self._stop.wait(dice.uniform(0, longest)):
                raise Stopped

        try:
            visit = Visit(
                visitor, hands, staff, self._gate.reading, pause, self._plan.partners
            )  # fmt: skip
            visit.all()
            with self._lock:
                self.visits += 1
                if visit.arm:
                    self.arms[visitor.number] = visit.arm
        except Stopped:
            return
        finally:
            hands.close()
            staff.close()

    def _outage(self) -> None:
        """Staff switches the API off, readers meet it, staff switches it on."""
        planned = self._plan.outage
        staff = Client(self._port, STAFF_AGENT, staff=self._staff, follow=False)
        if not self._sleep_until(planned.begins):
            return
        with self._gate.shut():
            started = iso(time.time_ns() // 1_000_000 - 1)
            staff.send("/staff/outage", (("on", "yes"),))
            for n in range(planned.reads):
                share = n / planned.reads
                if not self._sleep_until(planned.begins + share * (planned.ends - planned.begins)):
                    break
                status = (reader := Client(self._port, READER_AGENT)).open("/api/partners").status
                reader.close()
                if status != UNAVAILABLE:
                    raise Unexpected(f"the API answered {status} while staff had switched it off")
            staff.send("/staff/outage", (("on", "no"),))
            ended = iso(time.time_ns() // 1_000_000 + 1)
        staff.close()
        self.outage = OutageTold(started, ended, planned.reads)

    def _sleep_until(self, second: float) -> bool:
        """Wait for a moment of the run; False when everybody has to go."""
        return not self._stop.wait(max(0.0, self._began + second - time.monotonic()))
