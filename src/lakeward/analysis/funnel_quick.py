"""The SQL of ordered funnels in DuckDB's own words: a chain of ASOF joins.

In: a checked `Funnel`. Out: the ways of its units, as `funnel_sql` has them, in a third of the
CPU time. Pure.

    e     one row for each interaction that is a step, kept: its unit's key u, time t, m1 … mn
    a<k>  the rows that reach step k: start a, and p, when that way was at the step before. A row
          meets the latest row of its unit that reached the step before, not later than itself
    r<k>  of each unit, the first of them

Windows sort all rows for each step; here each join sorts the rows of two steps, fewer each time. It
holds for steps of which no two in a row can be one interaction: what meets the latest row not later
than itself may else meet itself. Others, and funnels that hold fields, keep to windows.

The key is a hash of 64 bits, as with texts the whole takes a third longer. Two of a million
units share one with a chance of 1 to 37 million, and are then taken for one. Where units are named,
they are their own keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeward.analysis.events import ANY
from lakeward.analysis.funnel import FunnelUnits, overlaps
from lakeward.analysis.funnel_sql import Ways

if TYPE_CHECKING:
    from lakeward.analysis.funnel import Funnel


def ways(funnel: Funnel) -> Ways:
    """The quick ways where there are, else those that every engine takes."""
    quick = funnel.order == "ordered" and not funnel.hold and not overlaps(funnel.steps)
    return (Joined if quick else Ways)(funnel, quick=True)


class Joined(Ways):
    """Of each step, the rows that reach it, joined to those of the step before."""

    def rows(self) -> list[str]:
        """The relations up to `reach`."""
        bars = self.barring()
        found = [self._kept(), "a1 AS (SELECT u, t, t AS a FROM e WHERE m1)"]
        found += [f"x{k} AS (SELECT u, t FROM e WHERE {out})" for k, out in bars.items()]
        found += [self._reaching(k, k - 1 in bars) for k in range(2, self.n + 1)]
        return [*found, *self._firsts(), self._together()]

    def _kept(self) -> str:
        """`e`; ids and fields are kept of rows that may be a start alone, where they are asked."""
        funnel, source = self.funnel, self.source
        unit, known = source.unit(funnel.unit)
        key = unit if isinstance(funnel, FunnelUnits) else f"hash({unit})"
        shown, terms = [f"{key} AS u", f"{source.ms} AS t"], []
        for sign, steps in (("m", funnel.steps), ("x", funnel.exclude)):
            for k, step in enumerate(steps, 1):
                terms.append(f"{source.of_type(step.event)} AND {source.condition(step.where)}")
                shown.append(f"({terms[-1]}) AS {sign}{k}")
        if funnel.by:
            fields = [source.field(name).sql for name in funnel.by]
            for name, sql in (("id", "i.interaction_id"), *self._numbered("b", fields)):
                shown.append(f"CASE WHEN {terms[0]} THEN {sql} END AS {name}")
        where = source.where(self._wanted(terms), known)
        return f"e AS MATERIALIZED (SELECT {', '.join(shown)} FROM {self.relation} WHERE {where})"

    @staticmethod
    def _numbered(sign: str, each: list[str]) -> list[tuple[str, str]]:
        return [(f"{sign}{k}", sql) for k, sql in enumerate(each, 1)]

    def _wanted(self, terms: list[str]) -> str:
        """That a row is of a step; by types alone as well, which a file's statistics can tell."""
        steps = (*self.funnel.steps, *self.funnel.exclude)
        either = f"({' OR '.join(f'({term})' for term in terms)})"
        if any(step.event == ANY for step in steps):
            return either
        types = f"i.interaction_type IN ({self.source.values.list(tuple(s.event for s in steps))})"
        return types if all(step.where is None for step in steps) else f"{types} AND {either}"

    def _reaching(self, k: int, barred: bool) -> str:
        """The rows that reach step k; none of what must not happen lies between."""
        meets = f"a{k - 1} b ON e.u = b.u AND e.t >= b.t"
        inside = f"e.t - b.a <= {self.within}"
        if barred:
            meets += f" ASOF LEFT JOIN x{k - 1} x ON e.u = x.u AND e.t > x.t"
            inside += " AND (x.t IS NULL OR b.t >= x.t)"
        kept = "MATERIALIZED " if k < self.n else ""  # the last is read once
        return (
            f"a{k} AS {kept}(SELECT e.u, e.t, b.a, b.t AS p FROM (SELECT u, t FROM e WHERE m{k}) e "
            f"ASOF JOIN {meets} WHERE {inside})"
        )

    def _firsts(self) -> list[str]:
        return [
            "r1 AS (SELECT u, min(t) AS t1 FROM a1 GROUP BY u)",
            *(
                f"r{k} AS (SELECT u, min(t) AS t{k}, min_by(a, t) AS a{k}, min_by(p, t) AS p{k} "
                f"FROM a{k} GROUP BY u)"
                for k in range(2, self.n + 1)
            ),
        ]

    def _together(self) -> str:
        numbers = range(2, self.n + 1)
        columns = "".join(f", t{k}, a{k}, p{k}" for k in numbers)
        joins = "".join(f" LEFT JOIN r{k} ON r{k}.u = r1.u" for k in numbers)
        return f"reach AS (SELECT r1.u, t1, t1 AS a1{columns} FROM r1{joins})"
