"""What the OpenAPI document says of traces and single records.

In: nothing. Out: operations by part, and path below its root. Nothing fails.
"""

from __future__ import annotations

from lakeward.server.operation import OBJECT, TEXT, Object, get, named, refusals

JSON = "application/json"
UUID: Object = {"type": "string", "format": "uuid"}


def paths() -> dict[tuple[str, str], Object]:
    """The operations."""
    return {("traces", "/{id}"): {"get": _trace()}, ("records", "/{id}"): {"get": _record()}}


def _trace() -> Object:
    found = get("All that one click, call or turn caused", JSON, OBJECT)
    found["parameters"] = [
        named("id", TEXT, "A trace id, or the id of an interaction of it."),
        {"name": "near", "in": "query", "required": False,
         "schema": {"type": "string", "format": "date-time"}, "description": "When it was."},
        {"name": "days", "in": "query", "required": False,
         "schema": {"type": "integer", "minimum": 0, "maximum": 400},
         "description": "Days before and after that are looked at."},
    ]  # fmt: skip
    found["responses"] |= _asked("No id, or no moment.")
    return found


def _record() -> Object:
    found = get("One record, whole", JSON, OBJECT)
    found["parameters"] = [named("id", UUID, "The record's `interaction_id`.")]
    found["responses"] |= _asked("No id of a record.") | refusals(s404="No record has this id.")
    return found


def _asked(wrong: str) -> Object:
    return refusals(
        s400=wrong,
        s429="Too many questions wait.",
        s500="The lake cannot be read.",
        s503="It takes too long or too much, or what it needs is not installed.",
    )
