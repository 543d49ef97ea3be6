"""A sender process that is killed at a point, or sees everything through.

    python tests/outbox_killing.py PROVIDER twilio|sendgrid POINT LATE_MS

The settings are in the environment. `LATE_MS` is how much later this process believes it is:
nobody has to wait for the leases of the dead. It ends when nothing is left that a sender can do.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import lakeward.messaging.messages
from lakeward.collector import Collector
from lakeward.messaging import Carrier, Message, Messages, Receipt
from lakeward.messaging.delivery import Timing
from lakeward.messaging.mail import SendGridCarrier
from lakeward.messaging.message import Channel
from lakeward.messaging.sms import TwilioCarrier
from lakeward.settings import load
from lakeward.store.outbox import Outbox, Route, Row

POINTS = ("before take", "after take", "before request", "after request", "after sent",
          "before mark", "after mark")  # fmt: skip
TIMING = Timing(lease=8000, request=5000, ask=100, pause=20)


def at(point: str) -> None:
    """Die as SIGKILL does, if this is the point."""
    if point == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)


class Mortal(Outbox):
    """An outbox with points to die at."""

    def take(self, *given: Any) -> Row | None:
        at("before take")
        row = super().take(*given)
        if row is not None:
            at("after take")
        return row

    def change(self, taken: Row, **changes: Any) -> bool:
        done = super().change(taken, **changes)
        if changes.get("state") == "sent":
            at("after sent")
        return done

    def mark_recorded(self, outbox_id: str, now_ms: int) -> None:
        at("before mark")
        super().mark_recorded(outbox_id, now_ms)
        at("after mark")


class MortalCarrier:
    """A carrier with points to die at."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self.name = carrier.name

    def send(self, message: Message) -> Receipt:
        at("before request")
        receipt = self._carrier.send(message)
        at("after request")
        return receipt

    def sent(self, message: Message, since_ms: int) -> list[Receipt]:
        return self._carrier.sent(message, since_ms)

    def close(self) -> None:
        self._carrier.close()


def main() -> None:
    """Send until nothing is left to do."""
    setattr(lakeward.messaging.messages, "Outbox", Mortal)  # noqa: B010 - a name it only imports
    url, kind, _, late = sys.argv[1:5]
    made: dict[Channel, Carrier] = (
        {"sms": MortalCarrier(TwilioCarrier("AC" + "0" * 32, "t" * 32, url))}
        if kind == "twilio"
        else {"email": MortalCarrier(SendGridCarrier("SG.k", url))}
    )
    later = int(late) * 1_000_000
    collector = Collector(load(), now_ns=lambda: time.time_ns() + later)
    messages = Messages(
        collector.settings, collector, carriers=made, templates=Path(), timing=TIMING
    )
    [(channel, carrier)] = made.items()
    while messages.outbox.next_due(Route(channel, "own", carrier.name)) is not None:
        if not messages.drain():
            time.sleep(0.02)
    messages.close()
    collector.close()


if __name__ == "__main__":
    main()
