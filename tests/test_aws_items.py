"""The Lambda with a table: what it answers for is in S3 and in DynamoDB, or it says it is not."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from clouds import BUCKET, KEYS, TABLE, settings
from faulty import Faulty, Kind
from lakeward.aws import ingest
from lakeward.aws.direct import insisted
from lakeward.aws.items import PART_LINES, Items
from lakeward.cli.aws_compact import handler as compacted
from lakeward.errors import NotDurable, Transient
from lakeward.followers.cursor import Cursor
from lakeward.followers.protocol import Slice
from lakeward.rollout import ALL, DYNAMODB, bucket
from lakeward.sinks.blueprint import create_table
from lakeward.sinks.item import record_of
from test_ack_s3 import compactor_of, rows
from test_aws_ingest import environ, event, lines, new, renewed, sent

if TYPE_CHECKING:
    from clouds import Cloud


@pytest.fixture
def function(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:  # fmt: skip
    """The Lambda as a new process has it, with the table on."""
    cloud.bucket(versions="")
    create_table(settings(tmp_path, cloud.endpoint))
    more = {"USE_DYNAMODB": "true", "INTERACTIONS_TABLE": TABLE}
    for name, value in {**environ(cloud.endpoint, tmp_path), **more}.items():
        monkeypatch.setenv(name, value)
    yield cloud
    renewed()


def records(cloud: Cloud) -> list[dict[str, Any]]:
    """Every record that an item of the table was made of."""
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
    return [record_of(item) for page in pages for item in page["Items"]]


def ids(rows_: list[dict[str, Any]]) -> Counter[str]:
    return Counter(row["interaction_id"] for row in rows_)


def code(answer: dict[str, Any]) -> str:
    return str(json.loads(answer["body"]).get("code", ""))


def test_what_it_answers_for_is_an_item_too_and_the_same_record(function: Cloud) -> None:
    some = new(PART_LINES + 3)
    answer = ingest.handler(event(sent(*some, user_id="u1", properties={"n": 1.5, "on": True})))
    assert answer["statusCode"] == 200, answer
    kept, found = lines(function), records(function)
    assert ids(kept) == ids(found) == dict.fromkeys(some, 1)
    by_id = {row["interaction_id"]: row for row in found}
    assert [by_id[row["interaction_id"]] for row in kept] == kept


def test_a_batch_that_comes_again_is_an_object_more_and_no_item_more(function: Cloud) -> None:
    some = new(4)
    for _ in range(2):
        assert ingest.handler(event(sent(*some)))["statusCode"] == 200
    assert ids(lines(function)) == dict.fromkeys(some, 2)
    assert ids(records(function)) == dict.fromkeys(some, 1)


def test_while_dynamodb_is_away_it_answers_for_nothing_and_what_comes_again_is_once_in_the_table(
    function: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    some = new(3)
    with Faulty(function.endpoint) as proxy:
        monkeypatch.setenv("LAKEWARD_AWS_ENDPOINT", proxy.url)
        proxy.inject("503", times=1000, on="BatchWriteItem")
        answer = ingest.handler(event(sent(*some)))
        assert (answer["statusCode"], code(answer)) == (503, "not_durable")
        assert "not in DynamoDB" in answer["body"]
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in answer["body"]
        assert ids(lines(function)) == dict.fromkeys(some, 1)  # it may be there and is not told
        assert records(function) == []
        proxy.heal()
        assert ingest.handler(event(sent(*some)))["statusCode"] == 200
    assert ids(records(function)) == dict.fromkeys(some, 1)
    monkeypatch.setenv("LAKEWARD_AWS_ENDPOINT", function.endpoint)
    done = compacted(None, None)
    assert (done["added"], done["duplicate"]) == (3, 3)
    _, reading = compactor_of(tmp_path, function.endpoint)
    assert sorted(rows(reading)) == sorted(some)


@pytest.mark.parametrize("kind", ["throttled", "exceeded", "unprocessed", "lost", "reset"])
def test_what_passes_is_asked_again_before_the_answer(
    function: Cloud, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    some = new(30)
    with Faulty(function.endpoint) as proxy:
        monkeypatch.setenv("LAKEWARD_AWS_ENDPOINT", proxy.url)
        proxy.inject(kind, times=2, on="BatchWriteItem")
        assert ingest.handler(event(sent(*some)))["statusCode"] == 200
        assert proxy.count("BatchWriteItem") > 2
        assert proxy.count("PUT /") == 1  # S3 is not asked again for what the table did not take
    assert ids(records(function)) == ids(lines(function)) == dict.fromkeys(some, 1)


@pytest.mark.parametrize(
    ("kind", "on", "says"),
    [("denied", "BatchWriteItem", "denies access"), ("bad_key", "DescribeTable", "credentials")],
)
def test_a_role_that_may_not_write_is_named_in_the_answer_at_once(
    function: Cloud, monkeypatch: pytest.MonkeyPatch, kind: Kind, on: str, says: str
) -> None:
    with Faulty(function.endpoint) as proxy:
        monkeypatch.setenv("LAKEWARD_AWS_ENDPOINT", proxy.url)
        proxy.inject(kind, times=1000, on=on)
        answer = ingest.handler(event(sent(*new(1))))
        assert (answer["statusCode"], code(answer)) == (503, "not_durable")
        assert says in answer["body"]
        assert proxy.count(on) == 1
    for secret in KEYS.values():
        assert secret not in answer["body"]


def test_a_table_that_is_not_there_is_named(
    function: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERACTIONS_TABLE", "nowhere")
    answer = ingest.handler(event(sent(*new(1))))
    assert answer["statusCode"] == 503
    assert "there is no table nowhere" in answer["body"]
    renewed()
    monkeypatch.setenv("INTERACTIONS_TABLE", "")
    assert code(ingest.handler(event(sent(*new(1))))) == "not_open"


def test_a_record_without_an_item_is_counted_and_told_and_s3_has_it(
    function: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (one,), (other,) = new(1), new(1)
    with Faulty(function.endpoint) as proxy, caplog.at_level(logging.WARNING, "lakeward.aws"):
        monkeypatch.setenv("LAKEWARD_AWS_ENDPOINT", proxy.url)
        proxy.inject("invalid", times=1, on="BatchWriteItem")
        assert ingest.handler(event(sent(one)))["statusCode"] == 200
        assert ingest.handler(event(sent(other)))["statusCode"] == 200
    assert ids(lines(function)) == {one: 1, other: 1}
    assert ids(records(function)) == {other: 1}
    (said,) = [row.getMessage() for row in caplog.records]
    assert said.startswith("1 of 1 records have no item, S3 has them: ")
    assert said.endswith("(1 so far)")
    assert one not in said


def test_a_record_too_large_for_an_item_is_an_object_that_the_item_points_to(
    function: Cloud,
) -> None:
    (one,) = new(1)
    told = {"messages": [{"role": "user", "content": "long " * 90_000}]}
    body = {"interaction_type": "ai_conversation", "interaction_id": one, **told}
    answer = ingest.handler(event(json.dumps(body)))
    assert (answer["statusCode"], json.loads(answer["body"])["rejected"]) == (200, []), answer
    found = function.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="items/")["Contents"]
    assert [row["Key"] for row in found] == [f"items/{one}.json.gz"]
    (item,) = function.client("dynamodb").scan(TableName=TABLE)["Items"]
    assert item["lakeward"]["M"]["body"]["S"] == f"items/{one}.json.gz"


@pytest.mark.parametrize("percent", ["0", "40"])
def test_items_are_of_the_users_that_the_rollout_covers_and_s3_has_all(
    function: Cloud, monkeypatch: pytest.MonkeyPatch, percent: str
) -> None:
    monkeypatch.setenv("LAKEWARD_ROLLOUT_DYNAMODB", percent)
    users = [f"u{n}" for n in range(40)]
    covered = {user for user in users if bucket(DYNAMODB, user) < int(percent) * 100}
    assert len(covered) < len(users)
    for user in users:
        assert ingest.handler(event(sent(*new(1), user_id=user)))["statusCode"] == 200
    assert {row["user_id"] for row in lines(function)} == set(users)
    assert {row["user_id"] for row in records(function)} == covered
    assert bool(covered) == (percent != "0")


class Slow:
    """A table for which time passes."""

    def __init__(self) -> None:
        self.took: list[Slice] = []

    def deliver(self, piece: Slice) -> None:
        self.took.append(piece)
        raise Transient("it is at its limit")

    def close(self) -> None:
        """Nothing."""


def piece(count: int) -> Slice:
    rows_ = tuple(msgspec.json.encode({"interaction_id": str(n)}) for n in range(count))
    end = sum(len(row) + 1 for row in rows_)
    return Slice(Cursor(1, 1, 0), Cursor(1, 1, end), rows_, "2026-11-27")


def test_parts_are_all_of_a_slice_in_order_and_each_has_a_name_of_its_own() -> None:
    whole = piece(2 * PART_LINES + 1)
    parts = list(Items(Slow(), ALL).parts(whole))
    assert [len(part.lines) for part in parts] == [PART_LINES, PART_LINES, 1]
    assert tuple(line for part in parts for line in part.lines) == whole.lines
    assert len({part.name for part in parts}) == 3
    assert [part.name for part in Items(Slow(), ALL).parts(whole)] == [p.name for p in parts]
    assert list(Items(Slow(), 0).parts(whole)) == []


def test_without_time_nothing_is_begun() -> None:
    table = Slow()
    with pytest.raises(NotDurable, match=r"not in DynamoDB: no time was left"):
        insisted("DynamoDB", time.monotonic(), lambda: table.deliver(piece(1)))
    assert table.took == []
    with pytest.raises(NotDurable, match=r"not in DynamoDB: it is at its limit"):
        insisted("DynamoDB", time.monotonic() + 0.2, lambda: table.deliver(piece(1)))
    assert table.took
