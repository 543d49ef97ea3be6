"""Funnel: how many units went through steps in order, how far, and how long it took them.

In: 2 to 20 steps and the time within which all of them must happen. Out: a row for each step, and
each combination of the fields that break it down.

A unit *reaches* step k when it has interactions of step 1 to k, each not earlier than the one
before, the last at most `within` after the first; of one millisecond they count in the order given.
Two steps in a row are never the same interaction. Any first step may be the start, so a later one
that completes wins over an earlier one that does not.

    ordered   other interactions may lie between the steps
    strict    none may: each step is the unit's very next interaction after the one before
    any       the steps may come in any order; one interaction may be several of them

When a unit first reaches a step, the time to it is taken from the latest start that gets there in
time, and from the latest interaction of the step before on that way; with `any`, from the latest
interaction of each of its steps. What breaks the answer down is the value at the start of
the furthest step that the unit reached; of several interactions at that millisecond, that of the
least id. Fields of `hold` must be the same in all steps: a unit goes through once for each of their
values, and its furthest counts, of equal ones the one that was there first.
"""

from __future__ import annotations

import itertools
from typing import Annotated, ClassVar, Final, Literal

from lakeward.analysis.events import ANY, Events, check_fields, field_columns, looked
from lakeward.analysis.question import Column, Sql, says
from lakeward.analysis.step import Step
from lakeward.errors import Rejected

Order = Literal["ordered", "strict", "any"]
MOST_STEPS: Final = 20
LONGEST: Final = 366 * 86_400.0
MOST_EXCLUDED: Final = 10
MOST_UNITS: Final = 100_000

STEP_COLUMNS: Final = (
    Column("step", "integer", "Number of the step, from 1."),
    Column("name", "text", "What the step is called."),
    Column("users", "integer", "Units that reached it.", "units"),
    Column("conversion", "number", "Of those that reached the first step.", "0 to 1"),
    Column("conversion_from_previous", "number", "Of those that reached the one before.", "0 to 1"),
    Column("dropped", "integer", "Units that reached the one before and not this.", "units"),
    Column("median_seconds", "number", "Time from the step before, median.", "s"),
    Column("p90_seconds", "number", "Time from the step before, percentile 90.", "s"),
    Column("median_seconds_from_start", "number", "Time from the first step, median.", "s"),
    Column("p90_seconds_from_start", "number", "Time from the first step, percentile 90.", "s"),
)


class Exclusion(Step, frozen=True, kw_only=True):
    """What must not happen between two steps."""

    after: Annotated[
        int | None, says("Number of the step after which it must not; none: after each.")
    ] = None


class Funnel(Events, frozen=True, kw_only=True):
    """How many went through steps in order, how far, and how long it took."""

    name: ClassVar[str] = "funnel"

    steps: Annotated[tuple[Step, ...], says("2 to 20 steps.")]
    within: Annotated[float, says("Seconds from the first step to the last, at most.")] = 604_800
    order: Annotated[Order, says("Whether other interactions may lie between.")] = "ordered"
    by: Annotated[tuple[str, ...], says("Fields that break it down; of the start.")] = ()
    hold: Annotated[tuple[str, ...], says("Fields that must be the same in all steps.")] = ()
    exclude: Annotated[tuple[Exclusion, ...], says("What must not happen between steps.")] = ()
    unit: Annotated[str, says("Who goes through: person, session_id, or any field.")] = "person"

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if not 2 <= len(self.steps) <= MOST_STEPS:
            raise Rejected(f"`steps` takes 2 to {MOST_STEPS} of them.")
        if not 0.001 <= self.within <= LONGEST:
            raise Rejected(f"`within` must be from 0.001 to {LONGEST:.0f} seconds.")
        check_fields("by", self.by)
        check_fields("hold", self.hold)
        looked(self.unit)
        if len(self.exclude) > MOST_EXCLUDED:
            raise Rejected(f"`exclude` takes {MOST_EXCLUDED} of them at most.")
        if self.exclude and self.order != "ordered":
            raise Rejected(f"`exclude` has a meaning for ordered steps, not for {self.order} ones.")
        for exclusion in self.exclude:
            if exclusion.after is not None and not 1 <= exclusion.after < len(self.steps):
                raise Rejected(
                    f"`exclude`: there is no step after step {exclusion.after}: take 1 to "
                    f"{len(self.steps) - 1}."
                )

    @property
    def within_ms(self) -> int:
        """The time from the first step to the last, at most."""
        return round(self.within * 1000)

    def columns(self) -> tuple[Column, ...]:
        """Fields, then the step and its figures."""
        return (*field_columns(self.by), *STEP_COLUMNS)

    def sql(self) -> Sql:
        """Over `interactions`, or `stitched` where the person goes through."""
        from lakeward.analysis.funnel_sql import statement

        return statement(self)


class FunnelUnits(Funnel, frozen=True, kw_only=True):
    """Who went how far through a funnel: those who dropped after a step, or reached it."""

    name: ClassVar[str] = "funnel_units"

    step: Annotated[int, says("Number of the step.")] = 1
    dropped: Annotated[bool, says("Only those who went no further.")] = True
    limit: Annotated[int, says("How many units, at most; those that started last.")] = 1000

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if not 1 <= self.step <= len(self.steps):
            raise Rejected(f"`step` must be from 1 to {len(self.steps)}.")
        if not 1 <= self.limit <= MOST_UNITS:
            raise Rejected(f"`limit` must be from 1 to {MOST_UNITS}.")

    def columns(self) -> tuple[Column, ...]:
        """Of a unit."""
        return (
            Column("unit", "text", "The unit."),
            *field_columns(self.by),
            Column("reached", "integer", "The furthest step that it reached."),
            Column("started_at", "time", "When it started on the way there."),
            Column("reached_at", "time", "When it reached that step."),
        )

    def sql(self) -> Sql:
        """As the funnel, one row for each unit."""
        from lakeward.analysis.funnel_sql import units

        return units(self)


class FunnelTimes(Funnel, frozen=True, kw_only=True):
    """How long the units took that went through all steps, as a histogram."""

    name: ClassVar[str] = "funnel_times"

    bins: Annotated[int, says("How many bins of the same width.")] = 20

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if self.by:
            raise Rejected("`by`: a histogram of times is not broken down.")
        if not 1 <= self.bins <= 200:
            raise Rejected("`bins` must be from 1 to 200.")

    def columns(self) -> tuple[Column, ...]:
        """Of a bin."""
        return (
            Column("from_seconds", "number", "Least time of the bin.", "s"),
            Column("to_seconds", "number", "Where the next bin begins.", "s"),
            Column("users", "integer", "Units that took so long.", "units"),
        )

    def sql(self) -> Sql:
        """As the funnel, one row for each bin that holds somebody."""
        from lakeward.analysis.funnel_sql import times

        return times(self)


def may_overlap(one: Step, other: Step) -> bool:
    """Whether one interaction may be of both steps."""
    return one.event == other.event or ANY in (one.event, other.event)


def overlaps(steps: tuple[Step, ...]) -> bool:
    """Whether two steps in a row may be one interaction."""
    return any(may_overlap(one, other) for one, other in itertools.pairwise(steps))
