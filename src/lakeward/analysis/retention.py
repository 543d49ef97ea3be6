"""Retention: of the units that started in a period, how many came back, period by period.

In: what a start is, what coming back is, and how long a period is. Out: a row for each cohort, each
period after it, and each combination of the fields that break it down.

Periods are days, weeks from Monday or months of the zone. A unit is of the cohort of the period in
which it started:

    first       it started for the first time within `since` and `until`
    first_ever  it started for the first time ever, and did so within them
    every       it started: a unit is of as many cohorts as it has periods with a start

Period 0 is the cohort's own, period n the n-th one after it. In period n a unit *returned*

    on           with an interaction of `back` in that period
    on_or_after  with one in that period or any later one

Within a period the order does not matter: in period 0 the interaction that started a unit returns
it, too, where it is of both. Interactions outside `since` and `until` return nobody.

`RetentionCurve` adds cohorts up: of all whose period was over at `until`, the share that returned,
so that cohorts which had less time do not pull the curve down.

A period that begins at `until` or later has no row; without `until`, one after the last in which
anybody started or came back. `complete` says whether the period was over at `until`; without it
that is not known. What breaks the answer down is the value at the unit's first start in the
cohort; of several interactions at that millisecond, that of the least id.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from lakeward.analysis.events import Events, check_fields, field_columns, looked
from lakeward.analysis.periods import Grain
from lakeward.analysis.question import Column, Sql, says
from lakeward.analysis.step import Step
from lakeward.errors import Rejected

Cohort = Literal["first", "first_ever", "every"]
MOST_PERIODS: Final = 62


class Retention(Events, frozen=True, kw_only=True):
    """Of those who started in a period, how many came back, period by period."""

    name: ClassVar[str] = "retention"

    start: Annotated[Step, says("What starts a unit.")] = Step()
    back: Annotated[Step, says("What counts as coming back.")] = Step()
    grain: Annotated[Grain, says("How long a period is.")] = "week"
    periods: Annotated[int, says("How many periods after the cohort's own, at most; up to 62.")] = 8
    kind: Annotated[
        Literal["on", "on_or_after"], says("Back in just that period, or in it or later.")
    ] = "on"
    cohort: Annotated[Cohort, says("Which starts count: see the rule.")] = "first"
    by: Annotated[tuple[str, ...], says("Fields that break it down; of the start.")] = ()
    unit: Annotated[str, says("Who comes back: person, user_id, session_id, or any field.")] = (
        "person"
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if not 1 <= self.periods <= MOST_PERIODS:
            raise Rejected(f"`periods` must be from 1 to {MOST_PERIODS}.")
        check_fields("by", self.by)
        looked(self.unit)

    def columns(self) -> tuple[Column, ...]:
        """Fields, the cohort, and the period with its figures."""
        return (
            *field_columns(self.by),
            Column("cohort", "date", f"First day of the {self.grain} in which they started."),
            Column("period", "integer", f"Number of the {self.grain} after it; 0 is itself."),
            Column("size", "integer", "Units that started.", "units"),
            Column("returned", "integer", "Of these, who came back.", "units"),
            Column("share", "number", "Of those who started.", "0 to 1"),
            Column("complete", "boolean", "Whether the period was over at `until`."),
        )

    def sql(self) -> Sql:
        """Over `interactions`, or `stitched` where the person comes back."""
        from lakeward.analysis.retention_sql import quick, statement

        return quick(self) or statement(self)

    def portable(self) -> Sql:
        """The form that every engine takes."""
        from lakeward.analysis.retention_sql import statement

        return statement(self)


class RetentionCurve(Retention, frozen=True, kw_only=True):
    """Of all who started, how many came back, period by period: the cohorts together."""

    name: ClassVar[str] = "retention_curve"

    def columns(self) -> tuple[Column, ...]:
        """Fields, and the period with its figures."""
        return (
            *field_columns(self.by),
            Column(
                "period", "integer", f"Number of the {self.grain} after the start; 0 is its own."
            ),
            Column("cohorts", "integer", f"Cohorts whose {self.grain} was over.", "cohorts"),
            Column("size", "integer", "Units that started in these.", "units"),
            Column("returned", "integer", "Of these, who came back.", "units"),
            Column("share", "number", "Of those who started.", "0 to 1"),
        )

    def sql(self) -> Sql:
        """As retention, added up."""
        return self._added_up(super().sql())

    def portable(self) -> Sql:
        """The form that every engine takes."""
        return self._added_up(super().portable())

    def _added_up(self, of: Sql) -> Sql:
        names = "".join(f'c."{name}", ' for name in self.by)
        order = "".join(f'c."{name}" NULLS LAST, ' for name in self.by)
        text = (
            f"SELECT {names}c.period, count(*) AS cohorts, CAST(sum(c.size) AS BIGINT) AS size, "
            "CAST(sum(c.returned) AS BIGINT) AS returned, "
            "CAST(sum(c.returned) AS DOUBLE) / sum(c.size) AS share\n"
            f"FROM ({of.text}) c\nWHERE coalesce(c.complete, TRUE)\n"
            f"GROUP BY {names}c.period\nORDER BY {order}c.period"
        )
        return Sql(text, of.parameters)
