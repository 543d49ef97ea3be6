"""One ASGI connection: what its application and its client say, noted on the way through.

In: the messages of both sides. Out: the same messages, and one finished `Exchange` for the record.
Nothing is changed, delayed or raised: a message that cannot be read costs the record, counted.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter_ns
from typing import Any

from lakeward.capture.exchange import Exchange
from lakeward.capture.route import route_template
from lakeward.ledger import Reason

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DISCONNECTED, NO_RESPONSE, INCOMPLETE = "ClientDisconnect", "NoResponse", "IncompleteResponse"
"""`error_type` of calls that no exception ended."""
REJECTED_HANDSHAKE, SWITCHING = 403, 101
NO_STATUS, NO_CLOSE_FRAME = 1005, 1006


class AsgiExchange(Exchange, kw_only=True, eq=False):
    """State of one call; its `send` and `receive` stand between server and application.

    `send` is no coroutine function: it notes, and hands the server's own awaitable through.
    """

    mounts: dict[str, str]
    """Cache of `route_template`."""
    inner_receive: Receive
    inner_send: Send
    handling: BaseException | None
    """What was being handled around the whole call, so is no error of it."""
    finished: bool = False
    kept: bool = False
    """Whether the record is in the ring."""

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
            try:
                scrub = self.capture.collector.scrubber.path
                self.route = route_template(scope, self.mounts, scrub)
            except Exception:
                self.route = None  # a strange router costs the template, never the call
        self.user = scope.get("user")
        self.kept = self.capture.finish(self) is not None

    def person(self) -> dict[str, str]:
        """Who calls: the framework may know by now."""
        self.user = self.request.get("user")
        return self.capture.person(self)

    def spoil(self, error: Exception) -> None:
        """A message that cannot be read costs the record, which is counted, and nothing else."""
        if not self.finished:
            self.finished = True
            self.capture.collector.blame(Reason.unencodable, error)

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
            parent = {"parent_interaction_id": self.interaction_id} if self.kept else {}
            self.capture.collector.record(
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
