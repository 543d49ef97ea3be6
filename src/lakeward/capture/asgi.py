"""ASGI capture: every call of an application becomes one `api_call`.

In: any ASGI 3 application. Out: the same application, each HTTP call and WebSocket recorded or
counted by reason. The middleware holds the rules; an object per call holds its state. The record
is made once the last byte went to the server; an exception is noted by its type and raised on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import perf_counter
from typing import Any

from lakeward.capture.exchange import BodyRule, Capture, ConsentHook, Exchange, UserHook
from lakeward.collector import Collector
from lakeward.errors import LakewardError, Terminal
from lakeward.ledger import Reason

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DISCONNECTED = "ClientDisconnect"
REJECTED_HANDSHAKE, SWITCHING = 403, 101


class AsgiExchange(Exchange):
    """State of one call; its `send` and `receive` stand between server and application."""

    __slots__ = ("_capture", "_receive", "_scope", "_send", "finished", "interaction_id")

    def __init__(self, capture: Capture, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(
            perf_counter(), scope.get("method", "WEBSOCKET"), scope["path"], scope["query_string"]
        )
        self._capture = capture
        self._scope = scope
        self._receive = receive
        self._send = send
        self.finished = False
        self.interaction_id: str | None = None
        self.headers = dict(scope["headers"])
        client = scope.get("client")
        if client is not None:
            self.client = client[0]

    async def send(self, message: Message) -> None:
        """Pass a message of the application on and note what it says."""
        await self._send(message)
        kind = message["type"]
        if kind == "http.response.body":
            if not self.first_byte:
                self.first_byte = perf_counter()
            body = message.get("body")
            if body:
                self.response_bytes += len(body)
            if not message.get("more_body", False):
                self.last_byte = perf_counter()
                status = self.status
                if status is not None and status < 500:
                    self.finish()
        elif kind == "http.response.start":
            self.status = message["status"]
        elif kind == "http.response.pathsend":
            self.last_byte = self.first_byte = perf_counter()

    async def receive(self) -> Message:
        """Pass a message of the server on and note a client that went away."""
        message = await self._receive()
        kind = message["type"]
        if kind == "http.request":
            if self.body is not None and self.content is not None:
                body = message.get("body", b"")
                if sum(map(len, self.body)) <= self.content.most:
                    self.body.append(body)
        elif kind == "http.disconnect" and not self.last_byte:
            self.error = DISCONNECTED
        return message

    def finish(self) -> None:
        """Record the call, once."""
        if self.finished:
            return
        self.finished = True
        if not self.last_byte:
            self.last_byte = perf_counter()
        scope = self._scope
        self.request = scope
        if "route" in scope or "endpoint" in scope:
            with contextlib.suppress(Exception):
                self.route = route_template(scope)
        self.user = scope.get("user")
        self.interaction_id = self._capture.finish(self)


class WebSocketExchange(AsgiExchange):
    """A WebSocket: status 101 once accepted, recorded when it closes, bytes both ways counted."""

    __slots__ = ("received_bytes",)

    def __init__(self, capture: Capture, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(capture, scope, receive, send)
        self.received_bytes = 0

    async def send(self, message: Message) -> None:
        """Note acceptance, data and close."""
        await self._send(message)
        kind = message["type"]
        if kind == "websocket.accept":
            self.status = SWITCHING
            self.first_byte = perf_counter()
        elif kind == "websocket.send":
            data = message.get("bytes") or message.get("text") or ""
            self.response_bytes += len(data if isinstance(data, bytes) else data.encode())
        elif kind == "websocket.close" and self.status is None:
            self.status = REJECTED_HANDSHAKE
        elif kind == "websocket.http.response.start":
            self.status = message["status"]

    async def receive(self) -> Message:
        """Pass a message of the client on."""
        return await self._receive()


class LakewardMiddleware:
    """Wrap an ASGI application; place it outermost, so that it sees every call.

    `collector` defaults to `Collector.from_env()`. `exclude` replaces `LAKEWARD_EXCLUDE`; `user`
    and `consent` are asked with the scope once the answer is sent; `bodies` lists the routes whose
    request bodies are recorded (none by default).
    """

    def __init__(
        self,
        app: App,
        collector: Collector | None = None,
        *,
        exclude: Sequence[str] | None = None,
        user: UserHook | None = None,
        consent: ConsentHook | None = None,
        bodies: Sequence[BodyRule] = (),
    ) -> None:
        self.app = app
        self.collector = Collector.from_env() if collector is None else collector
        self._enabled = self.collector.settings.collect
        self._has_bodies = bool(bodies)
        self.capture = Capture(
            self.collector, exclude=exclude, user=user, consent=consent, bodies=bodies
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the server."""
        kind = scope["type"]
        if not self._enabled or kind not in {"http", "websocket", "lifespan"}:
            await self.app(scope, receive, send)
        elif kind == "lifespan":
            await self._live(scope, receive, send)
        elif self.capture.excludes(scope["path"]):
            self.capture.leave_out(Reason.excluded)
            await self.app(scope, receive, send)
        elif kind == "http":
            await self._serve(AsgiExchange(self.capture, scope, receive, send))
        else:
            await self._serve(WebSocketExchange(self.capture, scope, receive, send))

    async def _serve(self, exchange: AsgiExchange) -> None:
        if self._has_bodies:
            exchange.content = self.capture.body_rule(exchange.path, exchange.headers)
            if exchange.content is not None:
                exchange.body = []
        try:
            await self.app(exchange._scope, exchange.receive, exchange.send)
        except BaseException as error:
            name = type(error).__name__
            if exchange.finished:
                self._note_background(exchange, name)
            else:
                exchange.error = exchange.error or name
                if exchange.status is None and isinstance(error, Exception):
                    exchange.status = 500
            raise
        finally:
            exchange.finish()

    def _note_background(self, exchange: AsgiExchange, name: str) -> None:
        """Work after the answer failed: the call is recorded already, this is its own event."""
        self.collector.record(
            "job_run",
            job="background",
            outcome="failed",
            error_type=name,
            duration_ms=round((perf_counter() - exchange.last_byte) * 1000.0, 3),
            parent_interaction_id=exchange.interaction_id or "",
        )

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the ring before the first call and make the last ones durable at shutdown."""
        self.collector.attach()
        try:
            await self.app(scope, receive, send)
        finally:
            with contextlib.suppress(LakewardError):
                await self.collector.acommit(self.collector.settings.exit_seconds)


def route_template(scope: Scope) -> str | None:
    """The route that matched, as written in the application, mounts included."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if path is None:
        return None
    prefix = scope.get("root_path", "")[len(scope.get("app_root_path", "")) :]
    if prefix and not path.startswith(prefix):
        named = {str(value): f"{{{name}}}" for name, value in scope["path_params"].items()}
        prefix = "/".join(named.get(segment, segment) for segment in prefix.split("/"))
        path = prefix + path
    return str(path)


def install(app: Any, collector: Collector | None = None, **rules: Any) -> None:
    """Put the middleware outside everything else of a Starlette or FastAPI application.

    Later `add_middleware` calls stay inside it, so preflights and errors are seen too. `rules` are
    those of `LakewardMiddleware`. Raises Terminal when the application already serves.
    """
    build = getattr(app, "build_middleware_stack", None)
    if build is None:
        raise Terminal("install() needs a Starlette or FastAPI app: wrap yours instead, "
                       "app = LakewardMiddleware(app)")  # fmt: skip
    if app.middleware_stack is not None:
        raise Terminal("install() must run before the application serves its first call")
    held = Collector.from_env() if collector is None else collector
    app.build_middleware_stack = lambda: LakewardMiddleware(build(), held, **rules)
