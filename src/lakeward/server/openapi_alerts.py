"""What the OpenAPI document says of incidents, and of what is watched.

In: nothing. Out: operations by part, and path below its root. Nothing fails.
"""

from __future__ import annotations

from lakeward.server.operation import OBJECT, TEXT, Object, content, get, named, refusals
from lakeward.store.alerts import STATES


def paths() -> dict[tuple[str, str], Object]:
    """The operations."""
    return {
        ("alerts", ""): {"get": _alerts()},
        ("alerts", "/budgets"): {"get": _drawn("What of each budget of AI is spent")},
        ("alerts", "/watched"): {"get": _drawn("All that is watched, and how it is")},
        ("alerts", "/watched/series"): {
            "get": _drawn("A series of late, with what was expected", _series(required=True))
        },
        ("alerts", "/{id}"): {"get": _incident()},
        ("alerts", "/{id}/series"): {
            "get": _drawn(
                "A series of an incident, with what was expected", _which(), _series(required=False)
            )
        },
        ("alerts", "/{id}/{verb}"): {"post": _act()},
    }


def _drawn(summary: str, *parameters: Object) -> Object:
    found = get(summary, "application/json", OBJECT)
    if parameters:
        found["parameters"] = list(parameters)
    found["responses"] |= refusals(
        s404="There is no such incident or series.",
        s429="Too many questions wait.",
        s500="The question failed.",
        s503="The database is away, or it takes too long.",
    )
    return found


def _series(*, required: bool) -> Object:
    return {"name": "series", "in": "query", "required": required,
            "schema": {**TEXT, "minLength": 1}, "description": "Name of the series."}  # fmt: skip


def _which() -> Object:
    return named("id", TEXT, "Of the incident, or a part that only one has.")


def _alerts() -> Object:
    found = get("What is wrong, or was", "application/json", OBJECT)
    found["parameters"] = [
        {"name": "state", "in": "query", "required": False,
         "schema": {"enum": ["open", "all", *STATES]}, "description": "Which incidents."},
        {"name": "most", "in": "query", "required": False,
         "schema": {"type": "integer", "minimum": 1, "maximum": 1000}, "description": "How many."},
        *({"name": name, "in": "query", "required": False,
           "schema": {"type": "string", "format": "date-time"}, "description": f"Opened {name}."}
          for name in ("since", "before")),
    ]  # fmt: skip
    found["responses"] |= refusals(s503="The database is away.")
    return found


def _incident() -> Object:
    found = get("One incident, its steps and who was told", "application/json", OBJECT)
    found["parameters"] = [_which()]
    found["responses"] |= refusals(s404="There is no such incident.", s503="The database is away.")
    return found


def _act() -> Object:
    found = _incident()
    found["summary"] = "Acknowledge, snooze or resolve an incident"
    found["description"] = "By a person who is logged in; a read key changes nothing."
    found["parameters"].append(named("verb", {"enum": ["ack", "snooze", "resolve"]}, "What."))
    minutes = {"type": "number", "minimum": 1, "maximum": 44_640}
    found["requestBody"] = {
        "required": True,
        **content("application/json", {
            "type": "object", "properties": {"minutes": minutes}, "additionalProperties": False,
        }),
    }  # fmt: skip
    found["responses"] |= refusals(
        s408="The body did not arrive.",
        s409="It is resolved already.",
        s413="Larger than the limit it names.",
        s415="Not application/json.",
        s429="Too many requests wait: try again.",
    )
    return found
