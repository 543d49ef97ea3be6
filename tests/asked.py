"""Questions put to rows that a test makes, and the same rows read plainly.

`answered` runs a question's SQL in DuckDB over a table of the record's columns; `kept` is what the
parameters that questions have in common let through, in Python.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from lakeward.analysis.events import Events
from lakeward.analysis.filters import Filter
from lakeward.analysis.question import Question, Sql
from lakeward.catalog import TYPES
from lakeward.lake import dated, derived
from lakeward.lake.columns import COLUMNS, NESTED

Row = dict[str, Any]
"""A record: `ms` is its time, objects are dicts."""
START_MS = 1_755_187_888_000  # 2025-08-14T16:11:28Z
NAMES = tuple(name for name in COLUMNS if name != "timestamp")


@functools.cache
def memory() -> duckdb.DuckDBPyConnection:
    """A DuckDB that has the views of a lake over an empty table."""
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    con.execute(f"CREATE TABLE interactions ({columns}, event_date DATE)")
    for name in TYPES:
        con.execute(
            f"CREATE VIEW \"{name}\" AS FROM interactions WHERE interaction_type = '{name}'"
        )
    derived.create(con)
    dated.create(con, f"SELECT *, {dated.COMPUTED} FROM interactions")
    dated.create_stitched(con)
    return con


def fill(rows: Iterable[Row]) -> None:
    """Put these rows into the table, and nothing else."""
    con = memory()
    con.execute("DELETE FROM interactions")
    lines = [_line(n, row) for n, row in enumerate(rows)]
    used = ["ms", *(name for name in NAMES if any(name in line for line in lines))]
    if lines:
        made = pa.table({name: [line.get(name) for line in lines] for name in used})
        con.register("made", made)
        names = ", ".join(used[1:])
        con.execute(
            f"INSERT INTO interactions (timestamp, event_date, {names}) "
            f"SELECT make_timestamptz(ms * 1000), make_timestamptz(ms * 1000)::DATE, {names} "
            "FROM made"
        )
        con.unregister("made")


def _line(n: int, row: Row) -> Row:
    line = {name: json.dumps(v) if name in NESTED else v for name, v in row.items()}
    usual = {"interaction_id": f"0198a000-0000-7000-8000-{n:012x}", "user_id": "anonymous",
             "user_type": "unknown", "interaction_type": "page_view", "ms": START_MS}  # fmt: skip
    return usual | line


def answered(question: Question) -> list[Row]:
    """The rows of a question to the filled table; their columns are those that it promises."""
    statement = question.sql()
    cursor = memory().execute(statement.text, dict(statement.parameters))
    names = [column[0] for column in cursor.description or []]
    assert names == [column.name for column in question.columns()]
    rows = question.finish(cursor.fetchall())
    return [dict(zip(names, row, strict=True)) for row in rows]


class TwoForms(Question, Protocol):
    """A question that has a quick form for DuckDB beside the one that every engine takes."""

    def portable(self) -> Sql:
        """The statement that every engine takes."""


def answered_twice(question: TwoForms) -> list[Row]:
    """As `answered`; the form that every engine takes gives the same rows in the same order."""
    rows = answered(question)
    statement = question.portable()
    other = memory().execute(statement.text, dict(statement.parameters)).fetchall()
    assert [tuple(row.values()) for row in rows] == question.finish(other)
    return rows


def kept(rows: Iterable[Row], events: Events) -> Iterator[Row]:
    """What counts for a question, read plainly; each with the `ms` of the chosen clock."""
    clock = {"device": "client_timestamp", "sent": "sent_at", "received": "received_at"}
    for row in rows:
        told = row.get(clock.get(events.clock, ""))
        at = row.get("ms", START_MS)
        if told is not None:
            at = round(datetime.fromisoformat(told).timestamp() * 1000)
        moment = datetime.fromtimestamp(at / 1000, UTC)
        if events.since is not None and moment < events.since:
            continue
        if events.until is not None and moment >= events.until:
            continue
        if row.get("bot") and not events.bots:
            continue
        if not events.internal and any(_is_own(row, rule) for rule in events.internal_is):
            continue
        made = row | {"ms": at}
        if holds(events.where, made):
            yield made


def _is_own(row: Row, rule: str) -> bool:
    field, _, value = rule.partition(":")
    found = row.get(field)
    if found is None:
        return False
    return str(found).startswith(value) if field == "ip_address" else found == value


def value_of(row: Row, name: str) -> Any:
    """A field of a row by its name; None where it is not there."""
    head, dot, rest = name.partition(".")
    if not dot:
        found = row.get(name)
        hidden = {"user_id": "anonymous", "user_type": "unknown"}.get(name)
        return False if name == "bot" and found is None else None if found == hidden else found
    found = row.get(head)
    for step in rest.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    if found is None or isinstance(found, str):
        return found
    return json.dumps(found, separators=(",", ":"))


def holds(where: Filter | None, row: Row) -> bool:
    """Whether a filter holds of a row."""
    if where is None:
        return True
    if where.field is None:
        if where.all:
            return all(holds(each, row) for each in where.all)
        if where.any:
            return any(holds(each, row) for each in where.any)
        return not any(holds(each, row) for each in where.none)
    found = value_of(row, where.field)
    if where.op == "known":
        return found is not None
    if where.op == "unknown":
        return found is None
    if where.op in ("above", "at_least", "below", "at_most"):
        return _compares(found, where.op, float(where.values[0]))
    if where.op == "is":
        return found is not None and any(_same(found, value) for value in where.values)
    if where.op == "is_not":
        return found is None or not any(_same(found, value) for value in where.values)
    texts = [str(value) for value in where.values]
    said = None if found is None else str(found)
    if where.op in ("contains", "contains_not"):
        has = said is not None and any(text.lower() in said.lower() for text in texts)
        return has == (where.op == "contains")
    if said is None:
        return False
    method = said.startswith if where.op == "starts" else said.endswith
    return any(method(text) for text in texts)


def _same(found: Any, value: Any) -> bool:
    if isinstance(found, str) and not isinstance(value, str):
        return found == json.dumps(
            int(value) if value == int(value) and not isinstance(value, bool) else value
        )
    return bool(found == value)


def _compares(found: Any, op: str, value: float) -> bool:
    try:
        number = float(found)
    except (TypeError, ValueError):
        return False
    return {"above": number > value, "at_least": number >= value, "below": number < value,
            "at_most": number <= value}[op]  # fmt: skip


def moment_of(ms: int, grain: str, zone: str) -> datetime | date:
    """The beginning of the hour, day, week or month that a moment is in."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    local = at.astimezone(ZoneInfo(zone))
    if grain == "hour":
        return at - timedelta(
            minutes=local.minute, seconds=local.second, microseconds=local.microsecond
        )
    day = local.date()
    if grain == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if grain == "month" else day


def nearest_rank(values: list[float], share: float) -> float | None:
    """A percentile as one of the values."""
    if not values:
        return None
    ordered = sorted(values)
    place = -(-len(ordered) * round(share * 1000) // 1000)  # ceil, in whole numbers
    return ordered[max(0, place - 1)]
