"""Intake: what every way of sending has in common, from the client's address to the commit.

In: a request. Out: a `Sender` that was let in, and what became of its batch. Says no with 429 when
an address comes too often, and as guard, body and ingest do.
"""

from __future__ import annotations

import math
import re
from time import perf_counter_ns

import msgspec

from lakeward.capture.asgi import Receive, Scope, Send
from lakeward.capture.visitor import Proxies
from lakeward.collector import Collector
from lakeward.interaction import FIELDS
from lakeward.server.answer import Refusal
from lakeward.server.body import Shelf
from lakeward.server.gauges import Gauges
from lakeward.server.guard import Guard, Pass
from lakeward.server.ingest import Batch, Ingest, Limits, Outcome, Sender
from lakeward.server.rates import Rates, group
from lakeward.server.shipped import shipped_of
from lakeward.settings import MIB

DEVICE = re.compile(r"\([^()]*;|\bCFNetwork/")
"""What an agent has that tells of a device: `(X11; Linux x86_64)`, as browsers write it, crawlers
that drive one, and apps. Programs that send what they heard of somebody else have no such thing."""
SHELF_BYTES = 64 * MIB
"""Bodies that one worker holds at a time."""
LONGEST_AGENT = 512
RESERVE = 64 * (1 + len(FIELDS))
"""What the server adds to an interaction, at most."""


class Request(msgspec.Struct, frozen=True):
    """A request of anybody, with what the server made of its head."""

    scope: Scope
    receive: Receive
    send: Send
    headers: dict[bytes, bytes]
    base: str
    """Scheme, host and prefix by which it came: `https://data.example.com/data`."""
    prefix: str
    passed: Pass | None = None
    """What the guard said, where it was asked before the handler."""

    @property
    def method(self) -> str:
        """GET, POST …"""
        return str(self.scope["method"])

    @property
    def reader(self) -> str:
        """Who reads, where readers share something: a key or a person; empty where the server is
        open to its machine."""
        if self.passed is None:
            return ""
        login, key = self.passed.login, self.passed.key_id
        return f"person {login.person.person_id}" if login else f"key {key}" if key else ""

    @property
    def query(self) -> bytes:
        """What stands behind the question mark."""
        return bytes(self.scope.get("query_string", b""))


class Intake:
    """The one way in of a worker."""

    def __init__(
        self, guard: Guard, proxies: Proxies, rates: Rates, ingest: Ingest, gauges: Gauges, *,
        address_rate: int, most_bytes: int, shelf_bytes: int,
    ) -> None:  # fmt: skip
        self._guard = guard
        self._proxies = proxies
        self._rates = rates
        self._gauges = gauges
        self._address_rate = address_rate
        self.ingest = ingest
        self.most_bytes = most_bytes
        self.shelf = Shelf(shelf_bytes)

    def address(self, request: Request) -> str | None:
        """Where it comes from, behind the proxies that are trusted."""
        client = request.scope.get("client")
        forwarded = request.headers.get(b"x-forwarded-for")
        return self._proxies.client(client[0] if client else None, forwarded)

    def base(self, scope: Scope, headers: dict[bytes, bytes], prefix: str) -> str:
        """Scheme, host and prefix by which a request came."""
        client = scope.get("client")
        scheme = self._proxies.scheme(
            client[0] if client else None, headers.get(b"x-forwarded-proto"),
            scope.get("scheme", "http"),
        )  # fmt: skip
        return f"{scheme}://{headers.get(b'host', b'').decode('latin-1')}{prefix}"

    def client(self, request: Request) -> str | None:
        """Who it counts as, where clients share something; None: this machine."""
        return group(self.address(request))

    def slow_down(self, request: Request) -> None:
        """Refuse an address that comes too often."""
        who = self.client(request) if self._address_rate else None
        if who is None:
            return
        wait = self._rates.take(f"address {who}", 1, self._address_rate)
        if wait:
            raise Refusal(429, "address_rate", "This address sends more requests than "
                          f"{self._address_rate} a second: try again later.",
                          retry_after=math.ceil(wait))  # fmt: skip

    def admitted(self, request: Request, secret: str | None) -> Sender:
        """Who sends, let in by the guard; `secret` is a key that came in the body."""
        key = self._guard.admit(request.scope, request.headers, "write", secret)
        return Sender(self.address(request), _visitors(request.headers.get(b"user-agent")), key)

    async def take(self, batch: Batch, sender: Sender) -> Outcome:
        """Keep a batch; its figures are counted."""
        began = perf_counter_ns()
        outcome = await self.ingest.take(batch, sender)
        self._gauges.taken(outcome.accepted, len(outcome.rejected), perf_counter_ns() - began)
        return outcome


def _visitors(agent: bytes | None) -> str | None:
    """The agent of whoever sends, where it can be the visitor's own. `curl/8.8.0` or
    `python-requests/2.32` is that of a program that tells of others: it makes nobody a bot."""
    said = None if agent is None else agent.decode("utf-8", "backslashreplace")
    return said if said is not None and DEVICE.search(said[:LONGEST_AGENT]) else None


def intake_of(collector: Collector, guard: Guard, rates: Rates, gauges: Gauges) -> Intake:
    """The way in of one process, with the limits of its settings; nothing may be larger than the
    ring's largest frame."""
    settings = collector.settings
    frame = settings.frame_bytes - RESERVE
    limits = Limits(
        settings.batch_events,
        min(settings.event_bytes, frame),
        min(settings.ai_event_bytes, frame),
        settings.rate_key,
        frame_bytes=settings.frame_bytes,
        batch_bytes=4 * settings.batch_bytes,
    )
    return Intake(
        guard, Proxies(settings.trusted_proxies), rates,
        Ingest(collector, rates, limits, shipped_of(settings)), gauges,
        address_rate=settings.rate_address, most_bytes=settings.batch_bytes,
        shelf_bytes=max(SHELF_BYTES, 4 * settings.batch_bytes),
    )  # fmt: skip
