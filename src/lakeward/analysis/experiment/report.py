"""One experiment, judged: estimates, effects, beliefs, corrections, checks and a verdict.

In: a population, what was observed of each metric, and terms. Out: a `Report`, which is JSON as
it stands. Fails with `Rejected` for terms that do not fit the arms, with `MissingExtra` without
scipy. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from lakeward.analysis.experiment import effect, frequentist, ratio, sequential
from lakeward.analysis.experiment.bayesian import Prior, believe
from lakeward.analysis.experiment.cuped import adjusted, adjustment
from lakeward.analysis.experiment.distributions import need
from lakeward.analysis.experiment.effect import Effect
from lakeward.analysis.experiment.moments import Estimate, Moments, estimate, share
from lakeward.analysis.experiment.multiple import CORRECTIONS
from lakeward.analysis.experiment.power import Plan, days, detectable, units_needed
from lakeward.analysis.experiment.result import (
    MOST_ARMS,
    Adjusted,
    ArmEffect,
    ArmUnits,
    ArmValue,
    Aside,
    MetricResult,
    Observed,
    Population,
    Report,
    State,
    Terms,
)
from lakeward.analysis.experiment.verdict import verdict
from lakeward.errors import Rejected

NOT_PLANNED: Final = "not_in_the_plan"
CONTROLS: Final = ("control", "off", "baseline")
"""Names that say themselves which arm is the control."""


def report(people: Population, observed: Sequence[Observed], terms: Terms) -> Report:
    """Everything about one experiment."""
    need()
    plan, aside = _plan(people, terms)
    names = list(plan)
    arms = [ArmUnits(name, people.arms.get(name, 0), plan[name]) for name in names]
    counts = [arm.units for arm in arms]
    test = ratio.sequential if terms.sequential else ratio.fixed
    split = test(counts, list(plan.values()))
    metrics = _corrected([_result(each, names, people, terms) for each in observed], terms)
    set_aside = [*people.set_aside, *aside]
    crossed = sum(each.units for each in set_aside if each.reason == "several_arms")
    return Report(
        experiment=people.experiment,
        method="sequential" if terms.sequential else "fixed",
        level=terms.level,
        correction=terms.correction,
        control=names[0],
        arms=arms,
        set_aside=_largest(set_aside),
        open_units=people.open_units,
        split=split,
        metrics=metrics,
        verdict=verdict(arms, crossed, split, metrics, terms),
        notes=people.notes,
    )


def _largest(set_aside: Sequence[Aside]) -> list[Aside]:
    """The largest of each reason, and the rest together: strangers may make up arms without end."""
    found: list[Aside] = []
    for reason in dict.fromkeys(each.reason for each in set_aside):
        of = [each for each in set_aside if each.reason == reason]
        if len(of) > MOST_ARMS:
            of.sort(key=lambda each: -each.units)
            rest = sum(each.units for each in of[MOST_ARMS:])
            of = [*of[:MOST_ARMS], Aside(reason, None, rest)]
        found += of
    return found


def _plan(people: Population, terms: Terms) -> tuple[dict[str, float], list[Aside]]:
    """Planned shares by arm, control first; arms that the plan does not name are set aside."""
    names = _ordered(list(people.arms), terms)
    aside: list[Aside] = []
    if terms.split and terms.split[0][0] is not None:
        planned = {name: weight for name, weight in terms.split if name is not None}
        aside = [Aside(NOT_PLANNED, n, people.arms[n]) for n in names if n not in planned]
        names = [name for name in names if name in planned]
        names = _ordered(names + [name for name in planned if name not in names], terms)
        weights = [planned[name] for name in names]
    else:
        weights = [weight for _, weight in terms.split] or [1.0] * len(names)
    if len(names) < 2:
        seen = f"only {names[0]!r} was met" if names else "no unit met an arm"
        raise Rejected(f"an experiment needs two arms: {seen}.")
    if len(names) > MOST_ARMS:
        raise Rejected(f"an experiment has at most {MOST_ARMS} arms: {len(names)} were met.")
    return dict(zip(names, ratio.shares(weights, len(names)), strict=True)), aside


def _ordered(names: list[str], terms: Terms) -> list[str]:
    """Control first: the one that is named, that names itself, or the first."""
    if terms.control is not None and terms.control not in names:
        found = ", ".join(names[:MOST_ARMS])
        raise Rejected(f"the control {terms.control[:40]!r} is no arm: there are {found}.")
    control = terms.control or next((n for n in names if n.lower() in CONTROLS), None)
    if control is None:
        return names
    return [control, *(name for name in names if name != control)]


def _result(
    observed: Observed, names: Sequence[str], people: Population, terms: Terms
) -> MetricResult:  # fmt: skip
    """A metric in all arms; p values are not corrected yet."""
    estimates, taken = _estimates(observed, names)
    control = estimates[names[0]]
    whole = sum(people.arms.values())
    pace = people.per_day / whole if people.per_day and whole else None
    effects = [
        _planned(_effect(name, control, each, observed.lower, terms), control, each, pace, terms)
        for name, each in estimates.items() if name != names[0]
    ]  # fmt: skip
    return MetricResult(
        metric=observed.metric,
        kind=observed.kind,
        role=observed.role,
        better="lower" if observed.lower else "higher",
        adjusted=taken,
        arms=[ArmValue(n, e.units, e.value, e.error) for n, e in estimates.items()],
        effects=effects,
    )


def _estimates(
    observed: Observed, names: Sequence[str]
) -> tuple[dict[str, Estimate], Adjusted | None]:
    found = {name: observed.arms.get(name, Moments(0)) for name in names}
    moments = {name: arm for name, arm in found.items() if isinstance(arm, Moments)}
    plain = {
        name: arm if isinstance(arm, Estimate) else _estimate(observed, arm)
        for name, arm in found.items()
    }
    if not observed.covariate or len(moments) < len(found):
        return plain, None
    by = adjustment([arm for arm in moments.values() if arm.units])
    if by.theta == 0:
        return plain, Adjusted(0.0, 1.0)
    after = {name: adjusted(arm, by) for name, arm in moments.items()}
    before = estimate(moments[names[0]]).variance
    kept = after[names[0]].variance / before if before > 0 else 1.0
    return after, Adjusted(by.theta, kept)


def _estimate(observed: Observed, arm: Moments) -> Estimate:
    return share(arm) if observed.kind == "share" else estimate(arm)


def _effect(
    name: str, control: Estimate, treatment: Estimate, lower: bool, terms: Terms
) -> ArmEffect:  # fmt: skip
    found = _compare(control, treatment, terms)
    lift = effect.lift(control, treatment)
    prior = None if terms.prior is None or lift is None else Prior(0.0, terms.prior)
    contrast = lift if lift is not None else effect.difference(control, treatment)
    return ArmEffect(
        arm=name,
        difference=found.difference,
        lift=found.lift,
        p_adjusted=None,
        state="unclear",
        belief=believe(contrast, terms.level, prior, lower),
        belief_of="difference" if lift is None else "lift",
        detectable=None,
    )


def _planned(
    found: ArmEffect, control: Estimate, treatment: Estimate, pace: float | None, terms: Terms
) -> ArmEffect:  # fmt: skip
    """With what so many units show, and what the smallest lift that matters needs. `pace`: the part
    of all units that comes in a day."""
    units = control.units + treatment.units
    if control.value is None or not control.variance:
        return found
    plan = Plan(
        alpha=1 - terms.level, power=terms.power, sequential=terms.sequential, tuning=terms.tuning,
        share=treatment.units / units if min(control.units, treatment.units) else 0.5,
    )  # fmt: skip
    needed = left = None
    if terms.minimum is not None and control.value:
        with suppress(Rejected):  # more than there are
            needed = units_needed(terms.minimum * control.value, control.variance, plan)
            left = days(max(0, needed - units), units * pace) if pace else None
    return msgspec.structs.replace(
        found, detectable=detectable(units, control.variance, plan), needed=needed, days_left=left
    )


def _compare(control: Estimate, treatment: Estimate, terms: Terms) -> Effect:
    if terms.sequential:
        return sequential.compare(control, treatment, terms.level, terms.tuning)
    return frequentist.compare(control, treatment, terms.level)


def _corrected(metrics: Sequence[MetricResult], terms: Terms) -> list[MetricResult]:
    """With adjusted p of the metrics that decide, and what follows of them."""
    places = [
        (n, m)
        for n, metric in enumerate(metrics)
        if metric.role == "metric"
        for m, each in enumerate(metric.effects)
        if each.difference is not None and each.difference.p is not None
    ]
    values = [_p(metrics[n].effects[m]) or 0.0 for n, m in places]
    by_place: Mapping[tuple[int, int], float] = dict(
        zip(places, CORRECTIONS[terms.correction](values), strict=True)
    )
    return [
        msgspec.structs.replace(
            metric,
            effects=[
                msgspec.structs.replace(
                    each,
                    p_adjusted=by_place.get((n, m)),
                    state=_state(each, by_place.get((n, m), _p(each)), metric, terms),
                )
                for m, each in enumerate(metric.effects)
            ],
        )
        for n, metric in enumerate(metrics)
    ]


def _p(found: ArmEffect) -> float | None:
    return None if found.difference is None else found.difference.p


def _state(found: ArmEffect, p: float | None, metric: MetricResult, terms: Terms) -> State:
    if p is None or found.difference is None or p >= 1 - terms.level:
        return "unclear"
    return "better" if (found.difference.value < 0) == (metric.better == "lower") else "worse"
