"""What flags say of an experiment: its split, and the plan that stands beside it.

In: definitions of flags. Out: the split by the names of the arms, metrics, guardrails, days and
unit of an experiment; sentences for plans that cannot be read. Fails with `Rejected` where rules
contradict each other on one experiment.

    {"features": {"match-page": {"rules": [
        {"variations": ["plain", "reasons"], "weights": [0.9, 0.1],
         "meta": [{"key": "control"}, {"key": "reasons"}],
         "plan": {"hypothesis": "Reasons make people book.", "metrics": ["demo_booking"],
                  "guardrails": ["lower:p90:response_time_ms:api_call"], "withinDays": 14}}]}}}

An arm with weight 0 is not planned. Rules of one experiment (one for each country, say) must plan
the same, save those that are switched off.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from lakeward.analysis.events import looked
from lakeward.analysis.experiment.metric import metric
from lakeward.errors import Rejected
from lakeward.flags.feature import Payload, Plan, Rule

Shares = tuple[tuple[str, float], ...]


class Planned(msgspec.Struct, frozen=True):
    """An experiment as flags have it."""

    split: Shares
    plan: Plan


def planned(
    payload: Payload, experiment: str, *, split_told: bool = False, metrics_told: bool = False
) -> Planned | None:
    """The split and the plan; None for an experiment that no flag runs. What whoever asks tells
    may stand in two ways in the flags."""
    rules = list(_rules(payload, experiment))
    if not rules:
        return None
    plans = {rule.plan for rule in rules if rule.plan is not None}
    splits = {_split(rule) for rule in rules}
    name = experiment[:80]
    if len(splits) > 1 and not split_told:
        raise Rejected(
            f"the flags share out the experiment {name!r} in two ways: say which with --split"
        )
    if len(plans) > 1 and not metrics_told:
        raise Rejected(
            f"the flags have two plans for the experiment {name!r}: say which with --metric"
        )
    return Planned(
        splits.pop() if len(splits) == 1 else (), plans.pop() if len(plans) == 1 else Plan()
    )


def faults_of_plans(payload: Payload) -> list[str]:
    """A sentence for each metric or unit that cannot be read, and for each contradiction."""
    found, experiments = [], dict[str, None]()
    for key, feature in payload.features.items():
        for number, rule in enumerate(feature.rules, 1):
            if rule.variations and rule.enabled:
                experiments[rule.key or key] = None
            if rule.plan is not None:
                found += [f"{key}: rule {number}: plan: {fault}" for fault in _faults(rule.plan)]
    for name in experiments:
        try:
            planned(payload, name)
        except Rejected as error:
            found.append(str(error))
    return found


def _faults(plan: Plan) -> Iterator[str]:
    for text in (*plan.metrics, *plan.guardrails):
        try:
            metric(text)
        except Rejected as error:
            yield str(error)
    if plan.unit is not None:
        try:
            looked(plan.unit)
        except Rejected as error:
            yield f"`unit`: {error}"


def _rules(payload: Payload, experiment: str) -> Iterator[Rule]:
    for key, feature in payload.features.items():
        for rule in feature.rules:
            if rule.variations and rule.enabled and (rule.key or key) == experiment:
                yield rule


def _split(rule: Rule) -> Shares:
    """Shares of 1 by arm; what coverage leaves out is no arm's."""
    count, meta = len(rule.variations or ()), rule.meta or ()
    names = [
        (meta[index].key if index < len(meta) else None) or str(index) for index in range(count)
    ]
    weights = [1.0] * count
    if rule.ranges is not None and len(rule.ranges) == count:
        weights = [end - begin for begin, end in rule.ranges]
    elif rule.weights is not None and len(rule.weights) == count:
        weights = list(rule.weights)
    total = sum(weights)
    return tuple(
        (name, round(weight / total, 6))
        for name, weight in zip(names, weights, strict=True)
        if weight > 0
    )
