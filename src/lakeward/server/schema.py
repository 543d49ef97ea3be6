"""The lake's schema: `GET /api/schema` says what SQL can name, for whoever writes it.

In: nothing but who asks. Out: the views with their columns, what stands in the objects of each
type, the functions that a query may call, and keywords. The columns of views that are worked out
when they are asked stand in `lake/derived.json`, which `make docs` writes as DuckDB describes them.
The answer has an `ETag` and is the same as long as this Lakeward runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from lakeward.analysis.events import FIELDS
from lakeward.catalog import TYPES, TypeSpec
from lakeward.dictionary import FIELDS_DOC, FieldDoc, type_rows
from lakeward.lake import derived
from lakeward.lake.columns import COLUMNS, NESTED, PARTITION
from lakeward.lake.functions import SCALARS, TABLES
from lakeward.server.acting import refuse_partners
from lakeward.server.answer import Headers, reply
from lakeward.server.handler import GET, Handler
from lakeward.server.intake import Request
from lakeward.server.routes import Found, Part

PARTS: Final = (Part("schema", "/api/schema"),)
WHY: Final = "The schema is for those who ask in SQL, which partners do not."
KEYWORDS: Final = """
    SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT OFFSET WITH AS RECURSIVE DISTINCT ON UNION ALL
    EXCEPT INTERSECT JOIN LEFT RIGHT FULL INNER OUTER CROSS LATERAL ASOF USING CASE WHEN THEN ELSE
    END AND OR NOT IN IS NULL TRUE FALSE BETWEEN LIKE ILIKE EXISTS CAST TRY_CAST INTERVAL DATE
    TIMESTAMP TIMESTAMPTZ VARCHAR INTEGER BIGINT DOUBLE BOOLEAN ASC DESC NULLS FIRST LAST OVER
    PARTITION ROWS RANGE WINDOW FILTER QUALIFY VALUES DESCRIBE SUMMARIZE PIVOT EXCLUDE REPLACE
"""
DERIVED: Final[Mapping[str, str]] = {
    "stitched": "Every interaction with the person behind it.",
    "identities": "Whose an id is, and from when until before when.",
    "people": "Everybody with a user id or traits.",
    "groups": "Groups and their traits.",
    "bookings": "All that one app told under one booking_id.",
    "deals": "All that one app told under one deal_id, with the match it came from.",
    "matches": "Partner matches, and what became of each.",
    "flow_runs": "Runs of flows: finished, abandoned or running.",
    "ai_turns": "Turns of AI conversations with tokens, cost and ratings.",
    "ai_ratings_current": "The last word of one rater on one turn.",
    "ai_told_twice": "Turns of OpenTelemetry whose answer a turn of the app's own has.",
}
EXTRA: Final = {
    "extra": "Fields that a newer Lakeward wrote, and values that do not fit, as JSON.",
    "event_date": "The UTC day of the id; a condition on it reads the files of those days only.",
}
CASTS: Final = (("integer", "BIGINT"), ("number", "DOUBLE"), ("boolean", "BOOLEAN"))
DESCRIBED: Final = Path(derived.__file__).with_suffix(".json")
FUNCTION: Final = re.compile(r"[a-z][a-z0-9_]*")


class Column(msgspec.Struct, frozen=True):
    """A column of a view."""

    name: str
    type: str
    doc: str = ""
    unit: str = ""


class Own(msgspec.Struct, frozen=True):
    """What a type keeps in one of its objects: `sql` is how a query says it."""

    path: str
    type: str
    doc: str
    unit: str
    sql: str


class View(msgspec.Struct, frozen=True, omit_defaults=True):
    """What can stand in FROM. A view of a type has the columns of `like`, and `own` fields."""

    name: str
    doc: str
    columns: tuple[Column, ...] = ()
    like: str = ""
    own: tuple[Own, ...] = ()


class Schema(msgspec.Struct, frozen=True):
    """The answer."""

    views: tuple[View, ...]
    functions: tuple[str, ...]
    table_functions: tuple[str, ...]
    keywords: tuple[str, ...]


class SchemaPage:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self) -> None:
        self._whole: bytes | None = None

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The one."""
        return {"schema": Handler(GET, "read", self._show)}

    async def _show(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, WHY)
        if self._whole is None:
            self._whole = await asyncio.to_thread(lambda: msgspec.json.encode(schema()))
        content = self._whole
        etag = b'"' + hashlib.blake2b(content, digest_size=12).hexdigest().encode() + b'"'
        said = [(b"etag", etag), (b"cache-control", b"no-cache, private")]
        if request.headers.get(b"if-none-match") == etag:
            await reply(request.send, 304, b"", headers=said)
            return
        await reply(request.send, 200, content, headers=said)


def _described() -> dict[str, tuple[Column, ...]]:
    """The columns of the derived views."""
    found = msgspec.json.decode(DESCRIBED.read_bytes(), type=dict[str, dict[str, str]])
    return {
        view: tuple(Column(name, _plain(kind), _meaning(name)) for name, kind in columns.items())
        for view, columns in found.items()
    }


def schema() -> Schema:
    """The whole."""
    described = _described()
    whole = View("interactions", "Every interaction of the lake, once.", tuple(_columns()))
    types = (View(spec.name, _first(spec.doc), like=whole.name, own=tuple(_own(spec)))
             for spec in TYPES.values())  # fmt: skip
    worked_out = (
        View(name, DERIVED.get(name, ""), described.get(name, ())) for name in derived.VIEWS
    )
    functions = sorted(name for name in SCALARS if FUNCTION.fullmatch(name))
    return Schema(
        (whole, *worked_out, *types),
        tuple(functions),
        tuple(sorted(TABLES)),
        tuple(KEYWORDS.split()),
    )


def _columns() -> Iterator[Column]:
    docs = {row.name: row for row in FIELDS_DOC}
    for name, kind in (COLUMNS | {PARTITION: "DATE"}).items():
        row = docs.get(name)
        shown = "JSON" if name in NESTED else _plain(kind)
        yield Column(name, shown, _meaning(name), row.unit if row is not None else "")


def _meaning(name: str) -> str:
    if name in EXTRA:
        return EXTRA[name]
    if name in FIELDS:
        return FIELDS[name].doc
    return next((row.meaning for row in FIELDS_DOC if row.name == name), "")


def _own(spec: TypeSpec) -> Iterator[Own]:
    for row in type_rows(spec):
        slot, dot, field = row.name.partition(".")
        if dot and "[]" not in field:
            yield Own(row.name, row.type, row.meaning, row.unit, _reached(slot, field, row))


def _reached(slot: str, field: str, row: FieldDoc) -> str:
    text = f"{slot}->>'$.{field}'"
    for begin, cast in CASTS:
        if row.type.startswith(begin):
            return f"({text})::{cast}"
    return text


def _plain(kind: str) -> str:
    return "TIMESTAMPTZ" if kind == "TIMESTAMP WITH TIME ZONE" else kind


def _first(doc: str) -> str:
    return " ".join(doc.split("\n\n")[0].split())
