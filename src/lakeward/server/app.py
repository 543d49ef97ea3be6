"""The server's ASGI application: which path is whose, and the same care around every request.

In: HTTP requests. Out: answers. Each request passes the guard, then its handler; what a handler
refuses becomes JSON with `code` and `message`, what it did not expect becomes a 500 that says
nothing of the inside. Raw ASGI: on the way of an interaction no framework stands.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING

import msgspec

from lakeward.capture.asgi import Message, Receive, Scope, Send
from lakeward.capture.exchange import merged
from lakeward.collector import Collector
from lakeward.server import body
from lakeward.server.answer import SAFE, SECURE, Headers, Refusal, reply, reply_json, reply_refusal
from lakeward.server.compat import DIALECTS
from lakeward.server.compat.door import Speaker
from lakeward.server.flags import AskedFlags, FlagPage
from lakeward.server.gauges import Gauges
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.ratings import Ratings
from lakeward.server.routes import Found, Part, Renamed, Routes, prefix_of
from lakeward.server.sdk import KIND, sdk_answer
from lakeward.settings import Settings

if TYPE_CHECKING:
    from lakeward.server.rooms import Room

logger = logging.getLogger("lakeward.server")

CORS_SECONDS = b"600"

OWN: tuple[Part, ...] = (
    Part("interactions", "/v1/interactions"),
    Part("ratings", "/v1/ai/ratings"),
    Part("flags", "/v1/flags/evaluate"),
    Part("sdk", "/lakeward.js"),
    Part("openapi", "/openapi.json"),
)
SPOKEN: tuple[Part, ...] = tuple(
    Part(dialect.name, "", tuple(path for end in dialect.endpoints for path in end.paths))
    for dialect in DIALECTS
)


def places(settings: Settings) -> Renamed:
    """Where the parts are that the settings name; SettingError for what cannot be."""
    prefix_of(settings.path_prefix)
    every = (*OWN, *SPOKEN, *of_rooms())
    roots = Renamed(every, settings.paths)
    routes: Routes[None] = Routes()
    for part in every:
        for path in part.paths if part.name in roots else ():
            routes.add(part.name, roots[part.name], path, None)
    return roots


def of_rooms() -> tuple[Part, ...]:
    """The parts of all rooms, there or not. To know them is to load what they need, which a Lambda,
    without rooms, starts four times as fast without."""
    from lakeward.server.rooms import PARTS

    return PARTS


class Server:
    """One worker's application: what is sent to it, and the rooms that answer for the rest."""

    def __init__(
        self, collector: Collector, guard: Guard, intake: Intake, gauges: Gauges,
        rooms: Sequence[Room] = (),
    ) -> None:  # fmt: skip
        self._collector = collector
        self._guard = guard
        self._intake = intake
        self._gauges = gauges
        settings = collector.settings
        self._prefix = prefix_of(settings.path_prefix)
        parts = (*OWN, *SPOKEN, *(part for room in rooms for part in room.parts))
        others = of_rooms() if rooms or settings.paths else ()
        self._roots = Renamed(
            {part.name: part for part in (*others, *parts)}.values(), settings.paths
        )
        listed = self._roots.get("openapi")
        self._nothing = (
            f"There is nothing here: {listed} lists the paths." if listed else "Nothing."
        )
        self._routes: Routes[Handler] = Routes()
        self._flags = AskedFlags(settings)
        handlers = {
            "interactions": Handler(POST, None, self._interactions, crosses=True),
            "ratings": Handler(POST, None, Ratings(collector, intake).answer, crosses=True),
            "flags": Handler(POST, None, FlagPage(self._flags, intake).answer, crosses=True),
            "sdk": Handler(GET, None, self._sdk, crosses=True),
            "openapi": Handler(GET, None, self._openapi),
        }
        for room in rooms:
            room.moved(self._roots)
            handlers |= room.handlers()
        self._place(parts, handlers)
        self._place_dialects()

    def _place(self, parts: Sequence[Part], handlers: Mapping[str, Handler]) -> None:
        for part in parts:
            root = self._roots.get(part.name)
            if root is None or part.name not in handlers:
                continue
            for path in part.paths:
                handler = handlers.get(part.name + path, handlers[part.name])
                self._routes.add(part.name, root, path, handler)

    def _place_dialects(self) -> None:
        for dialect in DIALECTS:
            root = self._roots.get(dialect.name)
            if root is None:
                continue
            for endpoint in dialect.endpoints:
                speaker = Speaker(self._intake, self._flags, dialect, endpoint, root)
                handler = Handler(endpoint.methods, None, speaker.answer, crosses=True)
                for path in endpoint.paths:
                    self._routes.add(dialect.name, root, path, handler)

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
            # Not the path: it is a stranger's text, and of some SDKs it holds the key.
            logger.error("%s failed (%s)", answer.part, type(error).__name__)
            if not answer.status:
                broken = Refusal(500, "internal", "The server failed; its log says where.")
                await reply_refusal(answer.send, broken)
        finally:
            self._gauges.answered(answer.status, perf_counter_ns() - began)

    async def _route(
        self, scope: Scope, receive: Receive, answer: _Answer, headers: dict[bytes, bytes]
    ) -> None:
        path, prefix = self._below(scope)
        base = self._intake.base(scope, headers, prefix)
        answer.secure = self._guard.is_secure(base)
        self._guard.check_host(headers)
        found = self._routes.find(path)
        if found is None:
            raise Refusal(404, "not_found", self._nothing)
        answer.part, handler = found.part, found.handler
        if handler.crosses:
            answer.cors = _cors(headers)
        if scope["method"] == "OPTIONS" and b"origin" in headers:
            await reply(answer.send, 204, b"", headers=_preflight(handler, headers))
            return
        if scope["method"] not in handler.methods:
            raise Refusal(405, "wrong_method", f"This path takes {' and '.join(handler.methods)}.",
                          allow=handler.methods)  # fmt: skip
        request = Request(scope, receive, answer.send, headers, base, prefix)
        if handler.kind == "read":
            passed = await self._guard.admit_reader(scope, headers, base)
            request = msgspec.structs.replace(request, passed=passed)
        elif handler.kind is not None:
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
        with intake.shelf.lent(intake.client(request)) as lent:
            raw = await body.read(request.receive, request.headers, intake.most_bytes, lent)
            outcome = await intake.take(intake.ingest.decoded(raw), sender)
        await reply_json(request.send, outcome, headers=headers)

    async def _sdk(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        status, script, said = sdk_answer(request.headers)
        await reply(request.send, status, script, KIND, said)

    async def _openapi(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        from lakeward.server.openapi import document

        said = document(self._intake.most_bytes, self._roots, request.prefix)
        await reply_json(request.send, said)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._collector.attach()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self._flags.close()
                self._collector.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


class _Answer:
    """Notes the status of what is sent, and sees to it that no answer lacks what keeps it safe."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.secure = False
        self.part = "a request"
        """Whose it is, once that is known."""
        self.cors: Headers = ()
        """What a page of another origin has to be told, once it is known that it may ask."""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            said = {name for name, _ in message["headers"]}
            safe = (*SAFE, SECURE) if self.secure else SAFE
            more = [pair for pair in safe if pair[0] not in said]
            message = {**message, "headers": [*message["headers"], *more]}
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
