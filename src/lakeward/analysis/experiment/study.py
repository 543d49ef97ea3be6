"""An experiment's report as a study: its questions, the report, its sentences and its figures.

In: a `Brief`: who, what and by which terms, in JSON as it travels to who answers. Out: a document
of plain data. Fails as `experiment` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

import msgspec

from lakeward.analysis.experiment import wording
from lakeward.analysis.experiment.asking import Wanted, experiment, questions
from lakeward.analysis.experiment.distributions import need
from lakeward.analysis.experiment.effect import Measured
from lakeward.analysis.experiment.metric import metric
from lakeward.analysis.experiment.question import Exposed
from lakeward.analysis.experiment.result import Report, Terms
from lakeward.analysis.question import Answer, Column, Question, Row

Put = Callable[[Question], Answer]
Table = tuple[tuple[Column, ...], list[Row]]
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

    def report(self, put: Put) -> Report:
        """The whole report."""
        found = experiment(put, self.of, self.wanted(), self.terms, self.before_days)
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


def asked(brief: Brief) -> list[Mapping[str, Any]]:
    """The questions behind a report, as anybody may ask them."""
    return [{"kind": each.name, "parameters": each} for each in brief.questions()]


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
        *ends("difference", "Treatment minus control"),
        *ends("lift", "Difference by control", "0 to 1"),
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
                (*lead, effect.state, *told(effect.difference), *told(effect.lift),
                 effect.p_adjusted, belief, effect.detectable)
            )  # fmt: skip
    return columns, rows


def ends(name: str, doc: str, unit: str = "") -> tuple[Column, ...]:
    """The columns of something measured."""
    return (
        Column(name, "number", f"{doc}.", unit),
        Column(f"{name}_low", "number", "Low end of its interval.", unit),
        Column(f"{name}_high", "number", "High end.", unit),
        Column(f"{name}_p", "number", "Its p."),
    )


def told(found: Measured | None) -> tuple[float | None, ...]:
    """Its values in them."""
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
