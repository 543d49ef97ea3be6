"""What people should mend in definitions, beyond what their form says.

In: flags. Out: a sentence for each fault, that names the place; empty when there is none. Pure.
GrowthBook's SDKs pass over most of this in silence, and so does an evaluation; here nothing is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from msgspec import UNSET

from lakeward.flags.condition import faults
from lakeward.flags.feature import Feature, Payload, Plan, Rule, Split

NEAR: Final = 0.001
MOST_DAYS: Final = 3650


def faults_of(payload: Payload) -> list[str]:
    """Of all flags."""
    return [
        f"{key}: {fault}"
        for key, feature in payload.features.items()
        for fault in faults_of_feature(key, feature, payload)
    ]


def faults_of_feature(key: str, feature: Feature, payload: Payload) -> list[str]:
    """Of one flag; `payload` holds it and those beside it."""
    found = [
        f"rule {number}: {fault}"
        for number, rule in enumerate(feature.rules, 1)
        for fault in _of_rule(rule, payload)
    ]
    if cycle := _cycle(key, payload):
        found.append(f"its parents lead back to itself ({' → '.join(cycle)})")
    return found


def faults_of_group(members: object) -> list[str]:
    """Of a saved group."""
    if isinstance(members, list) and all(isinstance(one, str | int | float) for one in members):
        return []
    return ["a group must be a list of texts and numbers"]


def _of_rule(rule: Rule, payload: Payload) -> Iterator[str]:
    if rule.force is UNSET and not rule.variations:
        yield "it has neither `force` nor `variations`, so it does nothing"
    if rule.force is not UNSET and rule.variations:
        yield "it has `force` and `variations`: the experiment would never run"
    if rule.condition is not None:
        for fault in faults(rule.condition, payload.saved_groups):
            yield f"condition: {fault}"
    for parent in rule.parent_conditions:
        if parent.id not in payload.features:
            yield f"its parent {parent.id!r} is no flag"
        yield from faults(parent.condition, payload.saved_groups)
    if rule.range is not None and not 0 <= rule.range[0] <= rule.range[1] <= 1:
        yield "`range` must be two numbers from 0 to 1, the smaller one first"
    if rule.plan is not None:
        yield from _of_plan(rule, rule.plan)
    yield from _of_split(rule)
    if rule.variations:
        yield from _of_variations(rule, len(rule.variations))


def _of_plan(rule: Rule, plan: Plan) -> Iterator[str]:
    if not rule.variations:
        yield "it has a `plan` and no `variations`: there is no experiment to judge"
    keys = [meta.key or str(index) for index, meta in enumerate(rule.meta or ())]
    keys += [str(index) for index in range(len(keys), len(rule.variations or ()))]
    if plan.control is not None and plan.control not in keys:
        yield f"its plan's `control` is none of its variations: {', '.join(keys)}"
    if plan.within_days is not None and not 0 < plan.within_days <= MOST_DAYS:
        yield f"its plan's `withinDays` must be above 0 and at most {MOST_DAYS}"


def _of_split(split: Split) -> Iterator[str]:
    if split.hash_version not in (1, 2):
        yield "`hashVersion` must be 1 or 2"
    if split.coverage is not None and not 0 <= split.coverage <= 1:
        yield "`coverage` must be from 0 to 1"
    if split.hash_attribute == "":
        yield "`hashAttribute` is empty: name an attribute, or leave it out for `id`"
    if split.namespace is not None and not 0 <= split.namespace[1] <= split.namespace[2] <= 1:
        yield "`namespace` must be a name and two numbers from 0 to 1, the smaller one first"
    if split.min_bucket_version > split.bucket_version:
        yield "`minBucketVersion` is above `bucketVersion`: nobody could stay in the experiment"
    for one in split.filters or ():
        if any(not 0 <= begin <= end <= 1 for begin, end in one.ranges):
            yield "the ranges of `filters` must be from 0 to 1"


def _of_variations(rule: Rule, count: int) -> Iterator[str]:
    if count < 2:
        yield "an experiment needs two `variations` or more"
    if rule.weights is not None:
        if len(rule.weights) != count:
            yield f"`weights` has {len(rule.weights)} numbers for {count} variations"
        elif min(rule.weights) < 0 or abs(sum(rule.weights) - 1) > NEAR:
            yield f"`weights` must add up to 1 and none be below 0; they are {sum(rule.weights):g}"
    if rule.ranges is not None:
        yield from _of_ranges(rule, count)
    if rule.meta is not None:
        keys = [meta.key for meta in rule.meta if meta.key is not None]
        if len(rule.meta) != count:
            yield f"`meta` has {len(rule.meta)} entries for {count} variations"
        if len(set(keys)) < len(keys):
            yield "two variations have the same key in `meta`"


def _of_ranges(rule: Rule, count: int) -> Iterator[str]:
    ranges = rule.ranges or ()
    if len(ranges) != count:
        yield f"`ranges` has {len(ranges)} ranges for {count} variations"
    if any(not 0 <= begin <= end <= 1 for begin, end in ranges):
        yield "`ranges` must be from 0 to 1, the smaller number first"
    elif any(a[1] > b[0] for a, b in pairwise(sorted(ranges))):
        yield "`ranges` overlap: the first one would get the units of both"


def _cycle(key: str, payload: Payload) -> list[str]:
    """The way from a flag by its parents back to itself."""
    way = {key: ""}
    waiting = [key]
    while waiting:
        name = waiting.pop()
        feature = payload.features.get(name)
        for parent in (p.id for rule in (feature.rules if feature else ())
                       for p in rule.parent_conditions):  # fmt: skip
            if parent == key:
                return [*_back(name, way), key]
            if parent not in way:
                way[parent] = name
                waiting.append(parent)
    return []


def _back(name: str, way: dict[str, str]) -> list[str]:
    found = [name]
    while way[found[0]]:
        found.insert(0, way[found[0]])
    return found
