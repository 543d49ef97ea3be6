"""Spans of OpenTelemetry, from wherever they come, and what the record of each of them has.

In: a span, over OTLP or of this process's SDK, and the fields that its record has already. Out: the
record with whose it is, of which service, and all that is left of the span, so that nothing is
dropped for being unknown. Pure; nothing fails.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lakeward.ai.attributes import Attributes
from lakeward.interaction import JsonObject, clamp, foreign_id, iso
from lakeward.plain import text_of

SERVER, ERROR = 2, 2
LONGEST_NAME, LONGEST_ID = 200, 512
ASSOCIATED = "traceloop.association.properties."
"""What an app says of all its spans with OpenLLMetry's `set_association_properties`."""
PEOPLE = {
    "user_id": ("enduser.id", "user.id", f"{ASSOCIATED}user_id"),
    "session_id": ("session.id", f"{ASSOCIATED}session_id"),
    "anonymous_id": ("enduser.pseudo.id",),
    "conversation_id": (
        "gen_ai.conversation.id", f"{ASSOCIATED}conversation_id", f"{ASSOCIATED}chat_id",
    ),
}  # fmt: skip
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


def our_id(span: Span) -> str:
    """The id of a span's record: the same whether it comes over OTLP or of this process's SDK, so
    that one that comes both ways counts once."""
    return foreign_id("otlp", f"{span.trace_id}:{span.span_id}", span.start_ns // 1_000_000)


def time_of(ns: int) -> str:
    """ISO 8601, in the years that a lake has."""
    return iso(clamp(ns // 1_000_000))


def duration_ms(span: Span) -> float | None:
    """How long it took; None for a span that has no end."""
    return max(0, span.end_ns - span.start_ns) / 1e6 if span.end_ns else None


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
