"""One POST to one address of the user's, over a connection of its own.

In: headers and a body. Out: the answer's status and `Retry-After`; no more of it is read, and no
redirect is followed. Fails with `OSError` and `http.client.HTTPException` as the network does, and
as `address.pinned` does. A step of the network may take `patience` seconds, the whole attempt three
times that.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from contextlib import suppress
from urllib.parse import SplitResult

from lakeward.sinks.address import Guard, Resolve, pinned


class Door:
    """The way to one address; it is looked up, and looked at, for every attempt."""

    def __init__(
        self,
        url: SplitResult,
        patience: float,
        resolver: Resolve,
        allowed: Guard,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._patience = patience
        self._resolver = resolver
        self._allowed = allowed
        self._context = context

    def post(self, headers: dict[str, str], content: bytes) -> tuple[int, str]:
        """(status, Retry-After)."""
        url = self._url
        host, port = str(url.hostname), url.port or (443 if url.scheme == "https" else 80)
        address = pinned(host, port, self._resolver, self._allowed)
        sock = self._dressed(socket.create_connection((address, port), self._patience), host)
        # A peer that sends a byte now and then never times out: this ends the whole attempt.
        alarm = threading.Timer(3 * self._patience, _shut, (sock,))
        alarm.daemon = True
        alarm.start()
        try:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            connection = http.client.HTTPConnection(host, port)
            connection.sock = sock
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("POST", target, content, headers)
            answer = connection.getresponse()
            status, after = answer.status, answer.getheader("Retry-After", "")
            answer.close()
            return status, after
        finally:
            alarm.cancel()
            sock.close()

    def _dressed(self, raw: socket.socket, host: str) -> socket.socket:
        """TLS that checks the certificate against the name in the URL, whatever the address."""
        if self._url.scheme != "https":
            return raw
        context = self._context or ssl.create_default_context()
        return context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):  # the base class's: TLS's own would take its state from the reader
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
