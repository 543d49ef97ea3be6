"""A stand-in for Twilio and SendGrid: a real server that takes messages, counts them, and fails.

It takes a message before it answers, so that a sender can be cut off in between. `plan` holds what
the next requests get: a status, `cut` (taken, connection cut), `drop` (not taken, cut) or `hang`.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


class Provider:
    """The server; `taken` is what it would deliver: address and text of each."""

    def __init__(self) -> None:
        self.taken: list[dict[str, str]] = []
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.asked = 0
        self.plan: deque[int | str] = deque()
        self.retry_after = ""
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.reached = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                outer.tell(self)

            def do_POST(self) -> None:
                outer.post(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(120)

    def post(self, request: BaseHTTPRequestHandler) -> None:
        raw = request.rfile.read(int(request.headers["Content-Length"]))
        with self.lock:
            step = self.plan.popleft() if self.plan else 0
            self.headers.append(dict(request.headers))
        if isinstance(step, int) and step:
            answer(request, step, {"code": 21211, "message": "no"}, self.retry_after)
            return
        if step != "drop":
            made = self.take(raw, request.path)
        self.reached.set()
        if step == "hang":
            self.released.wait(120)
        if step:
            with contextlib.suppress(OSError):
                request.connection.shutdown(2)
            request.close_connection = True
            return
        if request.path.endswith("/mail/send"):
            answer(request, 202, None, id_=made["sid"])
        else:
            answer(request, 201, made)

    def take(self, raw: bytes, path: str) -> dict[str, str]:
        with self.lock:
            if path.endswith("/mail/send"):
                body = json.loads(raw)
                to = body["personalizations"][0]["to"][0]["email"]
                text = body["content"][0]["value"]
            else:
                body = {name: values[0] for name, values in parse_qs(raw.decode()).items()}
                to, text = body["To"], body["Body"]
            self.bodies.append(body)
            made = {
                "sid": f"SM{len(self.taken):032x}", "to": to, "body": text,
                "date_created": format_datetime(datetime.now(UTC)),
                "direction": "outbound-api", "num_segments": "1", "status": "queued",
            }  # fmt: skip
            self.taken.append(made)
            return made

    def tell(self, request: BaseHTTPRequestHandler) -> None:
        with self.lock:
            self.asked += 1
            step = self.plan.popleft() if self.plan and self.plan[0] == "list 500" else 0
            to = parse_qs(urlsplit(request.path).query)["To"][0]
            found = [one for one in reversed(self.taken) if one["to"] == to]
        if step:
            answer(request, 500, {"code": 20500, "message": "no"})
        else:
            answer(request, 200, {"messages": found, "page": 0, "next_page_uri": None})

    def texts(self) -> list[str]:
        """What was taken, in order of text."""
        with self.lock:
            return sorted(one["body"] for one in self.taken)


def answer(
    request: BaseHTTPRequestHandler, status: int, body: object, retry: str = "", id_: str = ""
) -> None:
    """Answer, unless the other side is gone."""
    raw = b"" if body is None else json.dumps(body).encode()
    with contextlib.suppress(OSError):
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(raw)))
        if retry:
            request.send_header("Retry-After", retry)
        if id_:
            request.send_header("X-Message-Id", id_)
        request.end_headers()
        request.wfile.write(raw)
