"""The evaluation of one flag for one unit, as every GrowthBook SDK does it.

In: a ruleset, a key, and what is known of the unit. Out: an `Evaluation`: the value, where it comes
from, and the experiments that the unit met on the way, parents and holdouts included. Pure: no
clock, no I/O, nothing kept; whoever calls keeps new assignments and tells of exposures. May raise
for attributes that are no JSON: the door (`client.py`) catches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET

from lakeward.flags.bucket import in_namespace, in_range, override_in, variation_at
from lakeward.flags.condition import Attributes
from lakeward.flags.feature import Filter
from lakeward.flags.hashing import hashed_text, place
from lakeward.flags.ruleset import Gate, Ready, Ruleset, Trial
from lakeward.flags.sticky import Known, kept_variation

Source = Literal[
    "unknownFeature", "defaultValue", "disabled", "force", "experiment", "override",
    "prerequisite", "cyclicPrerequisite", "error",
]  # fmt: skip
NOBODY: Final[Known] = {}


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the unit, and what overrides the rules."""

    attributes: Attributes = {}
    forced: Mapping[str, Any] = {}
    """Values of flags, set by hand."""
    forced_variations: Mapping[str, int] = {}
    """Indices of variations, set by hand."""
    url: str = ""
    """Of the page; `?experiment=1` in it shows a variation."""
    enabled: bool = True
    qa_mode: bool = False
    sticky: Known | None = None
    """Earlier assignments of the unit; None switches stickiness off."""


class Assigned(msgspec.Struct, frozen=True):
    """What an experiment gave a unit."""

    experiment: str
    feature: str
    index: int
    key: str
    name: str | None
    value: Any
    in_experiment: bool
    hash_used: bool
    attribute: str
    unit: Any
    bucket: float | None = None
    sticky: bool = False
    passthrough: bool = False
    hash_version: int = 1
    phase: str | None = None
    bucket_version: int | None = None
    """To be kept under this version; None when it need not be."""


class Evaluation(msgspec.Struct, frozen=True):
    """A flag's value for a unit."""

    value: Any
    source: Source
    rule_id: str = ""
    assigned: Assigned | None = None
    met: tuple[Assigned, ...] = ()
    """Every experiment that the unit is in by this evaluation."""
    targeted: bool = False
    partial: bool = False
    """Whether coverage or a range chose the unit."""

    @property
    def on(self) -> bool:
        """Whether the value is one that switches on (JavaScript's truth)."""
        return is_on(self.value)


def is_on(value: object) -> bool:
    """Lists and objects are on even when they are empty."""
    return bool(value) or isinstance(value, list | tuple | Mapping)


def evaluate(rules: Ruleset, key: str, context: Context) -> Evaluation:
    """The flag's value for the unit."""
    run = _Run(rules, context)
    found = run.feature(key, ())
    return msgspec.structs.replace(found, met=tuple(run.met)) if run.met else found


def run_experiment(rules: Ruleset, trial: Trial, context: Context) -> tuple[Assigned, bool]:
    """An experiment by itself; and whether the unit is to be counted as exposed."""
    run = _Run(rules, context)
    found = run.trial(trial, "", ())
    return found, found in run.met


class _Run:
    """One evaluation under way."""

    __slots__ = ("attributes", "context", "met", "rules")

    def __init__(self, rules: Ruleset, context: Context) -> None:
        self.rules = rules
        self.context = context
        self.attributes = context.attributes
        self.met: list[Assigned] = []

    def feature(self, key: str, above: tuple[str, ...]) -> Evaluation:
        """A flag; `above` are those that ask for it as their parent."""
        if key in above:
            return Evaluation(None, "cyclicPrerequisite")
        if key in self.context.forced:
            return Evaluation(self.context.forced[key], "override")
        flag = self.rules.flags.get(key)
        if flag is None:
            return Evaluation(None, "unknownFeature")
        if not flag.enabled:
            return Evaluation(flag.default, "disabled")
        for rule in flag.rules:
            if (found := self._rule(key, rule, above)) is not None:
                return found
        return Evaluation(flag.default, "defaultValue")

    def _rule(self, key: str, rule: Ready, above: tuple[str, ...]) -> Evaluation | None:
        """What a rule gives; None when the next one is asked."""
        for gate in rule.gates:
            parent = self.feature(gate.parent, (*above, key))
            if parent.source == "cyclicPrerequisite":
                return parent
            if not gate.matches({"value": parent.value}):
                return Evaluation(None, "prerequisite") if gate.blocks else None
        if rule.filters and self._left_out(rule.filters):
            return None
        if rule.trial is not None:
            assigned = self.trial(rule.trial, key, above)
            if not assigned.in_experiment or assigned.passthrough:
                return None
            return Evaluation(assigned.value, "experiment", rule.rule_id, assigned,
                              targeted=rule.targeted)  # fmt: skip
        if rule.value is UNSET or not rule.matches(self.attributes):
            return None
        if not rule.everyone and not self._in_rollout(rule):
            return None
        return Evaluation(rule.value, "force", rule.rule_id, targeted=rule.targeted,
                          partial=not rule.everyone)  # fmt: skip

    def _in_rollout(self, rule: Ready) -> bool:
        if rule.within is None and rule.coverage == 0:
            return False
        unit = self._unit(rule.attribute, rule.fallback)[1]
        where = place(rule.seed, unit, rule.hash_version) if unit else None
        if where is None:
            return False
        if rule.within is not None:
            return in_range(where, rule.within)
        return rule.coverage is None or where <= rule.coverage

    def _unit(self, attribute: str, fallback: str | None) -> tuple[str, str]:
        """The attribute that assigns and its text, empty when there is none."""
        text = hashed_text(self.attributes.get(attribute))
        if not text and fallback and self.context.sticky is not None:
            return fallback, hashed_text(self.attributes.get(fallback))
        return attribute, text

    def _left_out(self, filters: tuple[Filter, ...]) -> bool:
        for one in filters:
            unit = hashed_text(self.attributes.get(one.attribute))
            where = place(one.seed, unit, one.hash_version) if unit else None
            if where is None or not any(in_range(where, within) for within in one.ranges):
                return True
        return False

    def trial(self, trial: Trial, feature: str, above: tuple[str, ...]) -> Assigned:
        """What an experiment gives the unit."""
        experiment, context = trial.experiment, self.context
        count = len(experiment.variations)
        if count < 2 or not context.enabled:
            return self._given(trial, feature, -1)
        if context.url:
            asked = override_in(experiment.key, context.url, count)
            if asked is not None:
                return self._by_hand(trial, feature, asked)
        if experiment.key in context.forced_variations:
            return self._by_hand(trial, feature, context.forced_variations[experiment.key])
        if not experiment.active:
            return self._given(trial, feature, -1)
        return self._hashed(trial, feature, above)

    def _hashed(self, trial: Trial, feature: str, above: tuple[str, ...]) -> Assigned:
        experiment = trial.experiment
        sticks = self.context.sticky is not None and not experiment.disable_sticky_bucketing
        fallback = experiment.fallback_attribute if sticks else None
        attribute, unit = self._unit(trial.attribute, fallback)
        if not unit:
            return self._given(trial, feature, -1)
        index, blocked = -1, False
        if sticks:
            index, blocked = self._kept(trial)
        kept = index >= 0
        if not kept and not self._admitted(trial, unit, (*above, feature) if feature else above):
            return self._given(trial, feature, -1)
        where = place(trial.seed, unit, experiment.hash_version)
        if where is None or blocked:
            return self._given(trial, feature, -1)
        if not kept:
            index = variation_at(where, trial.ranges)
        if index < 0:
            return self._given(trial, feature, -1)
        if experiment.force is not None:
            return self._by_hand(trial, feature, experiment.force)
        if self.context.qa_mode:
            return self._given(trial, feature, -1)
        version = experiment.bucket_version if sticks else None
        found = self._given(trial, feature, index, attribute, where, kept, version)
        self.met.append(found)
        return found

    def _by_hand(self, trial: Trial, feature: str, index: int) -> Assigned:
        """A variation that somebody chose: told as an exposure that no analysis counts."""
        found = self._given(trial, feature, index)
        if found.in_experiment:
            self.met.append(found)
        return found

    def _kept(self, trial: Trial) -> tuple[int, bool]:
        """The variation that was kept for the unit, and whether an old one shuts it out."""
        experiment = trial.experiment
        units = []
        for name in (trial.attribute, experiment.fallback_attribute):
            if name and (text := hashed_text(self.attributes.get(name))):
                units.append((name, text))
        return kept_variation(
            self.context.sticky or NOBODY, units, experiment.key, trial.keys,
            experiment.bucket_version, experiment.min_bucket_version,
        )  # fmt: skip

    def _admitted(self, trial: Trial, unit: str, above: tuple[str, ...]) -> bool:
        experiment = trial.experiment
        if experiment.filters is not None:
            if self._left_out(experiment.filters):
                return False
        elif experiment.namespace is not None and not in_namespace(unit, experiment.namespace):
            return False
        return trial.matches(self.attributes) and all(self._passes(g, above) for g in trial.gates)

    def _passes(self, gate: Gate, above: tuple[str, ...]) -> bool:
        parent = self.feature(gate.parent, above)
        return parent.source != "cyclicPrerequisite" and gate.matches({"value": parent.value})

    def _given(
        self, trial: Trial, feature: str, index: int, attribute: str = "",
        bucket: float | None = None, sticky: bool = False, version: int | None = None,
    ) -> Assigned:  # fmt: skip
        """A result; an index that is none is the first variation, outside the experiment."""
        experiment = trial.experiment
        inside = 0 <= index < len(experiment.variations)
        index = index if inside else 0
        if not attribute:
            sticks = not experiment.disable_sticky_bucketing
            attribute = self._unit(
                trial.attribute, experiment.fallback_attribute if sticks else None
            )[0]
        meta = experiment.meta or ()
        named = meta[index] if index < len(meta) else None
        return Assigned(
            experiment=experiment.key,
            feature=feature,
            index=index,
            key=trial.keys[index] if trial.keys else "0",
            name=None if named is None else named.name,
            value=experiment.variations[index] if experiment.variations else None,
            in_experiment=inside,
            hash_used=bucket is not None,
            attribute=attribute,
            unit=self.attributes.get(attribute) or "",
            bucket=bucket,
            sticky=sticky,
            passthrough=named is not None and named.passthrough,
            hash_version=experiment.hash_version,
            phase=experiment.phase,
            bucket_version=version,
        )
