"""The OpenAPI document of the server: what it takes, what it answers, and how it says no.

In: the limits in force, and where the parts are. Out: a dict for `/openapi.json`. Types of
interactions are described by their own page and schemas; here an interaction is an object with a
type.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakeward.analysis.comparison import HOWS
from lakeward.server import (
    openapi_alerts,
    openapi_confidence,
    openapi_data,
    openapi_product,
    openapi_settings,
    openapi_traces,
    openapi_uploads,
)
from lakeward.server.flags import FLAGS, QUESTION, QUESTION_BYTES
from lakeward.server.operation import OBJECT, TEXT, Object
from lakeward.server.operation import content as _content
from lakeward.server.operation import get as _get
from lakeward.server.operation import reference as _reference
from lakeward.server.operation import refusals as _refusals
from lakeward.server.ratings import SCHEMA as RATING
from lakeward.version import VERSION

EMAIL: Object = {
    "type": "string", "maxLength": 120, "pattern": "^[a-z0-9.+_-]{1,50}@[a-z0-9.-]{1,60}$",
}  # fmt: skip
PASSWORD: Object = {"type": "string", "minLength": 12, "maxLength": 128}
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
                "login": {"type": "apiKey", "in": "cookie", "name": "lakeward"},
            },
            "schemas": _schemas(),
        },
        "security": [{"bearer": []}, {"basic": []}, {"header": []}, {}],
    }  # fmt: skip


def _paths(most_bytes: int) -> dict[tuple[str, str], Object]:
    """By part, and path below its root."""
    return {
        ("interactions", ""): {"post": _interactions(most_bytes)},
        ("ratings", ""): {"post": _ratings(most_bytes)},
        ("flags", ""): {"post": _flags()},
        ("summary", ""): {"get": _summary()},
        ("live", ""): {"get": _streamed()},
        ("live", "/hour"): {"get": _get("The last hour in figures", "application/json", OBJECT)},
        ("live", "/record"): {"get": _record()},
        ("questions", ""): {"get": _get("What can be asked", "application/json", OBJECT)},
        ("questions", "/{kind}"): {"post": _question()},
        **openapi_product.paths(),
        ("overview", ""): {
            "get": _studied("How today goes, open incidents, the state of the data")
        },
        **openapi_alerts.paths(),
        **openapi_confidence.paths(),
        **openapi_data.paths(),
        **openapi_settings.paths(),
        **openapi_traces.paths(),
        **openapi_uploads.paths(),
        ("metrics", ""): {"get": _get("Figures for Prometheus", "text/plain", TEXT)},
        ("health", ""): {"get": _health()},
        ("openapi", ""): {"get": _open("This document", "application/json", OBJECT)},
        ("login", ""): {"post": _way_in("Log in", {"email": EMAIL, "password": TEXT}, "401")},
        ("login", "/oidc"): {"get": _redirect("Log in through a provider")},
        ("login", "/oidc/callback"): {"get": _redirect("The way back from a provider")},
        ("welcome", ""): {
            "post": _way_in(
                "Choose a password by a one-time link, and be logged in",
                {"token": TEXT, "email": EMAIL, "password": PASSWORD},
                "403",
            )
        },
        ("password", ""): {
            "post": _way_in("Change the password", {"old": TEXT, "new": PASSWORD}, "401", "409")
            | {"security": [{"login": []}]}
        },
        ("logout", ""): {
            "post": _way_in("Log out", {"everywhere": {"type": "boolean"}}, needed=False)
        },
        ("me", ""): {"get": _open("Who asks", "application/json", _reference("Me"))},
        ("sdk", ""): {"get": _open("The browser SDK", "text/javascript", TEXT)},
    }


def _schemas() -> Object:
    return {
        "Me": {
            "type": "object",
            "required": ["who"],
            "properties": {
                "who": {"enum": ["person", "key", "anyone", "nobody"]},
                "role": {"enum": ["admin", "partner"]},
                **dict.fromkeys(("person_id", "email", "partner_id", "key_id"), TEXT),
                "expires_at": {"type": "string", "format": "date-time"},
                "oidc": {"type": "boolean"},
            },
        },
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
        "Answered": {
            "type": "object",
            "required": ["kind", "question", "columns", "rows", "source", "took_ms"],
            "properties": {
                "kind": TEXT,
                "question": OBJECT,
                "columns": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name", "kind", "unit", "doc"],
                        "properties": dict.fromkeys(("name", "kind", "unit", "doc"), TEXT),
                    },
                },
                "rows": {"type": "array", "items": {"type": "array"}},
                "source": {"enum": ["rows", "rollups"]},
                "took_ms": {"type": "number", "minimum": 0},
                "sql": OBJECT,
                "compared": OBJECT,
            },
        },
        "Rating": RATING,
        "Question": QUESTION,
        "Flags": FLAGS,
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


def _open(summary: str, kind: str, schema: Object) -> Object:
    return {
        "summary": summary,
        "security": [],
        "responses": {
            "200": {"description": summary, **_content(kind, schema)},
            **_refusals(s421="The host name is not this server's."),
        },
    }


def _way_in(summary: str, fields: Object, *noes: str, needed: bool = True) -> Object:
    schema = {"type": "object", "properties": fields, "required": list(fields) if needed else []}
    sentences = {
        "400": "The body is none of these, or the password or address will not do.",
        "401": "Address and password do not fit, or nobody is logged in.",
        "403": "The link is over, or a page of another origin asks.",
        "409": "There is no password to change.",
        "413": "Larger than the limit it names.",
        "415": "Not application/json.",
        "421": "The host name is not this server's.",
        "429": "Too many attempts: try again later.",
        "503": "Nobody can log in now: try again.",
    }
    common = ("400", "403", "413", "415", "421", "429", "503")
    return {
        "summary": summary,
        "security": [],
        "requestBody": {"required": True, **_content("application/json", schema)},
        "responses": {
            "200": {"description": "Who one is now.",
                    **_content("application/json", _reference("Me"))},
            **_refusals(**{f"s{no}": sentences[no] for no in sorted({*common, *noes})}),
        },
    }  # fmt: skip


def _redirect(summary: str) -> Object:
    return {
        "summary": summary,
        "security": [],
        "responses": {
            "303": {"description": "On to the provider, or back to the page."},
            **_refusals(s404="There is no provider.", s421="The host name is not this server's."),
        },
    }


def _streamed() -> Object:
    found = _get("Interactions as they arrive", "text/event-stream", TEXT)
    found["responses"] |= _refusals(s429="This key or person has as many streams as one may.")
    return found


def _record() -> Object:
    found = _get("One record whole, and the rows of its trace", "application/json", OBJECT)
    found["parameters"] = [
        {"name": "at", "in": "query", "required": True,
         "schema": {"type": "string", "pattern": "^[0-9]{1,9}-[0-9]{1,9}-[0-9]{1,15}$"},
         "description": "Its place in the log, as a row of the live feed names it."}
    ]  # fmt: skip
    found["responses"] |= _refusals(s404="There is no record at that place any more.")
    return found


def _question() -> Object:
    found = _get("Ask a question", "application/json", _reference("Answered"))
    found["description"] = (
        "The body holds the parameters of the question, whose schema the list of questions has. "
        "An answer has an `ETag`; asked again with it in `If-None-Match`, 304 says that nothing "
        "came in since that would change it."
    )
    found["parameters"] = [
        {"name": "kind", "in": "path", "required": True, "schema": TEXT,
         "description": "Which question, such as funnel."},
        {"name": "sql", "in": "query", "required": False, "schema": {"enum": ["1"]},
         "description": "Show the statement, too."},
        {"name": "compare", "in": "query", "required": False, "schema": {"enum": list(HOWS)},
         "description": "Answer over this earlier time, too."},
    ]  # fmt: skip
    found["requestBody"] = {"required": False, **_content("application/json", OBJECT)}
    found["responses"] |= {"304": {"description": "As the asker has it."}}
    found["responses"] |= _refusals(
        s400="The parameters cannot be asked, in one sentence.",
        s403="The key does not fit, a page of another origin asks, or it is not for partners.",
        s404="There is no such question.",
        s408="The body did not arrive.",
        s413="Larger than the limit it names.",
        s429="Too many questions wait.",
        s500="The question failed.",
        s503="It takes too long or too much, or what it needs is not installed.",
    )
    return found


def _studied(summary: str) -> Object:
    """What is read by way of questions; parameters are in docs/server.md."""
    found = _get(summary, "application/json", OBJECT)
    found["responses"] |= _refusals(
        s400="It cannot be asked, in one sentence.",
        s403="The key does not fit, a page of another origin asks, or it is not for partners.",
        s429="Too many questions wait.",
        s500="The question failed.",
        s503="It takes too long or too much, or what it needs is not installed.",
    )
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


def _ratings(most_bytes: int) -> Object:
    found = _interactions(most_bytes)
    one = _reference("Rating")
    many: Object = {"type": "array", "items": one}
    listed = {"type": "object", "required": ["ratings"], "properties": {"ratings": many}}
    found["summary"] = "Rate AI answers"
    found["description"] = (
        "One rating, or several, of turns that are named by their `interaction_id`, or by "
        "`conversation_id` and `turn`. The answer comes when they are durable."
    )
    found["requestBody"] |= _content("application/json", {"anyOf": [one, many, listed]})
    found["responses"] |= _refusals(
        s400="Not JSON, or a single rating that rates no turn.",
        s403="The key does not fit, or a page of another origin sends without one.",
    )
    return found


def _flags() -> Object:
    found = _interactions(QUESTION_BYTES)
    found["summary"] = "Evaluate feature flags for somebody"
    found["description"] = (
        f"All flags, or those that are named; {QUESTION_BYTES} bytes at most. Experiments behind "
        "flags that are named are told as exposures, and durable when the answer comes."
    )
    found["requestBody"] |= _content("application/json", _reference("Question"))
    found["responses"]["200"] = {
        "description": "The values; rules are not shown.",
        **_content("application/json", _reference("Flags")),
    }
    found["responses"] |= _refusals(s400="Not JSON, or no such question.")
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
