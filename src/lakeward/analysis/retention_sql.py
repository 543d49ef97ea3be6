"""The SQL of retention: a form that every engine takes, and one of bit masks for DuckDB.

In: a checked `Retention`. Out: statements. Pure.

    e      a row for each interaction that starts or returns: unit u, time t, period p
    starts a row for each unit and cohort c
    sizes  by cohort: how many
    hits   by cohort and period n after it: who came back in it; for `on_or_after`, whose last
           coming back is in it, so that the sum from n on came back in n or later

The quick form has one row for each unit instead of one for each of its periods: a word whose bit q
says that it came back in the q-th period of the range. It needs both ends of the range, at most 63
periods between them, and no `by`. Units are told apart by a hash of 64 bits, as in quick funnels.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from lakeward.analysis import periods
from lakeward.analysis.events import Source
from lakeward.analysis.filters import fields_of
from lakeward.analysis.question import Sql

if TYPE_CHECKING:
    from lakeward.analysis.retention import Retention

MOST_BITS: Final = 63


def statement(question: Retention) -> Sql:
    """The form that every engine takes."""
    source = Source(question)
    since = ""
    if question.since is not None and question.cohort == "first_ever":
        since = f"t >= {source.values(round(question.since.timestamp() * 1000))}"
    parts = [_events(question, source), *_starts(question, since), _hits(question, since)]
    return Sql(_shown(question, source, parts), source.parameters)


def _named(question: Retention) -> tuple[str, ...]:
    return (
        question.unit, *question.by, *fields_of(question.start.where),
        *fields_of(question.back.where),
    )  # fmt: skip


def _terms(question: Retention, source: Source) -> tuple[str, str]:
    """The conditions of a start and of coming back."""
    start, back = question.start, question.back
    return (
        f"({source.of_type(start.event)} AND {source.condition(start.where)})",
        f"({source.of_type(back.event)} AND {source.condition(back.where)})",
    )


def _events(question: Retention, source: Source) -> str:
    unit, known = source.unit(question.unit)
    starts, returns = _terms(question, source)
    shown = [
        f"{unit} AS u", f"{source.ms} AS t", "i.interaction_id AS id",
        f"{periods.of_row(question.grain, source)} AS p",
        *(f"{source.field(name).sql} AS b{k}" for k, name in enumerate(question.by, 1)),
        f"{starts} AS s", f"{returns} AS r",
    ]  # fmt: skip
    before = 0
    if question.since is not None and question.cohort == "first_ever":
        before = round(question.since.timestamp() * 1000)  # from 1970 on
    where = source.where(f"({starts} OR {returns})", known, before_ms=before)
    relation = source.relation(*_named(question))
    return f"e AS (SELECT {', '.join(shown)} FROM {relation} WHERE {where})"


def _fields(question: Retention, relation: str = "") -> str:
    """The fields that break it down, each after a comma."""
    prefix = f"{relation}." if relation else ""
    return "".join(f", {prefix}b{k}" for k in range(1, len(question.by) + 1))


def _starts(question: Retention, since: str) -> list[str]:
    by = _fields(question)
    apart = "u, p" if question.cohort == "every" else "u"
    inside = f" AND {since}" if since else ""
    return [
        f"starts AS (SELECT u, p AS c{by} FROM (SELECT u, t, p{by}, row_number() OVER "
        f"(PARTITION BY {apart} ORDER BY t, id) AS nth FROM e WHERE s) f WHERE nth = 1{inside})",
        f"sizes AS (SELECT c{by}, count(*) AS size FROM starts GROUP BY c{by})",
    ]


def _hits(question: Retention, since: str) -> str:
    by, most = _fields(question, "s"), question.periods
    inside = f" AND {since}" if since else ""
    if question.kind == "on":
        backs = f"SELECT DISTINCT u, p FROM e WHERE r{inside}"
        n, near = "b.p - s.c", f" AND b.p <= s.c + {most}"
    else:
        backs = f"SELECT u, max(p) AS p FROM e WHERE r{inside} GROUP BY u"
        n, near = f"least(b.p - s.c, {most})", ""
    return (
        f"backs AS ({backs}),\nhits AS (SELECT s.c{by}, {n} AS n, count(*) AS returned "
        f"FROM starts s JOIN backs b ON s.u = b.u AND b.p >= s.c{near} GROUP BY s.c{by}, {n})"
    )


def _shown(question: Retention, source: Source, parts: list[str], base: int = 0) -> str:
    """The statement around `sizes` and `hits`, whose cohorts count from `base`."""
    grain, zone, until = question.grain, question.zone, question.until
    numbers = " UNION ALL SELECT ".join(str(n) for n in range(1, question.periods + 1))
    last, complete = "(SELECT max(p) FROM e)", "CAST(NULL AS BOOLEAN)"
    if until is not None:
        last = str(periods.number_of(grain, until - timedelta(microseconds=1), zone) - base)
        complete = f"g.c + g.n < {periods.number_of(grain, until, zone) - base}"
    day = periods.first_day(grain, f"g.c + {base}" if base else "g.c", source.values("UTC"))
    by, same = _fields(question, "g"), "h.n = g.n" if question.kind == "on" else "h.n >= g.n"
    same += "".join(
        f" AND h.b{k} IS NOT DISTINCT FROM g.b{k}" for k in range(1, len(question.by) + 1)
    )
    named = "".join(f'g.b{k} AS "{name}", ' for k, name in enumerate(question.by, 1))
    order = "".join(f"g.b{k} NULLS LAST, " for k in range(1, len(question.by) + 1))
    returned = "coalesce(sum(h.returned), 0)"
    parts = [
        *parts,
        f"numbers AS (SELECT 0 AS n UNION ALL SELECT {numbers})",
        f"grid AS (SELECT z.*, n FROM sizes z CROSS JOIN numbers WHERE z.c + n <= {last})",
    ]
    return (
        "WITH " + ",\n".join(parts) + f"\nSELECT {named}{day} AS cohort, g.n AS period, "
        f"g.size, CAST({returned} AS BIGINT) AS returned, "
        f"CAST({returned} AS DOUBLE) / g.size AS share, "
        f"{complete} AS complete\nFROM grid g LEFT JOIN hits h ON h.c = g.c AND {same}\n"
        f"GROUP BY g.c, g.n, g.size{by}\nORDER BY {order}g.c, g.n"
    )


def quick(question: Retention) -> Sql | None:
    """The form for DuckDB; None where it does not fit."""
    since, until, grain, zone = question.since, question.until, question.grain, question.zone
    if since is None or until is None or question.by or question.cohort == "first_ever":
        return None
    base = periods.number_of(grain, since, zone)
    if periods.number_of(grain, until, zone) - base >= MOST_BITS:
        return None
    source = Source(question, quick=True)
    unit, known = source.unit(question.unit)
    starts, returns = _terms(question, source)
    period = periods.quick(grain, source, since, until)
    either = f"({starts} OR {returns})"
    if starts == returns:  # each row is both, so no row need be asked which it is
        either, starts, returns = starts, "", ""
    started = _word(period, starts) if question.cohort == "every" else _edge("min", period, starts)
    came = _word(period, returns) if question.kind == "on" else _edge("max", period, returns)
    where = source.where(either, known)
    found = f"{started} AS s, {came} AS r"
    relation = source.relation(*_named(question))
    parts = [f"e AS (SELECT {found} FROM {relation} WHERE {where} GROUP BY hash({unit}))"]
    if question.cohort == "every":
        bits = f"range({MOST_BITS})"
        cohorts = f"SELECT c, r FROM e, unnest({bits}) AS b(c) WHERE (s >> CAST(c AS INTEGER)) & 1"
    else:
        cohorts = "SELECT s AS c, r FROM e WHERE s IS NOT NULL"
    parts += [
        f"starts AS MATERIALIZED (SELECT c, r, count(*) AS k FROM ({cohorts}) GROUP BY c, r)",
        "sizes AS (SELECT c, CAST(sum(k) AS BIGINT) AS size FROM starts GROUP BY c)",
        _quick_hits(question),
    ]
    return Sql(_shown(question, source, parts, base), source.parameters)


def _word(period: str, term: str) -> str:
    bit = f"CAST(1 AS BIGINT) << {period}"
    return f"bit_or({f'CASE WHEN {term} THEN {bit} ELSE 0 END' if term else bit})"


def _edge(which: str, period: str, term: str) -> str:
    return f"{which}({f'CASE WHEN {term} THEN {period} END' if term else period})"


def _quick_hits(question: Retention) -> str:
    most = question.periods
    if question.kind == "on_or_after":
        return (
            f"hits AS (SELECT c, least(r - c, {most}) AS n, sum(k) AS returned FROM starts "
            "WHERE r >= c GROUP BY ALL)"
        )
    near = (1 << (most + 1)) - 1
    return (
        f"words AS (SELECT c, (r >> CAST(c AS INTEGER)) & {near} AS w, sum(k) AS k FROM starts "
        f"GROUP BY ALL),\nhits AS (SELECT c, n, sum(k) AS returned FROM words, "
        f"unnest(range({most + 1})) AS b(n) WHERE (w >> CAST(n AS INTEGER)) & 1 GROUP BY ALL)"
    )
