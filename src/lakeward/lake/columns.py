"""The table's columns: every field of the record under its own name, and what is added on the way
in.

In: the registry of this module. Out: DuckDB's reading of log lines, the select that makes rows of
them, and the schema that the Delta log carries. Pure.

Ids, texts and times of clients are text, `timestamp` is an instant, numbers are numbers, and what
is an object or a list in the record is JSON text. `extra` holds fields of records that a newer
version wrote. A column once in a table stays; a new one gets a new number of `GENERATION`, which
stands in the name of each file, so that files of one generation are read without looking at every
footer.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from lakeward.interaction import FIELDS

SqlType = Literal["VARCHAR", "TIMESTAMPTZ", "INTEGER", "BIGINT", "DOUBLE", "BOOLEAN", "DATE"]

GENERATION: Final = 1

NUMBERS: Final[dict[str, SqlType]] = {
    "response_status": "INTEGER",
    "schema_version": "INTEGER",
    "response_time_ms": "DOUBLE",
    "ttfb_ms": "DOUBLE",
    "request_bytes": "BIGINT",
    "response_bytes": "BIGINT",
}
NESTED: Final = frozenset(
    {
        "query_params", "headers", "request_body", "ai_metadata", "messages", "outcomes",
        "feedback", "analysis", "experiments", "properties", "metadata", "extra",
    }
)  # fmt: skip
"""Columns that hold JSON text."""

ENRICHED: Final[dict[str, SqlType]] = {
    "device": "VARCHAR",
    "browser": "VARCHAR",
    "os": "VARCHAR",
    "bot": "BOOLEAN",
    "referrer_host": "VARCHAR",
    "utm_source": "VARCHAR",
    "utm_medium": "VARCHAR",
    "utm_campaign": "VARCHAR",
    "utm_term": "VARCHAR",
    "utm_content": "VARCHAR",
    "country": "VARCHAR",
    "city": "VARCHAR",
}
"""Columns that are worked out when a row enters the table."""

PARTITION: Final = "event_date"

DELTA_TYPES: Final[dict[SqlType, str]] = {
    "VARCHAR": "string",
    "TIMESTAMPTZ": "timestamp",
    "INTEGER": "integer",
    "BIGINT": "long",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
}


def _type_of(field: str) -> SqlType:
    return "TIMESTAMPTZ" if field == "timestamp" else NUMBERS.get(field, "VARCHAR")


RECORD: Final[dict[str, SqlType]] = {field: _type_of(field) for field in (*FIELDS, "extra")}
"""The record's fields, in its order."""
COLUMNS: Final[dict[str, SqlType]] = RECORD | ENRICHED
"""What a Parquet file holds; the partition's date is in its folder."""


def reading() -> str:
    """The `columns` of DuckDB's read_json for lines of the log."""
    types = {name: "JSON" if name in NESTED else kind for name, kind in RECORD.items()}
    return "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in types.items()) + "}"


def selected(relation: str = "") -> str:
    """The record's columns as the table has them, of rows that `reading` made."""
    prefix = f"{relation}." if relation else ""
    return ", ".join(
        f"{prefix}{name}::VARCHAR AS {name}" if name in NESTED else f"{prefix}{name}"
        for name in RECORD
    )


def delta_schema() -> str:
    """The schema as the Delta log spells it, the partition's column last."""
    fields = [
        {"name": name, "type": DELTA_TYPES[kind], "nullable": True, "metadata": {}}
        for name, kind in (COLUMNS | {PARTITION: "DATE"}).items()
    ]
    return msgspec.json.encode({"type": "struct", "fields": fields}).decode()
