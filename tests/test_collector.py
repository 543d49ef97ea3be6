"""The collector gives an id for what is kept, a reason for what is not, and never an exception."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, cast
from uuid import RFC_4122, UUID

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps import http_scope, ok, play
from conftest import Lake, attachment_of, wait_until
from lakeward.bell import PATH_MOST
from lakeward.capture.asgi import LakewardMiddleware
from lakeward.catalog import TYPES
from lakeward.collector import Collector
from lakeward.errors import NotDurable, Rejected
from lakeward.interaction import (
    EARLIEST_MS,
    LATEST_MS,
    Clock,
    adopt_id,
    foreign_id,
    id_ms,
    iso,
    parse_iso,
)
from lakeward.ledger import Reason
from lakeward.settings import load
from test_keeper import keeping

NOON_NS = 1_755_172_800_000_000_000  # 2025-08-14T12:00:00Z
NOON = "2025-08-14T12:00:00.000Z"
SMALL = {"LAKEWARD_RING_BYTES": "256KiB", "LAKEWARD_FRAME_BYTES": "4KiB"}
NO_KEEPER = {"LAKEWARD_KEEPER": "external", "LAKEWARD_EXIT_SECONDS": "0"}
OURS_V7 = "0198a873-8600-7a45-a2ab-408d59876ccb"
OURS_V8 = "0198a873-8600-8a45-a2ab-408d59876ccb"
MARK = "Kq7-hunter2-Zz9"


def landed(collector: Collector, lake: Lake) -> list[dict[str, Any]]:
    """Everything recorded so far, once it is durable."""
    collector.commit(60)
    return lake.rows()


def the_row(collector: Collector, lake: Lake) -> dict[str, Any]:
    [row] = landed(collector, lake)
    return row


def the_entry(collector: Collector, lake: Lake) -> dict[str, Any]:
    collector.commit(60)
    [entry] = lake.quarantined()
    return entry


def reasons(collector: Collector) -> dict[str, int]:
    """What was counted, after checking that the sum holds."""
    stats = collector.stats()
    counted: dict[str, int] = stats["reasons"]
    assert stats["offered"] == stats["accepted"] + sum(counted.values())
    return counted


def stored_bytes(lake: Lake) -> bytes:
    """All bytes in the lake's files and in its rings."""
    files = [path for folder in (lake.root, lake.ring_dir) for path in folder.rglob("*")]
    return b"".join(path.read_bytes() for path in files if path.is_file())


def with_clock(lake: Lake, now_ns: Callable[[], int]) -> Collector:
    """A collector of the lake under a clock of the test's."""
    environ = {"LAKEWARD_KEEPER": "thread", **lake.env}
    collector = Collector(load(environ, lake.root.parent), now_ns=now_ns)
    lake._collectors.append(collector)
    return collector


# What is kept


def test_an_id_is_a_uuid7_of_the_records_own_millisecond(lake: Lake) -> None:
    collector = lake.collector()
    ids = [collector.record("hello") for _ in range(50)]
    rows = landed(collector, lake)
    assert [row["interaction_id"] for row in rows] == ids
    assert len(set(ids)) == 50
    for row in rows:
        made = UUID(row["interaction_id"])
        assert (made.version, made.variant) == (7, RFC_4122)
        assert id_ms(row["interaction_id"]) == parse_iso(row["timestamp"])


def test_each_known_types_own_fields_land_in_its_slot(lake: Lake) -> None:
    collector = lake.collector()
    for name, spec in TYPES.items():
        assert collector.record(name, **spec.example, shade="autumn") is not None, name
    rows = {row["interaction_type"]: row for row in landed(collector, lake)}
    assert rows.keys() == TYPES.keys()
    for name, spec in TYPES.items():
        row = rows[name]
        own = spec.own & spec.example.keys()
        assert own <= row.get(spec.slot or "", {}).keys()
        assert own.isdisjoint(row)
        assert row["properties"]["shade"] == "autumn"
        assert (spec.lifted & spec.example.keys()) <= row.keys()


def test_a_custom_types_unknown_fields_are_kept_as_properties(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("signed_up", user_id=17, plan="gold", nested={"a": [1, 2.5, None, True]})
    row = the_row(collector, lake)
    assert (row["interaction_type"], row["user_id"]) == ("signed_up", "17")
    assert row["properties"] == {"plan": "gold", "nested": {"a": [1, 2.5, None, True]}}


def test_the_callers_own_objects_are_left_as_they_were(lake: Lake) -> None:
    collector = lake.collector()
    nested: dict[str, Any] = {"password": MARK, "list": [{"token": MARK}]}
    fields = {"method": "GET", "path": "/a", "metadata": nested, "timestamp": NOON}
    before = repr((nested, fields))
    collector.record("api_call", **fields)
    collector.record("hello", **fields)
    collector.record("partner_match", **fields)
    assert repr((nested, fields)) == before


def test_environment_and_version_given_win_over_the_settings(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_ENV="staging", APP_VERSION="1.2.3")
    for more in ({}, {"environment": "canary", "app_version": "9.9.9"}):
        collector.record("hello", **more)
        collector.record("api_call", method="GET", path="/", **more)
    found = [(row["environment"], row["app_version"]) for row in landed(collector, lake)]
    assert found == [("staging", "1.2.3")] * 2 + [("canary", "9.9.9")] * 2


def test_the_service_of_the_settings_is_written_into_every_record(lake: Lake) -> None:
    for service in ("shop", ""):
        with lake.collector(LAKEWARD_SERVICE=service) as collector:
            collector.record("hello", service="given")
            collector.record("api_call", method="GET", path="/")
    assert [row.get("service") for row in lake.rows()] == ["shop", "shop", "given", None]


class Colour(Enum):
    RED = "red"


class Word(str):
    pass


class Level(int):
    pass


@dataclass
class Point:
    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (float("nan"), None),
        (float("inf"), None),
        (10**30, str(10**30)),
        (2**64 - 1, 2**64 - 1),
        (-(2**70), str(-(2**70))),
        (10**5000, "[too large]"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\ud83d\ude00", "\N{GRINNING FACE}"),
        ("nul \0 and \x1b", "nul \0 and \x1b"),
        (b"bytes \xff", "bytes \N{REPLACEMENT CHARACTER}"),
        (bytearray(b"ab"), "ab"),
        (memoryview(b"ab"), "ab"),
        (Word("word"), "word"),
        (Level(7), 7),
        (Colour.RED, "red"),
        (Point(1, 2), {"x": 1, "y": 2}),
        (UUID(int=1), str(UUID(int=1))),
        (datetime(2025, 8, 14, 12, tzinfo=UTC), "2025-08-14T12:00:00+00:00"),
        (date(2025, 8, 14), "2025-08-14"),
        (timedelta(seconds=90), 90.0),
        (Path("/a/b"), "/a/b"),
        ((1, 2), [1, 2]),
        ({1: "a", None: "b", 2.5: "c"}, {"1": "a", "null": "b", "2.5": "c"}),
        ({"k\ud800": 1}, {"k\N{REPLACEMENT CHARACTER}": 1}),
        (object(), "[unsupported: object]"),
        (len, "[unsupported: builtin_function_or_method]"),
        (int, "[unsupported: type]"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_json_lacks_is_stored_as_the_nearest_that_it_has(
    lake: Lake, value: object, stored: object
) -> None:
    collector = lake.collector()
    assert collector.record("odd", it=value, nested={"list": [value]}) is not None
    properties = the_row(collector, lake)["properties"]
    assert properties == {"it": stored, "nested": {"list": [stored]}}
    assert reasons(collector) == {}


@pytest.mark.parametrize("amount", ["100.50", "7", "0.1"])
def test_a_decimal_amount_of_a_known_type_is_a_number(lake: Lake, amount: str) -> None:
    collector = lake.collector()
    assert collector.record("deal_closed", value=Decimal(amount), currency="EUR") is not None
    assert the_row(collector, lake)["outcomes"]["value"] == float(amount)


def test_a_decimal_time_of_a_call_is_a_number(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("api_call", method="GET", path="/", response_time_ms=Decimal("1.5"))
    assert the_row(collector, lake)["response_time_ms"] == 1.5


def test_a_cycle_is_cut(lake: Lake) -> None:
    collector = lake.collector()
    circle: dict[str, Any] = {"name": "round"}
    circle["self"] = [circle, circle]
    assert collector.record("odd", it=circle) is not None
    assert "[too deep]" in str(the_row(collector, lake)["properties"])


# What comes with a time or an id


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2025-08-14T16:11:28.677Z", "2025-08-14T16:11:28.677Z"),
        ("2025-08-14T18:11:28.677+02:00", "2025-08-14T16:11:28.677Z"),
        ("2025-08-14 16:11:28", "2025-08-14T16:11:28.000Z"),
        ("20250814T161128Z", "2025-08-14T16:11:28.000Z"),
        ("2025-08-14", "2025-08-14T00:00:00.000Z"),
        (datetime(2025, 8, 14, 16, 11, 28, 677_600, tzinfo=UTC), "2025-08-14T16:11:28.678Z"),
        (datetime(2025, 8, 14, 16, 11), "2025-08-14T16:11:00.000Z"),
        (date(2025, 8, 14), "2025-08-14T00:00:00.000Z"),
        (EARLIEST_MS, None),
    ],
)
def test_a_time_given_is_the_records_time_and_that_of_its_id(
    lake: Lake, given: object, stored: str | None
) -> None:
    collector = lake.collector()
    made = collector.record("hello", timestamp=given)
    if stored is None:
        assert made is None
        assert the_entry(collector, lake)["reason"].startswith("`timestamp` must be ISO 8601")
        return
    assert made is not None
    assert the_row(collector, lake)["timestamp"] == stored
    assert id_ms(made) == parse_iso(stored)
    assert UUID(made).version == 7


@pytest.mark.parametrize("given", ["soon", "", "2025-13-01", MARK, True, [], {"a": 1}, object()])
def test_what_is_no_time_is_quarantined_without_being_quoted(lake: Lake, given: object) -> None:
    collector = lake.collector()
    assert collector.record("hello", timestamp=given, n=1) is None
    entry = the_entry(collector, lake)
    assert entry["reason"] == (
        "`timestamp` must be ISO 8601 text such as 2025-08-14T16:11:28.677Z."
    )
    assert entry["record"]["n"] == 1
    assert lake.rows() == []


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1969-07-20T20:17:00Z", "2000-01-01T00:00:00.000Z"),
        ("1999-12-31T23:59:59.999Z", "2000-01-01T00:00:00.000Z"),
        ("2100-01-01T00:00:00Z", "2099-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:59.999Z", "2099-12-31T23:59:59.999Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "2000-01-01T00:00:00.000Z"),
    ],
)
@pytest.mark.parametrize("kind", ["hello", "api_call"])
def test_a_time_outside_the_lakes_years_is_clamped_and_the_original_kept(
    lake: Lake, given: object, stored: str, kind: str
) -> None:
    collector = lake.collector()
    made = collector.record(kind, timestamp=given, method="GET", path="/")
    assert made is not None
    row = the_row(collector, lake)
    assert row["timestamp"] == stored
    assert parse_iso(row["client_timestamp"]) == parse_iso(str(given))
    assert id_ms(made) == parse_iso(stored)


def test_a_clients_own_time_is_not_replaced_by_a_clamped_one(lake: Lake) -> None:
    collector = lake.collector()
    own = "1970-01-01T00:00:00Z"
    collector.record("hello", timestamp="1969-07-20T20:17:00Z", client_timestamp=own)
    assert the_row(collector, lake)["client_timestamp"] == own


@pytest.mark.parametrize(
    "given", ["19690720", "1969-07-20", "1969-W29-7", "1969-07-20T20Z", date(1969, 7, 20)]
)
def test_any_iso_time_outside_the_lakes_years_is_clamped_and_not_refused(
    lake: Lake, given: object
) -> None:
    collector = lake.collector()
    assert collector.record("hello", timestamp=given) is not None
    assert the_row(collector, lake)["timestamp"] == "2000-01-01T00:00:00.000Z"


@pytest.mark.parametrize("ours", [OURS_V7, OURS_V8])
def test_an_id_of_ours_is_kept(lake: Lake, ours: str) -> None:
    collector = lake.collector()
    assert collector.record("hello", interaction_id=ours, timestamp=NOON) == ours
    assert collector.record("hello", interaction_id=UUID(ours), timestamp=NOON) == ours
    assert {row["interaction_id"] for row in landed(collector, lake)} == {ours}


def test_an_id_of_ours_in_capitals_is_the_same_id(lake: Lake) -> None:
    collector = lake.collector()
    assert collector.record("hello", interaction_id=OURS_V7.upper(), timestamp=NOON) == OURS_V7


def test_an_id_of_ours_without_a_time_brings_its_own(lake: Lake) -> None:
    collector = lake.collector()
    assert collector.record("hello", interaction_id=OURS_V7) == OURS_V7
    assert the_row(collector, lake)["timestamp"] == NOON


def test_an_id_whose_time_no_partition_can_take_is_not_adopted_as_ours(lake: Lake) -> None:
    collector = lake.collector()
    made = collector.record("hello", interaction_id="ffffffff-ffff-7fff-bfff-ffffffffffff")
    assert made is not None
    assert EARLIEST_MS <= id_ms(made) <= LATEST_MS


@pytest.mark.parametrize(
    "foreign", ["evt_17", 17, "", str(UUID(int=1, version=4)), "é" * 300, "a\ud800"]
)
def test_a_foreign_id_becomes_the_same_uuid8_every_time_and_carries_its_day(
    lake: Lake, foreign: object
) -> None:
    ids = set()
    for version in ("1", "2"):
        with lake.collector(APP_VERSION=version) as collector:
            for _ in range(2):
                ids.add(collector.record("hello", interaction_id=foreign, timestamp=NOON))
    [made] = ids
    assert made is not None
    assert UUID(made).version == 8
    assert id_ms(made) == parse_iso(NOON)
    assert [row["interaction_id"] for row in lake.rows()] == [made] * 4


def test_a_quarantined_record_keeps_the_time_and_the_id_it_came_with(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("partner_match", timestamp=NOON, interaction_id="evt_17", score=-1)
    record = the_entry(collector, lake)["record"]
    assert (record["timestamp"], record["interaction_id"]) == (NOON, "evt_17")


# What is refused


def test_an_invalid_known_type_is_quarantined_with_reason_and_time(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_ENV="staging")
    before = time.time_ns() // 1_000_000
    made = collector.record(
        "partner_match", partner_id="p1", score=101, password=MARK, path=f"/reset/{MARK}"
    )
    assert made is None
    entry = the_entry(collector, lake)
    assert before <= parse_iso(entry["quarantined_at"]) <= time.time_ns() // 1_000_000
    assert id_ms(entry["quarantine_id"]) == parse_iso(entry["quarantined_at"])
    assert (entry["interaction_type"], entry["environment"]) == ("partner_match", "staging")
    assert entry["reason"].startswith("partner_match refused: `score` must be")
    assert entry["record"] == {
        "partner_id": "p1", "score": 101, "password": "[REDACTED]", "path": "/reset/[REDACTED]"
    }  # fmt: skip
    assert MARK.encode() not in stored_bytes(lake)


def test_what_was_quarantined_stands_in_the_sum_and_not_among_the_delivered(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("hello")
    for _ in range(3):
        assert collector.record("partner_match", score=101) is None
    collector.commit(60)
    report = lake.audit()
    assert report.ok, report.faults
    assert (report.sum["offered"], report.sum["delivered"]) == (4, 1)
    assert report.sum["quarantined"] == 3
    assert reasons(collector) == {}


@pytest.mark.parametrize("kind", ["", "Hello", "two words", "é", "x" * 65, 5, None, [], object()])
def test_what_is_no_name_of_a_type_is_quarantined(lake: Lake, kind: Any) -> None:
    collector = lake.collector(ENABLE_OUTCOME_TRACKING="true")
    assert collector.record(kind, n=1) is None
    entry = the_entry(collector, lake)
    assert "`interaction_type` must be text" in entry["reason"]
    assert entry["record"] == {"n": 1}


def test_a_typed_call_raises_in_development_and_counts(lake: Lake) -> None:
    collector = lake.collector()
    with pytest.raises(Rejected, match="partner_match refused: `score`") as refused:
        collector.record_or_raise("partner_match", partner_id=MARK, score=101)
    assert MARK not in "".join(traceback.format_exception(refused.value))
    assert reasons(collector) == {"rejected": 1}
    collector.commit(60)
    assert lake.quarantined() == []
    assert lake.audit().sum["rejected"] == 1


def test_a_typed_call_quarantines_in_production(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_ENV="production")
    assert collector.record_or_raise("partner_match", partner_id="p1", score=101) is None
    assert the_entry(collector, lake)["environment"] == "production"
    assert reasons(collector) == {}


def test_a_typed_call_that_is_valid_is_recorded(lake: Lake) -> None:
    collector = lake.collector()
    made = collector.record_or_raise("partner_match", partner_id="p1", score=87)
    assert the_row(collector, lake)["interaction_id"] == made


def test_input_that_cannot_be_decoded_leaves_only_its_length_and_hash(lake: Lake) -> None:
    collector = lake.collector()
    for raw in (MARK.encode(), MARK.encode(), b"other"):
        collector.quarantine("undecodable", note="line 3", raw=raw)
    collector.commit(60)
    entries = lake.quarantined()
    assert [entry["bytes"] for entry in entries] == [len(MARK), len(MARK), 5]
    assert entries[0]["hash"] == entries[1]["hash"] != entries[2]["hash"]
    assert {(entry["reason"], entry["note"]) for entry in entries} == {("undecodable", "line 3")}
    assert MARK.encode() not in stored_bytes(lake)


def test_a_record_larger_than_a_frame_is_dropped_and_counted(lake: Lake) -> None:
    collector = lake.collector(**SMALL)
    assert collector.record("hello", filler="x " * 6000) is None
    assert collector.record("hello", filler="x " * 1000) is not None
    assert reasons(collector) == {"too_large": 1}
    collector.commit(60)
    assert lake.audit().reasons == {"too_large": 1}


def test_the_largest_frame_is_the_largest_also_where_a_lane_could_take_more(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_FRAME_BYTES="4KiB")
    assert collector.record("hello", filler="x " * 6000) is None
    assert reasons(collector) == {"too_large": 1}


def test_a_rejected_record_larger_than_a_frame_is_quarantined_without_its_content(
    lake: Lake,
) -> None:
    collector = lake.collector(**SMALL)
    assert collector.record("partner_match", score=-1, filler="x " * 6000) is None
    entry = the_entry(collector, lake)
    assert entry["record"].startswith("[too large: ")
    assert "partner_match refused" in entry["reason"]
    assert reasons(collector) == {}


# The host's own scrubbing


def test_the_hosts_callable_changes_what_is_stored(lake: Lake) -> None:
    def scrub(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if name != "email"} | {"seen": True}

    collector = lake.collector(scrub=scrub)
    collector.record("signed_up", email=MARK, plan="gold")
    assert the_row(collector, lake)["properties"] == {"plan": "gold", "seen": True}
    assert MARK.encode() not in stored_bytes(lake)


def test_what_the_hosts_callable_returns_is_scrubbed_again(lake: Lake) -> None:
    collector = lake.collector(
        scrub=lambda fields: fields | {"password": MARK, "path": f"/reset/{MARK}"}
    )
    collector.record("hello", kept="yes")
    row = the_row(collector, lake)
    assert row["properties"] == {"kept": "yes", "password": "[REDACTED]"}
    assert row["path"] == "/reset/[REDACTED]"
    assert MARK.encode() not in stored_bytes(lake)


def raises(fields: dict[str, Any]) -> dict[str, Any]:
    raise LookupError(f"no {fields}")


@pytest.mark.parametrize(
    "scrub", [raises, lambda fields: None, lambda fields: [fields], lambda fields: {1: fields}]
)
def test_a_host_callable_that_fails_drops_the_record_and_is_counted(
    lake: Lake, scrub: Any, caplog: pytest.LogCaptureFixture
) -> None:
    collector = lake.collector(scrub=scrub)
    assert collector.record("hello", note=MARK) is None
    assert reasons(collector) == {"scrub_failed": 1}
    collector.commit(60)
    assert (lake.rows(), lake.quarantined()) == ([], [])
    assert MARK.encode() not in stored_bytes(lake)
    assert "dropped" in caplog.text
    assert MARK not in caplog.text


def without_email(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "email"}


def test_the_hosts_callable_sees_what_is_quarantined_too(lake: Lake) -> None:
    collector = lake.collector(scrub=without_email)
    assert collector.record("partner_match", score=-1, email=MARK) is None
    assert the_entry(collector, lake)["record"] == {"score": -1}
    assert MARK.encode() not in stored_bytes(lake)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("hello", {}),
        ("partner_match", {"score": -1}),
        ("api_call", {"method": "GET", "path": "/"}),
        ("api_call", {"method": "GET", "path": "/", "plan": "gold"}),
        ("api_call", {"method": "GET", "path": "/", "route": 7}),
    ],
    ids=["custom", "a refused match", "a call", "a call with more", "a refused call"],
)
def test_the_hosts_callable_is_applied_once(lake: Lake, kind: str, fields: dict[str, Any]) -> None:
    collector = lake.collector(scrub=lambda given: given | {"user_id": f"h({given['user_id']})"})
    collector.record(kind, user_id="ann", **fields)
    collector.commit(60)
    stored = [*lake.rows(), *(entry["record"] for entry in lake.quarantined())]
    assert [record["user_id"] for record in stored] == ["h(ann)"]


def test_the_hosts_callable_sees_what_is_quarantined_for_its_time(lake: Lake) -> None:
    collector = lake.collector(scrub=without_email)
    assert collector.record("hello", timestamp="soon", email=MARK) is None
    assert "email" not in the_entry(collector, lake)["record"]


def test_the_hosts_callable_sees_calls_that_the_middleware_records(lake: Lake) -> None:
    collector = lake.collector(scrub=lambda fields: fields | {"user_id": "hidden by the host"})
    play(LakewardMiddleware(ok, collector, user=lambda _: MARK), http_scope())
    assert the_row(collector, lake)["user_id"] == "hidden by the host"


@pytest.mark.parametrize("name", ["comments", "user_agent"])
def test_a_key_that_the_host_calls_sensitive_is_hidden_also_where_a_type_declares_it(
    lake: Lake, name: str
) -> None:
    collector = lake.collector(LAKEWARD_SENSITIVE_KEYS=name)
    collector.record("feedback_submission", **{name: MARK})
    collector.commit(60)
    assert MARK.encode() not in stored_bytes(lake)


# What is switched off


def test_outcomes_switched_off_are_counted_and_everything_else_is_recorded(lake: Lake) -> None:
    collector = lake.collector(ENABLE_OUTCOME_TRACKING="false")
    made = {name: collector.record(name, **spec.example) for name, spec in TYPES.items()}
    outcomes = {name for name, spec in TYPES.items() if spec.outcome}
    assert {"partner_match", "demo_booking", "deal_closed"} <= outcomes < TYPES.keys()
    assert {name for name, kept in made.items() if kept is None} == outcomes
    assert reasons(collector) == {"disabled": len(outcomes)}
    assert {row["interaction_type"] for row in landed(collector, lake)} == TYPES.keys() - outcomes


def test_collection_switched_off_counts_and_touches_nothing(lake: Lake) -> None:
    collector = lake.collector(ENABLE_DATA_COLLECTION="false")
    assert collector.record("hello") is None
    assert collector.record_or_raise("partner_match", score=-1) is None
    collector.quarantine("undecodable", note="", raw=b"")
    collector.commit(0.1)
    asyncio.run(collector.acommit(0.1))
    assert reasons(collector) == {"disabled": 3}
    collector.close()
    assert not lake.root.exists()
    assert list(lake.ring_dir.iterdir()) == []


def test_a_setting_that_cannot_be_read_switches_collection_off_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKEWARD_IP", MARK)
    collector = Collector.from_env()
    assert collector.record("hello") is None
    assert reasons(collector) == {"disabled": 1}
    assert "collection is off: LAKEWARD_IP must be one of" in caplog.text
    assert MARK not in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_switches_collection_off_and_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env.development").write_text("LAKEWARD_IP=some\n")
    assert Collector.from_env().record("hello") is None


def test_a_working_directory_that_is_gone_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    Collector.from_env().close()


# Whatever comes in


class Hostile:
    """Raises whenever anything looks at it."""

    def _fail(self, *_: object) -> Any:
        raise RuntimeError(MARK)

    __str__ = __repr__ = __eq__ = __hash__ = __len__ = __iter__ = __bool__ = _fail
    __getattr__ = __getitem__ = __int__ = __float__ = __index__ = __format__ = _fail
    isoformat = keys = items = __call__ = __lt__ = __contains__ = _fail


class HostileText(str):
    def _fail(self, *_: object) -> Any:
        raise RuntimeError(MARK)

    __str__ = __repr__ = __eq__ = __len__ = __iter__ = __format__ = _fail
    __hash__ = str.__hash__


class HostileKey(HostileText):
    armed = False

    def __hash__(self) -> int:
        if self.armed:
            raise RuntimeError(MARK)
        return 5


class HostileDict(dict[str, Any]):
    def _fail(self, *_: object) -> Any:
        raise RuntimeError(MARK)

    items = keys = values = __iter__ = __len__ = __getitem__ = __contains__ = copy = _fail


class HostileClass:
    @property
    def __class__(self) -> Any:
        raise RuntimeError(MARK)

    @__class__.setter
    def __class__(self, _: Any) -> None:
        raise RuntimeError(MARK)


class HostileDate(datetime):
    def isoformat(self, *_: Any, **__: Any) -> Any:
        return Hostile()


class HostileMeta(type):
    @property
    def __name__(cls) -> Any:  # type: ignore[override]  # on purpose
        raise RuntimeError(MARK)


class Nameless(metaclass=HostileMeta):
    pass


def armed_key() -> dict[Any, Any]:
    key = HostileKey("key")
    made = {key: 1}
    key.armed = True
    return made


def deep(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


HOSTILE: dict[str, Callable[[], object]] = {
    "hostile": Hostile,
    "text": lambda: HostileText("text"),
    "key": armed_key,
    "dict": lambda: HostileDict(a=1),
    "class": HostileClass,
    "date": lambda: HostileDate(2025, 1, 1),
    "metaclass": Nameless,
    "deep": lambda: deep(5000),
    "wide": lambda: [list(range(3000))] * 50,
    "generator": lambda: (n for n in range(3)),
    "huge exponent": lambda: Decimal("1e999999999"),
    "nan": lambda: Decimal("sNaN"),
    "surrogates": lambda: "\udcff" * 50,
}
PLACES: dict[str, Callable[[Collector, Any], str | None]] = {
    "a custom field": lambda c, it: c.record("odd", it=it),
    "nested": lambda c, it: c.record("odd", it={"a": [it, {"b": (it,)}]}),
    "a field of the record": lambda c, it: c.record("api_call", method="GET", path="/", user_id=it),
    "the address": lambda c, it: c.record("odd", ip_address=it),
    "the time": lambda c, it: c.record("odd", timestamp=it),
    "the id": lambda c, it: c.record("odd", interaction_id=it),
    "the environment": lambda c, it: c.record("odd", environment=it),
    "a known type": lambda c, it: c.record("partner_match", partner_id="p", score=it),
    "a slot": lambda c, it: c.record("partner_match", partner_id="p", outcomes=it),
    "properties": lambda c, it: c.record("odd", properties=it),
    "a body": lambda c, it: c.record("api_call", method="GET", path="/", request_body=it),
    "the type": lambda c, it: c.record(it, n=1),
}


@pytest.mark.parametrize("place", PLACES)
def test_no_object_however_hostile_makes_record_raise_or_lose_count(
    lake: Lake, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    collector = lake.collector(LAKEWARD_IP="truncate")
    for offered, make in enumerate(HOSTILE.values(), 1):
        PLACES[place](collector, make())
        reasons(collector)
        assert collector.stats()["offered"] == offered
    kept = collector.stats()["accepted"]
    assert len(landed(collector, lake)) + len(lake.quarantined()) == kept
    assert MARK not in caplog.text
    assert MARK.encode() not in stored_bytes(lake)


@dataclass(frozen=True)
class Ghost:
    """Stands for a hostile object, which hypothesis itself could not bear."""

    name: str


def embodied(value: Any) -> Any:
    if isinstance(value, Ghost):
        return HOSTILE[value.name]()
    if isinstance(value, dict):
        return {key: embodied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(embodied, value))
    return value


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
    | st.binary(max_size=8) | st.decimals() | st.dates() | st.datetimes() | st.uuids()
    | st.sampled_from([Colour.RED, ...]) | st.builds(Ghost, st.sampled_from(sorted(HOSTILE))),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner)
    | st.dictionaries(st.text(max_size=6) | st.integers() | st.none(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
NAMES = st.text(max_size=8) | st.sampled_from(
    ["timestamp", "interaction_id", "environment", "app_version", "service", "ip_address", "path",
     "method", "user_id", "score", "partner_id", "outcomes", "properties", "messages", "self",
     "interaction_type", "response_status", "client_timestamp", "request_body", "query_params"]
)  # fmt: skip


def test_no_fields_whatever_make_record_raise_or_lose_count(lake: Lake) -> None:
    collector = lake.collector(**NO_KEEPER, LAKEWARD_RING_BYTES="32MiB", LAKEWARD_ENV="production")
    offered = 0

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(sorted(TYPES)) | st.text(max_size=5),
        st.dictionaries(NAMES, ANYTHING, max_size=5),
    )
    def offer(kind: str, fields: dict[str, Any]) -> None:
        nonlocal offered
        made = collector.record(kind, **embodied(fields))
        assert made is None or UUID(made).version in {7, 8}
        collector.record_or_raise(kind, **embodied(fields))
        offered += 2

    offer()
    counted = reasons(collector)
    stats = collector.stats()
    assert stats["offered"] == offered
    with keeping(lake):
        collector.commit(60)
        assert len(lake.rows()) + len(lake.quarantined()) == stats["accepted"]
    assert lake.audit().ok
    assert counted.keys() <= {reason.name for reason in Reason}


class Finalised:
    """Records when it dies, wherever that is."""

    def __init__(self, collector: Collector, made: list[str | None]) -> None:
        self.collector, self.made, self.me = collector, made, self

    def __del__(self) -> None:
        self.made.append(self.collector.record("finalised", it=self))


def test_an_object_that_records_while_it_dies_is_recorded(lake: Lake) -> None:
    collector = lake.collector()
    made: list[str | None] = []
    for _ in range(20):
        collector.record("hello", it=Finalised(collector, made), nested=[Finalised(collector, [])])
    gc.collect()
    assert len(made) == 20
    assert None not in made
    kinds = [row["interaction_type"] for row in landed(collector, lake)]
    assert (kinds.count("hello"), kinds.count("finalised")) == (20, 40)


# Counting


def fill_the_ring(lake: Lake) -> tuple[Collector, dict[str, int]]:
    collector = lake.collector(**NO_KEEPER, **SMALL)
    made = [collector.record("hello", filler="x y " * 200) for _ in range(600)]
    return collector, {"full": made.count(None)}


def take_every_lane(lake: Lake) -> tuple[Collector, dict[str, int]]:
    collector = lake.collector(**NO_KEEPER, LAKEWARD_RING_LANES="2")
    collector.record("hello")
    ring = attachment_of(collector).ring
    crc = ring._crc

    def interrupted(payload: bytes, start: int = 0) -> int:
        for _ in range(3):  # as a signal handler that records, and is interrupted itself
            collector.record("inner")
        return crc(payload, start)

    ring._crc = interrupted  # type: ignore[assignment]  # bytes is all it gets
    collector.record("outer")
    ring._crc = crc
    return collector, {"contended": 9}


def too_large(lake: Lake) -> tuple[Collector, dict[str, int]]:
    collector = lake.collector(**NO_KEEPER, **SMALL)
    for _ in range(3):
        collector.record("hello", filler="x " * 6000)
    return collector, {"too_large": 3}


def scrub_failed(lake: Lake) -> tuple[Collector, dict[str, int]]:
    collector = lake.collector(scrub=raises, **NO_KEEPER)
    for _ in range(3):
        collector.record("hello")
    return collector, {"scrub_failed": 3}


def unencodable(lake: Lake) -> tuple[Collector, dict[str, int]]:
    collector = with_clock(lake, lambda: cast(int, "no number"))
    for _ in range(3):
        collector.record("hello")
    return collector, {"unencodable": 3}


def rejected(lake: Lake) -> tuple[Collector, dict[str, int]]:
    collector = lake.collector(**NO_KEEPER)
    for _ in range(3):
        with pytest.raises(Rejected):
            collector.record_or_raise("partner_match")
    return collector, {"rejected": 3}


def quarantined(lake: Lake) -> tuple[Collector, dict[str, int]]:
    collector = lake.collector(**NO_KEEPER)
    for _ in range(3):
        collector.record("partner_match")
        collector.quarantine("undecodable", note="", raw=b"x")
    assert collector.stats()["accepted"] == 6
    return collector, {}


def counted(lake: Lake) -> tuple[Collector, dict[str, int]]:
    collector = lake.collector(**NO_KEEPER)
    wanted = {}
    for n, reason in enumerate(Reason, 1):
        collector.count(reason, n)
        wanted[reason.name] = n
    return collector, wanted


def closed(lake: Lake) -> tuple[Collector, dict[str, int]]:
    collector = lake.collector()
    collector.record("hello")
    collector.close()
    collector.record("hello")
    collector.record("partner_match")
    collector.count(Reason.sampled, 4)
    return collector, {"closed": 6}


def no_ring(lake: Lake) -> tuple[Collector, dict[str, int]]:
    lake.root.write_text("a file where the lake should be")
    collector = lake.collector()
    collector.record("hello")
    collector.record("partner_match")
    collector.count(Reason.excluded, 2)
    return collector, {"no_ring": 4}


def disabled(lake: Lake) -> tuple[Collector, dict[str, int]]:
    collector = lake.collector(ENABLE_DATA_COLLECTION="false")
    for _ in range(3):
        collector.record("hello")
    return collector, {"disabled": 3}


def outcomes_off(lake: Lake) -> tuple[Collector, dict[str, int]]:
    collector = lake.collector(ENABLE_OUTCOME_TRACKING="false", **NO_KEEPER)
    for _ in range(3):
        collector.record("partner_match")
        collector.record("hello")
    return collector, {"disabled": 3}


@pytest.mark.parametrize(
    "happen",
    [fill_the_ring, take_every_lane, too_large, scrub_failed, unencodable, rejected, quarantined,
     counted, closed, no_ring, disabled, outcomes_off],
    ids=lambda happen: happen.__name__,
)  # fmt: skip
def test_offered_is_always_accepted_and_each_reason(
    lake: Lake, happen: Callable[[Lake], tuple[Collector, dict[str, int]]]
) -> None:
    collector, wanted = happen(lake)
    assert reasons(collector) == wanted
    if wanted:
        assert collector.stats()["offered"] >= sum(wanted.values()) > 0


def test_counts_add_up_when_many_threads_record_all_kinds_of_things(lake: Lake) -> None:
    collector = lake.collector(**SMALL)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    each = 150

    def work() -> None:
        for _ in range(each):
            collector.record("hello")
            collector.record("partner_match", score=-1)
            collector.record("hello", filler="x " * 6000)
            collector.count(Reason.sampled, 2)

    try:
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    collector.commit(60)
    counts = dict(reasons(collector))
    dropped = counts.pop("full", 0) + counts.pop("contended", 0)
    assert collector.stats()["offered"] == 6 * each * 5
    assert counts["sampled"] == 6 * each * 2
    assert counts["too_large"] == 6 * each
    assert len(lake.rows()) + len(lake.quarantined()) + dropped == 6 * each * 2
    report = lake.audit()
    assert report.ok, report.faults


# Durability and its end


def test_many_concurrent_acommits_return_once_all_is_durable(lake: Lake) -> None:
    collector = lake.collector()

    async def work(n: int) -> bool:
        made = collector.record("hello", n=n)
        await asyncio.sleep(0)
        await collector.acommit(20)
        return made in set(lake.ids())

    async def main() -> list[bool]:
        return await asyncio.gather(*(work(n) for n in range(60)))

    assert asyncio.run(main()) == [True] * 60


def test_acommit_leaves_the_event_loop_to_others(lake: Lake) -> None:
    collector = lake.collector(**NO_KEEPER)
    wanted = collector.record("hello")

    async def main() -> int:
        waiting = [asyncio.create_task(collector.acommit(5)) for _ in range(3)]
        ticks = 0
        for _ in range(30):  # nobody keeps the lake yet: a loop that stood still would not tick
            await asyncio.sleep(0.001)
            ticks += not any(task.done() for task in waiting)
        with keeping(lake):
            await asyncio.gather(*waiting)
        return ticks

    assert asyncio.run(main()) == 30
    assert lake.ids() == [wanted]


def test_acommit_raises_when_nothing_can_make_it_durable(lake: Lake) -> None:
    collector = lake.collector(**NO_KEEPER)
    collector.record("hello")
    with pytest.raises(NotDurable, match=r"not durable after 0\.05 s"):
        asyncio.run(collector.acommit(0.05))


def test_commit_raises_while_there_is_no_ring_and_record_does_not(lake: Lake) -> None:
    collector, _ = no_ring(lake)
    with pytest.raises(NotDurable, match="no ring"):
        collector.commit(0.1)
    with pytest.raises(NotDurable, match="no ring"):
        asyncio.run(collector.acommit(0.1))


def test_collection_begins_by_itself_once_a_ring_can_be_had(lake: Lake) -> None:
    collector, _ = no_ring(lake)
    lake.root.unlink()
    assert collector.record("hello") is None  # not looked at again for five seconds
    collector._retry_ns = 1
    assert collector.record("hello") is not None
    assert len(landed(collector, lake)) == 1
    assert reasons(collector) == {"no_ring": 5}


def test_a_collector_is_a_context_manager_that_closes(lake: Lake) -> None:
    with lake.collector() as collector:
        made = collector.record("hello")
    assert lake.ids() == [made]
    assert collector.record("hello") is None
    assert reasons(collector) == {"closed": 1}


def test_a_context_that_ends_with_an_error_closes_and_lets_it_through(lake: Lake) -> None:
    with pytest.raises(LookupError), lake.collector() as collector:
        made = collector.record("hello")
        raise LookupError
    assert lake.ids() == [made]
    assert collector.record("hello") is None


def test_closing_twice_is_closing_once(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("hello")
    for _ in range(3):
        collector.close()
    collector.commit(0.1)
    assert len(lake.ids()) == 1
    assert lake.audit().ok


def test_closing_what_was_never_used_makes_nothing(lake: Lake) -> None:
    lake.collector().close()
    assert not lake.root.exists()


def test_closing_from_two_threads_while_others_record_raises_nowhere(lake: Lake) -> None:
    collector = lake.collector()
    failed: list[BaseException] = []
    made: list[str | None] = []
    stop = threading.Event()

    def guarded(work: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:
            failed.append(error)

    def record() -> None:
        made.append(collector.record("hello"))

    recorders = [threading.Thread(target=guarded, args=(record,)) for _ in range(3)]
    for thread in recorders:
        thread.start()
    wait_until(lambda: len(made) > 200, what="records")
    closers = [threading.Thread(target=guarded, args=(collector.close,)) for _ in range(2)]
    for thread in closers:
        thread.start()
    wait_until(lambda: made[-1] is None, what="closing")
    stop.set()
    for thread in recorders + closers:
        thread.join()
    assert failed == []


def test_an_app_with_thousands_of_descriptors_can_commit_and_close(lake: Lake) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent("""
            import os
            from lakeward import Collector
            held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
            collector = Collector.from_env()
            collector.record("hello")
            collector.commit(60)
            collector.record("hello")
            collector.close()
        """)],
        env=lake.process_env(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# What is logged


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.message for entry in caplog.records if entry.name == "lakeward"]


def test_each_reason_is_told_at_most_once_a_minute(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    collector = lake.collector(**SMALL, scrub=fails_on_demand)
    for _ in range(20):
        collector.record("partner_match", score=-1)
        collector.record("hello", filler="x " * 6000)
        collector.record("hello", fail=True)
    told = warnings(caplog)
    assert len(told) == 3
    assert "quarantined: partner_match refused" in told[0]
    assert "a record was dropped: too_large" in told[1]
    assert "a record was dropped (ScrubFailed)" in told[2]
    for key in collector._complaints:
        collector._complaints[key] -= 60
    for _ in range(20):
        collector.record("partner_match", score=-1)
    assert warnings(caplog) == [*told, told[0]]


def fails_on_demand(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.get("fail"):
        raise LookupError(MARK)
    return fields


def test_two_reasons_of_the_ring_are_told_each(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    collector = lake.collector(**NO_KEEPER, **SMALL)
    collector.record("hello", filler="x " * 6000)
    for _ in range(600):
        collector.record("hello", filler="x " * 500)
    told = [line for line in warnings(caplog) if "dropped" in line]
    assert [line.rpartition(" ")[2] for line in told] == ["too_large", "full"]


def test_a_missing_keeper_is_told_at_most_once_a_minute(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    collector = lake.collector(**NO_KEEPER)
    collector.record("hello")
    attachment = attachment_of(collector)
    for _ in range(3):
        attachment._started_ns = attachment.next_look_ns = 0  # five seconds later
        collector.record("hello")
    assert len([line for line in warnings(caplog) if "no keeper" in line]) == 1


def test_no_log_line_quotes_a_value(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    collector = lake.collector(**SMALL, scrub=fails_on_demand)
    collector.record("partner_match", score=MARK, partner_id=[MARK])
    collector.record("demo_booking", status=MARK, **{MARK: MARK})
    collector.record(MARK, it=MARK)
    collector.record("hello", timestamp=MARK)
    collector.record("hello", interaction_type=MARK)
    collector.record("hello", fail=True, it=MARK)
    collector.record("hello", it=MARK * 1000)
    collector.record("api_call", method="GET", path="/", user_id={MARK: MARK})
    collector._complaints.clear()
    collector.commit(60)
    collector.close()
    assert len(warnings(caplog)) >= 2
    assert MARK not in caplog.text


# Time


class Frozen:
    """A clock that stands where the test puts it."""

    def __init__(self, ns: int = NOON_NS) -> None:
        self.ns = ns

    def __call__(self) -> int:
        return self.ns


def test_records_under_a_frozen_clock_have_one_time_and_different_ids(lake: Lake) -> None:
    collector = with_clock(lake, Frozen())
    ids = [collector.record("hello") for _ in range(500)]
    rows = landed(collector, lake)
    assert {row["timestamp"] for row in rows} == {NOON}
    assert len(set(ids)) == len(rows) == 500
    assert {id_ms(made) for made in ids if made} == {NOON_NS // 1_000_000}


def test_a_clock_that_jumps_back_is_followed(lake: Lake) -> None:
    clock = Frozen()
    collector = with_clock(lake, clock)
    hours = (0, -5, -5, 3, -30_000, 0)
    for n in hours:
        clock.ns = NOON_NS + n * 3_600_000_000_000 + 1_000_000
        made = collector.record("hello")
        assert made is not None
        assert id_ms(made) == clock.ns // 1_000_000
    stamps = [row["timestamp"] for row in landed(collector, lake)]
    assert stamps == [iso(NOON_NS // 1_000_000 + n * 3_600_000 + 1) for n in hours]
    assert lake.audit().ok


@pytest.mark.parametrize("ns", [0, 4_200_000_000_000_000_000], ids=["1970", "2103"])
def test_a_clock_outside_the_lakes_years_gives_id_and_record_the_same_clamped_time(
    lake: Lake, ns: int
) -> None:
    collector = with_clock(lake, lambda: ns)
    made = collector.record("hello")
    assert made is not None
    row = the_row(collector, lake)
    assert id_ms(made) == parse_iso(row["timestamp"])
    assert EARLIEST_MS <= id_ms(made) <= LATEST_MS


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAKE_NS = st.integers(EARLIEST_MS * 1_000_000, LATEST_MS * 1_000_000 + 999_999)


def formatted(ns: int) -> str:
    moment = EPOCH + timedelta(microseconds=ns // 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@given(LAKE_NS, st.lists(st.integers(-3_000_000_000, 3_000_000_000), max_size=8))
def test_a_stamp_is_what_the_calendar_says_whatever_was_stamped_before(
    start: int, steps: list[int]
) -> None:
    clock = Clock()
    for step in [0, *steps]:
        ns = min(max(start + step, EARLIEST_MS * 1_000_000), LATEST_MS * 1_000_000)
        assert clock.stamp(ns) == formatted(ns)


@pytest.mark.parametrize(
    ("ns", "stamp"),
    [
        (EARLIEST_MS * 1_000_000, "2000-01-01T00:00:00.000Z"),
        (LATEST_MS * 1_000_000 + 999_999, "2099-12-31T23:59:59.999Z"),
        (NOON_NS - 1, "2025-08-14T11:59:59.999Z"),
        (NOON_NS, NOON),
        (1_709_251_199_999_999_999, "2024-02-29T23:59:59.999Z"),
    ],
)
def test_a_stamp_cuts_to_the_millisecond_and_never_rounds_up(ns: int, stamp: str) -> None:
    assert Clock().stamp(ns) == stamp


@given(st.integers(-(10**19), 10**20))
@example(-5)  # the second before 1970
def test_a_stamp_of_any_time_lies_in_the_lakes_years(ns: int) -> None:
    moment = datetime.fromisoformat(Clock().stamp(ns))
    assert 2000 <= moment.year < 2100


def test_stamps_of_many_threads_at_a_seconds_border_are_right(lake: Lake) -> None:
    clock = Clock()
    wrong: list[str] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(offset: int) -> None:
        for n in range(3000):
            ns = NOON_NS + (n % 7 + offset) * 500_000_000
            if (stamp := clock.stamp(ns)) != formatted(ns):
                wrong.append(stamp)

    try:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert wrong == []


# Ids

ANY_MS = st.integers(-(2**62), 2**62)
LAKE_MS = st.integers(EARLIEST_MS, LATEST_MS)
ANY_TEXT = st.text(st.characters(), max_size=30)


@given(ANY_TEXT, ANY_TEXT, ANY_MS)
def test_a_foreign_id_is_a_uuid8_that_carries_the_clamped_millisecond(
    source: str, identifier: str, ms: int
) -> None:
    made = foreign_id(source, identifier, ms)
    assert made == foreign_id(source, identifier, ms)
    assert str(UUID(made)) == made
    assert (UUID(made).version, UUID(made).variant) == (8, RFC_4122)
    assert id_ms(made) == min(max(ms, EARLIEST_MS), LATEST_MS)


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), unique=True, min_size=2, max_size=6), LAKE_MS)
def test_foreign_ids_differ_when_source_or_id_differ(names: list[tuple[str, str]], ms: int) -> None:
    unambiguous = [(source, name) for source, name in names if "\0" not in source + name]
    made = {foreign_id(source, name, ms) for source, name in unambiguous}
    assert len(made) == len(unambiguous)


@given(ANY_TEXT, LAKE_MS, LAKE_MS)
def test_a_foreign_id_of_another_time_is_another_id(name: str, ms: int, later: int) -> None:
    assert (foreign_id("app", name, ms) == foreign_id("app", name, later)) == (ms == later)


@given(ANY_TEXT | st.uuids().map(str), ANY_MS, ANY_MS)
def test_adopting_an_id_again_changes_nothing(identifier: str, ms: int, later: int) -> None:
    once = adopt_id(identifier, ms)
    assert adopt_id(once, later) == once


@given(LAKE_MS, st.integers(0, 2**74 - 1), st.sampled_from([7, 8]), ANY_MS)
def test_an_id_of_ours_is_adopted_as_it_is_and_tells_its_millisecond(
    ms: int, rest: int, version: int, other: int
) -> None:
    value = ms << 80 | version << 76 | (rest >> 62) << 64 | 0b10 << 62 | rest & ((1 << 62) - 1)
    ours = str(UUID(int=value))
    assert adopt_id(ours, other) == ours
    assert id_ms(ours) == ms


@given(st.sampled_from([1, 3, 4, 5]), st.integers(0, 2**128 - 1), LAKE_MS)
def test_a_uuid_of_another_version_is_foreign(version: int, value: int, ms: int) -> None:
    theirs = str(UUID(int=value, version=version))
    assert adopt_id(theirs, ms) == foreign_id("app", theirs, ms)


# Places


def test_the_bell_of_an_ordinary_user_fits_its_name() -> None:
    rings = Path("/dev/shm") / "lakeward-1000" / str(UUID(int=1))
    name = rings / f"{UUID(int=2)}.sock"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe,
        pytest.raises(FileNotFoundError),  # not OSError: AF_UNIX path too long
    ):
        probe.bind(str(name))
    assert len(os.fsencode(name)) <= PATH_MOST


def test_every_record_is_one_json_object_on_one_line(lake: Lake) -> None:
    collector = lake.collector()
    for text in ("a\nb", "a\r\nb", "\u2028\u2029\x85", '"\\', "\0"):
        collector.record("hello", it=text)
    collector.commit(60)
    [path] = lake.root.glob("raw/*/*/*/*.jsonl")
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [msgspec.json.decode(line)["properties"]["it"] for line in lines] == [
        "a\nb", "a\r\nb", "\u2028\u2029\x85", '"\\', "\0"
    ]  # fmt: skip
