"""The desk: takes signals, keeps incidents, tells channels, and lets the lake know.

In: signals of a look, in any number of processes, and the time. Out: incidents in the app database,
messages, `anomaly` interactions. `take` is safe to repeat: what was taken is known by (key, at),
what was told or recorded by its row. Fails as the database does; a channel that fails, or a ring
without room, is tried again by the next step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from lakeward.alerts import taking
from lakeward.alerts.announcing import Announcer
from lakeward.alerts.delivery import Delivery, Named
from lakeward.alerts.digest import Totals, queue_due
from lakeward.alerts.recording import record
from lakeward.alerts.signal import Signal
from lakeward.alerts.telling import Telling
from lakeward.collector import Collector
from lakeward.store.alerts import AlertTable
from lakeward.store.database import Database
from lakeward.store.tellings import Tellings

KEPT_INCIDENTS_MS: Final = 366 * 86_400_000
KEPT_TELLINGS_MS: Final = 31 * 86_400_000


class Desk:
    """Where signals go. `clock` says when a channel is told, as a look may take minutes; without it
    that is when the look began. `pause` is called at the points where a kill must do no harm."""

    def __init__(
        self,
        database: Database,
        telling: Telling,
        channels: Named,
        collector: Collector,
        *,
        totals: Totals | None = None,
        clock: Callable[[], int] = lambda: 0,
        pause: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.totals = totals
        self.table = AlertTable(database)
        self.queue = Tellings(database)
        self.telling = telling
        self.channels = channels
        self._collector = collector
        self._delivery = Delivery(self.queue, channels, telling.channels, pause=pause)
        self._clock = clock
        self._pause = pause
        self._pruned = False

    def take(self, signals: Sequence[Signal], now_ms: int) -> int:
        """Take these, and step; how many signals were new."""
        self._pause("before take")
        taken = 0
        if signals:
            with self.table.working() as work:
                taken = taking.Taking(work, self.telling, now_ms).take(signals)
                self._pause("before commit")
        self._pause("taken over")
        self.step(now_ms)
        return taken

    def step(self, now_ms: int) -> int | None:
        """What time brings: end snoozes, queue a digest, tell what is due, record; when there is
        more to tell."""
        with self.table.working() as work:
            taking.due(work, Announcer(work, self.telling, now_ms), now_ms)
        queue_due(self.table, self.queue, self.telling, self.totals, now_ms)
        self._delivery.run(lambda: max(now_ms, self._clock()))
        self._pause("before record")
        record(self.table, self.queue, self._collector, now_ms)
        self._pause("recorded")
        if not self._pruned:
            self._pruned = True
            self.table.prune(now_ms - KEPT_INCIDENTS_MS)
            self.queue.prune(now_ms - KEPT_TELLINGS_MS)
        return self._delivery.next_due()
