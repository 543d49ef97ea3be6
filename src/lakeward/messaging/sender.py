"""The thread that sees the messages of one channel through.

It starts with the first message, also takes what dead processes left, and ends by the deadline that
`stop` is given. Nothing that goes wrong in it reaches the app; it is logged once a minute.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from lakeward.collector import Collector
from lakeward.errors import LakewardError
from lakeward.messaging.delivery import Delivery
from lakeward.messaging.telling import tell

logger = logging.getLogger("lakeward")

BUSY_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 30.0
DAY_MS: Final = 86_400_000
HOUR_NS: Final = 3_600_000_000_000


class Sender:
    """Sends one channel's messages, in a thread or called by hand."""

    def __init__(self, delivery: Delivery, collector: Collector, lease_ms: int) -> None:
        self._delivery = delivery
        self._collector = collector
        self._lease_ms = lease_ms
        self._complained = float("-inf")
        self._tidy_ns = 0
        self.after_fork()

    def after_fork(self) -> None:
        """In a child there is no thread, and the parent's locks are not ours."""
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._deadline: float | None = None

    def wake(self) -> None:
        """There is something to do; starts the thread where there is none."""
        self._wake.set()
        if (self._thread is not None and self._thread.is_alive()) or self._deadline is not None:
            return
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                name = f"lakeward-{self._delivery.route.channel}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()

    def stop(self, deadline: float) -> bool:
        """Send what is due until then (monotonic seconds); whether the thread ended."""
        self._deadline = deadline
        self._wake.set()
        if self._thread is None:
            return True
        self._thread.join(max(deadline - time.monotonic(), 0.0))
        return not self._thread.is_alive()

    def round(self) -> bool:
        """Whether there was a message to see further."""
        if time.monotonic_ns() >= self._tidy_ns:
            self._tidy_ns = time.monotonic_ns() + HOUR_NS
            self._tidy()
        outbox_id = self._delivery.once()
        if outbox_id is not None:
            self._tell(outbox_id)
        return outbox_id is not None

    def _tell(self, outbox_id: str) -> bool:
        """Whether nothing of it is left to tell; what the lake has no room for stays untold."""
        row = self._delivery.outbox.find(outbox_id)
        if row is None or row.final_at is None or row.recorded_at is not None:
            return True
        if not tell(self._collector, row):
            self._tidy_ns = time.monotonic_ns() + min(self._lease_ms * 1_000_000, HOUR_NS)
            return False
        self._delivery.outbox.mark_recorded(outbox_id, self._now_ms())
        return True

    def _tidy(self) -> None:
        """Tell what was not told when it was final, and delete what is old."""
        outbox = self._delivery.outbox
        untold = outbox.unrecorded(before_ms=self._now_ms() - self._lease_ms)
        for row in untold:
            if not self._tell(row.outbox_id):
                break
        if days := self._collector.settings.outbox_days:
            outbox.prune(self._now_ms() - days * DAY_MS)

    def _now_ms(self) -> int:
        return self._collector.now_ns() // 1_000_000

    def _run(self) -> None:
        while True:
            busy, pause = False, BUSY_SECONDS
            self._wake.clear()
            try:
                busy = self.round()
                if not busy:
                    pause = self._pause()
            except LakewardError as error:
                self._complain(str(error))
            except Exception as error:
                self._complain(f"the sender failed ({type(error).__name__})")
            deadline = self._deadline
            if deadline is not None and (not busy or time.monotonic() >= deadline):
                return
            if not busy:
                self._wake.wait(pause)

    def _pause(self) -> float:
        """Seconds until something is due; others' leftovers are looked for now and then."""
        due = self._delivery.outbox.next_due(self._delivery.route)
        if due is None:
            return IDLE_SECONDS
        return min(max((due - self._now_ms()) / 1000, 0.05), BUSY_SECONDS)

    def _complain(self, sentence: str) -> None:
        if time.monotonic() - self._complained >= 60.0:
            self._complained = time.monotonic()
            logger.warning("lakeward: messages wait: %s", sentence)
