"""The ways to record a call that are compared, each set up as its documentation says.

In: the bare application, the sink's address and a folder. Out: the application with one recorder
around it, and a function that sends or writes whatever is still held back. A recorder that brings
no ASGI middleware of its own gets the same small one (`Watch`) and the fields of Lakeward's record.
Nothing may leave this machine: `stay_home` refuses every other connection and name.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import socket
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from traffic import App, Message, Receive, Scope, Send

Flush = Callable[[], None]
Recorder = tuple[App, Flush]
Emit = Callable[[dict[str, Any]], None]


def stay_home() -> None:
    """Refuse connections and look-ups that are not for this machine."""

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            host = arguments[0]
        elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
            host = arguments[1][0]
        else:
            return
        if host not in ("127.0.0.1", "localhost", socket.gethostname(), None):
            raise PermissionError(f"a benchmark tried to reach {host}")

    sys.addaudithook(audit)


class Watch:
    """Pure ASGI middleware that hands the fields of each finished call to `emit`."""

    def __init__(self, app: App, emit: Emit) -> None:
        self.app = app
        self.emit = emit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            self.emit(fields_of(scope, status, (time.perf_counter() - began) * 1000))


def fields_of(scope: Scope, status: int, milliseconds: float) -> dict[str, Any]:
    """The seed's fields of one call, as far as the recorder does not set them itself."""
    headers = dict(scope["headers"])
    return {
        "environment": "development",
        "app_version": "1.0.0",
        "method": scope["method"],
        "path": scope["path"],
        "user_id": "anonymous",
        "user_type": "unknown",
        "response_status": status,
        "response_time_ms": round(milliseconds, 3),
        "ip_address": scope["client"][0],
        "user_agent": headers[b"user-agent"].decode("latin-1"),
        "session_id": headers[b"cookie"][20:52].decode("latin-1"),
    }


class JsonFormatter(logging.Formatter):
    """One JSON object a line: the usual structured log."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's time, kind and fields."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        found = {"timestamp": when, "interaction_type": record.getMessage()}
        return json.dumps(found | record.__dict__["fields"])


def bare(app: Starlette, sink: str, folder: Path) -> Recorder:
    """Nothing around it."""
    return app, lambda: None


def lakeward(app: Starlette, sink: str, folder: Path) -> Recorder:
    """Lakeward's middleware, its keeper in a process of its own."""
    from lakeward import Collector
    from lakeward.capture.asgi import LakewardMiddleware

    collector = Collector.from_env()
    middleware: App = LakewardMiddleware(app, collector)
    return middleware, collector.commit


def queue_handler(app: Starlette, sink: str, folder: Path) -> Recorder:
    """logging: a QueueHandler, and a QueueListener that writes JSON lines to a file."""
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = logging.FileHandler(folder / "calls.jsonl")
    handler.setFormatter(JsonFormatter())
    listener = logging.handlers.QueueListener(waiting, handler)
    listener.start()
    log = logging.getLogger("calls")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(logging.handlers.QueueHandler(waiting))

    def emit(fields: dict[str, Any]) -> None:
        log.info("api_call", extra={"fields": {"interaction_id": str(uuid.uuid4()), **fields}})

    return Watch(app, emit), listener.stop


def prometheus(app: Starlette, sink: str, folder: Path) -> Recorder:
    """prometheus-fastapi-instrumentator's middleware: counts and histograms, no records."""
    from prometheus_fastapi_instrumentator.middleware import PrometheusInstrumentatorMiddleware

    return PrometheusInstrumentatorMiddleware(app), lambda: None


def segment(app: Starlette, sink: str, folder: Path) -> Recorder:
    """Segment's SDK: `track`, sent by its thread in batches of 100."""
    from segment.analytics.client import Client

    client = Client("write-key", host=sink)

    def emit(fields: dict[str, Any]) -> None:
        client.track(anonymous_id=fields["session_id"], event="api_call", properties=fields)

    return Watch(app, emit), client.flush


def posthog(app: Starlette, sink: str, folder: Path) -> Recorder:
    """PostHog's SDK: `capture`, sent by its thread in batches of 100."""
    from posthog import Posthog

    client = Posthog("phc_bench", host=sink)

    def emit(fields: dict[str, Any]) -> None:
        client.capture("api_call", distinct_id=fields["session_id"], properties=fields)

    return Watch(app, emit), client.flush


def opentelemetry(app: Starlette, sink: str, folder: Path) -> Recorder:
    """OpenTelemetry's ASGI middleware as it comes: a span for the call and one for each message."""
    return _opentelemetry(app, sink, None)


def opentelemetry_lean(app: Starlette, sink: str, folder: Path) -> Recorder:
    """The same with `exclude_spans`: one span a call."""
    return _opentelemetry(app, sink, ["receive", "send"])


def _opentelemetry(app: Starlette, sink: str, exclude: list[str] | None) -> Recorder:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{sink}/v1/traces")))
    middleware = OpenTelemetryMiddleware(app, tracer_provider=provider, exclude_spans=exclude)
    return middleware, lambda: provider.force_flush() and None


def apitally(app: Starlette, sink: str, folder: Path) -> Recorder:
    """Apitally's SDK with its defaults."""
    import apitally.starlette
    from apitally.shared import activation

    apitally.starlette.init(app, write_token="apt_" + "0" * 24, env="bench", otlp_endpoint=sink)
    return app, activation.shutdown


RECORDERS: dict[str, Callable[[Starlette, str, Path], Recorder]] = {
    "bare": bare,
    "lakeward": lakeward,
    "lakeward, off": lakeward,
    "QueueHandler + JSON": queue_handler,
    "prometheus": prometheus,
    "segment": segment,
    "posthog": posthog,
    "opentelemetry": opentelemetry,
    "opentelemetry, 1 span": opentelemetry_lean,
    "apitally": apitally,
}
SENDING = frozenset(name for name in RECORDERS if name.startswith(("seg", "post", "open", "api")))
"""Recorders of which the sink must have heard."""
