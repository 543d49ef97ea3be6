"""The server's way in, without a server: for tests of one worker's limits and times."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from lakeward.collector import Collector
from lakeward.server.guard import Pass
from lakeward.server.ingest import Batch, Ingest, Limits, Outcome, Sender
from lakeward.server.rates import Rates

KEY = Pass(lambda _: True, None, "key-1")


def ingest_of(collector: Collector, **limits: Any) -> Ingest:
    """An ingest with generous limits but for those given."""
    most = {"events": 2500, "event_bytes": 32 << 10, "ai_event_bytes": 1 << 20} | limits
    return Ingest(collector, Rates(None, b"secret"), Limits(**most))


def sender(key: Pass = KEY) -> Sender:
    """Somebody on this machine with a key that may everything."""
    return Sender("127.0.0.1", "test", key)


def take(ingest: Ingest, *events: Any) -> Outcome:
    """Send a list of interactions as a body."""
    return send(ingest, list(events))


def send(ingest: Ingest, content: Any) -> Outcome:
    """Send any JSON as a body."""
    return send_batch(ingest, ingest.decoded(json.dumps(content).encode()))


def send_batch(ingest: Ingest, batch: Batch) -> Outcome:
    """Send what a dialect made."""
    return asyncio.run(ingest.take(batch, sender()))
