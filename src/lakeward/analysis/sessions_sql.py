"""The SQL of sessions: a form that every engine takes, and one of lists for DuckDB.

In: a checked `Sessions`. Out: statements. Pure.

    e        a row for each interaction: unit u, time t, its place among the unit's, fields
    fresh    with 1 where a session begins
    numbered with the number of the session within the unit
    sat      a row for each session: start, milliseconds, events, fields

The quick form has one row for each unit, told apart by a hash of 64 bits as in quick funnels, with
the list `l` of its times, and `f` of the places where a session begins: no row of the table is
sorted by more than its own unit. It takes no fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeward.analysis.events import Source, calendar
from lakeward.analysis.question import Sql
from lakeward.analysis.sittings import fresh

if TYPE_CHECKING:
    from lakeward.analysis.sessions import Sessions


def statement(question: Sessions) -> Sql:
    """The form that every engine takes."""
    source = Source(question)
    fields = [f"b{k}" for k in range(1, len(question.by) + 1)]
    fields += [f"x{k}" for k in range(1, len(question.ends) + 1)]
    order = f"PARTITION BY u ORDER BY t{', id' if fields else ''}"
    place = f", row_number() OVER ({order}) AS place" if fields else ""
    kept = "".join(f", {name}" for name in fields)
    gap = source.values(question.gap_ms)
    held = "".join(
        f", {'min_by' if name[0] == 'b' else 'max_by'}({name}, "
        f"CASE WHEN {name} IS NOT NULL THEN place END) AS {name}"
        for name in fields
    )
    more = ", place" if fields else ""
    parts = [
        events(question, source, fields),
        f"fresh AS (SELECT u, t{', id' if fields else ''}{kept}, {fresh(gap, order)} AS f{place} "
        "FROM e)",
        f"numbered AS (SELECT u, t{more}{kept}, sum(f) OVER ({order} RANGE UNBOUNDED PRECEDING) "
        "AS s FROM fresh)",
        "sat AS (SELECT u, min(t) AS start, max(t) - min(t) AS ms, count(*) AS events"
        f"{held} FROM numbered GROUP BY u, s)",
    ]
    return Sql("WITH " + ",\n".join(parts) + shown(question, source), source.parameters)


def quick(question: Sessions) -> Sql | None:
    """The form for DuckDB; None where it does not fit."""
    if question.by or question.ends:
        return None
    source = Source(question, quick=True)
    gap = source.values(question.gap_ms)
    unit, known = source.unit(question.unit)
    times = f"list_sort(list({source.ms})) AS l"
    begins = f"list_filter(range(2, len(l) + 1), lambda i: l[i] - l[i - 1] > {gap})"
    parts = [
        f"units AS (SELECT {times} FROM {source.relation(question.unit)} "
        f"WHERE {source.where(known)} GROUP BY hash({unit}))",
        f"begun AS (SELECT row_number() OVER () AS u, l, {begins} AS f FROM units)",
        "cut AS (SELECT u, l, unnest(list_prepend(1, f)) AS i, "
        "unnest(list_append(f, len(l) + 1)) AS j FROM begun)",
        "sat AS (SELECT u, l[i] AS start, l[j - 1] - l[i] AS ms, j - i AS events FROM cut)",
    ]
    return Sql("WITH " + ",\n".join(parts) + shown(question, source), source.parameters)


def events(question: Sessions, source: Source, fields: list[str]) -> str:
    """The relation `e`."""
    unit, known = source.unit(question.unit)
    named = (*question.by, *question.ends)
    columns = [f"{unit} AS u", f"{source.ms} AS t", *(["i.interaction_id AS id"] if fields else [])]
    columns += [
        f"{source.field(name).sql} AS {key}" for name, key in zip(named, fields, strict=True)
    ]
    relation = source.relation(question.unit, *named)
    where = source.where(known)
    return f"e AS (SELECT {', '.join(columns)} FROM {relation} WHERE {where})"


def shown(question: Sessions, source: Source) -> str:
    """The answer, of `sat`."""
    keys = [(f"b{k}", name) for k, name in enumerate(question.by, 1)]
    if question.grain is not None:
        start = "make_timestamptz(start * 1000)"
        moment = calendar(question.grain, start, source.values(question.zone)).sql
        keys.insert(0, (moment, "moment"))
    keys += [(f"x{k}", f"last_{name}") for k, name in enumerate(question.ends, 1)]
    places = ", ".join(str(n) for n in range(1, len(keys) + 1))
    tail = ""
    if keys:
        order = [f"{n} NULLS LAST" for n in range(1, len(keys) + 1)]
        order.insert(1 if question.grain is not None else 0, "sessions DESC")
        tail = f"\nGROUP BY {places}\nORDER BY {', '.join(order)}"
    columns = "".join(f'{sql} AS "{name}", ' for sql, name in keys)
    return (
        f"\nSELECT {columns}count(*) AS sessions, count(DISTINCT u) AS units, "
        "CAST(coalesce(sum(events), 0) AS BIGINT) AS events, "
        "CAST(sum(events) AS DOUBLE) / nullif(count(*), 0) AS events_per_session, "
        "quantile_cont(ms, 0.5) / 1000.0 AS median_seconds, "
        "quantile_cont(ms, 0.9) / 1000.0 AS p90_seconds, "
        "CAST(count(*) FILTER (WHERE events = 1) AS DOUBLE) / nullif(count(*), 0) AS bounce_share "
        f"FROM sat{tail}"
    )
