"""Rows out of Athena's answers, in which every value is text.

In: pages of `GetQueryResults`. Out: rows of typed values. Fails with `Terminal` for a type or a
value that is none of Trino's.

    {"ResultSet": {"ResultSetMetadata": {"ColumnInfo": [{"Type": "bigint", …}, …]},
                   "Rows": [{"Data": [{"VarCharValue": "12"}, {}, …]}, …]}}

The first row of the first page is the names of the columns. A value that is not there is null; an
empty text is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from lakeward.analysis.question import Cell, Row
from lakeward.errors import Terminal
from lakeward.interaction import JsonObject


def rows_of(pages: Iterable[JsonObject]) -> list[Row]:
    """Every row of every page."""
    found: list[Row] = []
    first = True
    for page in pages:
        results = page["ResultSet"]
        columns = results["ResultSetMetadata"]["ColumnInfo"]
        kinds = [_reader(str(column["Type"])) for column in columns]
        rows = results["Rows"]
        if first and rows and _texts(rows[0]) == [column["Name"] for column in columns]:
            rows = rows[1:]
        first = False
        found += (_row(kinds, _texts(row)) for row in rows)
    return found


def _texts(row: JsonObject) -> list[str | None]:
    return [cell.get("VarCharValue") for cell in row["Data"]]


def _row(kinds: list[Callable[[str], Cell]], texts: list[str | None]) -> Row:
    try:
        return tuple(
            None if text is None else read(text) for read, text in zip(kinds, texts, strict=True)
        )
    except ValueError:
        raise Terminal("Athena answered with a value that is not of its column's type") from None


def _reader(kind: str) -> Callable[[str], Cell]:
    found = READERS.get(kind.partition("(")[0])
    if found is None:
        raise Terminal(f"Athena answered with the type {kind[:40]!r}, which no question has")
    return found


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _number(text: str) -> int | float:
    """A decimal is an integer where it has no point."""
    return float(text) if "." in text else int(text)


def _moment(text: str) -> datetime:
    """`2026-11-01 09:30:00.000 UTC`, or with an offset; without a zone it is UTC."""
    day, _, rest = text.partition(" ")
    clock, _, zone = rest.partition(" ")
    found = datetime.fromisoformat(f"{day} {clock}" if clock else day)
    if zone:
        found = found.replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


READERS: Final[dict[str, Callable[[str], Cell]]] = {
    **dict.fromkeys(("varchar", "char", "string"), str),
    **dict.fromkeys(("tinyint", "smallint", "integer", "int", "bigint"), int),
    **dict.fromkeys(("float", "real", "double"), float),
    "decimal": _number,
    "boolean": _boolean,
    "date": date.fromisoformat,
    **dict.fromkeys(("timestamp", "timestamp with time zone"), _moment),
}
