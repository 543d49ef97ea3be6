"""OpenTelemetry: traces over OTLP/HTTP, `POST /v1/traces`, in protobuf or in JSON.

In: an export of any OpenTelemetry SDK or collector. Out: interactions (`otlp_records.py`,
`ai/genai.py`), and an `ExportTraceServiceResponse` in the
encoding of the request. What was refused is said as a partial success, which no exporter sends
again. Logs and metrics have no endpoint: a 404 says that they are not kept, a 200 would lie.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from lakeward.ai.genai import ai_conversation, is_turn
from lakeward.ai.spans import Span
from lakeward.interaction import JsonObject
from lakeward.server.compat.dialect import (
    JSON,
    Answer,
    Call,
    Dialect,
    Endpoint,
    Outcome,
    Refused,
    Sending,
    each,
)
from lakeward.server.compat.otlp_json import from_json
from lakeward.server.compat.otlp_records import api_call, identified, is_call, operation
from lakeward.server.compat.otlp_spans import from_protobuf

PROTOBUF = b"application/x-protobuf"


def is_json(call: Call) -> bool:
    """Told by the first byte: no protobuf of OTLP begins with a brace. Behind white space, which
    may be protobuf, the header decides."""
    body = call.body
    if body[:1] == b"{":
        return True
    said = call.headers.get(b"content-type", b"")
    return b"json" in said.lower() and body.lstrip()[:1] in (b"{", b"")


def spans_of(call: Call) -> Iterator[Span]:
    """The spans of a request; `Undecodable`, now or at a span."""
    if not call.body:
        return iter(())
    return from_json(call.body) if is_json(call) else from_protobuf(call.body)


def parse(call: Call) -> Sending:
    """The records of a request: one a span in the order of the spans, behind them the ratings."""
    return Sending(_records(spans_of(call)))


def _records(spans: Iterator[Span]) -> Iterator[JsonObject | Refused]:
    ratings: list[JsonObject | Refused] = []
    for span in spans:
        first, *more = each([span], recorded)
        ratings += more
        yield first
    yield from ratings


def recorded(span: Span) -> tuple[JsonObject | Refused, *tuple[JsonObject, ...]]:
    """The record of one span, and those of what was rated on it."""
    known = identified(span)
    if isinstance(known, Refused):
        return (known,)
    if is_turn(span):
        turn, *ratings = ai_conversation(span)
        return known | turn, *ratings
    made = api_call if is_call(span) else operation
    return (known | made(span, range(len(span.events))),)


def answer(call: Call, outcome: Outcome) -> Answer:
    """A full success, which is an empty message, or how many spans were refused and why."""
    if not outcome.rejected:
        return Answer(b"{}", JSON) if is_json(call) else Answer(b"", PROTOBUF)
    spans = sum(1 for _ in spans_of(call))
    refused = sum(index < spans for index, _ in outcome.rejected)
    reasons = dict.fromkeys(reason for _, reason in outcome.rejected)
    message = " ".join(list(reasons)[:5])
    if is_json(call):
        said = {"partialSuccess": {"rejectedSpans": str(refused), "errorMessage": message}}
        return Answer(msgspec.json.encode(said), JSON)
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    response = trace_service_pb2.ExportTraceServiceResponse()
    response.partial_success.rejected_spans = refused
    response.partial_success.error_message = message
    return Answer(response.SerializeToString(), PROTOBUF)


DIALECT = Dialect("otlp", (Endpoint(("/v1/traces",), answer, parse),))
