"""Spans as they come over OTLP, and how they are read from protobuf (`otlp_json.py`: from JSON).

In: the body of an `ExportTraceServiceRequest`. Out: its spans, each with its resource and scope,
attributes as JSON values. Fails with `Undecodable` for a body that is none, and where the package
for protobuf is missing.

    AnyValue   string, bool, int, array, kvlist   as in JSON
               double                             a number; "NaN", "Infinity", "-Infinity"
               bytes                              Base64
    ids        bytes                              hex; empty when of a wrong length or all zero
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lakeward.ai.spans import Event, Span
from lakeward.interaction import JsonObject
from lakeward.server.compat.dialect import SHARED_BYTES, Undecodable

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1 import trace_pb2

NO_PROTOBUF = (
    "OTLP in protobuf needs the package opentelemetry-proto on the server (pip install "
    "'lakeward[server]'), or send JSON: OTEL_EXPORTER_OTLP_PROTOCOL=http/json."
)
TRACE_BYTES, SPAN_BYTES = 16, 8
LONGEST_SCOPE = 200
MOST_GROUPS = 10_000
"""Resources and scopes of one request: empty ones are two bytes each and take time."""
TOO_MANY_GROUPS = f"The request has more than {MOST_GROUPS} resources and scopes."
LARGE_RESOURCE = f"A resource is larger than {SHARED_BYTES} bytes."


def from_protobuf(body: bytes) -> Iterator[Span]:
    """The spans of a protobuf body, each read when it is asked for."""
    try:
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
    except ImportError:
        raise Undecodable(NO_PROTOBUF) from None
    request = trace_service_pb2.ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except (DecodeError, RecursionError):
        raise Undecodable("The body is no OTLP trace in protobuf.") from None
    groups = request.resource_spans
    if len(groups) > MOST_GROUPS or sum(len(g.scope_spans) for g in groups) > MOST_GROUPS:
        raise Undecodable(TOO_MANY_GROUPS)
    if any(group.resource.ByteSize() > SHARED_BYTES for group in groups):
        raise Undecodable(LARGE_RESOURCE)
    return _of_messages(groups)


def _of_messages(groups: Iterable[trace_pb2.ResourceSpans]) -> Iterator[Span]:
    for group in groups:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            for span in scoped.spans:
                yield Span(
                    id_of(span.trace_id, TRACE_BYTES),
                    id_of(span.span_id, SPAN_BYTES),
                    id_of(span.parent_span_id, SPAN_BYTES),
                    span.name,
                    span.kind,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _attributes(span.attributes),
                    [
                        Event(event.name, event.time_unix_nano, _attributes(event.attributes))
                        for event in span.events
                    ],
                    [
                        (id_of(link.trace_id, TRACE_BYTES), id_of(link.span_id, SPAN_BYTES))
                        for link in span.links
                    ],
                    span.status.code,
                    span.status.message,
                    resource,
                    scoped.scope.name[:LONGEST_SCOPE],
                )


def _attributes(pairs: Iterable[KeyValue]) -> JsonObject:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "double_value":
        return finite(value.double_value)
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return b64encode(value.bytes_value).decode()
    return None if kind is None else getattr(value, kind)


def finite(number: float) -> float | str:
    """A double as JSON can hold it; what is no number has its name in protobuf's JSON."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def id_of(raw: bytes, length: int) -> str:
    """An id as hex; empty for one that is none."""
    return raw.hex() if len(raw) == length and any(raw) else ""
