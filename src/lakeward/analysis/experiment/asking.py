"""One experiment out of the lake: questions asked, answers put together, judged.

In: who answers, an experiment's parameters, metrics and terms. Out: a `Report`. Fails with
`Rejected` for what cannot be asked, or judged by these terms; as a question does when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from lakeward.analysis.events import Events
from lakeward.analysis.experiment.measured import Z95, ExperimentMoments, ExperimentQuantile
from lakeward.analysis.experiment.metric import Metric
from lakeward.analysis.experiment.moments import FIELDS, PAIRS, Estimate, Moments, quantile
from lakeward.analysis.experiment.question import ExperimentUnits, Exposed
from lakeward.analysis.experiment.report import report
from lakeward.analysis.experiment.result import Aside, Observed, Population, Report, Role, Terms
from lakeward.analysis.question import Answer, Question
from lakeward.analysis.trend import Series, Trend
from lakeward.errors import Rejected

MOST_METRICS: Final = 20
PEOPLE: Final = frozenset({"person", "user_id", "id"})
"""Attributes of which `person` is the unit."""


class Wanted(msgspec.Struct, frozen=True):
    """A metric, and whether it decides or guards."""

    metric: Metric
    role: Role = "metric"


class Asked(msgspec.Struct, frozen=True):
    """The questions of one experiment: who took part, and one for each metric."""

    units: ExperimentUnits
    measured: tuple[ExperimentMoments | ExperimentQuantile, ...]


def questions(of: Exposed, wanted: Sequence[Wanted], before_days: float = 0) -> Asked:
    """What has to be asked; `Rejected` for what cannot be."""
    if len(wanted) > MOST_METRICS:
        raise Rejected(
            f"an experiment has at most {MOST_METRICS} metrics: {len(wanted)} are given."
        )
    common = {name: getattr(of, name) for name in Exposed.__struct_fields__}
    measured = tuple(
        ExperimentQuantile(**common, metric=each.metric)
        if each.metric.kind == "quantile"
        else ExperimentMoments(**common, metric=each.metric, before_days=before_days)
        for each in wanted
    )
    return Asked(ExperimentUnits(**common), measured)


def experiment(
    put: Callable[[Question], Answer],
    of: Exposed,
    wanted: Sequence[Wanted],
    terms: Terms,
    before_days: float = 0,
) -> Report:
    """Ask who met which arm and what they did, and judge it; `put` asks an engine."""
    asked = questions(of, wanted, before_days)
    rows = list(put(asked.units).dicts())
    if not rows and (there := _there(put, of)):
        raise Rejected(
            f"nobody met the experiment {of.experiment[:80]!r} in this time, which has {there}: "
            "is one of these meant?"
        )
    people = population(of, rows)
    observed = [
        observed_of(each, list(put(question).dicts()), before_days)
        for each, question in zip(wanted, asked.measured, strict=True)
    ]
    return report(people, observed, terms)


def _there(put: Callable[[Question], Answer], of: Exposed) -> str:
    """The experiments that somebody met, those with most exposures; empty when there is none."""
    common = {name: getattr(of, name) for name in Events.__struct_fields__}
    field, exposures = "experiments.experiment", Series(event="experiment_exposure")
    rows = put(Trend(**common, series=(exposures,), by=(field,), top=10, grain=None)).rows
    return ", ".join(repr(str(name)[:80]) for name, _ in rows if name is not None)


def population(of: Exposed, rows: Sequence[Mapping[str, Any]]) -> Population:
    """Who took part, of the rows of `experiment_units`; arms by their place, then their name."""
    if not rows:
        raise Rejected(
            f"nobody met the experiment {of.experiment[:80]!r} in this time: is it an "
            "experiment_exposure of this lake?"
        )
    exposed = [row for row in rows if row["state"] == "exposed"]
    last = float("inf")
    exposed.sort(
        key=lambda row: (last if row["variant_index"] is None else row["variant_index"], row["arm"])
    )
    still = [row["open_units"] for row in exposed if row["open_units"] is not None]
    return Population(
        experiment=of.experiment,
        arms={row["arm"]: row["units"] for row in exposed},
        set_aside=[
            Aside(row["state"], row["arm"], row["units"])
            for row in rows if row["state"] != "exposed"
        ],
        open_units=sum(still) if still else None,
        per_day=_per_day(exposed),
        notes=_notes(of, exposed),
    )  # fmt: skip


def _per_day(exposed: Sequence[Mapping[str, Any]]) -> float | None:
    """Units in a day, once there has been one."""
    if not exposed:
        return None
    span = max(row["last_at"] for row in exposed) - min(row["first_at"] for row in exposed)
    came = span / timedelta(days=1)
    return sum(row["units"] for row in exposed) / came if came >= 1 else None


def _notes(of: Exposed, exposed: Sequence[Mapping[str, Any]]) -> list[str]:
    named = {name for row in exposed for name in (row["assigned_by"] or "").split(", ") if name}
    fits = PEOPLE if of.unit == "person" else {of.unit}
    if named <= fits:
        return []
    return [
        f"assigned by {', '.join(sorted(named))} and analysed by {of.unit}: "
        "ask for the unit that assigned"
    ]


def observed_of(of: Wanted, rows: Sequence[Mapping[str, Any]], before_days: float) -> Observed:
    """What a metric showed, of the rows of its question."""
    metric = of.metric
    if any((row["currencies"] or 0) > 1 for row in rows):
        raise Rejected(
            f"{metric.name[:80]!r} adds up amounts of several currencies: name one, such as "
            "sum:outcomes.value:deal_closed[outcomes.currency=EUR]."
        )
    held: Mapping[str, Moments] | Mapping[str, Estimate]
    if metric.kind == "quantile":
        held = {
            row["arm"]: quantile(row["measured_units"], row["value"], row["low"], row["high"], Z95)
            for row in rows
        }
    else:
        names = ("units", *FIELDS, *PAIRS)
        held = {row["arm"]: Moments(**{name: row[name] for name in names}) for row in rows}
    return Observed(
        metric=metric.name, kind=metric.kind, lower=metric.lower, role=of.role, arms=held,
        covariate=before_days > 0 and metric.kind != "quantile",
    )  # fmt: skip
