"""Spans from OTLP's own JSON, which is not quite that of protobuf.

In: the body of an `ExportTraceServiceRequest`. Out: its spans. Fails with `Undecodable` for a body
that is none. Known beside the specification, for some senders use protobuf's own JSON: ids in
Base64, enums by name, 64-bit numbers as numbers.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from lakeward.ai.spans import Event, Span
from lakeward.interaction import JsonObject
from lakeward.server.compat.dialect import SHARED_BYTES, Undecodable
from lakeward.server.compat.otlp_spans import (
    LARGE_RESOURCE,
    LONGEST_SCOPE,
    MOST_GROUPS,
    SPAN_BYTES,
    TOO_MANY_GROUPS,
    TRACE_BYTES,
    finite,
    id_of,
)

UINT64 = 2**64
NO_TRACE = "The body is no OTLP trace in JSON."

T = TypeVar("T")

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


def from_json(body: bytes) -> Iterator[Span]:
    """The spans of a JSON body, each read when it is asked for."""
    try:
        request = _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError, OverflowError):
        raise Undecodable(NO_TRACE) from None
    groups = request.resource_spans or []
    scopes = sum(len(group.scope_spans or ()) for group in groups)
    if len(groups) > MOST_GROUPS or scopes > MOST_GROUPS:
        raise Undecodable(TOO_MANY_GROUPS)
    if any(len(msgspec.json.encode(g.resource)) > SHARED_BYTES for g in groups if g.resource):
        raise Undecodable(LARGE_RESOURCE)
    return _read(request)


def _read(request: _Request) -> Iterator[Span]:
    try:
        yield from _spans(request)
    except (RecursionError, ValueError, OverflowError):
        raise Undecodable(NO_TRACE) from None


def _spans(request: _Request) -> Iterator[Span]:
    nothing = _Source()
    for group in request.resource_spans or ():
        resource = _attributes((group.resource or nothing).attributes)
        for scoped in group.scope_spans or ():
            scope = ((scoped.scope or nothing).name or "")[:LONGEST_SCOPE]
            for span in scoped.spans or ():
                yield _span(span, resource, scope)


def _span(span: _Span, resource: JsonObject, scope: str) -> Span:
    status = span.status or _Status()
    return Span(
        _id(span.trace_id, TRACE_BYTES),
        _id(span.span_id, SPAN_BYTES),
        _id(span.parent_span_id, SPAN_BYTES),
        span.name or "",
        _enum(span.kind, KINDS, "SPAN_KIND_"),
        _nanos(span.start_time_unix_nano),
        _nanos(span.end_time_unix_nano),
        _attributes(span.attributes),
        [
            Event(event.name or "", _nanos(event.time_unix_nano), _attributes(event.attributes))
            for event in span.events or ()
        ],
        [
            (_id(link.trace_id, TRACE_BYTES), _id(link.span_id, SPAN_BYTES))
            for link in span.links or ()
        ],
        _enum(status.code, CODES, "STATUS_CODE_"),
        status.message or "",
        resource,
        scope,
    )


def _attributes(pairs: list[_Pair] | None) -> JsonObject:
    return {pair.key: _value(pair.value) for pair in pairs or ()}


def _value(value: _Any | None) -> Any:
    if value is None:
        return None
    if value.int_value is not None:
        return int(value.int_value)
    if value.double_value is not None:
        return finite(float(value.double_value))
    if value.array_value is not None:
        return [_value(item) for item in value.array_value.values or ()]
    if value.kvlist_value is not None:
        return _attributes(value.kvlist_value.values)
    return _first(value.string_value, value.bool_value, value.bytes_value)


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def _id(text: Text, length: int) -> str:
    """The id as hex: of hex, or of Base64 of the length that the bytes have in it."""
    if not text:
        return ""
    read: Callable[[str], bytes] = bytes.fromhex
    if len(text) != 2 * length:
        read = b64decode
    try:
        return id_of(read(text), length)
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
