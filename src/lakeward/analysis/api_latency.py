"""API latency: how calls spread over response times, moment by moment: what a heat map draws.

In: calls (`api_call`) that have a response time. Out: a row for each moment and each bin that has
calls; bins without any are no rows. Fails with `Rejected` beyond 50 000 rows.

    from_ms  0   1   2   5   10   20   50  …  20000   50000
    to_ms    1   2   5  10   20   50  100  …  50000   (open)

A bin holds the times from its lower edge up to, and without, its upper one. The edges are fixed,
so maps of any two ranges can be laid side by side. They are no edges of roll-ups' bins, of which
each is 2 % wide: rows are counted, so that each number is exact.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from lakeward.analysis.api_health import grouped
from lakeward.analysis.events import Events, Source
from lakeward.analysis.grains import Grain
from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.analysis.trend import MOST_ROWS
from lakeward.errors import Rejected

EDGES_MS: Final = tuple(float(step * 10**n) for n in range(5) for step in (1, 2, 5))
"""1, 2, 5, 10 … 50 000; the first bin begins at nothing, the last one has no end."""


class ApiLatency(Events, frozen=True, kw_only=True):
    """How calls spread over response times, moment by moment: the rows of a heat map."""

    name: ClassVar[str] = "api_latency"

    bots: Annotated[bool, says("Whether programs count.")] = True
    internal: Annotated[bool, says("Whether the team's own traffic counts.")] = True
    grain: Annotated[Grain, says("How long a moment is.")] = "hour"

    def columns(self) -> tuple[Column, ...]:
        """The moment, the bin, and what is in it."""
        kind: Any = "time" if self.grain == "hour" else "date"
        return (
            Column("moment", kind, f"Beginning of the {self.grain}."),
            Column("from_ms", "number", "Least time of the bin.", "ms"),
            Column("to_ms", "number", "Time up to which the bin goes; the last has none.", "ms"),
            Column("calls", "integer", "Calls that took so long.", "calls"),
            Column("share", "number", "Of the moment's calls that have a time.", "0 to 1"),
        )

    def sql(self) -> Sql:
        """The calendar by arithmetic; the answer is the same."""
        return self._sql(Source(self, quick=True))

    def portable(self) -> Sql:
        """The form that every engine takes."""
        return self._sql(Source(self))

    def _sql(self, source: Source) -> Sql:
        key, meant = grouped(self, self.grain, source)
        where = source.where(source.of_type("api_call"), "i.response_time_ms IS NOT NULL")
        text = f"""WITH i AS (
    SELECT {key} AS moment, {_bin("i.response_time_ms")} AS bin
    FROM {source.relation()} WHERE {where}
), counted AS (
    SELECT moment, bin, count(*) AS calls FROM i GROUP BY 1, 2
)
SELECT {meant.format(x="moment")} AS moment, {_edge("bin", 0)} AS from_ms,
    {_edge("bin", 1)} AS to_ms, calls,
    CAST(calls AS DOUBLE) / CAST(sum(calls) OVER (PARTITION BY moment) AS DOUBLE) AS share
FROM counted ORDER BY 1, bin"""
        return Sql(text, source.parameters)

    def finish(self, rows: list[Row]) -> list[Row]:
        """As the statement gave them, where they are not too many."""
        if len(rows) > MOST_ROWS:
            raise Rejected(f"The answer has more than {MOST_ROWS} rows: take a longer grain.")
        return rows


def _bin(ms: str) -> str:
    """The number of the bin that a time is in."""
    cases = " ".join(f"WHEN {ms} < {edge} THEN {n}" for n, edge in enumerate(EDGES_MS))
    return f"CASE {cases} ELSE {len(EDGES_MS)} END"


def _edge(bin_: str, after: int) -> str:
    """The lower edge of a bin, or the upper one, which is that of the bin after it."""
    edges = (0.0, *EDGES_MS)[after:]
    cases = " ".join(f"WHEN {bin_} = {n} THEN {edge}" for n, edge in enumerate(edges))
    return f"CAST(CASE {cases} END AS DOUBLE)"
