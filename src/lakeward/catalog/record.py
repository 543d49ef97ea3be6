"""The fields of the flat record: what each means and which values it can take.

`Record` describes `interaction.Interaction`; the two name the same fields and a test holds them
together. The limits are light on purpose: what arrived from outside is data, so a strange method
or path is kept, and length is the scrubber's matter.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from lakeward.catalog.spec import (
    Count,
    Id,
    InteractionId,
    Millis,
    Moment,
    Nullable,
    Opt,
    Stamp,
    doc,
)
from lakeward.interaction import JsonObject


class Record(msgspec.Struct, kw_only=True):
    """One interaction of any type. The first fourteen fields are those of the seed."""

    interaction_id: Annotated[
        Opt[InteractionId],
        doc(
            "Id of the interaction: UUIDv7, or UUIDv8 made from an id that another system gave; "
            "one row per id."
        ),
    ] = UNSET
    timestamp: Annotated[
        Opt[Stamp],
        doc("When it happened, corrected for clock skew.", "ISO 8601 with milliseconds and Z"),
    ] = UNSET
    environment: Annotated[
        Opt[str], doc("Where the app runs, such as development or production.")
    ] = UNSET
    app_version: Annotated[Opt[str], doc("Version of the app, from APP_VERSION.")] = UNSET
    interaction_type: Annotated[
        Opt[str], doc("What kind of interaction it is: a type of this page or a custom one.")
    ] = UNSET
    method: Annotated[
        Nullable[str], doc("HTTP method as received; null where the protocol has none.")
    ] = UNSET
    path: Annotated[
        Nullable[str],
        doc(
            "Path of the request or page, without the query; opaque tokens in it are cut.",
            personal="pseudonymous",
        ),
    ] = UNSET
    user_id: Annotated[
        Opt[Id],
        doc(
            "The app's id of the person, or `anonymous`; an integer or UUID key is stored as text.",
            personal="pseudonymous",
        ),
    ] = UNSET
    user_type: Annotated[
        Opt[str], doc("The app's kind of user, such as contractor, or `unknown`.")
    ] = UNSET
    response_status: Annotated[
        Nullable[Annotated[int, Meta(ge=100, le=599)]],
        doc("HTTP status; null when the client left before there was one."),
    ] = UNSET
    response_time_ms: Annotated[
        Nullable[Millis],
        doc("From the request's first byte in to the response's last byte out.", "ms"),
    ] = UNSET
    ip_address: Annotated[
        Nullable[str],
        doc("Address of the client, in the form that the IP policy allows.", personal="personal"),
    ] = UNSET
    user_agent: Annotated[
        Nullable[str],
        doc("The client's User-Agent header as received.", personal="pseudonymous"),
    ] = UNSET
    session_id: Annotated[
        Nullable[Id],
        doc(
            "The app's session, or else a hash of address and agent that changes each day.",
            personal="pseudonymous",
        ),
    ] = UNSET
    service: Annotated[Opt[str], doc("Which of the lake's apps recorded it.")] = UNSET
    schema_version: Annotated[
        Opt[Count], doc("Version of the record's schema, when it is not the first.")
    ] = UNSET
    route: Annotated[
        Nullable[str],
        doc("Template of the path, such as `/partners/{id}`; null when none matched."),
    ] = UNSET
    query_params: Annotated[
        Opt[JsonObject], doc("Query parameters, scrubbed.", personal="content")
    ] = UNSET
    headers: Annotated[
        Opt[JsonObject],
        doc("Request headers of the allow-list, scrubbed.", personal="personal"),
    ] = UNSET
    request_body: Annotated[
        Any,
        doc("Body of the request, scrubbed; only on routes that opted in.", personal="content"),
    ] = UNSET
    referrer: Annotated[
        Nullable[str],
        doc("Address of the page before; opaque tokens in it are cut.", personal="pseudonymous"),
    ] = UNSET
    partner_id: Annotated[Opt[Id], doc("The partner it concerns.")] = UNSET
    conversation_id: Annotated[
        Opt[Id], doc("The AI conversation it belongs to.", personal="pseudonymous")
    ] = UNSET
    parent_interaction_id: Annotated[
        Opt[Id], doc("The interaction that caused it, such as the API call around an outcome.")
    ] = UNSET
    trace_id: Annotated[
        Opt[Id], doc("W3C trace id that joins click, API call, AI turn and outcome.")
    ] = UNSET
    ai_metadata: Annotated[
        Opt[JsonObject], doc("Own fields of the AI types.", personal="content")
    ] = UNSET
    messages: Annotated[
        Opt[list[Any]],
        doc("Messages of an AI turn, oldest first, as AI_CONTENT allows.", personal="content"),
    ] = UNSET
    outcomes: Annotated[
        Opt[JsonObject], doc("Own fields of business outcomes.", personal="content")
    ] = UNSET
    feedback: Annotated[
        Opt[JsonObject],
        doc("Own fields of feedback, from users and witnesses.", personal="content"),
    ] = UNSET
    analysis: Annotated[
        Opt[JsonObject], doc("Own fields of results that were computed.", personal="content")
    ] = UNSET
    experiments: Annotated[
        Opt[JsonObject],
        doc("Own fields of an experiment exposure.", personal="pseudonymous"),
    ] = UNSET
    properties: Annotated[
        Opt[JsonObject],
        doc(
            "Own fields of the other types, and every field that no type knows.",
            personal="content",
        ),
    ] = UNSET
    client_timestamp: Annotated[
        Opt[Moment], doc("When it happened by the client's clock, uncorrected.", "ISO 8601")
    ] = UNSET
    sent_at: Annotated[
        Opt[Moment], doc("When the client sent it, by the client's clock.", "ISO 8601")
    ] = UNSET
    received_at: Annotated[
        Opt[Stamp], doc("When the server received it.", "ISO 8601 with milliseconds and Z")
    ] = UNSET
    anonymous_id: Annotated[
        Opt[Id],
        doc("The client's own id of a person who has not signed in.", personal="pseudonymous"),
    ] = UNSET
    url: Annotated[
        Opt[str],
        doc("Full address of the page, scrubbed.", personal="pseudonymous"),
    ] = UNSET
    error_type: Annotated[
        Opt[str], doc("Class of the exception that ended it; never its message.")
    ] = UNSET
    ttfb_ms: Annotated[
        Opt[Millis], doc("From the request's first byte in to the response's first byte out.", "ms")
    ] = UNSET
    request_bytes: Annotated[Opt[Count], doc("Size of the request's body.", "bytes")] = UNSET
    response_bytes: Annotated[Opt[Count], doc("Size of the response's body as sent.", "bytes")] = (
        UNSET
    )
    metadata: Annotated[
        Opt[JsonObject],
        doc("What a foreign client or importer sent beside the event.", personal="content"),
    ] = UNSET


NULLABLE: frozenset[str] = frozenset(
    {
        "method",
        "path",
        "response_status",
        "response_time_ms",
        "ip_address",
        "user_agent",
        "session_id",
        "route",
        "request_body",
        "referrer",
    }
)
"""Fields in which null is a value; in all others null means absent."""
