"""A receiver of webhooks on the loopback, that answers as it is told."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

Answer = tuple[int, dict[str, str]]
"""Status and headers; status 0 breaks the connection, -1 answers nothing in time."""


class Received(msgspec.Struct):
    """One request that was taken."""

    path: str
    headers: dict[str, str]
    body: bytes

    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = msgspec.json.decode(self.body)["interactions"]
        return rows


class Receiver:
    """Takes requests; `answer` decides what each one gets."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.taken: list[Received] = []
        self.asked = 0
        self.answer: Callable[[Received], Answer] = lambda _: (200, {})
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def decide(self, received: Received) -> Answer:
        with self._lock:
            self.asked += 1
            status, headers = self.answer(received)
            if 200 <= status < 300:
                self.taken.append(received)
            return status, headers

    def rows(self) -> list[dict[str, Any]]:
        return [row for received in self.taken for row in received.rows()]

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base names it
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, more = self.server.receiver.decide(Received(self.path, headers, body))
        if status == -1:
            self.server.receiver.ended.wait(120)
        if status <= 0:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
