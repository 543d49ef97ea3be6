"""A local server that speaks the wire formats of OpenAI and Anthropic, streams and failures too.

    with model_server() as server:
        OpenAI(base_url=server.openai, api_key="k").chat.completions.create(...)
        Anthropic(base_url=server.url, api_key="k").messages.create(...)

`plan` holds what the next requests get, in order: an `Answer`. Without a plan they get `default`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import ai_wire
from ai_wire import Event, Said

PLAIN = Said()
CACHED = Said(fresh=86, read=17_817, spoken=188)
"""The public vector: prompt 17,903 of which 17,817 cached, completion 188."""
WRITES = Said(fresh=10, read=100, written=40, spoken=20)
TOOLS = Said(
    pieces=(), tools=(("call_1", "search", '{"q": "crm"}'), ("call_2", "book", '{"day": 3}'))
)
SPEAKS_AND_CALLS = Said(pieces=("Let me look.",), tools=(("call_1", "search", '{"q": "crm"}'),))
REASONS = Said(thoughts=("First the hours, ", "then the rate."), spoken=20, reasoned=64)
REFUSES = Said(pieces=("I cannot ", "help with that."), refuses=True, spoken=8)
CUT_SHORT = Said(cut_short=True)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one request gets: `said`, unless something goes wrong."""

    said: Said = PLAIN
    status: int = 200
    cut_after: int | None = None
    """The connection breaks after so many events of a stream."""
    error_after: int | None = None
    """The stream says that it failed after so many events."""
    hold_after: int | None = None
    """The stream waits for `released` after so many events."""
    hold_headers: bool = False
    """Nothing is answered before `released`."""
    pause: float = 0.0
    """Seconds before each event."""


class ModelServer:
    """The server; `asked` are the paths and bodies that came."""

    def __init__(self, port: int = 0) -> None:
        self.plan: deque[Answer] = deque()
        self.default = Answer()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.released = threading.Event()
        self.held = threading.Event()
        """A stream or an answer waits for `released`."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Nothing: `asked` is the log."""

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # a client that goes is what is tested
                    super().handle()

            def do_POST(self) -> None:
                outer._answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        """Base address for Anthropic's SDK."""
        self.openai = f"{self.url}/v1"
        """Base address for OpenAI's SDK."""
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it and whatever still waits."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(120)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers.get("content-length", 0))))
        path = handler.path.partition("?")[0]
        self.asked.append((path, body))
        answer = self.plan.popleft() if self.plan else self.default
        if answer.hold_headers:
            self._hold()
        if answer.status != 200:
            claude = path.endswith("/messages")
            told = (ai_wire.claude_error if claude else ai_wire.openai_error)(answer.status)
            _send(handler, answer.status, told)
        elif body.get("stream"):
            self._stream(handler, path, STREAMS[path](answer.said, body), answer)
        else:
            _send(handler, 200, BODIES[path](answer.said, body))

    def _hold(self) -> None:
        self.held.set()
        self.released.wait(120)

    def _stream(
        self, handler: BaseHTTPRequestHandler, path: str, events: list[Event], answer: Answer
    ) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for number, (name, data) in enumerate(events):
            if number == answer.hold_after:
                self._hold()
            if number == answer.cut_after:
                handler.close_connection = True
                return
            if number == answer.error_after:
                _event(handler, *ERRORS.get(path, ("", ai_wire.openai_error(500))))
                break
            if answer.pause:
                time.sleep(answer.pause)
            _event(handler, name, data)
        if path != "/v1/messages":
            _chunk(handler, b"data: [DONE]\n\n")
        handler.wfile.write(b"0\r\n\r\n")


BODIES: dict[str, Callable[[Said, dict[str, Any]], dict[str, Any]]] = {
    "/v1/chat/completions": lambda said, asked: ai_wire.chat(said),
    "/v1/completions": lambda said, asked: ai_wire.completion(said),
    "/v1/embeddings": ai_wire.embeddings,
    "/v1/responses": lambda said, asked: ai_wire.response(said),
    "/v1/messages": lambda said, asked: ai_wire.claude(said),
}
STREAMS: dict[str, Callable[[Said, dict[str, Any]], list[Event]]] = {
    "/v1/chat/completions": ai_wire.chat_events,
    "/v1/completions": ai_wire.completion_events,
    "/v1/responses": ai_wire.response_events,
    "/v1/messages": ai_wire.claude_events,
}
ERRORS: dict[str, Event] = {"/v1/messages": ("error", ai_wire.claude_error(500))}


def _send(handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.send_header("x-request-id", "req_1")
    handler.end_headers()
    handler.wfile.write(data)


def _event(handler: BaseHTTPRequestHandler, name: str, data: dict[str, Any]) -> None:
    head = f"event: {name}\n" if name else ""
    _chunk(handler, f"{head}data: {json.dumps(data)}\n\n".encode())


def _chunk(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    handler.wfile.flush()


@contextmanager
def model_server(*plan: Answer) -> Iterator[ModelServer]:
    """A server with this plan, ended with the block."""
    server = ModelServer()
    server.plan.extend(plan)
    try:
        yield server
    finally:
        server.close()
