"""The SQL of paths: a form that every engine takes, and one of lists for DuckDB.

In: a checked `Paths`. Out: statements. Pure.

    e       a row for each interaction that has a node: unit u, time t, node v
    fresh   with 1 where a session begins, and the node before
    folded  without the rows whose node is that of the row before in the session; s its number
    nodes   n the place in the session, and the next node (or the one before) with its time
    edges   position k, from a to b, milliseconds

The quick form has one row for each unit, by a hash of 64 bits as in quick funnels: `l` is the
sorted list of its interactions, each one number of time and node, `f` the places in it that are
left when nodes are folded, and `g` the places in `f` where a session begins. Only the edges that
are asked for become rows. It takes no `start` and no `end`.

    │ milliseconds, since 1970 or `since` │ number of the node, 32 or 28 bits │
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from lakeward.analysis.events import Source
from lakeward.analysis.question import Sql
from lakeward.analysis.scope import Dimension
from lakeward.analysis.sittings import fresh

if TYPE_CHECKING:
    from lakeward.analysis.paths import Paths

NARROW: Final = 28
"""Bits of a node where the range is known and shorter than 2**35 milliseconds, about 397 days."""
WIDE: Final = 32
"""Bits of a node where it is not."""
ORDER: Final = "PARTITION BY u ORDER BY t, v"


def statement(question: Paths) -> Sql:
    """The form that every engine takes."""
    source = Source(question)
    gap = source.values(question.gap_ms)
    beside = "lag" if backward(question) else "lead"
    session = "PARTITION BY u, s ORDER BY t, v"
    parts = [
        events(question, source),
        f"fresh AS (SELECT u, t, v, {fresh(gap, ORDER)} AS f, lag(v) OVER ({ORDER}) AS before "
        "FROM e)",
        f"folded AS (SELECT u, t, v, sum(f) OVER ({ORDER} ROWS UNBOUNDED PRECEDING) AS s "
        "FROM fresh WHERE f = 1 OR v <> before)",
        f"nodes AS (SELECT u, s, t, v, row_number() OVER ({session}) AS n, "
        f"{beside}(v) OVER ({session}) AS o, {beside}(t) OVER ({session}) AS ot FROM folded)",
        *_ends(question, source),
        f"edges AS ({_edges(question)})",
    ]
    return Sql("WITH " + ",\n".join(parts) + shown(question), source.parameters)


def quick(question: Paths) -> Sql | None:
    """The form for DuckDB; None where it does not fit."""
    if question.start is not None or question.end is not None:
        return None
    source = Source(question, quick=True)
    gap = source.values(question.gap_ms)
    word, bits, times = "HUGEINT", WIDE, f"CAST(t AS HUGEINT) * {1 << WIDE} + c"
    if question.since is not None and question.until is not None:
        first = math.floor(question.since.timestamp() * 1000)
        if question.until.timestamp() * 1000 - first < 1 << (63 - NARROW):
            word, bits, times = "BIGINT", NARROW, f"(t - {first}) * {1 << NARROW} + c"
    node, now, last = (1 << bits) - 1, "l[i]", "l[i - 1]"
    paused = f"({now} >> {bits}) - ({last} >> {bits}) > {gap}"
    moved = f"({now} & {node}) <> ({last} & {node})"
    begins = paused.replace("[i", "[f[k]")
    parts = [
        events(question, source).replace("e AS (", "e AS NOT MATERIALIZED (", 1),
        "codes AS MATERIALIZED (SELECT v, row_number() OVER (ORDER BY v) AS c "
        f"FROM ({nodes(question, source)}) GROUP BY v)",
        f"units AS (SELECT list_sort(list({times})) AS l FROM e JOIN codes "
        "ON e.v = codes.v GROUP BY hash(e.u))",
        "folded AS (SELECT row_number() OVER () AS u, l, list_filter(range(1, len(l) + 1), "
        f"lambda i: i = 1 OR {paused} OR {moved}) AS f FROM units)",
        "begun AS (SELECT u, l, f, list_filter(range(2, len(f) + 1), "
        f"lambda k: {begins}) AS g FROM folded)",
        "cut AS (SELECT u, l, f, unnest(list_prepend(1, g)) AS i, "
        "unnest(list_append(g, len(f) + 1)) AS j FROM begun)",
        "placed AS (SELECT u, l, f, i, j, "
        f"unnest(range(0, least(j - i, {question.depth}))) AS k FROM cut)",
        "pairs AS (SELECT u, k + 1 AS k, l[f[i + k]] AS p, "
        "CASE WHEN i + k + 1 < j THEN l[f[i + k + 1]] END AS q FROM placed)",
        f"edges AS MATERIALIZED (SELECT u, (CAST(k AS {word}) << {2 * bits}) + ((p & {node}) << "
        f"{bits}) + coalesce(q & {node}, 0) AS e, CAST((q >> {bits}) - (p >> {bits}) AS BIGINT) "
        "AS ms FROM pairs)",
    ]
    return Sql("WITH " + ",\n".join(parts) + _packed(question, bits), source.parameters)


def _packed(question: Paths, bits: int) -> str:
    """As `shown`, of edges that are one number: position, node, next node; 0 is no node."""
    node = (1 << bits) - 1
    a, b, k = f"(e >> {bits}) & {node}", f"nullif(e & {node}, 0)", f"e >> {2 * bits}"
    return f""",
counted AS (SELECT e, count(*) AS c FROM edges GROUP BY e),
ranked AS (SELECT e,
  row_number() OVER (PARTITION BY {k} ORDER BY c DESC, {a}, {b} NULLS LAST) AS nth FROM counted),
most AS (SELECT e FROM ranked WHERE nth <= {question.top}),
shown AS (SELECT u, ms, coalesce(m.e, (edges.{k}) << {2 * bits}) AS e
  FROM edges LEFT JOIN most m ON edges.e = m.e),
told AS (SELECT e, count(DISTINCT u) AS units, count(*) AS sessions,
  quantile_cont(ms, 0.5) / 1000.0 AS median_seconds FROM shown GROUP BY e)
SELECT CAST({k} AS BIGINT) AS position, x.v AS "from", y.v AS "to", units, sessions, median_seconds
FROM told LEFT JOIN codes x ON x.c = {a} LEFT JOIN codes y ON y.c = {b}
ORDER BY position, x.c IS NULL, sessions DESC, x.c, y.c NULLS LAST"""


def backward(question: Paths) -> bool:
    """Whether positions are counted from the end."""
    return question.end is not None and question.start is None


def events(question: Paths, source: Source) -> str:
    """The relation `e`."""
    (unit, known), node = source.unit(question.unit), source.field(question.node)
    where = source.where(known, f"{node.sql} IS NOT NULL")
    relation = source.relation(question.unit, question.node)
    shown = f"{unit} AS u, {source.ms} AS t, {_text(node)} AS v"
    return f"e AS (SELECT {shown} FROM {relation} WHERE {where})"


def nodes(question: Paths, source: Source) -> str:
    """The select of all nodes, and more: whose they are is not looked at, to read one column."""
    everyone = msgspec.structs.replace(question, bots=True, internal=True)
    wider = Source(everyone, source.values, quick=source.quick)
    node = wider.field(question.node)
    relation = wider.relation(question.node)
    return (
        f"SELECT {_text(node)} AS v FROM {relation} WHERE {wider.where(f'{node.sql} IS NOT NULL')}"
    )


def _text(node: Dimension) -> str:
    return node.sql if node.kind == "text" else f"CAST({node.sql} AS VARCHAR)"


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
  row_number() OVER (PARTITION BY k ORDER BY c DESC, a NULLS LAST, b NULLS LAST) AS nth
  FROM counted),
most AS (SELECT k, a, b FROM ranked WHERE nth <= {question.top}),
shown AS (SELECT e.u, e.k, e.ms, CASE WHEN m.k IS NULL THEN 1 ELSE 0 END AS other,
  CASE WHEN m.k IS NOT NULL THEN e.a END AS a, CASE WHEN m.k IS NOT NULL THEN e.b END AS b
  FROM edges e LEFT JOIN most m ON e.k = m.k
  AND e.a IS NOT DISTINCT FROM m.a AND e.b IS NOT DISTINCT FROM m.b)
SELECT k AS position, a AS "from", b AS "to", count(DISTINCT u) AS units, count(*) AS sessions,
  quantile_cont(ms, 0.5) / 1000.0 AS median_seconds
FROM shown GROUP BY k, other, a, b
ORDER BY k, other, count(*) DESC, a NULLS LAST, b NULLS LAST"""
