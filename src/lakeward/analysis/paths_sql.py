"""The SQL of paths.

In: a checked `Paths`. Out: statements. Pure.

    e       a row for each interaction that has a node: unit u, time t, node v
    fresh   with 1 where a session begins, and the node before
    folded  without the rows whose node is that of the row before in the session; s its number
    nodes   n the place in the session, and the next node (or the one before) with its time
    edges   position k, from a to b, milliseconds
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeward.analysis.events import Source
from lakeward.analysis.question import Sql
from lakeward.analysis.sittings import ORDER, fresh

if TYPE_CHECKING:
    from lakeward.analysis.paths import Paths


def statement(question: Paths) -> Sql:
    """The form that every engine takes."""
    source = Source(question)
    gap = source.values(question.gap_ms)
    beside = "lag" if backward(question) else "lead"
    session = "PARTITION BY u, s ORDER BY t, id"
    parts = [
        events(question, source),
        f"fresh AS (SELECT u, t, id, v, {fresh(gap)} AS f, lag(v) OVER ({ORDER}) AS before FROM e)",
        f"folded AS (SELECT u, t, id, v, sum(f) OVER ({ORDER} ROWS UNBOUNDED PRECEDING) AS s "
        "FROM fresh WHERE f = 1 OR v <> before)",
        f"nodes AS (SELECT u, s, t, v, row_number() OVER ({session}) AS n, "
        f"{beside}(v) OVER ({session}) AS o, {beside}(t) OVER ({session}) AS ot FROM folded)",
        *_ends(question, source),
        f"edges AS ({_edges(question)})",
    ]
    return Sql("WITH " + ",\n".join(parts) + shown(question), source.parameters)


def backward(question: Paths) -> bool:
    """Whether positions are counted from the end."""
    return question.end is not None and question.start is None


def events(question: Paths, source: Source) -> str:
    """The relation `e`."""
    unit, node = source.field(question.unit).sql, source.field(question.node)
    value = node.sql if node.kind == "text" else f"CAST({node.sql} AS VARCHAR)"
    where = source.where(f"{unit} IS NOT NULL", f"{node.sql} IS NOT NULL")
    relation = source.relation(question.unit, question.node)
    return (
        f"e AS (SELECT {unit} AS u, {source.ms} AS t, i.interaction_id AS id, {value} AS v "
        f"FROM {relation} WHERE {where})"
    )


def _ends(question: Paths, source: Source) -> list[str]:
    """With the places of start and end in the session, where they are asked for."""
    start, end, parts, last = question.start, question.end, [], "nodes"
    session = "OVER (PARTITION BY u, s)"
    if start is not None:
        first = f"min(CASE WHEN v = {source.values(start)} THEN n END) {session} AS a"
        parts.append(f"started AS (SELECT u, s, t, v, n, o, ot, {first} FROM nodes)")
        last = "started"
    if end is not None:
        more, later = ("", "") if start is None else (", a", " AND n > a")
        first = f"min(CASE WHEN v = {source.values(end)}{later} THEN n END) {session} AS z"
        parts.append(f"ended AS (SELECT u, s, t, v, n, o, ot{more}, {first} FROM {last})")
    return parts


def _edges(question: Paths) -> str:
    depth = question.depth
    if backward(question):
        return (
            "SELECT u, n - z - 1 AS k, o AS a, v AS b, t - ot AS ms FROM ended "
            f"WHERE n <= z AND z - n < {depth}"
        )
    if question.start is None:
        return f"SELECT u, n AS k, v AS a, o AS b, ot - t AS ms FROM nodes WHERE n <= {depth}"
    relation, inside = ("started", "") if question.end is None else ("ended", " AND n < z")
    return (
        f"SELECT u, n - a + 1 AS k, v AS a, o AS b, ot - t AS ms FROM {relation} "
        f"WHERE n >= a AND n - a < {depth}{inside}"
    )


def shown(question: Paths) -> str:
    """The answer, of `edges`."""
    return f""",
counted AS (SELECT k, a, b, count(*) AS c FROM edges GROUP BY k, a, b),
ranked AS (SELECT k, a, b,
  row_number() OVER (PARTITION BY k ORDER BY c DESC, a NULLS LAST, b NULLS LAST) AS nth FROM counted),
shown AS (SELECT e.u, e.k, e.ms, CASE WHEN r.nth <= {question.top} THEN 0 ELSE 1 END AS other,
  CASE WHEN r.nth <= {question.top} THEN e.a END AS a,
  CASE WHEN r.nth <= {question.top} THEN e.b END AS b
  FROM edges e JOIN ranked r ON e.k = r.k
  AND e.a IS NOT DISTINCT FROM r.a AND e.b IS NOT DISTINCT FROM r.b)
SELECT k AS position, a AS "from", b AS "to", count(DISTINCT u) AS units, count(*) AS sessions,
  quantile_cont(ms / 1000.0, 0.5) AS median_seconds
FROM shown GROUP BY k, other, a, b
ORDER BY k, other, count(*) DESC, a NULLS LAST, b NULLS LAST"""
