"""The server's ASGI application: which path is whose, and the same care around every request.

In: HTTP requests. Out: answers. Each request passes the guard, then its handler; what a handler
refuses becomes JSON with `code` and `message`, what it did not expect becomes a 500 that says
nothing of the inside. Raw ASGI: on the way of an interaction no framework stands.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter_ns
from typing import Protocol

import msgspec

from lakeward.capture.asgi import Message, Receive, Scope, Send
from lakeward.capture.exchange import merged
from lakeward.collector import Collector
from lakeward.server import body
from lakeward.server.answer import Headers, Refusal, reply, reply_json, reply_refusal
from lakeward.server.compat import DIALECTS
from lakeward.server.compat.door import Speaker
from lakeward.server.gauges import Gauges
from lakeward.server.guard import Guard, Kind
from lakeward.server.intake import Intake, Request
from lakeward.server.openapi import document
from lakeward.server.routes import Found, Part, Renamed, Routes, prefix_of
from lakeward.server.sdk import SDK_HEADERS, sdk_file
from lakeward.server.status import Status

logger = logging.getLogger("lakeward.server")

CORS_SECONDS = b"600"
READ, POST = ("GET", "HEAD"), ("POST",)

PARTS: tuple[Part, ...] = (
    Part("interactions", "/v1/interactions"),
    Part("sdk", "/lakeward.js"),
    Part("summary", "/v1/summary"),
    Part("live", "/v1/live", ("", "/hour", "/record")),
    Part("metrics", "/metrics"),
    Part("health", "/health"),
    Part("openapi", "/openapi.json"),
    Part("page", "/", ("", "/static/{folder}/{file}")),
    *(
        Part(dialect.name, "", tuple(p for e in dialect.endpoints for p in e.paths))
        for dialect in DIALECTS
    ),
)


class Live(Protocol):
    """The live page and its feed."""

    paths: Mapping[str, str]
    """Where the server's parts are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request for page, asset, stream or figures."""

    def stop(self) -> None:
        """End all streams."""


class Handler(msgspec.Struct, frozen=True):
    """What a path leads to."""

    methods: tuple[str, ...]
    kind: Kind | None
    """The key that is asked for before it begins; None: none, or it asks itself."""
    answer: Callable[[Request, Found[Handler], Headers], Awaitable[None]]
    crosses: bool = False
    """Whether pages of other origins may use it and read what it says."""


class Server:
    """One worker's application."""

    def __init__(
        self, collector: Collector, guard: Guard, intake: Intake, status: Status, gauges: Gauges,
        live: Live,
    ) -> None:  # fmt: skip
        self._collector = collector
        self._guard = guard
        self._intake = intake
        self._status = status
        self._gauges = gauges
        self._live = live
        settings = collector.settings
        self._prefix = prefix_of(settings.path_prefix)
        self.roots = Renamed(PARTS, settings.paths)
        live.paths = self.roots
        self._routes = self._routed()

    def _routed(self) -> Routes[Handler]:
        own = {
            "interactions": Handler(POST, None, self._interactions, crosses=True),
            "sdk": Handler(READ, None, self._sdk, crosses=True),
            "summary": Handler(READ, "read", self._summary),
            "live": Handler(READ, "read", self._watch),
            "metrics": Handler(READ, "read", self._metrics),
            "health": Handler(READ, None, self._health),
            "openapi": Handler(READ, None, self._openapi),
            "page": Handler(READ, None, self._watch),
        }
        routes: Routes[Handler] = Routes()
        for part in PARTS:
            root = self.roots.get(part.name)
            if root is None or part.name not in own:
                continue
            for path in part.paths:
                routes.add(part.name, root, path, own[part.name])
        for dialect in DIALECTS:
            root = self.roots.get(dialect.name)
            if root is None:
                continue
            for endpoint in dialect.endpoints:
                speaker = Speaker(self._intake, dialect, endpoint, root)
                handler = Handler(endpoint.methods, None, speaker.answer, crosses=True)
                for path in endpoint.paths:
                    routes.add(dialect.name, root, path, handler)
        return routes

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
            await self._route(scope, receive, answer, headers)
        except Refusal as refusal:
            if not answer.status:
                await reply_refusal(answer.send, refusal, answer.cors)
        except Exception as error:
            logger.error("%s failed (%s)", scope["path"][:200], type(error).__name__)
            if not answer.status:
                broken = Refusal(500, "internal", "The server failed; its log says where.")
                await reply_refusal(answer.send, broken)
        finally:
            self._gauges.answered(answer.status, perf_counter_ns() - began)

    async def _route(
        self, scope: Scope, receive: Receive, answer: _Answer, headers: dict[bytes, bytes]
    ) -> None:
        self._guard.check_host(headers)
        path, prefix = self._below(scope)
        found = self._routes.find(path)
        if found is None:
            raise Refusal(404, "not_found", "There is nothing here: /openapi.json lists the paths.")
        handler = found.handler
        if handler.crosses:
            answer.cors = _cors(headers)
        if scope["method"] == "OPTIONS" and b"origin" in headers:
            await reply(answer.send, 204, b"", headers=_preflight(handler, headers))
            return
        if scope["method"] not in handler.methods:
            raise Refusal(405, "wrong_method", f"This path takes {' and '.join(handler.methods)}.",
                          allow=handler.methods)  # fmt: skip
        base = self._intake.base(scope, headers, prefix)
        request = Request(scope, receive, answer.send, headers, base, prefix)
        if handler.kind is not None:
            self._guard.admit(scope, headers, handler.kind)
        elif handler.crosses:
            self._intake.slow_down(request)
        await handler.answer(request, found, answer.cors)

    def _below(self, scope: Scope) -> tuple[str, str]:
        """The path as the parts have it, and the prefix that stood before it: where the host app
        mounted this one, and what a proxy did not take off."""
        path, prefix = scope["path"], scope.get("root_path", "").rstrip("/")
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            path = path[len(prefix) :]
        if self._prefix and (path == self._prefix or path.startswith(self._prefix + "/")):
            path = path[len(self._prefix) :]
        return path or "/", prefix + self._prefix

    async def _interactions(
        self, request: Request, found: Found[Handler], headers: Headers
    ) -> None:
        intake = self._intake
        sender = intake.admitted(request, None)
        with intake.shelf.lent() as lent:
            raw = await body.read(request.receive, request.headers, intake.most_bytes, lent)
            outcome = await intake.take(intake.ingest.decoded(raw), sender)
        await reply_json(request.send, outcome, headers=headers)

    async def _sdk(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await reply(request.send, 200, sdk_file(), b"text/javascript; charset=utf-8",
                    [*SDK_HEADERS, *headers])  # fmt: skip

    async def _watch(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        # To the page, all is where it is by default.
        part = next(part for part in PARTS if part.name == found.part)
        below = found.below.format_map(found.steps)
        path = (part.root.rstrip("/") + below) or "/"
        scope = {**request.scope, "path": path, "root_path": request.prefix}
        await self._live(scope, request.receive, request.send)

    async def _summary(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await reply_json(request.send, await self._status.summary(request.query))

    async def _metrics(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        text = await self._status.metrics()
        await reply(request.send, 200, text.encode(), b"text/plain; version=0.0.4; charset=utf-8")

    async def _health(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        health = self._status.health()
        await reply_json(request.send, health, 200 if health["status"] == "ok" else 503)

    async def _openapi(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await reply_json(request.send, document(self._intake.most_bytes))

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


class _Answer:
    """Notes the status of what was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.cors: Headers = ()
        """What a page of another origin has to be told, once it is known that it may ask."""

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
        (b"access-control-expose-headers", b"retry-after"),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"vary", b"origin"),
    )


def _preflight(handler: Handler, headers: dict[bytes, bytes]) -> Headers:
    if not handler.crosses:
        return ()  # what is read is never read by another origin's page
    return (
        *_cors(headers),
        (b"access-control-allow-methods", ", ".join(handler.methods).encode()),
        (b"access-control-allow-headers", headers.get(b"access-control-request-headers", b"")),
        (b"access-control-max-age", CORS_SECONDS),
    )
