"""One experiment out of the lake: questions asked, answers put together, judged.

In: a reading, an experiment's parameters, metrics and terms. Out: a `Report`. Fails with `Rejected`
for what cannot be asked, or judged by these terms; as a question does when it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakeward.analysis.experiment.measured import Z95, ExperimentMoments, ExperimentQuantile
from lakeward.analysis.experiment.metric import Metric, measure, metric
from lakeward.analysis.experiment.moments import FIELDS, PAIRS, Estimate, Moments, quantile
from lakeward.analysis.experiment.question import ExperimentUnits, Exposed
from lakeward.analysis.experiment.report import report
from lakeward.analysis.experiment.result import Aside, Observed, Population, Report, Role, Terms
from lakeward.analysis.question import ask
from lakeward.errors import Rejected

if TYPE_CHECKING:
    from lakeward.lake.reading import Reading

MOST_METRICS: Final = 20
UNIT_OF: Final[Mapping[str, str]] = {"session_id": "session", "anonymous_id": "visitor"}
"""The unit that an attribute assigns, where it is not a person."""


class Wanted(msgspec.Struct, frozen=True):
    """A metric, and whether it decides or guards."""

    text: str
    role: Role = "metric"


def experiment(
    reading: Reading, asked: Exposed, wanted: Sequence[Wanted], terms: Terms,
    before_days: float = 0,
) -> Report:  # fmt: skip
    """Ask who met which arm and what they did, and judge it."""
    metrics = [(_metric(each.text), each.role) for each in wanted]
    if len(metrics) > MOST_METRICS:
        raise Rejected(
            f"an experiment has at most {MOST_METRICS} metrics: {len(metrics)} are given."
        )
    questions = [_question(asked, each, before_days) for each, _ in metrics]
    people = population(asked, list(ask(reading, units_of(asked)).dicts()))
    observed = [
        observed_of(each, role, list(ask(reading, question).dicts()), before_days)
        for (each, role), question in zip(metrics, questions, strict=True)
    ]
    return report(people, observed, terms)


def _metric(text: str) -> Metric:
    """A metric of the lake; a bare measure with a verb is a mean, a bare type a share."""
    found = metric(text)
    for each in found.measures:
        measure("sum:" + each if found.kind == "quantile" else each, "count")
    return found


def units_of(asked: Exposed) -> ExperimentUnits:
    """The question who met which arm."""
    return ExperimentUnits(**msgspec.structs.asdict(asked))


def _question(
    asked: Exposed, each: Metric, before_days: float
) -> ExperimentMoments | ExperimentQuantile:
    of = {**msgspec.structs.asdict(asked), "metric": each.text}
    if each.kind == "quantile":
        return ExperimentQuantile(**of)
    return ExperimentMoments(**of, before_days=before_days)


def population(asked: Exposed, rows: Sequence[Mapping[str, Any]]) -> Population:
    """Who took part, of the rows of `experiment_units`; arms by their place, then their name."""
    if not rows:
        raise Rejected(
            f"nobody met the experiment {asked.experiment[:80]!r} in this time: is it an "
            "experiment_exposure of this lake?"
        )
    exposed = [row for row in rows if row["state"] == "exposed"]
    last = float("inf")
    exposed.sort(
        key=lambda r: (last if r["variant_index"] is None else r["variant_index"], r["arm"])
    )  # fmt: skip
    opens = [row["open_units"] for row in exposed if row["open_units"] is not None]
    return Population(
        experiment=asked.experiment,
        arms={row["arm"]: row["units"] for row in exposed},
        set_aside=[
            Aside(row["state"], row["arm"], row["units"])
            for row in rows if row["state"] != "exposed"
        ],
        open_units=sum(opens) if opens else None,
        notes=_notes(asked, exposed),
    )  # fmt: skip


def _notes(asked: Exposed, exposed: Sequence[Mapping[str, Any]]) -> list[str]:
    named = {name for row in exposed for name in (row["assigned_by"] or "").split(", ") if name}
    units = {UNIT_OF.get(name, "person") for name in named}
    if units and units != {asked.unit}:
        return [
            f"assigned by {', '.join(sorted(named))} and analysed by {asked.unit}: "
            "ask for the unit that assigned"
        ]
    return []


def observed_of(
    each: Metric, role: Role, rows: Sequence[Mapping[str, Any]], before_days: float
) -> Observed:
    """What a metric showed, of the rows of its question."""
    if any((row["currencies"] or 0) > 1 for row in rows):
        raise Rejected(
            f"{each.text[:80]!r} adds up amounts of several currencies: name one, such as "
            "sum:deal_closed.value,currency=EUR."
        )
    if each.kind == "quantile":
        found: dict[str, Estimate] = {
            row["arm"]: quantile(
                row["measured_units"], row["value"], row["low"], row["high"], Z95
            ) for row in rows
        }  # fmt: skip
        return Observed(metric=each, role=role, arms=found)
    names = ("units", *FIELDS, *PAIRS)
    moments = {row["arm"]: Moments(**{name: row[name] for name in names}) for row in rows}
    return Observed(metric=each, role=role, arms=moments, covariate=before_days > 0)
