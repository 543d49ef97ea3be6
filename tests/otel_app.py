"""An app that is traced by the real OpenTelemetry SDK: run as a process, told by OTEL_* variables
where its spans go. It makes one of each kind of span that is told apart, and ends.

`record FILE` keeps the body of its one request in a file instead: so `data/otlp` was made.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode


class Recorder(SpanExporter):  # type: ignore[misc]  # it carries no types for us
    """Writes the body that the exporter would send."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Any) -> SpanExportResult:
        self._path.write_bytes(encode_spans(spans).SerializeToString())
        return SpanExportResult.SUCCESS


def request(tracer: Any) -> None:
    """One HTTP request that was answered, the AI turn inside it, and what else it did."""
    with tracer.start_as_current_span(
        "GET /api/partners/{partner_id}",
        kind=SpanKind.SERVER,
        attributes={
            "http.request.method": "GET",
            "url.path": "/api/partners/p1",
            "url.query": "tab=fit&tab=price",
            "http.route": "/api/partners/{partner_id}",
            "http.response.status_code": 200,
            "user_agent.original": "curl/8.8.0",
            "client.address": "203.0.113.9",
            "enduser.id": "u1",
            "session.id": "s-9",
            "app.tier": "gold",
        },
    ) as span:
        with tracer.start_as_current_span(
            "SELECT partners", kind=SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "db.rows": [1, 2]},
        ):  # fmt: skip
            pass
        turn(tracer)
        with tracer.start_as_current_span(
            "execute_tool price",
            attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "price",
                        "gen_ai.tool.call.arguments": '{"hours": 10}'},
        ):  # fmt: skip
            pass
        span.add_event("cache.miss", {"key": "partners"})


def turn(tracer: Any) -> None:
    """A chat with a cached prompt, answered by a call of a tool, and rated."""
    said = [
        {"role": "user", "parts": [{"type": "text", "content": "How do I price a retainer?"}]},
    ]
    answered = [
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Let me look."},
                {"type": "tool_call", "id": "c1", "name": "price", "arguments": {"hours": 10}},
            ],
            "finish_reason": "tool_call",
        }
    ]
    with tracer.start_as_current_span(
        "chat gpt-4o",
        kind=SpanKind.CLIENT,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.conversation.id": "c5",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 500,
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.response.id": "resp-1",
            "gen_ai.response.finish_reasons": ["tool_call"],
            "gen_ai.usage.input_tokens": 17903,
            "gen_ai.usage.cache_read.input_tokens": 17817,
            "gen_ai.usage.output_tokens": 188,
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
            "gen_ai.input.messages": json.dumps(said),
            "gen_ai.output.messages": json.dumps(answered),
        },
    ) as span:
        span.add_event(
            "gen_ai.evaluation.result",
            {
                "gen_ai.evaluation.name": "user_rating",
                "gen_ai.evaluation.score.value": 4,
                "gen_ai.evaluation.score.label": "thumbs_up",
            },
        )
        span.add_event(
            "gen_ai.evaluation.result",
            {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.8},
        )


def failing(tracer: Any) -> None:
    """A request to a model that failed, and a job that did."""
    with tracer.start_as_current_span(
        "chat claude",
        attributes={"gen_ai.operation.name": "chat", "gen_ai.system": "anthropic",
                    "gen_ai.request.model": "claude", "error.type": "timeout"},
    ) as span:  # fmt: skip
        span.set_status(Status(StatusCode.ERROR, "the model did not answer"))
    with tracer.start_as_current_span("nightly", kind=SpanKind.CONSUMER) as span:
        # Its own stack trace would tell of the machine that this runs on.
        span.record_exception(KeyError("partner"), {"exception.stacktrace": "Traceback …"})
        span.set_status(Status(StatusCode.ERROR))


def main(arguments: list[str]) -> None:
    """Make the spans, and send or keep them."""
    provider = TracerProvider(
        resource=Resource.create(
            {"service.name": "shop", "service.version": "2.1", "deployment.environment.name": "lab",
             "team": "growth"}
        )
    )  # fmt: skip
    exporter = Recorder(Path(arguments[1])) if arguments else OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("shop.tracing", "1.0")
    request(tracer)
    failing(tracer)
    if not provider.force_flush(20_000):
        sys.exit("the spans were not sent")
    provider.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
