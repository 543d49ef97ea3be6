"""A ruleset: definitions made ready, so that an evaluation reads, compiles and computes little.

In: a `Payload`. Out: a `Ruleset` whose rules carry their conditions as functions and their ranges
as numbers. Pure; what GrowthBook's SDKs let pass, passes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from lakeward.flags.bucket import Range, ranges_of
from lakeward.flags.condition import Matcher, always, compiled
from lakeward.flags.feature import Experiment, Feature, Filter, Parent, Payload, Rule, Split
from lakeward.flags.operators import Groups


class Gate(msgspec.Struct, frozen=True):
    """A parent flag with its condition ready."""

    parent: str
    matches: Matcher
    blocks: bool


class Trial(msgspec.Struct, frozen=True):
    """An experiment made ready."""

    experiment: Experiment
    matches: Matcher
    gates: tuple[Gate, ...]
    ranges: tuple[Range, ...]
    seed: str
    attribute: str
    keys: tuple[str, ...]
    """Of the variations."""


class Ready(msgspec.Struct, frozen=True):
    """A rule made ready: with `trial`, or with `value`."""

    rule_id: str
    gates: tuple[Gate, ...]
    filters: tuple[Filter, ...]
    trial: Trial | None
    matches: Matcher
    value: Any
    everyone: bool
    """Whether neither a range nor coverage cuts who is served."""
    within: Range | None
    coverage: float | None
    seed: str
    attribute: str
    fallback: str | None
    hash_version: int
    targeted: bool
    """Whether a condition or a parent chooses who is served."""


class Flag(msgspec.Struct, frozen=True):
    """A feature made ready."""

    default: Any
    rules: tuple[Ready, ...]
    enabled: bool


class Ruleset(msgspec.Struct, frozen=True):
    """All flags of a moment."""

    flags: Mapping[str, Flag]
    groups: Groups
    version: str = ""
    source: str = ""
    """`file` or `database`."""


EMPTY = Ruleset({}, {})


def ready(payload: Payload, version: str = "", source: str = "") -> Ruleset:
    """A payload made ready."""
    groups = payload.saved_groups
    flags = {key: _flag(key, feature, groups) for key, feature in payload.features.items()}
    return Ruleset(flags, groups, version, source)


def trial_of(experiment: Experiment, groups: Groups) -> Trial:
    """An experiment made ready."""
    count = len(experiment.variations)
    coverage = 1.0 if experiment.coverage is None else experiment.coverage
    ranges = experiment.ranges
    meta = experiment.meta or ()
    return Trial(
        experiment,
        _matcher(experiment.condition, groups),
        _gates(experiment.parent_conditions, groups),
        tuple(ranges_of(count, coverage, experiment.weights)) if ranges is None else ranges,
        experiment.seed or experiment.key,
        experiment.hash_attribute or "id",
        tuple(
            (meta[index].key if index < len(meta) else None) or str(index) for index in range(count)
        ),
    )


def _flag(key: str, feature: Feature, groups: Groups) -> Flag:
    rules = tuple(_ready(key, rule, groups) for rule in feature.rules if rule.enabled)
    return Flag(feature.default_value, rules, feature.enabled)


def _ready(key: str, rule: Rule, groups: Groups) -> Ready:
    trial = None
    if rule.force is UNSET and rule.variations:
        shared = {name: getattr(rule, name) for name in Split.__struct_fields__}
        # its parents are asked by the rule
        shared["parent_conditions"] = ()
        trial = trial_of(
            Experiment(key=rule.key or key, variations=rule.variations, **shared), groups
        )
    return Ready(
        rule_id=rule.id or "",
        gates=_gates(rule.parent_conditions, groups),
        filters=rule.filters or (),
        trial=trial,
        matches=_matcher(rule.condition, groups),
        value=rule.force,
        everyone=rule.range is None and rule.coverage is None,
        within=rule.range,
        coverage=rule.coverage,
        seed=rule.seed or key,
        attribute=rule.hash_attribute or "id",
        fallback=None if rule.disable_sticky_bucketing else rule.fallback_attribute,
        hash_version=rule.hash_version,
        targeted=bool(rule.condition or rule.parent_conditions),
    )


def _gates(parents: tuple[Parent, ...], groups: Groups) -> tuple[Gate, ...]:
    return tuple(
        Gate(parent.id, _matcher(parent.condition, groups), parent.gate) for parent in parents
    )


def _matcher(condition: dict[str, Any] | None, groups: Groups) -> Matcher:
    return compiled(condition, groups) if condition else always
