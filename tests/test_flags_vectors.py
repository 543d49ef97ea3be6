"""GrowthBook's public cases: hashes, buckets, conditions, features, experiments, stickiness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from lakeward.flags.bucket import (
    equal_weights,
    in_namespace,
    override_in,
    ranges_of,
    variation_at,
)
from lakeward.flags.condition import compiled
from lakeward.flags.evaluate import Assigned, Context, evaluate, run_experiment
from lakeward.flags.feature import Experiment, Payload
from lakeward.flags.hashing import place
from lakeward.flags.ruleset import Ruleset, ready, trial_of
from lakeward.flags.sticky import assignment_name, unit_name

CASES: dict[str, Any] = msgspec.json.decode(
    (Path(__file__).parent / "data" / "growthbook-cases.json").read_bytes()
)


def named(group: str) -> list[Any]:
    return [pytest.param(*case, id=str(case[0])) for case in CASES[group]]


def rules_of(context: dict[str, Any]) -> Ruleset:
    wanted = {name: context[name] for name in ("features", "savedGroups") if name in context}
    return ready(msgspec.convert({"features": {}} | wanted, Payload))


def context_of(given: dict[str, Any], sticky: dict[str, Any] | None = None) -> Context:
    return Context(
        attributes=given.get("attributes", {}),
        forced_variations=given.get("forcedVariations", {}),
        url=given.get("url", ""),
        enabled=given.get("enabled", True),
        qa_mode=given.get("qaMode", False),
        sticky=sticky,
    )


def told(found: Assigned) -> dict[str, Any]:
    """As GrowthBook writes a result."""
    shown = {
        "featureId": found.feature, "value": found.value, "variationId": found.index,
        "inExperiment": found.in_experiment, "hashUsed": found.hash_used,
        "hashAttribute": found.attribute, "hashValue": found.unit, "key": found.key,
        "stickyBucketUsed": found.sticky, "bucket": found.bucket, "name": found.name,
    }  # fmt: skip
    return {name: value for name, value in shown.items() if value is not None}


@pytest.mark.parametrize(("seed", "value", "version", "expected"), CASES["hash"])
def test_a_hash_is_the_published_one(
    seed: str, value: str, version: int, expected: float | None
) -> None:
    assert place(seed, value, version) == expected


@pytest.mark.parametrize(("name", "given", "expected"), named("getBucketRange"))
def test_ranges_are_the_published_ones(
    name: str, given: list[Any], expected: list[list[float]]
) -> None:
    count, coverage, weights = given
    found = ranges_of(count, coverage, weights)
    assert [pytest.approx(each) for each in expected] == [list(each) for each in found]


@pytest.mark.parametrize(("count", "expected"), CASES["getEqualWeights"])
def test_equal_weights_are_the_published_ones(count: int, expected: list[float]) -> None:
    assert equal_weights(count) == pytest.approx(expected)


@pytest.mark.parametrize(("name", "where", "ranges", "expected"), named("chooseVariation"))
def test_a_place_chooses_the_published_variation(
    name: str, where: float, ranges: list[tuple[float, float]], expected: int
) -> None:
    assert variation_at(where, ranges) == expected


@pytest.mark.parametrize(("name", "value", "namespace", "expected"), named("inNamespace"))
def test_a_namespace_holds_the_published_units(
    name: str, value: str, namespace: tuple[str, float, float], expected: bool
) -> None:
    assert in_namespace(value, namespace) is expected


@pytest.mark.parametrize(
    ("name", "key", "url", "count", "expected"), named("getQueryStringOverride")
)
def test_an_address_asks_for_the_published_variation(
    name: str, key: str, url: str, count: int, expected: int | None
) -> None:
    assert override_in(key, url, count) == expected


@pytest.mark.parametrize("case", CASES["evalCondition"], ids=lambda case: case[0])
def test_a_condition_holds_as_published(case: list[Any]) -> None:
    _, condition, attributes, expected, *groups = case
    assert compiled(condition, groups[0] if groups else {})(attributes) is expected


@pytest.mark.parametrize(("name", "given", "key", "expected"), named("feature"))
def test_a_feature_evaluates_as_published(
    name: str, given: dict[str, Any], key: str, expected: dict[str, Any]
) -> None:
    found = evaluate(rules_of(given), key, context_of(given))
    assert found.value == expected["value"]
    assert (found.on, not found.on) == (expected["on"], expected["off"])
    assert (found.source, found.rule_id) == (expected["source"], expected["ruleId"])
    assert (found.assigned is not None) == ("experimentResult" in expected)
    if found.assigned is not None:
        assert told(found.assigned) == expected["experimentResult"]
        assert found.assigned.experiment == expected["experiment"]["key"]


@pytest.mark.parametrize(("name", "given", "experiment", "value", "inside", "hashed"), named("run"))
def test_an_experiment_runs_as_published(
    name: str, given: dict[str, Any], experiment: dict[str, Any], value: Any, inside: bool,
    hashed: bool,
) -> None:  # fmt: skip
    rules = rules_of(given)
    trial = trial_of(msgspec.convert(experiment, Experiment), rules.groups)
    found, _ = run_experiment(rules, trial, context_of(given))
    assert (found.value, found.in_experiment, found.hash_used) == (value, inside, hashed)


@pytest.mark.parametrize(
    ("name", "given", "documents", "key", "expected", "afterwards"), named("stickyBucket")
)
def test_sticky_buckets_hold_as_published(
    name: str, given: dict[str, Any], documents: list[Any], key: str,
    expected: dict[str, Any] | None, afterwards: dict[str, Any],
) -> None:  # fmt: skip
    known = {
        unit_name(d["attributeName"], d["attributeValue"]): d["assignments"] for d in documents
    }
    mine = {unit_name(name, value) for name, value in given["attributes"].items()}
    found = evaluate(rules_of(given), key, context_of(given, known))
    assert (told(found.assigned) if found.assigned else None) == expected
    kept = {name: dict(assignments) for name, assignments in known.items() if name in mine}
    for met in found.met:
        if met.bucket_version is not None:
            unit = kept.setdefault(unit_name(met.attribute, str(met.unit)), {})
            unit.setdefault(assignment_name(met.experiment, met.bucket_version), met.key)
    assert kept == {name: document["assignments"] for name, document in afterwards.items()}
