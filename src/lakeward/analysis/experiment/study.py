"""An experiment's report, and how it came to be: the same judged as of the end of each day.

In: a `Brief`: who, what and by which terms, in JSON as it travels to who answers. Out: documents of
plain data: the report with its sentences and a table, and the course of its intervals. Fails as
`experiment` does.

The course has a point for each day since the first exposure, of many days every n-th; each is the
report that somebody would have read then, by questions whose `until` is that moment. The last is of
now. Points are worked out from coarse to fine, so that what time leaves out lies between others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

import msgspec

from lakeward.analysis.experiment import wording
from lakeward.analysis.experiment.asking import Wanted, experiment, population, questions
from lakeward.analysis.experiment.distributions import need
from lakeward.analysis.experiment.effect import Measured
from lakeward.analysis.experiment.metric import metric
from lakeward.analysis.experiment.question import ExperimentUnits, Exposed
from lakeward.analysis.experiment.result import Report, Terms
from lakeward.analysis.question import Answer, Column, Question, Row
from lakeward.errors import Rejected

Put = Callable[[Question], Answer]
Table = tuple[tuple[Column, ...], list[Row]]
MOST_POINTS: Final = 30
ENDS: Final = ("value", "low", "high", "p")


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be judged."""

    of: Exposed
    metrics: tuple[str, ...] = ()
    guardrails: tuple[str, ...] = ()
    terms: Terms = Terms()
    before_days: float = 0
    notes: tuple[str, ...] = ()

    def wanted(self) -> list[Wanted]:
        """The metrics as they are asked for; `Rejected` for words that are none."""
        return [
            *(Wanted(metric(text)) for text in self.metrics),
            *(Wanted(metric(text), "guardrail") for text in self.guardrails),
        ]

    def questions(self) -> list[Question]:
        """What is asked of the lake for one report."""
        asked = questions(self.of, self.wanted(), self.before_days)
        return [asked.units, *asked.measured]

    def report(self, put: Put, until: datetime | None = None) -> Report:
        """The whole report, or the one of an earlier moment."""
        of = self.of if until is None else msgspec.structs.replace(self.of, until=until)
        found = experiment(put, of, self.wanted(), self.terms, self.before_days)
        return msgspec.structs.replace(found, notes=[*found.notes, *self.notes])


class ExperimentReport(Brief, frozen=True, kw_only=True):
    """What an experiment shows, and what to do about it."""

    name: ClassVar[str] = "experiment_report"

    def document(self, put: Put, over: Callable[[], bool]) -> Mapping[str, Any]:
        """The report, its sentences, and its figures as a table."""
        need()
        report = self.report(put)
        return {
            "brief": self,
            "questions": asked(self),
            "report": report,
            "sentences": {
                "ratio": wording.ratio(report),
                "aside": wording.aside(report),
                "notes": wording.notes(report),
                "method": wording.method(report),
            },
            "figures": plain(figures(report)),
        }


class ExperimentCourse(Brief, frozen=True, kw_only=True):
    """The same as of the end of each day since it began."""

    name: ClassVar[str] = "experiment_course"

    def document(self, put: Put, over: Callable[[], bool]) -> Mapping[str, Any]:
        """Units and intervals by moment; how many moments time left out."""
        need()
        rows = list(put(ExperimentUnits(**_of(self.of))).dicts())
        population(self.of, rows)
        moments = self.moments(rows)
        found: dict[datetime, Report | None] = {}
        for n in _coarse_to_fine(len(moments)):
            if found and over():
                break
            found[moments[n]] = self._then(put, moments[n])
        kept = [(moment, found[moment]) for moment in moments if moment in found]
        return {
            "brief": self,
            "questions": asked(self),
            "left_out": len(moments) - len(found),
            "units": plain(_units(kept)),
            "intervals": plain(_intervals(kept)),
        }

    def moments(self, rows: Sequence[Mapping[str, Any]]) -> list[datetime]:
        """Ends of days of the zone in which something could still change."""
        exposed = [row for row in rows if row["state"] == "exposed"]
        if not exposed:
            return []
        until = self.of.until or datetime.now(UTC)
        last = max(row["last_at"] for row in exposed) + timedelta(days=self.of.within_days)
        days = list(_midnights(min(row["first_at"] for row in exposed), self.of.zone, until, last))
        step = -(-(len(days) + 1) // MOST_POINTS)
        return [*reversed(days[::-1][step - 1 :: step]), until] if days else [until]

    def _then(self, put: Put, moment: datetime) -> Report | None:
        """What was to be read at that moment; None where one arm had nobody yet."""
        try:
            return self.report(put, moment)
        except Rejected:
            return None


def asked(brief: Brief) -> list[Mapping[str, Any]]:
    """The questions behind a report, as anybody may ask them."""
    return [{"kind": each.name, "parameters": each} for each in brief.questions()]


def _of(of: Exposed) -> dict[str, Any]:
    return {name: getattr(of, name) for name in Exposed.__struct_fields__}


def _midnights(
    first: datetime, zone: str, until: datetime, last: datetime
) -> Iterator[datetime]:  # fmt: skip
    local = ZoneInfo(zone)
    day = first.astimezone(local).date()
    while True:
        day += timedelta(days=1)
        moment = datetime.combine(day, time(), local).astimezone(UTC)
        if moment >= until:
            return
        yield moment
        if moment > last:  # nobody can act any more
            return


def _coarse_to_fine(count: int) -> list[int]:
    """The last first, then halves of what is between."""
    return sorted(range(count), key=lambda n: (-_twos(count - 1 - n), n))


def _twos(n: int) -> int:
    return 64 if n == 0 else (n & -n).bit_length()


def figures(report: Report) -> Table:
    """A row for each metric and arm."""
    columns = (
        Column("metric", "text", "The metric."),
        Column("role", "text", "metric decides, guardrail must not be hurt."),
        Column("kind", "text", "What figure it is."),
        Column("arm", "text", "The arm."),
        Column("units", "integer", "Its units.", "units"),
        Column("value", "number", "The metric in the arm."),
        Column("error", "number", "Its standard error."),
        Column("state", "text", "better, worse or unclear, against control."),
        *_ends("difference", "Treatment minus control"),
        *_ends("lift", "Difference by control", "0 to 1"),
        Column("p_adjusted", "number", "p of the difference, adjusted for all that decides."),
        Column("chance_to_win", "number", "What to believe; decides nothing.", "0 to 1"),
        Column("detectable", "number", "The smallest difference that so many units show."),
    )
    rows: list[Row] = []
    for of in report.metrics:
        effects = {effect.arm: effect for effect in of.effects}
        for arm in of.arms:
            effect = effects.get(arm.arm)
            lead = (of.metric, of.role, of.kind, arm.arm, arm.units, arm.value, arm.error)
            if effect is None:
                rows.append((*lead, "control", *[None] * 11))
                continue
            belief = None if effect.belief is None else effect.belief.chance_to_win
            rows.append(
                (*lead, effect.state, *_told(effect.difference), *_told(effect.lift),
                 effect.p_adjusted, belief, effect.detectable)
            )  # fmt: skip
    return columns, rows


def _units(kept: Sequence[tuple[datetime, Report | None]]) -> Table:
    columns = (
        Column("moment", "time", "As of then."),
        Column("arm", "text", "The arm."),
        Column("units", "integer", "Units that had met it.", "units"),
        Column("planned", "number", "Its share by plan.", "0 to 1"),
        Column("split_p", "number", "p of all arms having their shares."),
    )
    rows = [
        (moment, arm.arm, arm.units, arm.planned, report.split.p)
        for moment, report in kept if report is not None for arm in report.arms
    ]  # fmt: skip
    return columns, rows


def _intervals(kept: Sequence[tuple[datetime, Report | None]]) -> Table:
    columns = (
        Column("moment", "time", "As of then."),
        Column("metric", "text", "The metric."),
        Column("arm", "text", "The arm that is held against control."),
        *_ends("difference", "Treatment minus control"),
        *_ends("lift", "Difference by control", "0 to 1"),
        Column("verdict", "text", "What the report of that moment said to do."),
    )
    rows = [
        (moment, of.metric, effect.arm, *_told(effect.difference), *_told(effect.lift),
         report.verdict.status)
        for moment, report in kept if report is not None
        for of in report.metrics for effect in of.effects
    ]  # fmt: skip
    return columns, rows


def _ends(name: str, doc: str, unit: str = "") -> tuple[Column, ...]:
    return (
        Column(name, "number", f"{doc}.", unit),
        Column(f"{name}_low", "number", "Low end of its interval.", unit),
        Column(f"{name}_high", "number", "High end.", unit),
        Column(f"{name}_p", "number", "Its p."),
    )


def _told(found: Measured | None) -> tuple[float | None, ...]:
    return (None,) * len(ENDS) if found is None else tuple(getattr(found, n) for n in ENDS)


def plain(table: Table) -> Mapping[str, Any]:
    """A table as an answer of a question has it."""
    from lakeward.interaction import iso

    columns, rows = table
    shown = [
        [iso(round(v.timestamp() * 1000)) if isinstance(v, datetime) else v for v in row]
        for row in rows
    ]
    return {"columns": columns, "rows": shown}
