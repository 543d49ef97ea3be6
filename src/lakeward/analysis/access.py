"""Who may ask what: a partner asks about its own records, and never who somebody is.

In: a question and a partner. Out: the question as the partner may ask it, about its own records
alone. Fails with `Rejected` where it may not ask at all.

    open      every kind that counts rows of the lake, narrowed where the rows are chosen
    closed    lists of people, single calls and traces; what visitors did on the app's own pages, as
              a path or a form tells of persons; what is worked out over everybody's records (AI
              turns, outcomes), as others' rows could change the answer; files beside the table

Persons become visitors: who is who is told by everybody's records, too. What the team's own
traffic is, the settings alone say: a partner's rule could try values of fields closed to it. What
witnesses said of the partner, and that they spoke, is left out of every answer: it is shown in
groups, by `lakeward.confidence`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, cast

import msgspec

from lakeward.analysis.api_health import ApiHealth
from lakeward.analysis.api_latency import ApiLatency
from lakeward.analysis.events import CALENDAR, OWN, Events
from lakeward.analysis.experiment.listed import Experiments
from lakeward.analysis.experiment.measured import ExperimentMoments, ExperimentQuantile
from lakeward.analysis.experiment.metric import Metric
from lakeward.analysis.experiment.question import ExperimentUnits
from lakeward.analysis.filters import Filter, both, fields_of
from lakeward.analysis.funnel import Funnel, FunnelTimes
from lakeward.analysis.lifecycle import Lifecycle
from lakeward.analysis.partner_figures import PartnerFigures
from lakeward.analysis.paths import Paths
from lakeward.analysis.quality import DataQuality
from lakeward.analysis.quality_fields import DataFields
from lakeward.analysis.question import Question
from lakeward.analysis.retention import Retention, RetentionCurve
from lakeward.analysis.sessions import Sessions
from lakeward.analysis.step import Step
from lakeward.analysis.stickiness import Active, Stickiness
from lakeward.analysis.trend import Trend, named_by
from lakeward.catalog.confidence import WITNESSED
from lakeward.errors import Rejected

SHOWN: Final = frozenset(
    {
        *CALENDAR, "interaction_type", "route", "method", "response_status", "response_time_ms",
        "device", "browser", "os", "bot", "country", "referrer_host", "utm_source", "utm_medium",
        "utm_campaign", "app_version", "environment", "service", "partner_id", "status_class",
        "currency",
    }
)  # fmt: skip
"""Fields that tell of no single person."""

OPEN: Final = (
    Trend, Funnel, FunnelTimes, Retention, RetentionCurve, Stickiness, Active, Lifecycle, Sessions,
    Paths, Experiments, ExperimentUnits, ExperimentMoments, ExperimentQuantile, ApiHealth,
    DataQuality, DataFields,
    ApiLatency, PartnerFigures,
)  # fmt: skip
"""Kinds for partners. What a kind names is in `_named`, which a new parameter must be told to."""


def narrowed(question: Question, partner: str, internal: Collection[str] = OWN) -> Question:
    """The question about a partner's own records; `internal` as the settings have it."""
    asked: object = question
    if type(asked) not in OPEN or not isinstance(asked, Events):
        raise Rejected(f"The question {question.name!r} is not for partners.")
    for name in _named(asked):
        if name not in SHOWN:
            raise Rejected(f"Partners may not name the field {name[:80]!r}.")
    if asked.internal_is != tuple(internal):
        raise Rejected(
            "Partners may not say what the team's own traffic is: leave `internal_is` out."
        )
    own = Filter(
        all=(
            Filter(field="partner_id", values=(partner,)),
            Filter(field="interaction_type", op="is_not", values=WITNESSED),
        )
    )
    changes: dict[str, object] = {"where": both(asked.where, own)}
    if getattr(asked, "unit", "") == "person":
        changes["unit"] = "visitor"
    if isinstance(asked, ExperimentMoments | ExperimentQuantile):
        changes["metric"] = _of_partner(asked.metric, own)
    return cast(Question, msgspec.structs.replace(asked, **changes))


def _of_partner(metric: Metric, own: Filter) -> Metric:
    """Deeds are chosen by their measure: `where` is about exposures alone."""
    measures = tuple(
        msgspec.structs.replace(measure, where=both(measure.where, own), label=measure.name)
        for measure in metric.measures
    )
    return msgspec.structs.replace(metric, measures=measures, label=metric.name)


def _named(question: Events) -> Iterator[str]:
    """The fields that it names, save who is counted."""
    yield from fields_of(question.where)
    for parameter in ("by", "hold", "ends"):
        yield from getattr(question, parameter, ())
    for step in _steps(question):
        yield from fields_of(step.where)
    if isinstance(question, Trend):
        for series in question.series:
            yield from named_by(series)
    if isinstance(question, Paths):
        yield question.node
    if isinstance(question, ExperimentMoments | ExperimentQuantile):
        yield from (m.field for m in question.metric.measures if m.field is not None)


def _steps(question: Events) -> Iterator[Step]:
    """Steps of any kind; measures are steps, too."""
    if isinstance(question, Funnel):
        yield from (*question.steps, *question.exclude)
    elif isinstance(question, Retention):
        yield from (question.start, question.back)
    elif isinstance(question, Stickiness | Active | Lifecycle):
        yield question.active
    elif isinstance(question, ExperimentMoments | ExperimentQuantile):
        yield from question.metric.measures
