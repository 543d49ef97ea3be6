"""Records of spans: HTTP requests that were answered, AI turns, and every other operation.

In: a span. Out: an interaction as `POST /v1/interactions` takes it, or a `Refused` for a span that
has no ids or no time. Pure, and nothing fails.

    server span with an HTTP method and path   api_call
    GenAI inference                            ai_conversation (`ai/genai.py`)
    anything else, tool executions too         span

What a span's attributes become fields of, is taken out of them; the rest is kept whole under
`attributes`, so that nothing is dropped for being unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

import msgspec

from lakeward.ai.attributes import Attributes
from lakeward.ai.spans import (
    LONGEST_NAME,
    SERVER,
    Span,
    completed,
    cut,
    duration_ms,
    time_of,
)
from lakeward.interaction import JsonObject
from lakeward.plain import text_of
from lakeward.server.compat.dialect import Refused

NO_IDS = "The span has no trace id and span id of OpenTelemetry's length."
NO_TIME = "The span has no start time."
KINDS = (None, "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")
MOST_QUERY = 200
"""Parameters of a query that are looked at."""

METHOD = ("http.request.method", "http.method")
ROUTE = ("http.route",)
STATUS = ("http.response.status_code", "http.status_code")
AGENT = ("user_agent.original", "http.user_agent")
TARGETS = ("http.target", "url.full", "http.url")
"""Path and query in one."""
SIZES = {
    "request_bytes": ("http.request.body.size", "http.request_content_length"),
    "response_bytes": ("http.response.body.size", "http.response_content_length"),
}


def identified(span: Span) -> JsonObject | Refused:
    """What the record of a span begins with: its id, its time, its trace."""
    if not span.trace_id or not span.span_id:
        return Refused(NO_IDS, shown(span))
    if not span.start_ns:
        return Refused(NO_TIME, shown(span))
    return {
        "interaction_id": f"{span.trace_id}:{span.span_id}",
        "timestamp": time_of(span.start_ns),
        "trace_id": span.trace_id,
    }


def shown(span: Span) -> JsonObject:
    """A span as the quarantine has it."""
    return {"interaction_type": "span", "span": msgspec.to_builtins(span)}


def is_call(span: Span) -> bool:
    """Whether it is an HTTP request that was answered."""
    given = span.attributes
    return (
        span.kind == SERVER
        and any(text_of(given.get(name)) for name in METHOD)
        and any(text_of(given.get(name)) for name in ("url.path", *TARGETS, *ROUTE))
    )


def api_call(span: Span, events: Iterable[int]) -> JsonObject:
    """The record of a request; `events` are the indexes of the span's events that are kept."""
    attributes = Attributes(span.attributes)
    method = attributes.text(METHOD)
    if method == "_OTHER":
        method = attributes.text(("http.request.method_original",)) or method
    path, query = _target(attributes)
    route = attributes.text(ROUTE)
    fields: JsonObject = {
        "interaction_type": "api_call",
        "method": method,
        "path": path or route or "/",
        "response_status": attributes.whole(STATUS, 100, 599),
        "response_time_ms": duration_ms(span),
        # Without, the record would have the agent of the exporter.
        "user_agent": attributes.text(AGENT),
    }
    if route is not None:
        fields["route"] = route
    if query:
        fields["query_params"] = query
    for name, names in SIZES.items():
        if (size := attributes.whole(names)) is not None:
            fields[name] = size
    return completed(span, fields, attributes, events, named=True)


def _target(attributes: Attributes) -> tuple[str | None, JsonObject]:
    """Path and query parameters, wherever they stand."""
    path, query = attributes.text(("url.path",)), attributes.text(("url.query",))
    target = attributes.text(TARGETS)
    if target is not None:
        try:
            parts = urlsplit(target if not target.startswith("/") else f"http://_{target}")
        except ValueError:
            pass  # an address with broken brackets says nothing
        else:
            path, query = path or parts.path, query or parts.query
    found: JsonObject = {}
    for name, value in _pairs(query or ""):
        if name in found:
            before = found[name]
            found[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[name] = value
    return (path or "").partition("?")[0] or None, found


def _pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl("&".join(query.split("&", MOST_QUERY)[:MOST_QUERY]), keep_blank_values=True)


def operation(span: Span, events: Iterable[int]) -> JsonObject:
    """The record of any other span."""
    attributes = Attributes(span.attributes)
    fields: JsonObject = {
        "interaction_type": "span",
        "span_name": cut(span.name),
        "status": STATUSES[span.status] if 0 <= span.status < len(STATUSES) else "unset",
        "span_id": span.span_id,
    }
    kind = KINDS[span.kind] if 0 <= span.kind < len(KINDS) else None
    if kind is not None:
        fields["kind"] = kind
    if (took := duration_ms(span)) is not None:
        fields["duration_ms"] = took
    if span.parent_id:
        fields["parent_span_id"] = span.parent_id
    if span.scope:
        fields["scope"] = cut(span.scope)
    return completed(span, fields, attributes, events, named=len(span.name) > LONGEST_NAME)
