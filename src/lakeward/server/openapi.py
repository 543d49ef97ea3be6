"""The OpenAPI document of the server: what it takes, what it answers, and how it says no.

In: the limits in force, and where the parts are. Out: a dict for `/openapi.json`. Types of
interactions are described by their own page and schemas; here an interaction is an object with a
type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakeward.version import VERSION

Object = dict[str, Any]

OBJECT: Object = {"type": "object"}
TEXT: Object = {"type": "string"}
DATE: Object = {"type": "string", "format": "date"}


def document(most_bytes: int, roots: Mapping[str, str], prefix: str) -> Object:
    """The whole document; a part without a root is switched off and left out."""
    found = {
        (roots[part].rstrip("/") + below) or "/": operations
        for (part, below), operations in _paths(most_bytes).items()
        if part in roots
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lakeward",
            "version": VERSION,
            "description": "Interactions in, durable before the answer.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": prefix or "/"}],
        "paths": found,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": _schemas(),
        },
        "security": [{"bearer": []}, {"basic": []}, {"header": []}, {}],
    }  # fmt: skip


def _paths(most_bytes: int) -> dict[tuple[str, str], Object]:
    """By part, and path below its root."""
    return {
        ("interactions", ""): {"post": _interactions(most_bytes)},
        ("summary", ""): {"get": _summary()},
        ("live", ""): {"get": _get("Interactions as they arrive", "text/event-stream", TEXT)},
        ("live", "/hour"): {"get": _get("The last hour in figures", "application/json", OBJECT)},
        ("live", "/record"): {"get": _record()},
        ("metrics", ""): {"get": _get("Figures for Prometheus", "text/plain", TEXT)},
        ("health", ""): {"get": _health()},
        ("openapi", ""): {"get": _open("This document", "application/json", OBJECT)},
        ("sdk", ""): {"get": _open("The browser SDK", "text/javascript", TEXT)},
    }


def _schemas() -> Object:
    return {
        "Interaction": {
            "type": "object",
            "required": ["interaction_type"],
            "properties": {
                "interaction_type": {"type": "string", "pattern": "^[a-z][a-z0-9_.:-]{0,63}$"},
                "interaction_id": {"type": "string"},
                "timestamp": {"type": "string", "format": "date-time"},
                "user_id": {"type": "string"},
            },
            "additionalProperties": True,
        },
        "Outcome": {
            "type": "object",
            "required": ["accepted", "rejected"],
            "properties": {
                "accepted": {"type": "integer", "minimum": 0},
                "rejected": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["index", "reason"],
                        "properties": {
                            "index": {"type": "integer", "minimum": 0},
                            "reason": {"type": "string"},
                        },
                    },
                },
            },
        },
        "Refusal": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        },
    }


def _reference(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(kind: str, schema: Object) -> Object:
    return {"content": {kind: {"schema": schema}}}


def _refusals(**sentences: str) -> Object:
    return {
        status.removeprefix("s"): {
            "description": sentence,
            **_content("application/json", _reference("Refusal")),
        }
        for status, sentence in sentences.items()
    }


def _open(summary: str, kind: str, schema: Object) -> Object:
    return {
        "summary": summary,
        "security": [],
        "responses": {
            "200": {"description": summary, **_content(kind, schema)},
            **_refusals(s421="The host name is not this server's."),
        },
    }


def _get(summary: str, kind: str, schema: Object) -> Object:
    return {
        "summary": summary,
        "responses": {
            "200": {"description": summary, **_content(kind, schema)},
            **_refusals(
                s400="A parameter is wrong.",
                s401="A read key is needed.",
                s403="The key does not fit, or a page of another origin asks.",
                s421="The host name is not this server's.",
            ),
        },
    }


def _record() -> Object:
    found = _get("One record whole, and the rows of its trace", "application/json", OBJECT)
    found["parameters"] = [
        {"name": "at", "in": "query", "required": True,
         "schema": {"type": "string", "pattern": "^[0-9]{1,9}-[0-9]{1,9}-[0-9]{1,15}$"},
         "description": "Its place in the log, as a row of the live feed names it."}
    ]  # fmt: skip
    found["responses"] |= _refusals(s404="There is no record at that place any more.")
    return found


def _summary() -> Object:
    found = _get("One day in figures", "application/json", OBJECT)
    found["parameters"] = [
        {"name": "date", "in": "query", "required": False,
         "schema": {"anyOf": [{"enum": ["today", "yesterday"]}, DATE]},
         "description": "YYYY-MM-DD, today or yesterday (UTC)."}
    ]  # fmt: skip
    return found


def _health() -> Object:
    schema = {"type": "object", "required": ["status"],
              "properties": {"status": {"type": "string"}}}  # fmt: skip
    found = _open("Whether what is accepted now will be durable", "application/json", schema)
    found["responses"]["503"] = {
        "description": "It would not be.",
        **_content("application/json", schema),
    }
    return found


def _interactions(most_bytes: int) -> Object:
    one = _reference("Interaction")
    many = {"type": "array", "items": one}
    batch = {"type": "object", "required": ["batch"], "properties": {"batch": many}}
    return {
        "summary": "Send interactions",
        "description": f"One, a list, or a batch; gzip welcome; {most_bytes} bytes at most. The "
        "answer comes when they are durable.",
        "requestBody": {
            "required": True,
            **_content("application/json", {"anyOf": [one, many, batch]}),
        },
        "responses": {
            "200": {
                "description": "Durable; what was refused is listed.",
                **_content("application/json", _reference("Outcome")),
            },
            **_refusals(
                s400="Not JSON, or no interactions.",
                s401="A write key is needed.",
                s403="The key does not fit, or a page of another origin sends without one.",
                s408="The body did not arrive in time.",
                s413="Larger than the limit it names.",
                s421="The host name is not this server's.",
                s429="Too many requests wait: try again.",
                s503="It cannot be made durable now: try again.",
            ),
        },
    }
