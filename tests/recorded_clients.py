"""Requests of other products' SDKs: recorded ones, made ones, and what a dialect makes of them."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from intakes import ingest_of, send_batch
from lakeward.collector import Collector
from lakeward.interaction import JsonObject
from lakeward.server.compat.dialect import BROKEN, Call, Dialect, Endpoint, Refused, Sending
from lakeward.server.ingest import Batch

DATA = Path(__file__).parent / "data/clients"


def call(path: str, content: Any = b"", method: str = "POST", **headers: str) -> Call:
    """A request; what is no bytes is sent as JSON."""
    parts = urlsplit(path)
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {n.replace("_", "-").encode(): value.encode() for n, value in headers.items()}
    query = parse_qs(parts.query, keep_blank_values=True)
    return Call(method, parts.path, {}, query, named, body, "http://127.0.0.1:8080")


def recorded(name: str) -> list[Call]:
    """The requests of one recording, as the door hands them on."""
    return [
        call(
            told["path"],
            base64.b64decode(told["body"]),
            told["method"],
            **{n.replace("-", "_"): value for n, value in told["headers"].items()},
        )
        for told in json.loads((DATA / f"{name}.json").read_text())
    ]


def endpoint(dialect: Dialect, asked: Call) -> Endpoint:
    """Which endpoint a request is for."""
    [found] = [e for e in dialect.endpoints if asked.path in e.paths]
    assert asked.method in found.methods
    return found


class Made(Sending, frozen=True, kw_only=True):
    """What a request holds, all of it made."""

    events: list[JsonObject | Refused]


def made(parse: Callable[[Call], Sending], asked: Call) -> Made:
    """What a dialect makes of a request; no mapping breaks on any event."""
    sending = parse(asked)
    found = [*sending.events]
    assert not any(isinstance(event, Refused) and event.reason == BROKEN for event in found)
    return Made(events=found, secret=sending.secret, sent_at=sending.sent_at)


def parsed(dialect: Dialect, asked: Call) -> Made:
    """What a request holds."""
    parse = endpoint(dialect, asked).parse
    assert parse is not None
    return made(parse, asked)


def events(dialect: Dialect, asked: Call) -> list[dict[str, Any]]:
    """The interactions of a request that holds no others."""
    sending = parsed(dialect, asked)
    assert not any(isinstance(event, Refused) for event in sending.events), sending.events
    return [event for event in sending.events if isinstance(event, dict)]


def taken(dialect: Dialect, collector: Collector, calls: list[Call]) -> list[str]:
    """Take requests into a lake; the reasons of what was refused."""
    ingest = ingest_of(collector)
    reasons: list[str] = []
    for asked in calls:
        sending = parsed(dialect, asked)
        outcome = send_batch(ingest, Batch(sending.events, sending.sent_at, dialect.name))
        reasons += [rejected["reason"] for rejected in outcome.rejected]
    return reasons


def kinds(rows: list[dict[str, Any]]) -> dict[str, int]:
    """How many there are of each type."""
    return dict(sorted(Counter(row["interaction_type"] for row in rows).items()))
