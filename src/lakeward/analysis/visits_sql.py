"""The SQL of visits and pages, over the same relations.

In: a checked question. Out: statements that every engine takes. Pure.

    told     a row for each report: who u, which view, time t, fields
    seen     a row for each view: its beginning, time in use, fields
    fresh    with f = 1 where a session begins, and the view's place among the visitor's
    numbered with the number of the session, and l = 1 where it ends
    sat      a row for each session
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lakeward.analysis.events import Source, calendar
from lakeward.analysis.metric import number
from lakeward.analysis.question import Sql
from lakeward.analysis.sittings import Sat

if TYPE_CHECKING:
    from lakeward.analysis.visits import Pages, Visits

WHO: Final = "PARTITION BY u ORDER BY t, view"
MEASURED: Final = {
    "visitors": "count(DISTINCT u)",
    "sessions": "count(*)",
    "views": "CAST(coalesce(sum(views), 0) AS BIGINT)",
    "views_per_session": "CAST(sum(views) AS DOUBLE) / nullif(count(*), 0)",
    "bounce_share": "CAST(count(*) FILTER (WHERE views = 1) AS DOUBLE) / nullif(count(*), 0)",
    "median_seconds": "quantile_cont(ms, 0.5) / 1000.0",
}


def visits(question: Visits, *, quick: bool = False) -> Sql:
    """The statement of `visits`."""
    source = Source(question, quick=quick)
    fields = _fields(question.by, "b") | _fields(question.ends, "x")
    keys = [(key, name) for key, name in fields.items() if key[0] == "b"]
    if question.grain is not None:
        start = calendar(
            question.grain, "make_timestamptz(start * 1000)", source.values(question.zone)
        )
        keys.insert(0, (start.sql, "moment"))
    keys += [(key, f"last_{name}") for key, name in fields.items() if key[0] == "x"]
    places = ", ".join(str(n) for n in range(1, len(keys) + 1))
    columns = "".join(f'{sql} AS "{name}", ' for sql, name in keys)
    measured = ", ".join(f"{sql} AS {name}" for name, sql in MEASURED.items())
    order = [f"{n} NULLS LAST" for n in range(1, len(keys) + 1)]
    order.insert(1 if question.grain is not None else 0, "visitors DESC")
    tail = f"\nGROUP BY {places}\nORDER BY {', '.join(order)} LIMIT {question.limit}"
    held = "".join(
        f", max(CASE WHEN {'f' if key[0] == 'b' else 'l'} = 1 THEN {key} END) AS {key}"
        for key in fields
    )
    sat = (
        "sat AS (SELECT u, min(t) AS start, max(t + used) - min(t) AS ms, count(*) AS views"
        f"{held} FROM numbered GROUP BY u, s)"
    )
    text = f"{seen(question, source, fields)},\n{sat}\nSELECT {columns}{measured}\nFROM sat"
    return Sql(text + (tail if keys else ""), source.parameters)


def pages(question: Pages, *, quick: bool = False) -> Sql:
    """The statement of `pages`."""
    source = Source(question, quick=quick)
    fields = _fields(question.by, "b")
    places = ", ".join(str(n) for n in range(1, len(fields) + 1))
    columns = "".join(f'{key} AS "{name}", ' for key, name in fields.items())
    listed = "".join(f"{key}, " for key in fields)
    order = ", ".join(["views DESC", *(f"{key} NULLS LAST" for key in fields)])
    group = f"GROUP BY {places}" if fields else ""
    text = f"""{seen(question, source, fields)},
counted AS (SELECT {listed}count(DISTINCT u) AS visitors, count(*) AS views,
    count(*) FILTER (WHERE f = 1) AS entries, count(*) FILTER (WHERE l = 1) AS exits,
    count(*) FILTER (WHERE f = 1 AND l = 1) AS bounces,
    quantile_cont(told_used, 0.5) / 1000.0 AS median_seconds,
    quantile_cont(depth, 0.5) AS median_depth
    FROM numbered {group})
SELECT {columns}visitors, views, entries, exits,
    CAST(exits AS DOUBLE) / nullif(views, 0) AS exit_share, bounces,
    CAST(bounces AS DOUBLE) / nullif(entries, 0) AS bounce_share, median_seconds, median_depth
FROM counted ORDER BY {order} LIMIT {question.limit}"""
    return Sql(text, source.parameters)


def seen(question: Sat, source: Source, fields: dict[str, str]) -> str:
    """The relations up to `numbered`, a row for each view."""
    unit, _ = source.unit(question.unit)
    known = f"nullif({unit}, 'anonymous')" if question.unit == "user_id" else unit
    who = f"coalesce(CAST({known} AS VARCHAR), nullif(i.session_id, ''))"
    view = f"coalesce({source.field('properties.view_id').sql}, i.interaction_id)"
    used = number(source.field("properties.engagement_ms"))
    depth = number(source.field("properties.scroll_depth"))
    columns = "".join(f", {source.field(name).sql} AS {key}" for key, name in fields.items())
    kinds = source.values.list(("page_view", "screen_view"))
    where = source.where(f"i.interaction_type IN ({kinds})", f"{who} IS NOT NULL")
    held = "".join(f", min({key}) AS {key}" for key in fields)
    listed = "".join(f", {key}" for key in fields)
    gap = source.values(question.gap_ms)
    fresh = f"CASE WHEN t - lag(t) OVER ({WHO}) - lag(used) OVER ({WHO}) <= {gap} THEN 0 ELSE 1 END"
    return f"""WITH told AS (SELECT {who} AS u, {view} AS view, {source.ms} AS t,
    {used} AS used, {depth} AS depth{columns}
    FROM {source.relation(question.unit, *fields.values())} WHERE {where}),
seen AS (SELECT u, view, min(t) AS t, coalesce(max(used), 0.0) AS used,
    max(used) AS told_used, max(depth) AS depth{held} FROM told GROUP BY u, view),
fresh AS (SELECT *, row_number() OVER ({WHO}) AS place, {fresh} AS f FROM seen),
numbered AS (SELECT u, view, t, used, told_used, depth, place, f,
    coalesce(lead(f) OVER (PARTITION BY u ORDER BY place), 1) AS l{listed},
    sum(f) OVER (PARTITION BY u ORDER BY place ROWS UNBOUNDED PRECEDING) AS s FROM fresh)"""


def _fields(names: tuple[str, ...], letter: str) -> dict[str, str]:
    return {f"{letter}{k}": name for k, name in enumerate(names, 1)}
