"""What the OpenAPI document says of experiments and suggestions.

In: nothing. Out: operations by part, and path below its root. Nothing fails.
"""

from __future__ import annotations

from typing import Final

from lakeward.analysis.events import CALENDAR, FIELDS, JSON_FIELDS, PEOPLE
from lakeward.analysis.experiment.question import LONGEST
from lakeward.server.operation import OBJECT, TEXT, Object, get, named, refusals
from lakeward.server.suggest import MOST

JSON = "application/json"
KEY: Final[Object] = {"type": "string", "minLength": 1, "maxLength": LONGEST}
FIELD: Final[Object] = {
    "anyOf": [
        {"enum": [*PEOPLE, *CALENDAR, *FIELDS]},
        {"type": "string", "pattern": f"^({'|'.join(JSON_FIELDS)})\\.[a-z_]{{1,100}}$"},
    ]
}


def paths() -> dict[tuple[str, str], Object]:
    """The operations."""
    return {
        ("experiments", ""): {"get": _asked("Experiments that were met or are flagged")},
        ("experiments", "/{key}"): {"get": _of_one("What an experiment shows")},
        ("experiments", "/{key}/course"): {"get": _of_one("The same as of the end of each day")},
        ("experiments", "/{key}/csv"): {"get": _of_one("Its figures", "text/csv", TEXT)},
        ("suggest", ""): {"get": _values()},
        ("suggest", "/funnels"): {"get": _asked("Funnels that are ready to be asked")},
    }


def _asked(summary: str, kind: str = JSON, schema: Object = OBJECT) -> Object:
    """What is read by way of questions; all parameters are in docs/server.md."""
    found = get(summary, kind, schema)
    found["responses"] |= refusals(
        s400="It cannot be asked, in one sentence.",
        s403="The key does not fit, a page of another origin asks, or it is not for partners.",
        s429="Too many questions wait.",
        s500="The question failed.",
        s503="It takes too long or too much, or what it needs is not installed.",
    )
    return found


def _of_one(summary: str, kind: str = JSON, schema: Object = OBJECT) -> Object:
    found = _asked(summary, kind, schema)
    found["parameters"] = [
        named("key", KEY, "Of the experiment; one with a slash is `-?experiment=`.")
    ]
    found["responses"] |= {"304": {"description": "As the asker has it."}}
    found["responses"] |= refusals(s404="Nobody met it.")
    return found


def _values() -> Object:
    found = _asked("Values of a field, those that come most first")
    found["parameters"] = [
        {"name": "field", "in": "query", "required": True, "schema": FIELD,
         "description": "Of the record, such as route, or properties.plan."},
        {"name": "q", "in": "query", "required": False, "schema": TEXT,
         "description": "What stands in them."},
        {"name": "most", "in": "query", "required": False,
         "schema": {"type": "integer", "minimum": 1, "maximum": MOST},
         "description": "How many."},
    ]  # fmt: skip
    return found
