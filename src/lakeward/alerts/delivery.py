"""The queue's way to the channels: what is due is told, what failed is tried again later.

In: a queue, the channels, and the notifier of each or the sentence that says why there is none.
Out: rows that were told, have failed, or are due later. What is not critical waits in a channel's
quiet hours, whenever it was queued. A channel that does not answer is left alone for half
a minute, or as long as it asks; the others are told. After a day a telling is given up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lakeward.alerts.notifier import Notice, Notifier, notice_of
from lakeward.alerts.telling import Channel, quiet_until
from lakeward.errors import LakewardError, Rejected, Throttled
from lakeward.store.tellings import Telling, Tellings

logger = logging.getLogger("lakeward.alerts")

LEASE_MS: Final = 300_000
"""Longer than any channel may take."""
FIRST_PAUSE_MS: Final = 30_000
LONGEST_PAUSE_MS: Final = 3_600_000
GIVE_UP_MS: Final = 86_400_000
MOST_IN_A_ROW: Final = 50
REASON_LENGTH: Final = 255

Named = Mapping[str, Notifier | str]


class Delivery:
    """Tells what is due."""

    def __init__(
        self,
        queue: Tellings,
        channels: Named,
        told: Sequence[Channel],
        *,
        pause: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._queue = queue
        self._channels = channels
        self._told = {channel.channel_id: channel for channel in told}
        self._pause = pause

    def run(self, clock: Callable[[], int]) -> int:
        """One step; how many were told. The clock is read each time: a channel takes its time."""
        now_ms = clock()
        self._queue.give_up(now_ms - GIVE_UP_MS, now_ms)
        return sum(self._channel(name, one, clock) for name, one in self._channels.items())

    def next_due(self) -> int | None:
        """When there is something to do."""
        return self._queue.next_due(list(self._channels))

    def _channel(self, name: str, notifier: Notifier | str, clock: Callable[[], int]) -> int:
        told = 0
        for _ in range(MOST_IN_A_ROW):
            now_ms = clock()
            until = quiet_until(self._told[name], now_ms) if name in self._told else None
            if until is not None:
                self._queue.hold(name, until, now_ms)
            taken = self._queue.take(name, now_ms, LEASE_MS)
            if not taken:
                break
            if not self._tell(notifier, taken, clock):
                break
            told += len(taken)
        return told

    def _tell(
        self, notifier: Notifier | str, taken: Sequence[Telling], clock: Callable[[], int]
    ) -> bool:
        """Whether the channel may be told the next one now."""
        self._pause("taken")
        try:
            if isinstance(notifier, str):
                raise LakewardError(notifier)
            notifier.tell(_notice(taken))
        except Rejected as error:
            self._end(taken, clock(), "failed", str(error))
            return True
        except Exception as error:
            self._later(taken, clock(), error)
            return False
        self._pause("told")
        self._end(taken, clock(), "told", None)
        return True

    def _end(self, taken: Sequence[Telling], now_ms: int, state: str, reason: str | None) -> None:
        cut = None if reason is None else reason[:REASON_LENGTH]
        self._queue.change(taken, state=state, final_at=now_ms, reason=cut)
        if reason is not None:
            logger.error("an alert was not told by %s: %s", taken[0].kind, reason)

    def _later(self, taken: Sequence[Telling], now_ms: int, error: Exception) -> None:
        reason = str(error) if isinstance(error, LakewardError) else type(error).__name__
        least = FIRST_PAUSE_MS
        if isinstance(error, Throttled):
            least = max(least, round(error.seconds * 1000))
        pause = min(FIRST_PAUSE_MS * 2 ** min(taken[0].attempts - 1, 20), LONGEST_PAUSE_MS)
        pause = max(pause, least)
        # no longer than that: it may be this one alone that the channel does not take
        self._queue.put_off(taken[0].channel, now_ms + least)
        if now_ms + pause - taken[0].queued_at > GIVE_UP_MS:
            self._end(taken, now_ms, "failed", f"given up after a day: {reason}")
            return
        logger.warning("an alert waits for %s: %s", taken[0].kind, reason)
        self._queue.change(taken, due_at=now_ms + pause, reason=reason[:REASON_LENGTH])


def _notice(taken: Sequence[Telling]) -> Notice:
    """What was held back of one incident is told as it ended."""
    first = taken[0]
    last: dict[str | None, dict[str, Any]] = {}
    for one in taken:
        last.pop(one.incident_id, None)
        last[one.incident_id] = one.content
    return notice_of(list(last.values()), first.telling_id, first.what, first.queued_at)
