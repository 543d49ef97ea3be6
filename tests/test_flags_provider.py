"""OpenFeature's own client asks Lakeward's provider: values, reasons, errors, events, hooks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, EventHandler, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagEvaluationOptions, Reason
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.provider import ProviderStatus

from conftest import Lake, wait_until
from lakeward.flags import FileSource, Flags
from lakeward.flags.provider import LakewardProvider
from lakeward.testing import MemoryCollector

FEATURES: dict[str, Any] = {
    "on": {"defaultValue": True},
    "text": {"defaultValue": "plain"},
    "count": {"defaultValue": 3},
    "whole": {"defaultValue": 3.0},
    "share": {"defaultValue": 0.25},
    "object": {"defaultValue": {"colour": "blue"}},
    "list": {"defaultValue": [1, 2]},
    "nothing": {},
    "off": {"defaultValue": False, "enabled": False},
    "staff": {"defaultValue": False, "rules": [
        {"id": "r1", "condition": {"role": "staff"}, "force": True},
        {"coverage": 0.999999, "force": True},
    ]},
    "everyone": {"defaultValue": 1, "rules": [{"force": 2}]},
    "page": {"defaultValue": "plain", "rules": [
        {"key": "match-page", "variations": ["plain", "reasons"], "hashVersion": 2,
         "meta": [{"key": "control"}, {"key": "reasons-first"}]},
    ]},
    "by-user": {"rules": [{"variations": [1, 2], "hashAttribute": "user_id"}]},
    "loop": {"rules": [{"parentConditions": [{"id": "loop", "condition": {}}], "force": 1}]},
}  # fmt: skip


class Served:
    """A file of flags, and a client of OpenFeature that asks for them."""

    def __init__(self, path: Path, collector: Any) -> None:
        self.path = path
        self.set(FEATURES)
        self.flags = Flags(FileSource(path), collector, every=3600)
        self.provider = LakewardProvider(self.flags, key_attribute="user_id")
        api.set_provider_and_wait(self.provider)
        self.client: OpenFeatureClient = api.get_client()

    def set(self, features: dict[str, Any]) -> None:
        self.path.write_bytes(msgspec.json.encode({"features": features}))


@pytest.fixture
def collector() -> MemoryCollector:
    return MemoryCollector()


@pytest.fixture
def served(tmp_path: Path, collector: MemoryCollector) -> Iterator[Served]:
    yield Served(tmp_path / "flags.json", collector)
    api.clear_providers()
    api.clear_hooks()


def test_every_type_is_served_in_its_type(served: Served) -> None:
    client = served.client
    assert client.get_boolean_value("on", False) is True
    assert client.get_string_value("text", "x") == "plain"
    assert client.get_integer_value("count", 0) == 3
    assert client.get_integer_value("whole", 0) == 3
    assert client.get_float_value("share", 0.0) == 0.25
    assert client.get_float_value("count", 0.0) == 3.0
    assert client.get_object_value("object", {}) == {"colour": "blue"}
    assert client.get_object_value("list", []) == [1, 2]


def test_the_async_client_is_answered_the_same(served: Served) -> None:
    async def asks() -> tuple[bool, str]:
        context = EvaluationContext("u1")
        return (
            await served.client.get_boolean_value_async("on", False),
            await served.client.get_string_value_async("page", "x", context),
        )

    page = served.client.get_string_value("page", "x", EvaluationContext("u1"))
    assert asyncio.run(asks()) == (True, page)


@pytest.mark.parametrize(
    ("key", "default", "attributes", "reason"),
    [
        ("on", False, {}, Reason.DEFAULT),
        ("off", True, {}, Reason.DISABLED),
        ("staff", False, {"role": "staff"}, Reason.TARGETING_MATCH),
        ("staff", False, {}, Reason.SPLIT),
    ],
)
def test_the_reason_says_how_a_value_came_about(
    key: str, default: bool, attributes: dict[str, Any], reason: Reason, served: Served
) -> None:
    context = EvaluationContext("u1", attributes)
    assert served.client.get_boolean_details(key, default, context).reason == reason


def test_a_value_for_everyone_is_static(served: Served) -> None:
    assert served.client.get_integer_details("everyone", 0).reason == Reason.STATIC


def test_an_experiment_is_a_split_with_its_variant_and_metadata(
    served: Served, collector: MemoryCollector
) -> None:
    found = served.client.get_string_details("page", "x", EvaluationContext("u1"))
    (row,) = collector.records
    assert found.reason == Reason.SPLIT
    assert found.variant == row["experiments"]["variant"]
    assert found.value == {"control": "plain", "reasons-first": "reasons"}[str(found.variant)]
    assert found.flag_metadata["experiment"] == "match-page"
    assert found.flag_metadata["bucket"] == row["experiments"]["bucket"]
    assert row["user_id"] == "u1"


def test_the_targeting_key_is_the_id_and_whatever_else_it_is_called(served: Served) -> None:
    key_alone = served.client.get_integer_details("by-user", 0, EvaluationContext("u1"))
    said = served.client.get_integer_details(
        "by-user", 0, EvaluationContext("x", {"user_id": "u1"})
    )
    assert key_alone.variant == said.variant
    assert key_alone.variant is not None


@pytest.mark.parametrize(
    ("key", "code"),
    [("unknown", ErrorCode.FLAG_NOT_FOUND), ("text", ErrorCode.TYPE_MISMATCH),
     ("loop", ErrorCode.PARSE_ERROR)],
)  # fmt: skip
def test_an_error_gives_the_callers_default_and_its_code(
    key: str, code: ErrorCode, served: Served
) -> None:
    found = served.client.get_integer_details(key, 7)
    assert (found.value, found.error_code, found.reason) == (7, code, Reason.ERROR)
    assert found.error_message


def test_a_truth_value_is_no_number(served: Served) -> None:
    assert served.client.get_integer_details("on", 7).error_code == ErrorCode.TYPE_MISMATCH
    assert served.client.get_float_details("on", 7.0).error_code == ErrorCode.TYPE_MISMATCH


def test_a_flag_without_a_value_leaves_it_to_the_caller(served: Served) -> None:
    found = served.client.get_string_details("nothing", "mine")
    assert (found.value, found.error_code, found.reason) == ("mine", None, Reason.DEFAULT)


def test_attributes_that_raise_are_an_invalid_context(served: Served) -> None:
    class Hostile(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            raise RuntimeError("no")

    flags = served.flags
    found = LakewardProvider(flags).resolve_string_details(
        "page", "x", EvaluationContext(None, Hostile())
    )
    assert (found.value, found.error_code) == ("x", ErrorCode.INVALID_CONTEXT)


def test_hooks_see_the_evaluation(served: Served) -> None:
    seen: list[tuple[str, str | None]] = []

    class Sees(Hook):
        def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext:
            return EvaluationContext("u1", {"role": "staff"})

        def after(
            self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints
        ) -> None:
            name = hook_context.provider_metadata.name if hook_context.provider_metadata else ""
            seen.append((name, details.reason))

    options = FlagEvaluationOptions(hooks=[Sees()])
    assert served.client.get_boolean_value("staff", False, None, options) is True
    assert seen == [("lakeward", Reason.TARGETING_MATCH)]


def test_changes_and_troubles_are_events(served: Served) -> None:
    heard: list[EventDetails] = []
    named: list[ProviderEvent] = []

    def hears(event: ProviderEvent) -> EventHandler:
        def handler(details: EventDetails) -> None:
            named.append(event)
            heard.append(details)

        return handler

    for event in ProviderEvent:
        served.client.add_handler(event, hears(event))
    wait_until(lambda: named == [ProviderEvent.PROVIDER_READY])  # told to who asks later, too
    served.set(FEATURES | {"count": {"defaultValue": 4}})
    served.flags.watch.work()
    wait_until(lambda: named[1:] == [ProviderEvent.PROVIDER_CONFIGURATION_CHANGED])
    assert heard[1].flags_changed == ["count"]
    assert served.client.get_integer_value("count", 0) == 4
    served.path.write_bytes(b'{"features"')
    served.flags.watch.work()
    wait_until(lambda: named[2:] == [ProviderEvent.PROVIDER_STALE])
    assert served.client.get_provider_status() == ProviderStatus.STALE
    assert served.client.get_integer_value("count", 0) == 4
    served.set(FEATURES)
    served.flags.watch.work()
    wait_until(lambda: len(named) == 5)
    assert set(named[3:]) == {
        ProviderEvent.PROVIDER_READY, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
    }  # fmt: skip
    assert served.client.get_provider_status() == ProviderStatus.READY


def test_flags_that_cannot_be_read_stop_no_app_and_are_found_when_they_come(
    tmp_path: Path,
) -> None:
    path = tmp_path / "flags.json"
    flags = Flags(FileSource(path), every=3600)
    errors: list[EventDetails] = []
    client = api.get_client()
    client.add_handler(ProviderEvent.PROVIDER_ERROR, errors.append)
    try:
        api.set_provider_and_wait(LakewardProvider(flags))
        found = client.get_boolean_details("on", False)
        assert (found.value, found.error_code) == (False, ErrorCode.PROVIDER_NOT_READY)
        flags.watch.work()
        flags.watch.work()
        wait_until(lambda: len(errors) == 1, what="the event")
        assert client.get_provider_status() == ProviderStatus.ERROR
        path.write_bytes(msgspec.json.encode({"features": FEATURES}))
        flags.watch.work()
        assert client.get_provider_status() == ProviderStatus.READY
        assert client.get_boolean_value("on", False) is True
    finally:
        client.remove_handler(ProviderEvent.PROVIDER_ERROR, errors.append)
        api.clear_providers()


def test_a_provider_that_was_shut_down_may_be_set_again(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    path.write_bytes(msgspec.json.encode({"features": FEATURES}))
    flags = Flags(FileSource(path), every=0.01)
    provider = LakewardProvider(flags)
    try:
        api.set_provider_and_wait(provider)
        api.shutdown()
        api.clear_providers()
        api.set_provider_and_wait(provider)
        path.write_bytes(msgspec.json.encode({"features": {"count": {"defaultValue": 9}}}))
        client = api.get_client()
        wait_until(lambda: client.get_integer_value("count", 0) == 9, what="the change")
    finally:
        api.clear_providers()


def test_an_exposure_by_openfeature_stands_in_a_real_lake(lake: Lake, tmp_path: Path) -> None:
    collector = lake.collector()
    served = Served(tmp_path / "flags.json", collector)
    try:
        for _ in range(2):
            served.client.get_string_value("page", "x", EvaluationContext("u1"))
    finally:
        api.clear_providers()
    collector.commit()
    assert [row["interaction_type"] for row in lake.rows()] == ["experiment_exposure"]


def test_without_the_sdk_one_sentence_names_the_extra() -> None:
    code = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'openfeature' else find(name, *a)\n"
        "import lakeward.flags; assert 'openfeature' not in sys.modules\n"
        "import lakeward.flags.provider"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert ran.returncode == 1
    assert "pip install 'lakeward[flags]'" in ran.stderr.splitlines()[-1]
