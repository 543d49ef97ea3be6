"""One WSGI request: what its application and its server say, noted on the way through.

In: an environ, the calls of `start_response` and `write`, the parts of the body. Out: the same,
unchanged, and one finished `Call` for the record: before the last part goes to the server where it
can be known for the last (a list, a Content-Length that is reached), else when the iteration ends
or the server closes it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter_ns
from types import TracebackType
from typing import Any

from lakeward.capture.call import DISCONNECTED, Call, caught
from lakeward.trace import CURRENT

Environ = dict[str, Any]
ExcInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None] | None
)
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

BODILESS = frozenset({204, 304})


class WsgiExchange(Call, kw_only=True, eq=False):
    """State of one call; its `start_response` and its `Parts` stand between server and app."""

    inner_start: StartResponse
    inner_write: Write | None = None
    left: int | None = None
    """Bytes of the body that are still to come, where that is known."""

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo = None
    ) -> Write:
        """Pass status and headers on and note them; the server refuses a second answer itself."""
        if exc_info is None:
            self.inner_write = self.inner_start(status, headers)
        else:
            self.inner_write = self.inner_start(status, headers, exc_info)
        try:
            self._started(int(status[:3]), headers, exc_info)
        except Exception as error:
            self.spoil(error)
        return self.write

    def _started(
        self, status: int, headers: list[tuple[str, str]], exc_info: ExcInfo
    ) -> None:  # fmt: skip
        self.status, self.left = status, None
        for name, value in headers:
            if len(name) == 14 and name.lower() == "content-length" and value.isdecimal():
                self.left = int(value) - (self.response_bytes or 0)
        error = exc_info[1] if exc_info else sys.exception()
        self.raised = caught(self.handling, error, status) or self.raised
        if self.framework is not None:
            self.look()
            self.capture.ask(self)

    def write(self, data: bytes) -> object:
        """Note what an application of the old manner pushes, and pass it on."""
        self.sending(data)
        assert self.inner_write is not None  # the application has this from `start_response`
        return self.inner_write(data)

    def sending(self, part: bytes) -> None:
        """Note a part of the body; the call is over with the last one, if that is known."""
        try:
            size = len(part)
            if not size:
                return
            if not self.first_byte:
                self.first_byte = perf_counter_ns()
            if self.response_bytes is not None:
                self.response_bytes += size
            if self.left is not None:
                self.left -= size
                if self.left <= 0:
                    self.finish()
        except Exception as error:
            self.spoil(error)

    def answered(self, parts: Iterable[bytes], wrapper: object) -> Iterable[bytes]:
        """What the server gets for the application's iterable; itself wherever that is enough."""
        try:
            if type(parts) is list or type(parts) is tuple:
                self._whole(parts)
            elif isinstance(wrapper, type) and isinstance(parts, wrapper):
                self._file(parts)
            else:
                if self.left == 0:
                    self.done()
                return Parts(self, parts)
        except Exception as error:
            self.spoil(error)
        return parts

    def _whole(self, parts: list[bytes] | tuple[bytes, ...]) -> None:
        """A body that is known to its end: the first byte goes out when the last one does."""
        if self.response_bytes is not None:
            self.response_bytes += sum(map(len, parts))
        self.last_byte = perf_counter_ns()
        self.first_byte = self.first_byte or self.last_byte
        self.done()

    def _file(self, file: Any) -> None:
        """The server sends the file itself, and says by `close` when it has done so."""
        self.response_bytes = self.left  # what was announced, if anything was
        self.first_byte = perf_counter_ns()
        close = getattr(file, "close", None)

        def closed() -> None:
            try:
                if close is not None:
                    close()
            finally:
                self.closed(sys.exception())

        try:
            file.close = closed
        except (AttributeError, TypeError):
            self.done()  # a wrapper written in C

    def done(self) -> None:
        """The application has said everything."""
        if self.status is None:
            self.end()
            return
        if not self.first_byte:
            self.first_byte = self.last_byte = perf_counter_ns()  # the head is all there is
        self.finish()

    def closed(self, error: BaseException | None) -> None:
        """The server closes what it may not have read to its end."""
        if not self.finished:
            if error is not None and error is not self.handling and self.error is None:
                self.error = DISCONNECTED if isinstance(error, OSError) else type(error).__name__
            self.done()


class Parts(Iterator[bytes]):
    """The application's iterable, a part at a time, as the server asks for it."""

    __slots__ = ("_exchange", "_next", "_parts")

    def __init__(self, exchange: WsgiExchange, parts: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._parts = parts
        self._next: Callable[[], bytes] | None = None

    def __iter__(self) -> Parts:
        return self

    def __next__(self) -> bytes:
        """The next part; what is recorded while it is made joins the call."""
        exchange, outer = self._exchange, CURRENT.get()
        CURRENT.set(exchange)
        try:
            if self._next is None:
                self._next = iter(self._parts).__next__
            part = self._next()
        except StopIteration:
            exchange.done()
            raise
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            CURRENT.set(outer)
        exchange.sending(part)
        return part

    def close(self) -> None:
        """The server is through: before the end only if its client is gone."""
        exchange, outer = self._exchange, CURRENT.get()
        CURRENT.set(exchange)
        try:
            close = getattr(self._parts, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            CURRENT.set(outer)
            self._leave()

    def __del__(self) -> None:
        """A server that neither reads nor closes what it got has lost its client too."""
        self._leave()

    def _leave(self) -> None:
        exchange = self._exchange
        if exchange.finished:
            return
        if exchange.method != "HEAD" and exchange.status not in BODILESS:
            exchange.error = exchange.error or DISCONNECTED
        exchange.finish()


class Input:
    """The request's body, counted as the application reads it, and kept where a rule says so."""

    def __init__(self, exchange: WsgiExchange, stream: Any) -> None:
        self._exchange = exchange
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """What else this server's stream can do, and no more than that."""
        found = getattr(self._stream, name)
        return {"readinto": self._readinto, "read1": self._read1}.get(name, found)

    def _readinto(self, buffer: bytearray) -> int | None:
        size: int | None = self._stream.readinto(buffer)
        self._noted(bytes(memoryview(buffer)[: size or 0]))
        return size

    def _read1(self, *size: int) -> bytes:
        return self._noted(self._stream.read1(*size))

    def read(self, *size: int) -> bytes:
        """As the server's."""
        return self._noted(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        """As the server's."""
        return self._noted(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        """As the server's."""
        lines: list[bytes] = self._stream.readlines(*hint)
        self._noted(b"".join(lines))
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return map(self._noted, self._stream)

    def _noted(self, data: bytes) -> bytes:
        if data:
            self._exchange.received(data)
        return data
