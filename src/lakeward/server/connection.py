"""One client's connection: uvicorn's, with an end to patience and to memory.

In: bytes of anybody. Out: requests for the application, the next one when the answer before it was
read; what is not read at all is cut (`unread`). uvicorn lets a head (request line and
headers) be as long and take as long as it likes, and after an early "no" reads on for ever; here a
head that is too long is answered with 431, and a connection on which no request begins for a while
is closed. What is no HTTP gets a 400 as JSON, like every other refusal.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lakeward.server.answer import SAFE
from lakeward.server.unread import Unread

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
    _answered = False
    """Whether a whole answer waits to be read."""

    def __init__(self, *args: Any, unread: Unread, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unread = unread

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """A client is there."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.idle_seconds, self._look, False)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._unread.remove(self.transport)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client is behind: nothing more is asked of it, nor by it."""
        super().pause_writing()
        self.flow.pause_reading()
        self._unread.add(self.transport)

    def resume_writing(self) -> None:
        """It has caught up."""
        self._unread.remove(self.transport)
        super().resume_writing()
        if self._answered:
            self._answered = False
            super().on_response_complete()
        else:
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """An answer is written: the next request begins once it was read."""
        if self.flow.write_paused and not self.transport.is_closing():
            self._answered = True
        else:
            super().on_response_complete()

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
