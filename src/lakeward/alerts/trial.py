"""`lakeward alerts test`: a marked test to every channel, at once and without the queue.

In: a desk. Out: for each channel of the file whether it was told, and the sentence that says why
not. A message by e-mail or SMS was told when the outbox has it; what became of it shows there.
"""

from __future__ import annotations

from typing import Any, Final

from uuid_utils import uuid7

from lakeward.alerts.desk import Desk
from lakeward.alerts.notifier import Event, Notice
from lakeward.errors import LakewardError

WHY: Final = "This is a test of the alerts: somebody asked for it, and nothing is wrong."


def told_by_each(desk: Desk, now_ms: int) -> list[dict[str, Any]]:
    """What happened, by channel."""
    found = []
    for channel in desk.telling.channels:
        notifier = desk.channels[channel.channel_id]
        result = "told" if channel.by in ("slack", "webhook") else "in the outbox"
        try:
            if isinstance(notifier, str):
                raise LakewardError(notifier)
            notifier.tell(notice(now_ms))
        except LakewardError as error:
            told, result = False, str(error)
        else:
            told = True
        found.append({"by": channel.by, "address": channel.address, "told": told, "result": result})
    return found


def notice(now_ms: int) -> Notice:
    """The test."""
    event = Event(
        incident_id="test", what="test", state="opened", kind="anomaly", severity="info",
        series=("lakeward alerts test",), members=1, began_at=now_ms, at=now_ms, why=WHY,
    )  # fmt: skip
    return Notice(notice_id=str(uuid7()), kind="test", at=now_ms, events=(event,))
