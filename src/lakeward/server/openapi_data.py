"""What the OpenAPI document says of SQL, its schema, the state of the data and the quarantine.

In: nothing. Out: operations by part, and path below its root. Nothing fails.
"""

from __future__ import annotations

from lakeward.server.operation import OBJECT, TEXT, Object, content, get, refusals
from lakeward.server.quarantine import MOST, MOST_FIELDS, MOST_IDS
from lakeward.server.sql import KINDS

JSON = "application/json"
DAY: Object = {"anyOf": [{"enum": ["today", "yesterday"]}, {"type": "string", "format": "date"}]}
WORDS: Object = {"type": "string", "maxLength": 500}
SELECTED: Object = {**dict.fromkeys(("reason", "type", "follower"), WORDS), "day": DAY}


def paths() -> dict[tuple[str, str], Object]:
    """The operations."""
    return {
        ("sql", ""): {"post": _sql()},
        ("schema", ""): {"get": _schema()},
        ("data", ""): {"get": get("Where everything offered is, and who lags", JSON, OBJECT)},
        ("data", "/storage"): {"get": get("Bytes by zone and day", JSON, OBJECT)},
        ("quarantine", ""): {"get": _quarantine()},
        ("quarantine", "/replay"): {"post": _replay()},
    }


def _sql() -> Object:
    found = get("Ask one SELECT", JSON, OBJECT)
    found["description"] = (
        "As `lakeward query` asks it. JSON holds columns, rows and whether there are more; CSV and "
        "Parquet come as files. Who leaves ends the query."
    )
    fields = {
        "sql": TEXT,
        "format": {"enum": ["json", "csv", "parquet"]},
        "limit": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 2**31}, {"type": "null"}]},
    }
    found["requestBody"] = _body(fields, "sql")
    for kind in KINDS.values():
        media = kind.decode().partition(";")[0]
        found["responses"]["200"]["content"] |= content(media, {})["content"]
    found["responses"] |= refusals(
        s400="The query will not do, in one sentence.",
        s408="The body did not arrive.",
        s413="Larger than the limit it names.",
        s415="Not application/json.",
        s429="As many queries are under way as there may be.",
        s503="It takes too long or too much, or what it needs is not installed.",
    )
    return found


def _schema() -> Object:
    found = get("What SQL can name", JSON, OBJECT)
    found["responses"] |= {"304": {"description": "As the asker has it."}}
    return found


def _quarantine() -> Object:
    found = get("What was set aside, the newest first", JSON, OBJECT)
    found["parameters"] = [
        {"name": name, "in": "query", "required": False, "schema": schema,
         "description": "Only these; any part of the reason, or a day such as 2026-09-01."}
        for name, schema in SELECTED.items()
    ]  # fmt: skip
    found["parameters"].append(
        {"name": "most", "in": "query", "required": False,
         "schema": {"type": "integer", "minimum": 1, "maximum": MOST}, "description": "How many."}
    )  # fmt: skip
    found["responses"] |= refusals(s503="The lake is away.")
    return found


def _replay() -> Object:
    found = get("Bring back what was set aside", JSON, OBJECT)
    found["description"] = (
        "By an admin who is logged in; a read key changes nothing. Without `dry_run: false` it "
        "says what would become of them and does nothing."
    )
    fields: Object = {
        **SELECTED,
        "ids": {"type": "array", "items": WORDS, "maxItems": MOST_IDS},
        "dry_run": {"type": "boolean"},
        "set": {"type": "object", "maxProperties": MOST_FIELDS},
    }
    found["requestBody"] = _body(fields)
    found["responses"] |= refusals(
        s408="The body did not arrive.",
        s409="Something is being brought back.",
        s413="Larger than the limit it names.",
        s415="Not application/json.",
        s429="Too many requests wait: try again.",
        s503="It cannot be made durable now.",
    )
    return found


def _body(fields: Object, *needed: str) -> Object:
    schema = {"type": "object", "properties": fields, "required": list(needed),
              "additionalProperties": False}  # fmt: skip
    return {"required": True, **content(JSON, schema)}
