"""Spans as they come over OTLP: protobuf and OTLP's own JSON, both as the same `Span`s.

In: the body of an `ExportTraceServiceRequest`. Out: its spans, each with its resource and scope,
attributes as JSON values. Fails with `Undecodable` for a body that is neither, and for protobuf
where its package is missing.

    AnyValue   string, bool, int, array, kvlist   as in JSON
               double                             a number; "NaN", "Infinity", "-Infinity"
               bytes                              Base64
    ids        bytes, or hex                      hex; Base64, as protobuf's JSON has it, is known
               of a wrong length, or all zero     empty: the span has none
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from lakeward.interaction import JsonObject
from lakeward.server.compat.dialect import Undecodable

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1 import trace_pb2

NO_PROTOBUF = (
    "OTLP in protobuf needs the package opentelemetry-proto on the server (pip install "
    "'lakeward[server]'), or send JSON: OTEL_EXPORTER_OTLP_PROTOCOL=http/json."
)
UINT64 = 2**64
TRACE_BYTES, SPAN_BYTES = 16, 8

T = TypeVar("T")


class Event(msgspec.Struct, frozen=True):
    """Something that happened during a span."""

    name: str
    time_ns: int
    attributes: JsonObject


class Span(msgspec.Struct, frozen=True):
    """One span; the enums are OTLP's numbers."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: JsonObject
    events: list[Event]
    links: list[tuple[str, str]]
    """Trace and span of each."""
    status: int
    status_message: str
    resource: JsonObject
    scope: str


def from_protobuf(body: bytes) -> list[Span]:
    """The spans of a protobuf body."""
    try:
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
    except ImportError:
        raise Undecodable(NO_PROTOBUF) from None
    request = trace_service_pb2.ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
        return list(_of_messages(request.resource_spans))
    except (DecodeError, RecursionError):
        raise Undecodable("The body is no OTLP trace in protobuf.") from None


def _of_messages(groups: Iterable[trace_pb2.ResourceSpans]) -> Iterator[Span]:
    for group in groups:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            for span in scoped.spans:
                yield Span(
                    _id(span.trace_id, TRACE_BYTES),
                    _id(span.span_id, SPAN_BYTES),
                    _id(span.parent_span_id, SPAN_BYTES),
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
                        (_id(link.trace_id, TRACE_BYTES), _id(link.span_id, SPAN_BYTES))
                        for link in span.links
                    ],
                    span.status.code,
                    span.status.message,
                    resource,
                    scoped.scope.name,
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


def _id(raw: bytes, length: int) -> str:
    return raw.hex() if len(raw) == length and any(raw) else ""


Text = str | None
Integer = int | str | None
"""int64 is a text in protobuf's JSON; a number is known, too."""


class _Json(msgspec.Struct, frozen=True, rename="camel"):
    """A message in JSON: what is not known is ignored, null stands for the default."""


class _Items(_Json, frozen=True):
    values: list[_Any] | None = None


class _Pairs(_Json, frozen=True):
    values: list[_Pair] | None = None


class _Any(_Json, frozen=True):
    string_value: Text = None
    bool_value: bool | None = None
    int_value: Integer = None
    double_value: float | str | None = None
    array_value: _Items | None = None
    kvlist_value: _Pairs | None = None
    bytes_value: Text = None


class _Pair(_Json, frozen=True):
    key: str = ""
    value: _Any | None = None


class _Event(_Json, frozen=True):
    name: Text = None
    time_unix_nano: Integer = None
    attributes: list[_Pair] | None = None


class _Link(_Json, frozen=True):
    trace_id: Text = None
    span_id: Text = None


class _Status(_Json, frozen=True):
    code: Integer = None
    message: Text = None


class _Span(_Json, frozen=True):
    trace_id: Text = None
    span_id: Text = None
    parent_span_id: Text = None
    name: Text = None
    kind: Integer = None
    start_time_unix_nano: Integer = None
    end_time_unix_nano: Integer = None
    attributes: list[_Pair] | None = None
    events: list[_Event] | None = None
    links: list[_Link] | None = None
    status: _Status | None = None


class _Source(_Json, frozen=True):
    """A resource or a scope."""

    name: Text = None
    attributes: list[_Pair] | None = None


class _Scoped(_Json, frozen=True):
    scope: _Source | None = None
    spans: list[_Span] | None = None


class _Group(_Json, frozen=True):
    resource: _Source | None = None
    scope_spans: list[_Scoped] | None = None


class _Request(_Json, frozen=True):
    resource_spans: list[_Group] | None = None


_DECODER = msgspec.json.Decoder(_Request)
KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
CODES = ("UNSET", "OK", "ERROR")


def from_json(body: bytes) -> list[Span]:
    """The spans of a JSON body."""
    try:
        return list(_of_json(_DECODER.decode(body)))
    except (msgspec.DecodeError, RecursionError, ValueError, OverflowError):
        raise Undecodable("The body is no OTLP trace in JSON.") from None


def _of_json(request: _Request) -> Iterator[Span]:
    nothing = _Source()
    for group in request.resource_spans or ():
        resource = _json_attributes((group.resource or nothing).attributes)
        for scoped in group.scope_spans or ():
            scope = (scoped.scope or nothing).name or ""
            for span in scoped.spans or ():
                yield _json_span(span, resource, scope)


def _json_span(span: _Span, resource: JsonObject, scope: str) -> Span:
    status = span.status or _Status()
    return Span(
        _json_id(span.trace_id, TRACE_BYTES),
        _json_id(span.span_id, SPAN_BYTES),
        _json_id(span.parent_span_id, SPAN_BYTES),
        span.name or "",
        _enum(span.kind, KINDS, "SPAN_KIND_"),
        _nanos(span.start_time_unix_nano),
        _nanos(span.end_time_unix_nano),
        _json_attributes(span.attributes),
        [
            Event(event.name or "", _nanos(event.time_unix_nano), _json_attributes(event.attributes))
            for event in span.events or ()
        ],
        [
            (_json_id(link.trace_id, TRACE_BYTES), _json_id(link.span_id, SPAN_BYTES))
            for link in span.links or ()
        ],
        _enum(status.code, CODES, "STATUS_CODE_"),
        status.message or "",
        resource,
        scope,
    )


def _json_attributes(pairs: list[_Pair] | None) -> JsonObject:
    return {pair.key: _json_value(pair.value) for pair in pairs or ()}


def _json_value(value: _Any | None) -> Any:
    if value is None:
        return None
    if value.int_value is not None:
        return int(value.int_value)
    if value.double_value is not None:
        return finite(float(value.double_value))
    if value.array_value is not None:
        return [_json_value(item) for item in value.array_value.values or ()]
    if value.kvlist_value is not None:
        return _json_attributes(value.kvlist_value.values)
    return _first(value.string_value, value.bool_value, value.bytes_value)


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def _json_id(text: Text, length: int) -> str:
    """The id as hex: of hex, or of Base64 of the length that the bytes have in it."""
    if not text:
        return ""
    read: Callable[[str], bytes] = bytes.fromhex
    if len(text) != 2 * length:
        read = b64decode
    try:
        return _id(read(text), length)
    except ValueError:
        return ""


def _nanos(value: Integer) -> int:
    number = int(value or 0)
    if not 0 <= number < UINT64:
        raise ValueError("a time is an unsigned number of 64 bits")
    return number


def _enum(value: Integer, names: tuple[str, ...], prefix: str) -> int:
    """The number; its name is protobuf's JSON, and some send it."""
    if isinstance(value, str):
        name = value.removeprefix(prefix)
        return names.index(name) if name in names else int(value)
    return value or 0
