"""Lifecycle: how many units are new in a period, stay, come back or fall away.

In: what being active is, and how long a period is. Out: a row for each period of the range.

    new           active in it, and never before
    returning     active in it and in the period before
    resurrecting  active in it and not in the period before, but earlier
    dormant       active in the period before, and not in it

Periods are days, weeks from Monday or months of the zone. What was before `since` counts, the whole
period of `since` included; nothing counts from `until` on. Periods go from that of `since`, else
the first with anybody, to the last before `until`, else the last with anybody.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from lakeward.analysis import periods
from lakeward.analysis.events import Source
from lakeward.analysis.periods import Grain
from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.analysis.stickiness import Activity, active_of


class Lifecycle(Activity, frozen=True, kw_only=True):
    """How many units are new in a period, stay, come back or fall away."""

    name: ClassVar[str] = "lifecycle"

    grain: Annotated[Grain, says("How long a period is.")] = "week"

    def columns(self) -> tuple[Column, ...]:
        """A period and its figures."""
        return (
            Column("moment", "date", f"First day of the {self.grain}."),
            Column("new", "integer", "Active for the first time.", "units"),
            Column("returning", "integer", f"Active in the {self.grain} before, too.", "units"),
            Column("resurrecting", "integer", "Active again after a pause.", "units"),
            Column(
                "dormant", "integer", f"Active in the {self.grain} before, not in this.", "units"
            ),
        )

    def sql(self) -> Sql:
        """Over `interactions`, or `stitched` where the person counts."""
        return self._sql(Source(self, quick=True))

    def portable(self) -> Sql:
        """The form that every engine takes."""
        return self._sql(Source(self))

    def _sql(self, source: Source) -> Sql:
        period = periods.of_row(self.grain, source)
        before = 0 if self.since is None else round(self.since.timestamp() * 1000)  # from 1970 on
        active = active_of(self, source, period, before_ms=before)
        ends, inside = periods.ends(self.grain, self, "0, 0, 0, 0")
        shown = periods.first_day(self.grain, "p", source.values("UTC"))
        states = (
            "CASE WHEN before IS NULL THEN 1 ELSE 0 END AS n",
            "CASE WHEN before = p - 1 THEN 1 ELSE 0 END AS r",
            "CASE WHEN before < p - 1 THEN 1 ELSE 0 END AS z",
        )
        sums = ", ".join(
            f'CAST(sum({key}) AS BIGINT) AS "{name}"'
            for key, name in zip(
                "nrzd", ("new", "returning", "resurrecting", "dormant"), strict=True
            )
        )
        text = (
            f"WITH active AS ({active}),\n"
            "spans AS (SELECT p, lag(p) OVER (PARTITION BY u ORDER BY p) AS before, "
            "lead(p) OVER (PARTITION BY u ORDER BY p) AS next FROM active),\n"
            f"states AS (SELECT p, {', '.join(states)}, 0 AS d FROM spans\n"
            "  UNION ALL SELECT p + 1, 0, 0, 0, 1 FROM spans WHERE coalesce(next, p + 2) > p + 1"
            f"{ends})\n"
            f"SELECT {shown} AS moment, {sums} FROM states WHERE {inside} GROUP BY p ORDER BY p"
        )
        return Sql(text, source.parameters)

    def finish(self, rows: list[Row]) -> list[Row]:
        """With a row for each period in which nobody was active, or had been."""
        return periods.filled(self.grain, rows, (0, 0, 0, 0))
