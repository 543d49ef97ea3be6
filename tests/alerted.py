"""A desk for tests: signals in, what stands in the store, and what each channel heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from databases import Store
from lakeward.alerts.acting import Acts
from lakeward.alerts.desk import Desk
from lakeward.alerts.notifier import Notice
from lakeward.alerts.signal import Signal
from lakeward.alerts.telling import telling_of
from lakeward.errors import LakewardError
from lakeward.store.alerts import Incident
from lakeward.testing import MemoryCollector

T0 = 1_755_172_800_000
"""2025-08-14 12:00 UTC, a Thursday."""
MINUTE, HOUR = 60_000, 3_600_000


def wrong(series: str = "route:/a errors", at: int = 0, **more: Any) -> Signal:
    """A signal of the bucket that begins so many minutes after T0."""
    said: dict[str, Any] = {
        "kind": "anomaly", "wrong": True, "seconds": 300.0, "direction": "up", "value": 41.0,
        "expected": 3.0, "score": 0.97, "why": "41 errors where 0 to 9 are usual.",
    }  # fmt: skip
    return Signal(series=series, at=T0 + at * MINUTE, **(said | more))


def well(series: str = "route:/a errors", at: int = 0, **more: Any) -> Signal:
    """The same series is as ever."""
    return wrong(series, at, **({"wrong": False, "begins": False, "why": "As usual."} | more))


class Listener:
    """A channel that notes what it hears, and fails when it is told to."""

    def __init__(self) -> None:
        self.heard: list[Notice] = []
        self.error: LakewardError | None = None

    def tell(self, notice: Notice) -> None:
        if self.error is not None:
            raise self.error
        self.heard.append(notice)

    def close(self) -> None:
        """Nothing is held."""


class Office:
    """A desk over a store, with a listener for each table of `tell`."""

    def __init__(
        self,
        store: Store,
        tell: Sequence[dict[str, Any]] = ({"by": "slack", "url_env": "SLACK"},),
        pause: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.telling = telling_of(tell, None, "alerts.toml")
        self.listeners = [Listener() for _ in tell]
        self.collector = MemoryCollector()
        ids = [channel.channel_id for channel in self.telling.channels]
        self.now = T0
        self.database = store.open()
        self.desk = Desk(
            self.database, self.telling, dict(zip(ids, self.listeners, strict=True)),
            self.collector, pause=pause,
        )  # fmt: skip
        self.acts = Acts(self.desk.table, self.telling, lambda: self.now)

    def take(self, *signals: Signal, at: int | None = None) -> int:
        """Five minutes and a little after the last bucket began, unless said otherwise."""
        latest = max((signal.at for signal in signals), default=T0) + 6 * MINUTE
        self.now = latest if at is None else T0 + at * MINUTE
        return self.desk.take(signals, self.now)

    def step(self, at: int) -> int | None:
        self.now = T0 + at * MINUTE
        return self.desk.step(self.now)

    def heard(self, number: int = 0) -> list[str]:
        """What one channel heard, in a word for each event, and forget it."""
        notices, self.listeners[number].heard = self.listeners[number].heard, []
        return [
            "+".join(event.what for event in notice.events) or notice.kind for notice in notices
        ]

    def all(self) -> list[Incident]:
        """Every incident, the oldest first."""
        states: Any = ("opened", "ongoing", "acknowledged", "snoozed", "resolved")
        return self.desk.table.all(states)[::-1]

    def only(self) -> Incident:
        (incident,) = self.all()
        return incident

    def recorded(self) -> list[tuple[str, str]]:
        """(state, alert) of each anomaly interaction."""
        rows = [row for row in self.collector.records if row["interaction_type"] == "anomaly"]
        return [(row["analysis"]["state"], row["analysis"]["alert_id"]) for row in rows]

    def states(self) -> list[str]:
        return [state for state, _ in self.recorded()]
