"""One client's connection: uvicorn's, with an end to patience and to memory.

In: bytes of anybody. Out: requests for the application. uvicorn lets a head (request line and
headers) be as long and take as long as it likes, and after an early "no" reads on for ever; here a
head that is too long is answered with 431, and a connection on which no request begins for a while
is closed. What is no HTTP gets a 400 as JSON, like every other refusal.
"""

from __future__ import annotations

import asyncio

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lakeward.server.answer import SAFE

HEAD_BYTES = 64 * 1024
"""Longest head; what came with it in one read of the socket is not counted."""


class Connection(HttpToolsProtocol):
    """Counts the bytes of heads, and closes what only waits."""

    idle_seconds = 15.0
    """Within twice this time a request must begin."""
    _head = 0
    _in_head = False
    _seen: object = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """A client is there."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.idle_seconds, self._look, False)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _look(self, again: bool) -> None:
        """Close when nothing was under way, neither now nor the last time, and nothing between."""
        cycle = self.cycle
        waiting = cycle is None or cycle.response_complete
        if waiting and again and cycle is self._seen:
            self.transport.close()
            return
        self._seen = cycle
        self._timer = self.loop.call_later(self.idle_seconds, self._look, waiting)

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._head, self._in_head = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request's head is whole."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Some bytes came."""
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > HEAD_BYTES and not self.transport.is_closing():
                message = f"Request line and headers are longer than {HEAD_BYTES} bytes."
                self._refuse(431, "Request Header Fields Too Large", "head_too_large", message)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP."""
        self._refuse(400, "Bad Request", "bad_request", "This is no valid HTTP request.")

    def _refuse(self, status: int, phrase: str, code: str, message: str) -> None:
        content = msgspec.json.encode({"code": code, "message": message})
        head = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(content)}\r\nconnection: close\r\n"
        )
        safe = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in SAFE)
        self.transport.write(f"{head}{safe}\r\n".encode() + content)
        self.transport.close()
