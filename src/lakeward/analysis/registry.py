"""The questions that can be asked, by name.

Out: the registry; a question made of a name and parameters as JSON has them. Fails with `Rejected`
for a name that is none, and for parameters that the question cannot take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from lakeward.analysis.ai_cost import AiCost
from lakeward.analysis.ai_health import AiErrors, AiLatency
from lakeward.analysis.ai_ratings import AiRatings
from lakeward.analysis.ai_threads import AiThread, AiThreads
from lakeward.analysis.api_calls import ApiFailures, ApiSlowest
from lakeward.analysis.api_health import ApiHealth
from lakeward.analysis.api_latency import ApiLatency
from lakeward.analysis.events import Events
from lakeward.analysis.experiment.listed import Experiments
from lakeward.analysis.experiment.measured import ExperimentMoments, ExperimentQuantile
from lakeward.analysis.experiment.question import ExperimentUnits
from lakeward.analysis.forms import FormFields, Forms
from lakeward.analysis.funnel import Funnel, FunnelTimes, FunnelUnits
from lakeward.analysis.lifecycle import Lifecycle
from lakeward.analysis.outcomes import Outcomes, PartnerPerformance
from lakeward.analysis.partner_figures import PartnerFigures
from lakeward.analysis.paths import Paths
from lakeward.analysis.quality import DataQuality
from lakeward.analysis.quality_fields import DataFields
from lakeward.analysis.quality_places import DataPlaces, DataRefused
from lakeward.analysis.quality_types import DataTypes
from lakeward.analysis.question import Question
from lakeward.analysis.retention import Retention, RetentionCurve
from lakeward.analysis.sessions import Sessions
from lakeward.analysis.stickiness import Active, Stickiness
from lakeward.analysis.trace import Trace
from lakeward.analysis.trend import Trend
from lakeward.analysis.visits import Pages, Visits
from lakeward.analysis.web_vitals import WebVitals
from lakeward.errors import Rejected
from lakeward.settings import Settings

KINDS: Final = (
    Trend,
    Funnel,
    FunnelUnits,
    FunnelTimes,
    Retention,
    RetentionCurve,
    Stickiness,
    Active,
    Lifecycle,
    Sessions,
    Paths,
    Visits,
    Pages,
    Forms,
    FormFields,
    WebVitals,
    Experiments,
    ExperimentUnits,
    ExperimentMoments,
    ExperimentQuantile,
    AiCost,
    AiThreads,
    AiThread,
    AiRatings,
    AiLatency,
    AiErrors,
    ApiHealth,
    ApiLatency,
    ApiSlowest,
    ApiFailures,
    Outcomes,
    PartnerPerformance,
    PartnerFigures,
    DataQuality,
    DataTypes,
    DataFields,
    DataRefused,
    DataPlaces,
    Trace,
)
QUESTIONS: Final[dict[str, type[msgspec.Struct]]] = {kind.name: kind for kind in KINDS}


def question_of(
    name: str, parameters: Mapping[str, Any], settings: Settings | None = None
) -> Question:
    """A question by its name; the settings say what the team's own traffic is."""
    kind = QUESTIONS.get(name)
    if kind is None:
        raise Rejected(f"{name[:40]!r} is no question: ask one of {', '.join(QUESTIONS)}.")
    if unknown := [key for key in parameters if key not in kind.__struct_fields__]:
        raise Rejected(
            f"{unknown[0][:40]!r} is no parameter of {name}: it takes "
            f"{', '.join(kind.__struct_fields__)}."
        )
    if settings is not None and issubclass(kind, Events):
        parameters = {"internal_is": settings.internal, **parameters}
    try:
        return cast(Question, msgspec.convert(parameters, kind))
    except msgspec.ValidationError as error:
        raise Rejected(f"{name}: {error}.") from None
