"""ASGI capture: every call of an application becomes one `api_call`.

In: any ASGI 3 application. Out: the same application, each HTTP call and WebSocket recorded or
counted by reason. The middleware holds the rules; an object per call holds its state. An HTTP call
is in the ring before its last byte goes to the server, so that no client has an answer whose call
a kill could lose. An exception is noted by its type and raised on.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from time import perf_counter_ns

from lakeward.capture.asgi_exchange import (
    App,
    AsgiExchange,
    Message,
    Receive,
    Scope,
    Send,
    WebSocketExchange,
)
from lakeward.capture.body import BodyRule
from lakeward.capture.exchange import Capture, ConsentHook, UserHook, merged
from lakeward.collector import Collector
from lakeward.errors import LakewardError, Terminal
from lakeward.ledger import Reason
from lakeward.trace import CURRENT

__all__ = [
    "App",
    "BodyRule",
    "LakewardMiddleware",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "install",
]

SEEN = "lakeward"
"""Marks a scope that a middleware of ours has taken: one inside another leaves it alone."""


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
        outer = CURRENT.get()
        CURRENT.set(exchange)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            # Not `reset`: a coroutine that is thrown away is closed in a context not its own.
            CURRENT.set(outer)
        if not exchange.finished:
            exchange.end()

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
        began_ns, interaction_id = capture.begin()
        exchange = make(
            capture,
            began_ns,
            interaction_id,
            perf_counter_ns(),
            method,
            known,
            scope.get("query_string", b""),
            headers,
            client[0] if client else None,
            scope,
            mounts=self._mounts,
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
