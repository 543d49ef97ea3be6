"""Records of spans: HTTP requests that were answered, AI turns, and every other operation.

In: a span. Out: an interaction as `POST /v1/interactions` takes it, or a `Refused` for a span that
has no ids or no time. Pure, and nothing fails.

    server span with an HTTP method and path   api_call
    GenAI inference                            ai_conversation (`genai.py`)
    anything else, tool executions too         span

What a span's attributes become fields of, is taken out of them; the rest is kept whole under
`attributes`, so that nothing is dropped for being unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from lakeward.interaction import JsonObject, clamp, iso
from lakeward.server.compat.dialect import Refused, text_of
from lakeward.server.compat.otlp_spans import Span

NO_IDS = "The span has no trace id and span id of OpenTelemetry's length."
NO_TIME = "The span has no start time."
SERVER, ERROR = 2, 2
KINDS = (None, "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")
LONGEST_NAME, LONGEST_ID = 200, 512
MOST_QUERY = 200
"""Parameters of a query that are looked at."""

METHOD = ("http.request.method", "http.method")
ROUTE = ("http.route",)
STATUS = ("http.response.status_code", "http.status_code")
AGENT = ("user_agent.original", "http.user_agent")
TARGETS = ("http.target", "url.full", "http.url")
"""Path and query in one."""
PEOPLE = {
    "user_id": ("enduser.id", "user.id"),
    "session_id": ("session.id",),
    "anonymous_id": ("enduser.pseudo.id",),
    "conversation_id": ("gen_ai.conversation.id",),
}
SIZES = {
    "request_bytes": ("http.request.body.size", "http.request_content_length"),
    "response_bytes": ("http.response.body.size", "http.response_content_length"),
}
ADDRESSES = (
    "client.address", "http.client_ip", "http.request.header.x-forwarded-for",
    "http.request.header.forwarded", "http.request.header.x-real-ip",
)  # fmt: skip
PEERS = ("network.peer.address", "net.sock.peer.addr", "net.peer.ip", "source.address")
"""Of a server's span this is the client."""
ORIGIN = {
    "service": ("service.name",),
    "service_version": ("service.version",),
    "environment": ("deployment.environment.name", "deployment.environment"),
}
OF_THE_SDK = ("telemetry.", "process.")
"""Of a resource: the same on every span, and command lines hold secrets."""


class Attributes:
    """The attributes of one span, of which some are taken."""

    def __init__(self, given: JsonObject) -> None:
        self.rest = dict(given)

    def take(self, names: Iterable[str]) -> Any:
        """The first that is there; all of them are taken, as they say the same."""
        found = [self.rest.pop(name) for name in names if name in self.rest]
        return next((value for value in found if value is not None), None)

    def text(self, names: Iterable[str]) -> str | None:
        """The same, where it is text or a number; any other stays."""
        return text_of(self.take(name for name in names if text_of(self.rest.get(name))))

    def whole(self, names: Iterable[str], least: int = 0, most: int = 2**53 - 1) -> int | None:
        """The same, where it is a whole number in range."""
        for name in names:
            number = whole(self.rest.get(name))
            if number is not None and least <= number <= most:
                self.take(names)
                return number
        return None


def whole(value: object) -> int | None:
    """A whole number, also written as text or as a double."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= 16 and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) else None


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


def time_of(ns: int) -> str:
    """ISO 8601, in the years that a lake has."""
    return iso(clamp(ns // 1_000_000))


def duration_ms(span: Span) -> float | None:
    """How long it took; None for a span that has no end."""
    return max(0, span.end_ns - span.start_ns) / 1e6 if span.end_ns else None


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


def cut(name: str) -> str:
    """A name that fits; the whole one stands in `properties`."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def completed(
    span: Span, fields: JsonObject, attributes: Attributes, events: Iterable[int], *, named: bool
) -> JsonObject:
    """The record with what every span has: who, of which service, and what is left of it."""
    own = fields["interaction_type"] == "span"
    resource = Attributes(span.resource)
    for name, names in PEOPLE.items():
        value = attributes.text(names) or resource.text(names)
        if value is not None:
            fields[name] = value[:LONGEST_ID]
    error = attributes.text(("error.type",)) or _exception(span, attributes)
    if error is not None:
        fields["error_type"] = error
    properties: JsonObject = {}
    address = attributes.text((*ADDRESSES, *PEERS) if span.kind == SERVER else ADDRESSES)
    if address is not None:
        properties["client_ip"] = address
    if named:
        properties["name"] = span.name
    if not own:
        properties["span_id"] = span.span_id
        if span.parent_id:
            properties["parent_span_id"] = span.parent_id
    properties |= _beside(span, events)
    if attributes.rest:
        (fields if own else properties)["attributes"] = attributes.rest
    if properties:
        fields["properties"] = properties
    if metadata := _metadata(resource, None if own else span.scope):
        fields["metadata"] = metadata
    return fields


def _exception(span: Span, attributes: Attributes) -> str | None:
    """The class of the last exception that was recorded, of a span that failed."""
    if span.status != ERROR:
        return None
    kinds = [text_of(event.attributes.get("exception.type")) for event in span.events]
    return next((kind for kind in reversed(kinds) if kind), None) or attributes.text(
        ("exception.type",)
    )


def _beside(span: Span, events: Iterable[int]) -> JsonObject:
    """Events, links, and what was said of the status."""
    found: JsonObject = {}
    if span.status_message:
        found["status_message"] = span.status_message
    if kept := [span.events[index] for index in events]:
        found["events"] = [
            {"name": event.name}
            | ({"time": time_of(event.time_ns)} if event.time_ns else {})
            | ({"attributes": event.attributes} if event.attributes else {})
            for event in kept
        ]
    if span.links:
        found["links"] = [{"trace_id": trace, "span_id": one} for trace, one in span.links]
    return found


def _metadata(resource: Attributes, scope: str | None) -> JsonObject:
    """Which service it was, by its own word."""
    found: JsonObject = {}
    for name, names in ORIGIN.items():
        if (value := resource.text(names)) is not None:
            found[name] = value
    if scope:
        found["scope"] = scope
    rest = {name: value for name, value in resource.rest.items() if not name.startswith(OF_THE_SDK)}
    if rest:
        found["resource"] = rest
    return found
