"""ASGI capture: every call of an application becomes one `api_call`.

In: any ASGI 3 application. Out: the same application, each HTTP call and WebSocket recorded or
counted by reason. The middleware holds the rules; an object per call holds its state. An HTTP call
is in the ring before its last byte goes to the server, so that no client has an answer whose call
a kill could lose. An exception is noted by its type and raised on.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import perf_counter_ns
from typing import Any

from lakeward.capture.body import BodyRule
from lakeward.capture.exchange import Capture, ConsentHook, Exchange, UserHook, merged
from lakeward.capture.route import route_template
from lakeward.collector import Collector
from lakeward.errors import LakewardError, Terminal
from lakeward.ledger import Reason

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SEEN = "lakeward"
"""Marks a scope that a middleware of ours has taken: one inside another leaves it alone."""
DISCONNECTED, NO_RESPONSE, INCOMPLETE = "ClientDisconnect", "NoResponse", "IncompleteResponse"
"""`error_type` of calls that no exception ended."""
REJECTED_HANDSHAKE, SWITCHING = 403, 101
NO_STATUS, NO_CLOSE_FRAME = 1005, 1006


class AsgiExchange(Exchange, kw_only=True, eq=False):
    """State of one call; its `send` and `receive` stand between server and application.

    `send` is no coroutine function: it notes, and hands the server's own awaitable through.
    """

    middleware: LakewardMiddleware
    inner_receive: Receive
    inner_send: Send
    handling: BaseException | None
    """What was being handled around the whole call, so is no error of it."""
    finished: bool = False
    interaction_id: str | None = None

    def send(self, message: Message) -> Awaitable[None]:
        """Note what the application says, and pass it on."""
        try:
            kind = message["type"]
            if kind == "http.response.body":
                body = message.get("body")
                if body and self.response_bytes is not None:
                    self.response_bytes += len(body)
                self._sending(message)
            elif kind == "http.response.start":
                self.status = message["status"]
            elif kind in {"http.response.pathsend", "http.response.zerocopysend"}:
                self.response_bytes = None
                self._sending(message)
        except Exception as error:
            self.spoil(error)
        return self.inner_send(message)

    def _sending(self, message: Message) -> None:
        """Note a part of the body. A framework answers 5xx while it handles the error."""
        now = perf_counter_ns()
        if not self.first_byte:
            self.first_byte = now
        if message.get("more_body"):
            return
        self.last_byte = now
        status = self.status
        if status is not None and status >= 500 and self.error is None:
            error = sys.exception()
            if error is not self.handling and getattr(error, "status_code", None) != status:
                self.error = type(error).__name__
        self.finish()

    async def receive(self) -> Message:
        """Pass a message of the server on and note a client that went away."""
        message = await self.inner_receive()
        kind = message["type"]
        if kind == "http.request":
            body = message.get("body")
            if body:
                self.request_bytes += len(body)
                rule = self.body_rule
                if rule is not None and self.body is not None and self.request_bytes <= rule.most:
                    self.body.append(body)
        elif kind == "http.disconnect" and not self.finished:
            self.error = DISCONNECTED
        return message

    def finish(self) -> None:
        """Record the call, once."""
        if self.finished:
            return
        self.finished = True
        if not self.last_byte:
            self.last_byte = perf_counter_ns()
        scope = self.request
        if "endpoint" in scope or "route" in scope:
            self.route = self.middleware.route(scope)
        self.user = scope.get("user")
        self.interaction_id = self.middleware.capture.finish(self)

    def spoil(self, error: Exception) -> None:
        """A message that cannot be read costs the record, which is counted, and nothing else."""
        if not self.finished:
            self.finished = True
            self.middleware.collector.blame(Reason.unencodable, error)

    def end(self) -> None:
        """The application returned without a last byte: the server will say so to the client."""
        if self.error is None:
            if self.status is None:
                self.status, self.error = 500, NO_RESPONSE
            else:
                self.error = INCOMPLETE
        self.finish()

    def fail(self, error: BaseException) -> None:
        """The application raised: note the type, on the call or, after it, as its own event."""
        name = type(error).__name__
        if not self.finished:
            if self.error is None:
                self.error = name
                if self.status is None and isinstance(error, Exception):
                    self.status = 500
            self.finish()
        elif self.error is None:
            parent = {"parent_interaction_id": self.interaction_id} if self.interaction_id else {}
            self.middleware.collector.record(
                "job_run",
                job_name="after_response",
                outcome="failed",
                error_type=name,
                duration_ms=(perf_counter_ns() - self.last_byte) // 1000 / 1000,
                **parent,
            )


class WebSocketExchange(AsgiExchange, kw_only=True, eq=False):
    """A WebSocket: status 101 once accepted, recorded when it closes, bytes both ways counted."""

    def send(self, message: Message) -> Awaitable[None]:
        """Note acceptance, data and close."""
        try:
            kind = message["type"]
            if kind == "websocket.send":
                self.response_bytes = (self.response_bytes or 0) + _size(message)
            elif kind == "websocket.accept":
                self.status, self.first_byte = SWITCHING, perf_counter_ns()
            elif kind == "websocket.close":
                self.status, self.last_byte = self.status or REJECTED_HANDSHAKE, perf_counter_ns()
            elif kind == "websocket.http.response.start":
                self.status, self.last_byte = message["status"], perf_counter_ns()
            elif kind == "websocket.http.response.body":
                self.response_bytes = (self.response_bytes or 0) + len(message.get("body", b""))
        except Exception as error:
            self.spoil(error)
        return self.inner_send(message)

    async def receive(self) -> Message:
        """Note data, and a client that left without a word."""
        message = await self.inner_receive()
        kind = message["type"]
        if kind == "websocket.receive":
            self.request_bytes += _size(message)
        elif kind == "websocket.disconnect" and not self.last_byte:
            code = message.get("code", NO_STATUS)
            # uvicorn tells a lost socket as a close without a status, but gives no reason then.
            if code == NO_CLOSE_FRAME or (code == NO_STATUS and "reason" not in message):
                self.error = DISCONNECTED
        return message

    def end(self) -> None:
        """A WebSocket has no last byte; only one that was never answered is an error."""
        if self.status is None and self.error is None:
            self.status, self.error = 500, NO_RESPONSE
        self.finish()


def _size(message: Message) -> int:
    """Bytes of one WebSocket message's data."""
    text = message.get("text")
    if text is None:
        return len(message.get("bytes") or b"")
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class LakewardMiddleware:
    """Wrap an ASGI application; place it outermost, so that it sees every call.

    `collector` defaults to `Collector.from_env()`. `exclude` replaces `LAKEWARD_EXCLUDE`; `user`
    and `consent` are plain functions, asked with the scope before the last byte is sent; `bodies`
    lists the routes whose request bodies are recorded (none by default).
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
        self.capture = Capture(
            self.collector, exclude=exclude, user=user, consent=consent, bodies=bodies
        )
        self._mounts: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the server."""
        exchange = None
        try:
            exchange = self._begin(scope, receive, send)
        except Exception as error:
            self.collector.blame(Reason.unencodable, error)
        if exchange is None:
            if scope["type"] == "lifespan" and self.collector.settings.collect:
                send = _Lifespan(self.collector, send)
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.fail(error)
            raise
        if not exchange.finished:
            exchange.end()

    def route(self, scope: Scope) -> str | None:
        """The route's template; a strange router costs the template, never the call."""
        try:
            return route_template(scope, self._mounts)
        except Exception:
            return None

    def _begin(self, scope: Scope, receive: Receive, send: Send) -> AsgiExchange | None:
        """The state of a call that will be recorded; None for everything else, which is counted."""
        kind = scope["type"]
        if (kind != "http" and kind != "websocket") or SEEN in scope:
            return None
        scope[SEEN] = True
        capture, path = self.capture, scope["path"]
        known = capture.paths.get(path)
        if known is None:
            if not self.collector.settings.collect:
                self.collector.record("api_call")  # counts it as disabled
                return None
            known = capture.look_up(path, scope.get("root_path", ""))
        if known is False:
            capture.leave_out(Reason.excluded)
            return None
        client, pairs = scope.get("client"), scope["headers"]
        headers = dict(pairs)
        if len(headers) != len(pairs):
            headers = merged(pairs)
        make, method = AsgiExchange, scope.get("method", "WEBSOCKET")
        if kind == "websocket":
            make = WebSocketExchange
        exchange = make(
            perf_counter_ns(),
            method,
            known,
            scope.get("query_string", b""),
            headers,
            client[0] if client else None,
            scope,
            middleware=self,
            inner_receive=receive,
            inner_send=send,
            handling=sys.exception(),
        )
        if capture.wants_bodies:
            capture.choose_body(exchange, path)
        return exchange


class _Lifespan:
    """Opens the ring at startup; at shutdown everything is durable before the server hears."""

    def __init__(self, collector: Collector, send: Send) -> None:
        self._collector = collector
        self._send = send
        try:
            collector.attach()
        except Exception as error:
            collector.blame(Reason.unencodable, error)

    async def __call__(self, message: Message) -> None:
        if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
            # What is not durable in time waits in the ring, and `close()` will say so.
            with contextlib.suppress(LakewardError, OSError):
                await self._collector.acommit(self._collector.settings.exit_seconds)
        await self._send(message)


class _Outermost:
    """Stands in for an application's `build_middleware_stack`."""

    def __init__(self, build: Callable[[], App], middleware: LakewardMiddleware) -> None:
        self._build = build
        self._middleware = middleware

    def __call__(self) -> App:
        self._middleware.app = self._build()
        return self._middleware


def install(
    app: object,
    collector: Collector | None = None,
    *,
    exclude: Sequence[str] | None = None,
    user: UserHook | None = None,
    consent: ConsentHook | None = None,
    bodies: Sequence[BodyRule] = (),
) -> None:
    """Put the middleware outside everything else of a Starlette or FastAPI application.

    Later `add_middleware` calls stay inside it, so preflights and errors are seen too. The rules
    are those of `LakewardMiddleware`. Raises Terminal when the application already serves, or has
    the middleware already.
    """
    build = getattr(app, "build_middleware_stack", None)
    if build is None:
        raise Terminal("install() needs a Starlette or FastAPI app: wrap yours instead, "
                       "app = LakewardMiddleware(app)")  # fmt: skip
    if isinstance(build, _Outermost):
        raise Terminal("install() was called for this application before: call it once")
    if getattr(app, "middleware_stack", None) is not None:
        raise Terminal("install() must run before the application serves its first call")
    middleware = LakewardMiddleware(
        _not_built, collector, exclude=exclude, user=user, consent=consent, bodies=bodies
    )
    setattr(app, "build_middleware_stack", _Outermost(build, middleware))  # noqa: B010


async def _not_built(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands where the application's stack will be."""
