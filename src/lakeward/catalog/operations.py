"""Types that the app and Lakeward make while they run: API calls, jobs, spans and anomalies."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta

from lakeward.catalog.spec import (
    Count,
    Id,
    Millis,
    Moment,
    Name,
    Names,
    Nullable,
    Number,
    Opt,
    Seconds,
    Share,
    Text,
    TypeSpec,
    doc,
    spec,
)
from lakeward.interaction import JsonObject


class ApiCall(msgspec.Struct, frozen=True, kw_only=True):
    """The app has answered one request, or the client has gone.

    All its fields are the record's own; recorded for every call by the middleware.
    """

    method: Annotated[str | None, doc("HTTP method as received; null where the protocol has none.")]
    path: Annotated[
        str,
        doc(
            "Path of the request, without the query; opaque tokens in it are cut.",
            personal="pseudonymous",
        ),
    ]
    response_status: Annotated[
        Nullable[Annotated[int, Meta(ge=100, le=599)]],
        doc("HTTP status; null when the client left before there was one."),
    ] = UNSET
    response_time_ms: Annotated[
        Nullable[Millis],
        doc("From the request's first byte in to the response's last byte out.", "ms"),
    ] = UNSET


class JobRun(msgspec.Struct, frozen=True, kw_only=True):
    """A background or scheduled job has ended one attempt.

    The class of an exception is in `error_type`.
    """

    job_name: Annotated[Name, doc("Which job it is, such as `send_invoices`.")]
    outcome: Annotated[
        Literal["succeeded", "failed", "retried"],
        doc("How the attempt ended; retried: failed, and will run again."),
    ]
    duration_ms: Annotated[Opt[Millis], doc("How long the attempt ran.", "ms")] = UNSET
    wait_ms: Annotated[Opt[Millis], doc("How long it waited in the queue.", "ms")] = UNSET
    retries: Annotated[Opt[Count], doc("Attempts of this run before this one.", "attempts")] = UNSET
    queue: Annotated[Opt[Name], doc("The queue it was taken from.")] = UNSET
    job_id: Annotated[Opt[Id], doc("The queue's id of the run, equal for all attempts.")] = UNSET
    worker: Annotated[Opt[Name], doc("Which worker ran it.")] = UNSET
    scheduled_for: Annotated[Opt[Moment], doc("When it was meant to start.", "ISO 8601")] = UNSET


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that another tracing library timed, neither an API call nor an AI turn.

    The trace is in `trace_id`, the class of an error in `error_type`.
    """

    span_name: Annotated[Name, doc("Name of the operation.")]
    kind: Annotated[
        Opt[Literal["internal", "server", "client", "producer", "consumer"]],
        doc("Which side of a call it is."),
    ] = UNSET
    status: Annotated[Opt[Literal["unset", "ok", "error"]], doc("How it ended.")] = UNSET
    duration_ms: Annotated[Opt[Millis], doc("How long it took.", "ms")] = UNSET
    span_id: Annotated[Opt[Id], doc("W3C id of the span.")] = UNSET
    parent_span_id: Annotated[Opt[Id], doc("W3C id of the span around it.")] = UNSET
    scope: Annotated[Opt[Name], doc("The library that made the span.")] = UNSET
    attributes: Annotated[
        Opt[JsonObject], doc("The span's attributes by name.", personal="content")
    ] = UNSET


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """A watched series left its band, or came back.

    Made by the alerts, one for each change of an alert's state.
    """

    series: Annotated[Name, doc("What is watched, such as `route:/api/partners errors`.")]
    kind: Annotated[
        Opt[Literal["anomaly", "threshold", "budget", "silent"]],
        doc("Which rule spoke; silent: nothing arrived where something always does."),
    ] = UNSET
    state: Annotated[
        Opt[Literal["opened", "ongoing", "acknowledged", "snoozed", "resolved"]],
        doc("State of the alert from this moment on."),
    ] = UNSET
    severity: Annotated[
        Opt[Literal["info", "warning", "critical"]], doc("How urgent a look is.")
    ] = UNSET
    direction: Annotated[Opt[Literal["up", "down"]], doc("To which side it left the band.")] = UNSET
    score: Annotated[
        Opt[Share], doc("How unusual: 0 as ever, 1 certainly an anomaly.", "0 to 1")
    ] = UNSET
    value: Annotated[Opt[Number], doc("What was observed.", "unit of the series")] = UNSET
    expected: Annotated[Opt[Number], doc("What was expected.", "unit of the series")] = UNSET
    low: Annotated[Opt[Number], doc("Lower end of the band.", "unit of the series")] = UNSET
    high: Annotated[Opt[Number], doc("Upper end of the band.", "unit of the series")] = UNSET
    why: Annotated[Opt[Text], doc("The detector's reason, as one sentence.")] = UNSET
    bucket_start: Annotated[
        Opt[Moment], doc("Start of the bucket that was judged.", "ISO 8601")
    ] = UNSET
    bucket_seconds: Annotated[Opt[Seconds], doc("Length of that bucket.", "s")] = UNSET
    alert_id: Annotated[Opt[Id], doc("The alert, equal from opened to resolved.")] = UNSET
    notified: Annotated[
        Opt[Names], doc("Kinds of channel that were told, such as e-mail or webhook.")
    ] = UNSET


SPECS: tuple[TypeSpec, ...] = (
    spec(
        "api_call",
        ApiCall,
        None,
        "api_calls",
        example={
            "method": "GET",
            "path": "/api/partners",
            "user_id": "anonymous",
            "user_type": "unknown",
            "response_status": 401,
            "response_time_ms": 8,
            "ip_address": "::1",
            "user_agent": "curl/8.8.0",
            "session_id": "7d2f4a1e-54c0-8b1d-9e37-2f6a0c9d4b11",
        },
    ),
    spec(
        "job_run",
        JobRun,
        "properties",
        "jobs",
        example={
            "job_name": "send_invoices",
            "outcome": "retried",
            "duration_ms": 1840.2,
            "retries": 1,
            "queue": "mail",
            "error_type": "TimeoutError",
        },
    ),
    spec(
        "span",
        Span,
        "properties",
        "spans",
        example={
            "span_name": "SELECT partners",
            "kind": "client",
            "status": "ok",
            "duration_ms": 3.4,
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "span_id": "00f067aa0ba902b7",
            "attributes": {"db.system.name": "postgresql"},
        },
    ),
    spec(
        "anomaly",
        Anomaly,
        "analysis",
        "anomalies",
        example={
            "series": "route:/api/partners errors",
            "kind": "anomaly",
            "state": "opened",
            "direction": "up",
            "score": 0.97,
            "value": 41,
            "expected": 3.2,
            "low": 0,
            "high": 9,
            "why": "41 errors in 5 minutes where 0 to 9 are usual at this hour.",
        },
    ),
)
