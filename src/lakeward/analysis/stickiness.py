"""Stickiness: how many periods units were active in, and how many were active day by day.

In: what being active is. Out: for `stickiness`, a row for each number of hours, days, weeks or
months of the range: the units that were active in just so many. For `active`, a row for each day:
who was active on it, within the 7 days that end with it, and within the 30.

Days and hours are those of the zone. For `active`, interactions of the 31 days before `since` count
for the windows, and so does the whole day of `since`; nothing counts from `until` on. Its days go
from that of `since`, else the first with anybody, to the last before `until`, else the last with
anybody.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from lakeward.analysis import periods
from lakeward.analysis.events import Events, Source, looked
from lakeward.analysis.filters import fields_of
from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.analysis.step import Step

MONTH_MS: Final = 31 * periods.DAY_MS


class Activity(Events, frozen=True, kw_only=True):
    """What questions about being active have in common."""

    active: Annotated[Step, says("What being active is.")] = Step()
    unit: Annotated[str, says("Who is active: person, user_id, session_id, or any field.")] = (
        "person"
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        looked(self.unit)


class Stickiness(Activity, frozen=True, kw_only=True):
    """How many units were active in how many hours, days, weeks or months."""

    name: ClassVar[str] = "stickiness"

    grain: Annotated[
        Literal["hour", "day", "week", "month"], says("What is counted of the range.")
    ] = "day"

    def columns(self) -> tuple[Column, ...]:
        """A number of periods and who was active in so many."""
        return (
            Column("periods", "integer", f"In how many of the {self.grain}s.", f"{self.grain}s"),
            Column("units", "integer", "Units that were active in just so many.", "units"),
            Column("share", "number", "Of all that were active.", "0 to 1"),
            Column("share_at_least", "number", "Of all: active in so many or more.", "0 to 1"),
        )

    def sql(self) -> Sql:
        """Over `interactions`, or `stitched` where the person counts."""
        return self._sql(Source(self, quick=True))

    def portable(self) -> Sql:
        """The form that every engine takes."""
        return self._sql(Source(self))

    def _sql(self, source: Source) -> Sql:
        active = active_of(self, source, source.field(self.grain).sql)
        text = (
            f"WITH active AS ({active}),\n"
            "counted AS (SELECT u, count(*) AS n FROM active GROUP BY u),\n"
            "sizes AS (SELECT n, count(*) AS k FROM counted GROUP BY n)\n"
            "SELECT n AS periods, k AS units, CAST(k AS DOUBLE) / sum(k) OVER () AS share, "
            "CAST(sum(k) OVER (ORDER BY n DESC ROWS UNBOUNDED PRECEDING) AS DOUBLE) "
            "/ sum(k) OVER () "
            "AS share_at_least FROM sizes ORDER BY n"
        )
        return Sql(text, source.parameters)


class Active(Activity, frozen=True, kw_only=True):
    """How many units were active each day, within 7 days and within 30."""

    name: ClassVar[str] = "active"

    def columns(self) -> tuple[Column, ...]:
        """A day and its figures."""
        return (
            Column("day", "date", "Day in the zone."),
            Column("daily", "integer", "Active on that day.", "units"),
            Column("weekly", "integer", "Active in the 7 days that end with it.", "units"),
            Column("monthly", "integer", "Active in the 30 days that end with it.", "units"),
            Column("daily_of_weekly", "number", "Of those of 7 days, that day's.", "0 to 1"),
            Column("daily_of_monthly", "number", "Of those of 30 days, that day's.", "0 to 1"),
        )

    def sql(self) -> Sql:
        """Over `interactions`, or `stitched` where the person counts."""
        return self._sql(Source(self, quick=True))

    def portable(self) -> Sql:
        """The form that every engine takes."""
        return self._sql(Source(self))

    def _sql(self, source: Source) -> Sql:
        """A unit adds itself on each active day, and takes itself away when its window ends or its
        next active day begins; running sums of these are the windows' counts."""
        day = periods.of_row("day", source)
        active = active_of(self, source, day, before_ms=MONTH_MS)
        shown = periods.first_day("day", "p", source.values("UTC"))
        ends, inside = periods.ends("day", self, "0, 0, 0")
        text = (
            f"WITH active AS ({active}),\n"
            "spans AS (SELECT p, lead(p) OVER (PARTITION BY u ORDER BY p) AS next FROM active),\n"
            "changes AS (SELECT p, 1 AS d, 1 AS w, 1 AS m FROM spans\n"
            "  UNION ALL SELECT least(p + 7, coalesce(next, p + 7)), 0, -1, 0 FROM spans\n"
            "  UNION ALL SELECT least(p + 30, coalesce(next, p + 30)), 0, 0, -1 FROM spans"
            f"{ends}),\n"
            "days AS (SELECT p, sum(d) AS d, sum(w) AS w, sum(m) AS m FROM changes GROUP BY p),\n"
            "told AS (SELECT p, CAST(d AS BIGINT) AS d, "
            "CAST(sum(w) OVER (ORDER BY p ROWS UNBOUNDED PRECEDING) AS BIGINT) AS w, "
            "CAST(sum(m) OVER (ORDER BY p ROWS UNBOUNDED PRECEDING) AS BIGINT) AS m FROM days)\n"
            f"SELECT {shown} AS day, d AS daily, w AS weekly, m AS monthly, "
            "CAST(d AS DOUBLE) / nullif(w, 0) AS daily_of_weekly, "
            "CAST(d AS DOUBLE) / nullif(m, 0) AS daily_of_monthly "
            f"FROM told WHERE {inside} ORDER BY day"
        )
        return Sql(text, source.parameters)

    def finish(self, rows: list[Row]) -> list[Row]:
        """With a row for each day on which nothing changed: nobody was active."""
        told: list[Row] = []
        for row in periods.filled("day", rows, ()):
            if len(row) == 1:
                weekly, monthly = told[-1][2:4]
                row = (*row, 0, weekly, monthly, *(0.0 if n else None for n in (weekly, monthly)))
            told.append(row)
        return told


def active_of(events: Activity, source: Source, period: str, *, before_ms: int = 0) -> str:
    """The select of each unit `u` and each period `p` in which it was active."""
    (unit, known), step = source.unit(events.unit), events.active
    terms = (source.of_type(step.event), source.condition(step.where), known)
    relation = source.relation(events.unit, *fields_of(step.where))
    where = source.where(*terms, before_ms=before_ms)
    return f"SELECT DISTINCT {unit} AS u, {period} AS p FROM {relation} WHERE {where}"
