"""A proxy on the loopback that hands every request on and notes what was said on both sides."""

from __future__ import annotations

import base64
import contextlib
import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import httpx
import msgspec

HOP = frozenset({"connection", "content-length", "date", "keep-alive", "server",
                 "transfer-encoding"})  # fmt: skip


class Exchange(msgspec.Struct):
    """One request and the status of its answer, 0 until there is one."""

    method: str
    path: str
    """With the query."""
    headers: dict[str, str]
    body: bytes
    status: int = 0


class Eavesdropper:
    """Listens between a client and a server."""

    def __init__(self, upstream: str) -> None:
        self.exchanges: list[Exchange] = []
        self._refusals: list[tuple[int, dict[str, str]]] = []
        self._client = httpx.Client(base_url=upstream, timeout=120, verify=False)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _hand_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {n.lower(): v for n, v in self.headers.items()}
                outer._hand_on(self, headers, body)

            do_GET = do_POST = do_OPTIONS = _hand_on  # noqa: N815

            def log_message(self, *args: object) -> None:
                """Nothing: the exchanges are the log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _hand_on(
        self, handler: BaseHTTPRequestHandler, headers: dict[str, str], body: bytes
    ) -> None:
        if self._refusals and handler.command == "POST":
            self._refuse(handler, headers, body)
            return
        sent = {n: v for n, v in headers.items() if n not in {"connection", "accept-encoding"}}
        exchange = Exchange(handler.command, handler.path, headers, body)
        # Noted before it is handed on: what is in the lake has been heard.
        self.exchanges.append(exchange)
        answer = self._client.request(handler.command, handler.path, headers=sent, content=body)
        exchange.status = answer.status_code
        handler.send_response(answer.status_code)
        for name, value in answer.headers.multi_items():
            if name not in HOP:
                handler.send_header(name, value)
        handler.send_header("content-length", str(len(answer.content)))
        with contextlib.suppress(ConnectionError):  # a page that was left does not wait for it
            handler.end_headers()
            handler.wfile.write(answer.content)

    def refuse(self, times: int, status: int, headers: dict[str, str]) -> None:
        """Answer the next POSTs so, and hand none of them on."""
        self._refusals += [(status, headers)] * times

    def _refuse(self, handler: BaseHTTPRequestHandler, said: dict[str, str], body: bytes) -> None:
        status, headers = self._refusals.pop(0)
        self.exchanges.append(Exchange(handler.command, handler.path, said, body, status))
        handler.send_response(status)
        cors = {"access-control-allow-origin": said.get("origin", "*"),
                "access-control-expose-headers": "retry-after"}  # fmt: skip
        for name, value in {**cors, **headers, "content-length": "0"}.items():
            handler.send_header(name, value)
        handler.end_headers()

    def sendings(self) -> list[Exchange]:
        """What came, but the preflights."""
        return [e for e in self.exchanges if e.method != "OPTIONS"]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._client.close()


@contextmanager
def between(upstream: str) -> Iterator[Eavesdropper]:
    """A proxy in front of `upstream`."""
    listener = Eavesdropper(upstream)
    try:
        yield listener
    finally:
        listener.close()


def sent_events(exchange: Exchange) -> list[dict[str, Any]]:
    """The events of a request of PostHog's SDKs, read without the product's own code."""
    body = exchange.body
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    if body[:5] == b"data=":
        body = base64.b64decode(parse_qs(body.decode())["data"][0])
    content = msgspec.json.decode(body) if body[:1] in (b"{", b"[") else {}
    batch: list[dict[str, Any]] = content.get("batch", []) if isinstance(content, dict) else content
    return batch or ([content] if "event" in content else [])
