"""Flags as an app asks for them: values, shares, exposures in the lake, and nothing ever raised."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from conftest import Lake
from databases import exit_code, forked
from lakeward.errors import SettingError
from lakeward.flags import FixedSource, Flags, MemorySticky
from lakeward.flags.condition import compiled, faults
from lakeward.flags.evaluate import Context, evaluate
from lakeward.flags.exposure import Exposures
from lakeward.flags.feature import Payload
from lakeward.flags.hashing import place
from lakeward.flags.ruleset import ready
from lakeward.settings import load
from lakeward.testing import MemoryCollector
from lakeward.trace import Trace, caused_by

TRIAL: dict[str, Any] = {
    "key": "match-page", "variations": ["plain", "reasons"], "hashAttribute": "user_id",
    "hashVersion": 2, "meta": [{"key": "control"}, {"key": "reasons-first"}], "phase": "2",
}  # fmt: skip
FEATURES: dict[str, Any] = {
    "page": {"defaultValue": "plain", "rules": [TRIAL]},
    "limit": {"defaultValue": 3},
    "share": {"defaultValue": 2},
    "empty": {"defaultValue": {}},
    "off": {"defaultValue": False, "enabled": False, "rules": [{"force": True}]},
    "one-off": {"defaultValue": False, "rules": [{"force": True, "enabled": False}]},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def payload(features: dict[str, Any] | None = None, **groups: list[Any]) -> Payload:
    content = {"features": features or FEATURES, "savedGroups": groups}
    return msgspec.convert(content, Payload)


def flags(collector: Any = None, features: dict[str, Any] | None = None, **more: Any) -> Flags:
    return Flags(FixedSource(payload(features)), collector, every=3600, **more)


# Values


def test_a_value_has_the_type_of_its_default_or_is_the_default() -> None:
    asked = flags()
    assert asked.value("limit", 5) == 3
    assert asked.value("limit", "x") == "x"
    assert asked.value("limit", True) is True
    assert asked.value("share", 0.5) == 2.0
    assert isinstance(asked.value("share", 0.5), float)
    assert asked.value("unknown", 7) == 7
    assert asked.value("limit", None) == 3
    assert asked.is_on("empty")
    assert not asked.is_on("unknown")


def test_what_is_switched_off_has_its_default() -> None:
    asked = flags()
    assert asked.evaluate("off").source == "disabled"
    assert not asked.is_on("off")
    assert asked.evaluate("one-off").source == "defaultValue"


def test_a_variation_may_be_forced_by_hand_or_by_the_address_and_is_told_as_forced() -> None:
    collector = MemoryCollector()
    asked = flags(collector)
    by_hand = asked.evaluate("page", {"user_id": "u1"}, forced_variations={"match-page": 1})
    by_address = asked.evaluate("page", {"user_id": "u2"}, url="https://x.example/?match-page=0")
    assert (by_hand.value, by_address.value) == ("reasons", "plain")
    told = [record["experiments"] for record in collector.records]
    assert [record["forced"] for record in told] == [True, True]
    assert all("bucket" not in record for record in told)


# Exposures


def test_an_exposure_stands_in_the_lake_once_and_says_all_of_it(lake: Lake) -> None:
    collector = lake.collector()
    asked = flags(collector)
    for _ in range(3):
        found = asked.evaluate("page", {"user_id": "u1", "session_id": "s1"})
    collector.commit()
    (row,) = lake.rows()
    assert row["interaction_type"] == "experiment_exposure"
    assert (row["user_id"], row["session_id"]) == ("u1", "s1")
    assert found.assigned is not None
    assert row["experiments"] == {
        "experiment": "match-page", "variant": found.assigned.key,
        "variant_index": found.assigned.index, "feature_key": "page", "experiment_version": 2,
        "hash_attribute": "user_id", "hash_value": "u1", "hash_version": 2,
        "bucket": place("match-page", "u1", 2), "source": "code",
    }  # fmt: skip
    assert asked.stats()["exposures_told"] == 1


def test_an_exposure_is_joined_to_the_call_under_way_whose_user_comes_first() -> None:
    class Call:
        interaction_id = "0198a3c1-7d2e-7f40-9c3b-2f1d5e6a7b8c"
        trace = Trace("ab" * 16)

        def person(self) -> dict[str, str]:
            return {"session_id": "s9", "user_id": "u9"}

    collector = MemoryCollector()
    features = {"page": {"rules": [TRIAL | {"hashAttribute": "id"}]}}
    with caused_by(Call()):
        flags(collector, features).evaluate("page", {"id": "visitor-7"})
    (row,) = collector.records
    assert (row["user_id"], row["session_id"], row["trace_id"]) == ("u9", "s9", "ab" * 16)
    assert row["experiments"]["hash_value"] == "visitor-7"


@pytest.mark.parametrize(
    ("attribute", "field"),
    [("id", "user_id"), ("userId", "user_id"), ("anonymous_id", "anonymous_id"),
     ("deviceId", "anonymous_id"), ("session_id", "session_id"), ("company", None)],
)  # fmt: skip
def test_whoever_is_assigned_can_be_found_to_be_erased(attribute: str, field: str | None) -> None:
    collector = MemoryCollector()
    features = {"page": {"rules": [TRIAL | {"hashAttribute": attribute}]}}
    flags(collector, features).evaluate("page", {attribute: "x7"})
    (row,) = collector.records
    found = {name for name in ("user_id", "anonymous_id", "session_id") if row.get(name) == "x7"}
    assert found == ({field} if field else set())


def test_an_evaluation_that_is_not_to_be_told_is_not() -> None:
    collector = MemoryCollector()
    flags(collector).evaluate("page", {"user_id": "u1"}, tell=False)
    assert collector.records == []


def test_holdouts_and_parents_that_are_experiments_are_exposures_too() -> None:
    collector = MemoryCollector()
    holdout = {"key": "holdout", "variations": [0, 1], "ranges": [[0, 0], [0, 1]],
               "meta": [{"key": "out"}, {"key": "in", "passthrough": True}],
               "hashAttribute": "user_id"}  # fmt: skip
    features = {
        "parent": {"rules": [{"key": "p", "variations": [1, 2], "hashAttribute": "user_id"}]},
        "child": {"rules": [
            holdout, TRIAL | {"parentConditions": [{"id": "parent", "condition": {}}]},
        ]},
    }  # fmt: skip
    flags(collector, features).evaluate("child", {"user_id": "u1"})
    assert [row["experiments"]["experiment"] for row in collector.records] == [
        "holdout", "p", "match-page",
    ]  # fmt: skip


def test_what_was_told_is_remembered_for_the_newest_units_only() -> None:
    collector = MemoryCollector()
    exposures = Exposures(collector, most=4)
    asked = flags()
    for unit in ("a", "b", "a", "c", "d", "a", "e", "f", "g", "a"):
        (met,) = asked.evaluate("page", {"user_id": unit}).met
        exposures.tell(met, {}, "file")
    told = Counter(row["experiments"]["hash_value"] for row in collector.records)
    assert all(told[unit] == 1 for unit in "bcdefg")
    assert told["a"] <= 2
    assert len(exposures._fresh) <= 4


def test_collection_that_is_off_leaves_flags_on() -> None:
    collector = MemoryCollector({"ENABLE_DATA_COLLECTION": "false"})
    asked = flags(collector)
    assert asked.evaluate("page", {"user_id": "u1"}).assigned is not None
    assert asked.stats()["exposures_untold"] == 1


# Shares


@pytest.mark.parametrize("version", [1, 2])
def test_units_are_shared_out_as_the_weights_say(version: int) -> None:
    rule = TRIAL | {"weights": [0.2, 0.8], "hashVersion": version}
    rules = ready(payload({"page": {"rules": [rule]}}))
    found = Counter(
        evaluate(rules, "page", Context(attributes={"user_id": f"user-{n}"})).value
        for n in range(20_000)
    )
    spread = math.sqrt(20_000 * 0.2 * 0.8)
    assert abs(found["plain"] - 4_000) < 5 * spread


def test_experiments_with_seeds_of_their_own_are_independent() -> None:
    rules = ready(payload({
        "one": {"rules": [TRIAL | {"key": "one"}]}, "two": {"rules": [TRIAL | {"key": "two"}]},
    }))  # fmt: skip
    pairs = Counter(
        tuple(
            evaluate(rules, key, Context(attributes={"user_id": f"user-{n}"})).value
            for key in ("one", "two")
        )
        for n in range(20_000)
    )
    assert all(abs(count - 5_000) < 5 * math.sqrt(20_000 * 3 / 16) for count in pairs.values())


def test_more_coverage_moves_nobody_to_another_variation() -> None:
    def given_to(coverage: float) -> list[str | None]:
        rules = ready(payload({"page": {"rules": [TRIAL | {"coverage": coverage}]}}))
        return [
            evaluate(rules, "page", Context(attributes={"user_id": f"u{n}"})).value
            for n in range(2_000)
        ]

    few, many = given_to(0.3), given_to(0.9)
    assert all(one in (None, other) for one, other in zip(few, many, strict=True))
    assert few.count(None) > many.count(None) > 0


def test_forked_workers_and_other_interpreters_assign_the_same() -> None:
    units = [f"Ünit {n} 🙂" for n in range(200)]
    asked = flags()
    mine = [asked.evaluate("page", {"user_id": unit}).value for unit in units]

    def agrees() -> None:
        assert [asked.evaluate("page", {"user_id": unit}).value for unit in units] == mine

    assert exit_code(forked(agrees)) == 0
    code = (
        "import sys, msgspec; from lakeward.flags.hashing import place\n"
        "units = msgspec.json.decode(sys.argv[1])\n"
        "print(msgspec.json.encode([place('match-page', u, 2) for u in units]).decode())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, msgspec.json.encode(units).decode()],
        capture_output=True, timeout=120, check=True, env={"PYTHONHASHSEED": "7",
        "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert msgspec.json.decode(out.stdout) == [place("match-page", unit, 2) for unit in units]


# Nothing is raised


class Hostile(dict[str, Any]):
    def get(self, *_: Any) -> Any:
        raise RuntimeError("no")


def test_attributes_that_raise_give_the_default_and_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = flags(monotonic=lambda: 1.0)
    for _ in range(5):
        found = asked.evaluate("page", Hostile(user_id="u1"))
    assert (found.value, found.source) == (None, "error")
    assert asked.value("page", "plain", Hostile()) == "plain"
    no_key: Any = {}
    assert not asked.is_on(no_key)
    assert asked.stats()["evaluations_failed"] == 7
    assert len(caplog.records) == 1


@tries(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=6), JSON, max_size=3), JSON, JSON)
def test_no_json_makes_a_condition_raise(
    attributes: dict[str, Any], operand: Any, other: Any
) -> None:
    names = ("$eq", "$ne", "$in", "$nin", "$gt", "$lte", "$regex", "$notRegexi", "$size", "$all",
             "$elemMatch", "$not", "$type", "$exists", "$vgt", "$inGroup", "$ini", "$alli",
             "$odd")  # fmt: skip
    name = next(iter(attributes), "a")
    for operator in names:
        for condition in ({name: {operator: operand}}, {operator: operand}, {name: operand}):
            assert compiled(condition, {"g": [other]})(attributes) in (True, False)
            assert all(isinstance(fault, str) for fault in faults(condition, {}))


def test_true_is_not_one_and_a_text_is_not_its_number() -> None:
    def holds(condition: Any, value: Any) -> bool:
        return compiled({"a": condition}, {})({"a": value})

    assert not holds(1, True)
    assert not holds(True, 1)
    assert not holds({"$in": [1, "2"]}, True)
    assert not holds({"$in": [1, "2"]}, 2)
    assert not holds("3", 3)
    assert not holds([1], [True])
    assert holds({"$in": [True]}, True)
    assert holds(1, 1.0)


def test_a_condition_without_end_matches_nobody_and_is_a_fault() -> None:
    deep: dict[str, Any] = {"a": 1}
    for _ in range(200):
        deep = {"$not": deep}
    assert compiled(deep, {})({"a": 1}) in (True, False)
    assert faults(deep, {})


def test_an_empty_setting_names_what_it_may_be() -> None:
    with pytest.raises(SettingError, match="LAKEWARD_FLAGS"):
        Flags.from_settings(load({}))


def test_sticky_assignments_stay_when_the_weights_change() -> None:
    store = MemorySticky()
    units = [f"u{n}" for n in range(200)]
    before = flags(features={"page": {"rules": [TRIAL]}}, sticky=store)
    first = [before.evaluate("page", {"user_id": unit}).value for unit in units]
    before.close()
    shifted = {"page": {"rules": [TRIAL | {"weights": [0.05, 0.95]}]}}
    after = flags(features=shifted, sticky=store)
    assert all(after.recall({"user_id": unit}) for unit in units)
    assert [after.evaluate("page", {"user_id": unit}).value for unit in units] == first
    newcomers = Counter(after.evaluate("page", {"user_id": f"n{n}"}).value for n in range(400))
    assert newcomers["plain"] < 60
    after.close()
