"""A proxy on the loopback between the sinks and an emulator, that fails as AWS and networks fail.

with Faulty(cloud.endpoint) as proxy:
    proxy.inject("slow_down", times=2, on="PUT /lake/raw/")
    …                                  requests go to proxy.url; proxy.requests has them all
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal[
    "500", "503", "slow_down", "throttled", "exceeded", "denied", "bad_key", "bad_signature",
    "expired", "garbage", "invalid", "hang", "reset", "cut", "late", "lost", "unprocessed",
]  # fmt: skip

ANSWERS: dict[str, tuple[int, str, str]] = {  # status, code of S3, code of DynamoDB
    "500": (500, "InternalError", "InternalServerError"),
    "503": (503, "ServiceUnavailable", "ServiceUnavailable"),
    "slow_down": (503, "SlowDown", "ThrottlingException"),
    "throttled": (400, "RequestTimeout", "ThrottlingException"),
    "exceeded": (400, "OperationAborted", "ProvisionedThroughputExceededException"),
    "denied": (403, "AccessDenied", "AccessDeniedException"),
    "bad_key": (403, "InvalidAccessKeyId", "UnrecognizedClientException"),
    "bad_signature": (403, "SignatureDoesNotMatch", "InvalidSignatureException"),
    "expired": (400, "ExpiredToken", "ExpiredTokenException"),
    "invalid": (400, "InvalidArgument", "ValidationException"),
}
DROPPED = {"connection", "content-length", "keep-alive", "transfer-encoding"}
QUOTED = "AKIATESTTESTTESTTEST s3cr3t-of-tests"  # AWS quotes keys and signatures, too


class Fault:
    """One kind of failure, so many times, for requests whose line holds `on`."""

    def __init__(self, kind: Kind, times: int, on: str) -> None:
        self.kind, self.times, self.on = kind, times, on


class Faulty:
    """The proxy; `requests` are lines such as `PUT /lake/key` and `POST / BatchWriteItem`."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        self.ended = threading.Event()
        self.rewritten: Callable[[str, bytes], bytes] = lambda line, body: body
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Where the sinks send."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def inject(self, kind: Kind, times: int = 1, on: str = "") -> None:
        """Let the next `times` requests that match fail."""
        with self._lock:
            self._faults.append(Fault(kind, times, on))

    def heal(self) -> None:
        """No more failures."""
        with self._lock:
            self._faults.clear()

    def count(self, on: str = "") -> int:
        """Requests so far whose line holds `on`."""
        return sum(on in line for line in self.requests)

    def next_fault(self, line: str, body: bytes) -> Kind | None:
        """Note a request; the failure that it is to meet."""
        with self._lock:
            self.requests.append(line)
            self.bodies.append(body)
            for fault in self._faults:
                if fault.times and fault.on in line:
                    fault.times -= 1
                    return fault.kind
        return None

    def __enter__(self) -> Faulty:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: Faulty

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # without a FIN, so that a reset is one

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        body = self._body()
        proxy = self.server.proxy
        target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        line = f"{self.command} {self.path}" + (f" {target}" if target else "")
        kind = proxy.next_fault(line, body)
        body = proxy.rewritten(line, body)
        if kind in ANSWERS:
            self._fail(*ANSWERS[kind], dynamodb=bool(target))
        elif kind == "hang":
            proxy.ended.wait(120)
            self._reset()
        elif kind == "reset":
            self._reset()
        elif kind == "garbage":
            self._answer(200, "text/html", "<html>a portal says hello</html>")
        else:
            self._forward(body, kind)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _forward(self, body: bytes, kind: Kind | None) -> None:
        left: dict[str, Any] = {}
        if kind == "unprocessed":
            asked = json.loads(body)
            for table, requests in asked["RequestItems"].items():
                half = len(requests) // 2
                asked["RequestItems"][table], left[table] = requests[:half], requests[half:]
            body = json.dumps(asked).encode()
        status, headers, answer = self._upstream(body) if not _is_empty(left, body) else EMPTY
        if left:
            answer = json.dumps({**json.loads(answer), "UnprocessedItems": left}).encode()
        if kind in {"late", "lost"}:
            if kind == "late":
                self.server.proxy.ended.wait(120)
            self._reset()
            return
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in DROPPED and not (left and name.lower() == "x-amz-crc32"):
                self.send_header(name, value)
        length = {n.lower(): v for n, v in headers}.get("content-length")
        size = length if self.command == "HEAD" and length else str(len(answer))
        self.send_header("Content-Length", size)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer[: len(answer) // 2] if kind == "cut" else answer)
        if kind == "cut":
            self._reset()

    def _upstream(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        where = self.server.proxy.upstream
        connection = HTTPConnection(str(where.hostname), where.port, timeout=120)
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in {*DROPPED, "expect"}:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _fail(self, status: int, s3: str, dynamodb_code: str, *, dynamodb: bool) -> None:
        if dynamodb:
            text = json.dumps({"__type": f"com.amazonaws#{dynamodb_code}", "message": QUOTED})
        else:
            text = f"<Error><Code>{s3}</Code><Message>{QUOTED}</Message></Error>"
        self._answer(status, "application/x-amz-json-1.0" if dynamodb else "application/xml", text)

    def _answer(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    def _reset(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


EMPTY: tuple[int, list[tuple[str, str]], bytes] = (
    200, [("Content-Type", "application/x-amz-json-1.0")], b"{}",
)  # fmt: skip


def _is_empty(left: dict[str, Any], body: bytes) -> bool:
    return bool(left) and not any(json.loads(body)["RequestItems"].values())
