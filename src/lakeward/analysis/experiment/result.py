"""What a report of an experiment is made of, and what it was asked with. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from lakeward.analysis.experiment.bayesian import Belief
from lakeward.analysis.experiment.effect import Measured
from lakeward.analysis.experiment.metric import Kind
from lakeward.analysis.experiment.moments import Estimate, Moments
from lakeward.analysis.experiment.multiple import CORRECTIONS, Correction
from lakeward.analysis.experiment.ratio import Split
from lakeward.analysis.experiment.sequential import TUNING
from lakeward.errors import Rejected

Role = Literal["metric", "guardrail"]
State = Literal["better", "worse", "unclear"]
Status = Literal["ship", "do_not_ship", "keep_running", "mixed", "broken"]

MOST_ARMS: Final = 20


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How an experiment is judged."""

    control: str | None = None
    split: tuple[tuple[str | None, float], ...] = ()
    """Planned shares, by arm or in the order of the arms; none: equal shares."""
    level: float = 0.95
    sequential: bool = True
    tuning: int = TUNING
    correction: Correction = "holm"
    power: float = 0.8
    minimum: float | None = None
    """The smallest lift that matters."""
    prior: float | None = None
    """Spread of a normal prior of the lift around 0; none: a flat one."""

    def __post_init__(self) -> None:
        """Refuse what cannot be judged by."""
        for name in ("level", "power"):
            if not 0.5 <= getattr(self, name) < 1:
                raise Rejected(f"`{name}` must be 0.5 or more and below 1.")
        for name in ("minimum", "prior"):
            if getattr(self, name) is not None and not 0 < getattr(self, name) < float("inf"):
                raise Rejected(f"`{name}` must be above 0.")
        if self.tuning < 1:
            raise Rejected("`tuning` must be at least 1.")
        if self.correction not in CORRECTIONS:
            raise Rejected(f"`correction` must be one of {', '.join(CORRECTIONS)}.")


class Aside(msgspec.Struct, frozen=True):
    """Units that count in no arm."""

    reason: str
    arm: str | None
    units: int


class Population(msgspec.Struct, frozen=True, kw_only=True):
    """Who took part."""

    experiment: str
    arms: Mapping[str, int]
    """Units by arm, in the order in which they are shown."""
    set_aside: list[Aside] = []
    open_units: int | None = None
    """Units whose time to act is not over."""
    per_day: float | None = None
    """Units of all arms that came in a day."""
    notes: list[str] = []


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric showed in each arm: moments, or estimates of a quantile."""

    metric: str
    kind: Kind
    role: Role
    lower: bool = False
    arms: Mapping[str, Moments] | Mapping[str, Estimate]
    covariate: bool = False


class ArmValue(msgspec.Struct, frozen=True):
    """A metric in one arm."""

    arm: str
    units: int
    value: float | None
    error: float | None


class ArmEffect(msgspec.Struct, frozen=True, kw_only=True):
    """What an arm differs by from control. p_adjusted is of the metrics that decide."""

    arm: str
    difference: Measured | None
    lift: Measured | None
    p_adjusted: float | None
    state: State
    belief: Belief | None
    belief_of: Literal["lift", "difference"]
    detectable: float | None
    """The smallest difference that so many units show with the power that is asked for."""
    needed: int | None = None
    """Units of both arms that show the smallest lift that matters."""
    days_left: float | None = None
    """How long until they have come, as they came so far."""


class Adjusted(msgspec.Struct, frozen=True):
    """What a covariate took off."""

    theta: float
    variance_kept: float
    """Of control's variance, 0 to 1."""


class MetricResult(msgspec.Struct, frozen=True, kw_only=True):
    """A metric in all arms."""

    metric: str
    kind: Kind
    role: Role
    better: Literal["higher", "lower"]
    adjusted: Adjusted | None
    arms: list[ArmValue]
    effects: list[ArmEffect]


class ArmUnits(msgspec.Struct, frozen=True):
    """An arm and its share by plan."""

    arm: str
    units: int
    planned: float


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a verdict is as it is, with the figures it stands on."""

    code: str
    sentence: str
    arm: str | None = None
    metric: str | None = None
    figures: dict[str, float] = {}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What to do."""

    status: Status
    arm: str | None
    sentence: str
    reasons: list[Reason]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one experiment."""

    experiment: str
    method: Literal["sequential", "fixed"]
    level: float
    correction: Correction
    control: str
    arms: list[ArmUnits]
    set_aside: list[Aside]
    open_units: int | None
    split: Split
    metrics: list[MetricResult]
    verdict: Verdict
    notes: list[str]
