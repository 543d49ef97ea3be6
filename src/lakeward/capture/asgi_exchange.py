"""One ASGI connection: what its application and its client say, noted on the way through.

In: the messages of both sides. Out: the same messages, and one finished `Exchange` for the record.
Nothing is changed, delayed or raised: a message that cannot be read costs the record, counted.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter_ns
from typing import Any

from lakeward.capture.call import DISCONNECTED, FAILED, NO_RESPONSE, Call, caught
from lakeward.capture.route import route_template

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REJECTED_HANDSHAKE, SWITCHING = 403, 101
NO_STATUS, NO_CLOSE_FRAME = 1005, 1006


class AsgiExchange(Call, kw_only=True, eq=False):
    """State of one call; its `send` and `receive` stand between server and application.

    `send` is no coroutine function: it notes, and hands the server's own awaitable through.
    """

    mounts: dict[str, str]
    """Cache of `route_template`."""
    inner_receive: Receive
    inner_send: Send

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
        if status is not None and status >= FAILED and self.error is None:
            self.error = caught(self.handling, sys.exception(), status)
        self.finish()

    async def receive(self) -> Message:
        """Pass a message of the server on and note a client that went away."""
        message = await self.inner_receive()
        kind = message["type"]
        if kind == "http.request":
            body = message.get("body")
            if body:
                self.received(body)
        elif kind == "http.disconnect" and not self.finished:
            self.error = DISCONNECTED
        return message

    def person(self) -> dict[str, str]:
        """Who calls; the route can wait until the end."""
        if self.framework is None:
            self.user = self.request.get("user")
            return self.capture.person(self)
        return super().person()

    def look(self) -> None:
        """What Starlette left in the scope, or another framework knows."""
        if self.framework is not None:
            super().look()
            return
        scope = self.request
        if "endpoint" in scope or "route" in scope:
            try:
                scrub = self.capture.collector.scrubber.path
                self.route = route_template(scope, self.mounts, scrub)
            except Exception:
                self.route = None  # a strange router costs the template, never the call
        self.user = scope.get("user")


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
            self.status, self.error = FAILED, NO_RESPONSE
        self.finish()


def _size(message: Message) -> int:
    """Bytes of one WebSocket message's data."""
    text = message.get("text")
    if text is None:
        return len(message.get("bytes") or b"")
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
