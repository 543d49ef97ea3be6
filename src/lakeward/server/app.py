"""The server's ASGI application: which path is whose, and the same care around every request.

In: HTTP requests. Out: answers. Each request passes the guard, then its handler; what a handler
refuses becomes JSON with `code` and `message`, what it did not expect becomes a 500 that says
nothing of the inside. Raw ASGI: on the way of an interaction no framework stands.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import Protocol

from lakeward.capture.asgi import Message, Receive, Scope, Send
from lakeward.capture.exchange import merged
from lakeward.capture.visitor import Proxies
from lakeward.collector import Collector
from lakeward.server import body
from lakeward.server.answer import Headers, Refusal, reply, reply_json, reply_refusal
from lakeward.server.gauges import Gauges
from lakeward.server.guard import Guard, Kind, Pass
from lakeward.server.ingest import Ingest, Sender
from lakeward.server.openapi import document
from lakeward.server.status import Status

logger = logging.getLogger("lakeward.server")

Handler = Callable[[Scope, Receive, Send, dict[bytes, bytes], Pass], Awaitable[None]]
CORS_SECONDS = b"600"


class Live(Protocol):
    """The live page and its feed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request for page, asset, stream or figures."""

    def stop(self) -> None:
        """End all streams."""


class Server:
    """One worker's application."""

    def __init__(
        self,
        collector: Collector,
        guard: Guard,
        status: Status,
        gauges: Gauges,
        live: Live,
        *,
        most_bytes: int,
        most_events: int,
        most_event_bytes: int,
    ) -> None:
        self._collector = collector
        self._guard = guard
        self._status = status
        self._gauges = gauges
        self._live = live
        self._most_bytes = most_bytes
        self._ingest = Ingest(collector, most_events=most_events, most_bytes=most_event_bytes)
        self._proxies = Proxies(collector.settings.trusted_proxies)
        self._routes: dict[str, tuple[tuple[str, ...], Kind | None, Handler]] = {
            "/v1/interactions": (("POST",), "write", self._interactions),
            "/v1/summary": (("GET", "HEAD"), "read", self._summary),
            "/v1/live": (("GET", "HEAD"), "read", self._watch),
            "/v1/live/hour": (("GET", "HEAD"), "read", self._watch),
            "/v1/live/record": (("GET", "HEAD"), "read", self._watch),
            "/metrics": (("GET", "HEAD"), "read", self._metrics),
            "/health": (("GET", "HEAD"), None, self._health),
            "/openapi.json": (("GET", "HEAD"), None, self._openapi),
            "/": (("GET", "HEAD"), None, self._watch),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(receive, send)
            return
        if kind != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        began = perf_counter_ns()
        answer = _Answer(send)
        headers = merged(scope["headers"])
        try:
            await self._route(scope, receive, answer.send, headers)
        except Refusal as refusal:
            if not answer.status:
                await reply_refusal(answer.send, refusal, _cors(headers))
        except Exception as error:
            logger.error("%s failed (%s)", scope["path"][:200], type(error).__name__)
            if not answer.status:
                broken = Refusal(500, "internal", "The server failed; its log says where.")
                await reply_refusal(answer.send, broken)
        finally:
            self._gauges.answered(answer.status, perf_counter_ns() - began)

    async def _route(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]
    ) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if path.startswith("/static/"):
            path = "/"
        route = self._routes.get(path)
        self._guard.check_host(headers)
        if route is None:
            raise Refusal(404, "not_found", "There is nothing here: /openapi.json lists the paths.")
        methods, kind, handler = route
        if scope["method"] == "OPTIONS" and b"origin" in headers:
            await reply(send, 204, b"", headers=_preflight(methods, headers))
            return
        if scope["method"] not in methods:
            raise Refusal(405, "wrong_method", f"This path takes {' and '.join(methods)}.",
                          allow=methods)  # fmt: skip
        passed = NOBODY if kind is None else self._guard.admit(scope, headers, kind)
        await handler(scope, receive, send, headers, passed)

    async def _interactions(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes], passed: Pass
    ) -> None:
        client = scope.get("client")
        address = self._proxies.client(
            client[0] if client else None, headers.get(b"x-forwarded-for")
        )
        agent = headers.get(b"user-agent")
        sender = Sender(
            address, None if agent is None else agent.decode("utf-8", "backslashreplace"),
            passed.permits,
        )  # fmt: skip
        raw = await body.read(receive, headers, self._most_bytes)
        began = perf_counter_ns()
        outcome = await self._ingest.take(raw, sender)
        self._gauges.taken(outcome.accepted, len(outcome.rejected), perf_counter_ns() - began)
        await reply_json(send, outcome, headers=_cors(headers))

    async def _watch(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes], passed: Pass
    ) -> None:
        await self._live(scope, receive, send)

    async def _summary(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes], passed: Pass
    ) -> None:
        await reply_json(send, await self._status.summary(scope.get("query_string", b"")))

    async def _metrics(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes], passed: Pass
    ) -> None:
        text = await self._status.metrics()
        await reply(send, 200, text.encode(), b"text/plain; version=0.0.4; charset=utf-8")

    async def _health(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes], passed: Pass
    ) -> None:
        health = self._status.health()
        await reply_json(send, health, 200 if health["status"] == "ok" else 503)

    async def _openapi(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes], passed: Pass
    ) -> None:
        await reply_json(send, document(self._most_bytes))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._collector.attach()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self._collector.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


NOBODY = Pass(lambda _: False, None)


class _Answer:
    """Notes the status of what was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def _cors(headers: dict[bytes, bytes]) -> Headers:
    """What lets a page that was admitted read the answer to what it sent."""
    origin = headers.get(b"origin")
    if origin is None:
        return ()
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"vary", b"origin"),
    )


def _preflight(methods: tuple[str, ...], headers: dict[bytes, bytes]) -> Headers:
    if "POST" not in methods:
        return ()  # what is read is never read by another origin's page
    return (
        *_cors(headers),
        (b"access-control-allow-methods", ", ".join(methods).encode()),
        (b"access-control-allow-headers", headers.get(b"access-control-request-headers", b"")),
        (b"access-control-max-age", CORS_SECONDS),
    )
