"""Interactions in DynamoDB, against two emulators and a network that fails."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from clouds import BUCKET, TABLE, Cloud, settings, versions
from faulty import QUOTED, Faulty, Kind
from lakeward.errors import SettingError, Terminal, Transient, Undeliverable
from lakeward.followers.cursor import Cursor
from lakeward.followers.protocol import Slice
from lakeward.interaction import foreign_id
from lakeward.person import Gone, Person
from lakeward.sinks.blueprint import create_table
from lakeward.sinks.dynamodb import DynamoTable, batches
from lakeward.sinks.item import Unfit, item_of, record_of

Opened = Callable[..., DynamoTable]
NOW = 1_763_136_000.0
ANNA = Person("user_id", "anna")


@pytest.fixture
def opened(cloud: Cloud, tmp_path: Path) -> Iterator[Opened]:
    """Makes the sink for the emulator's fresh table, or for what stands before it."""
    create_table(settings(tmp_path, cloud.endpoint))
    made: list[DynamoTable] = []

    def make(endpoint: str = "", **more: str) -> DynamoTable:
        described = settings(tmp_path, endpoint or cloud.endpoint, **more)
        sink = DynamoTable.from_settings(described)
        sink._clock, sink._sleep = lambda: NOW, lambda seconds: None
        made.append(sink)
        return sink

    yield make
    for one in made:
        one.close()


def record(n: int, **fields: object) -> dict[str, object]:
    return {
        "interaction_id": foreign_id("test", str(n), int(NOW * 1000) + n),
        "timestamp": "2025-11-14T16:00:00.000Z", "interaction_type": "api_call",
        "user_id": "anonymous", "session_id": None, **fields,
    }  # fmt: skip


def piece(*records: dict[str, object] | bytes, at: int = 0) -> Slice:
    rows = (r if isinstance(r, bytes) else msgspec.json.encode(r) + b"\n" for r in records)
    return Slice(Cursor(1, 1, at), Cursor(1, 1, at + 9), tuple(rows), "2025-11-14")


def items(cloud: Cloud) -> list[dict[str, Any]]:
    """Every item of the table in wire form."""
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
    return [item for page in pages for item in page["Items"]]


def records(cloud: Cloud) -> list[dict[str, Any]]:
    """Every record that the table's items were made of, by id."""
    return sorted((record_of(item) for item in items(cloud)), key=lambda r: r["interaction_id"])


RICH: dict[str, object] = {
    "response_time_ms": 12.345678901234567, "response_status": 200, "path": "", "route": None,
    "properties": {
        "small": 5e-324, "large": 1.7e308, "big": 10**45 + 1, "edge": 10**37, "negative": -2.5,
        "deep": json.loads("[" * 40 + "1" + "]" * 40), "empty": {}, "none": [], "nameless": {"": 1},
        "a/b~c": {"x": [1, 2, {"y": 1e300}]}, "flag": False, "unicode": "ä😀\u0000",
    },
    "messages": [{"role": "user", "content": ""}],
    "lakeward": "a field", "expires_at": {"x": 1e200},
}  # fmt: skip


def test_every_value_of_a_record_comes_back_as_it_was(cloud: Cloud, opened: Opened) -> None:
    rich = record(1, **RICH)
    opened().deliver(piece(rich, record(2, user_id="ben", session_id="s")))
    assert records(cloud)[0] == rich
    item = next(item for item in items(cloud) if "properties" in item)
    assert item["response_time_ms"] == {"N": "12.345678901234567"}
    assert item["properties"]["M"]["edge"]["N"] in {"1" + "0" * 37, "1E+37"}
    assert item["properties"]["M"]["big"] == {"S": str(10**45 + 1)}
    assert "/properties/a~1b~0c/x/2/y" in [t["S"] for t in item["lakeward"]["M"]["texts"]["L"]]


def test_nobody_enters_an_index_and_nothing_of_that_is_lost(cloud: Cloud, opened: Opened) -> None:
    rows = [record(1), record(2, user_id="anna"), record(3, session_id="s"),
            record(4, user_id="", session_id="x" * 3000)]  # fmt: skip
    opened().deliver(piece(*rows))
    client = cloud.client("dynamodb")
    for key, value in (("user_id", "anna"), ("session_id", "s")):
        index = f"{key}-timestamp-index"
        assert client.scan(TableName=TABLE, IndexName=index, Select="COUNT")["Count"] == 1
        found = client.query(
            TableName=TABLE, IndexName=index, KeyConditionExpression="#k = :v",
            ExpressionAttributeNames={"#k": key}, ExpressionAttributeValues={":v": {"S": value}},
        )  # fmt: skip
        assert [item[key]["S"] for item in found["Items"]] == [value]
    assert records(cloud) == rows


def test_batches_hold_25_items_and_no_id_twice_and_the_last_record_stands(
    cloud: Cloud, opened: Opened
) -> None:
    rows = [record(n, user_id="first") for n in range(60)]
    rows += [record(n, user_id="last") for n in range(10)]
    with Faulty(cloud.endpoint) as proxy:
        opened(proxy.url).deliver(piece(*rows))
        sent = [json.loads(body) for body in proxy.bodies if b"RequestItems" in body]
    puts = [batch["RequestItems"][TABLE] for batch in sent]
    ids = [put["PutRequest"]["Item"]["interaction_id"]["S"] for batch in puts for put in batch]
    assert [len(batch) for batch in puts] == [25, 25, 10]
    assert len(set(ids)) == len(ids) == 60
    assert [r["user_id"] for r in records(cloud)] == ["last"] * 10 + ["first"] * 50


def test_a_repeated_delivery_changes_nothing(cloud: Cloud, opened: Opened) -> None:
    rows = [record(n) for n in range(30)]
    for _ in range(2):
        opened().deliver(piece(*rows))
    assert records(cloud) == rows


def test_what_is_left_over_is_put_again(cloud: Cloud, opened: Opened) -> None:
    rows = [record(n) for n in range(25)]
    with Faulty(cloud.endpoint) as proxy:
        proxy.inject("unprocessed", times=4, on="BatchWrite")
        opened(proxy.url).deliver(piece(*rows))
        assert proxy.count("BatchWrite") == 5
    assert records(cloud) == rows


def test_what_stays_left_over_is_transient_and_waits_grow_within_bounds(
    cloud: Cloud, opened: Opened
) -> None:
    waits: list[float] = []
    with Faulty(cloud.endpoint) as proxy:
        proxy.inject("unprocessed", times=100, on="BatchWrite")
        sink = opened(proxy.url)
        sink._sleep, sink._chance = waits.append, lambda: 1.0
        with pytest.raises(Transient, match="left 1 items over"):
            sink.deliver(piece(*(record(n) for n in range(25))))
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]


@pytest.mark.parametrize(
    "kind",
    [
        "500",
        "slow_down",
        "throttled",
        "exceeded",
        "hang",
        "reset",
        "cut",
        "lost",
        "expired",
        "garbage",
    ],
)
def test_what_passes_is_transient_and_the_next_attempt_goes_on_where_it_stopped(
    cloud: Cloud, opened: Opened, kind: Kind
) -> None:
    rows = [record(n) for n in range(60)]
    with Faulty(cloud.endpoint) as proxy:
        sink = opened(proxy.url)
        sink.deliver(piece(*rows[:1], at=90))
        proxy.requests.clear()
        sink._put_batch = _after(2, sink._put_batch, lambda: proxy.inject(kind, on="BatchWrite"))  # type: ignore[method-assign,assignment] # the network fails in the middle
        with pytest.raises(Transient) as caught:
            sink.deliver(piece(*rows))
        assert not any(word in str(caught.value) for word in QUOTED.split())
        sink.deliver(piece(*rows))
        assert proxy.count("BatchWrite") == 4
    assert records(cloud) == rows


def _after(
    times: int, call: Callable[[Any], Any], then: Callable[[], None]
) -> Callable[[Any], Any]:
    count = 0

    def counted(argument: Any) -> Any:
        nonlocal count
        count += 1
        if count == times:
            then()
        return call(argument)

    return counted


@pytest.mark.parametrize(
    ("kind", "mend"),
    [("denied", "docs/aws.md"), ("bad_key", "AWS_ACCESS_KEY_ID"),
     ("bad_signature", "AWS_SECRET_ACCESS_KEY")],
)  # fmt: skip
@pytest.mark.parametrize("on", ["DescribeTable", "BatchWrite"])
def test_refused_credentials_stop_the_sink_with_the_mend_and_never_the_key(
    cloud: Cloud, opened: Opened, kind: Kind, mend: str, on: str
) -> None:
    with Faulty(cloud.endpoint) as proxy:
        proxy.inject(kind, on=on)
        with pytest.raises(Terminal, match=mend) as caught:
            opened(proxy.url).deliver(piece(record(1)))
    assert not any(word in str(caught.value) for word in QUOTED.split())


def test_items_expire_only_where_a_setting_says_so(cloud: Cloud, opened: Opened) -> None:
    opened().deliver(piece(record(1)))
    assert "expires_at" not in items(cloud)[0]
    opened(LAKEWARD_DYNAMODB_TTL_DAYS="30").deliver(piece(record(1)))
    (item,) = items(cloud)
    assert item["expires_at"] == {"N": str(int(NOW) + 30 * 86_400)}
    assert record_of(item) == record(1)


def test_an_old_event_expires_although_dynamodb_leaves_what_is_five_years_late() -> None:
    old = {**record(1), "interaction_id": foreign_id("test", "1", 1_000_000_000_000)}
    item = item_of(msgspec.json.encode(old), 30, NOW)
    assert NOW - 5 * 365 * 86_400 < int(item.attributes["expires_at"]["N"]) < NOW


def test_a_record_over_400_kb_goes_to_the_bucket_and_leaves_a_pointer(
    cloud: Cloud, opened: Opened
) -> None:
    client, sink = cloud.bucket(), opened()
    large = record(1, user_id="anna", anonymous_id="a-1", method="POST",
                   request_body={"text": "ä" * 210_000})  # fmt: skip
    for _ in range(2):
        sink.deliver(piece(large, record(2), at=_))
    item = next(item for item in items(cloud) if "method" in item)
    own = item["lakeward"]["M"]
    assert own["body"]["S"] == f"items/{large['interaction_id']}.json.gz"
    assert {"interaction_id", "timestamp", "user_id", "anonymous_id", "method"} < set(item)
    assert "request_body" not in item
    (row,) = versions(client)
    body = client.get_object(Bucket=BUCKET, Key=row["Key"])["Body"].read()
    assert json.loads(gzip.decompress(body)) == large
    assert len(records(cloud)) == 2


def test_a_large_record_that_comes_again_with_other_content_is_replaced(
    cloud: Cloud, opened: Opened
) -> None:
    client, sink = cloud.bucket(), opened()
    for letter in "ab":
        sink.deliver(piece(record(1, request_body=letter * 500_000), at=ord(letter)))
    latest = client.get_object(Bucket=BUCKET, Key=versions(client)[0]["Key"])["Body"].read()
    assert b"bbbb" in gzip.decompress(latest)


def test_records_that_no_item_can_hold_are_named_and_all_others_are_put(
    cloud: Cloud, opened: Opened
) -> None:
    bad: list[dict[str, object] | bytes] = [
        b"no json\n", b"[1]\n", record(3, interaction_id=""), record(4, timestamp=None),
        record(5, request_body="x" * 500_000), record(6, anonymous_id="y" * 500_000),
    ]  # fmt: skip
    with pytest.raises(Undeliverable) as caught:
        opened(DATA_LAKE_BUCKET="").deliver(piece(record(1), *bad, record(2)))
    assert [index for index, _ in caught.value.records] == [1, 2, 3, 4, 5, 6]
    reasons = [reason for _, reason in caught.value.records]
    assert "interaction_id must be text" in reasons[2]
    assert "DATA_LAKE_BUCKET" in reasons[4]
    assert records(cloud) == [record(1), record(2)]


def test_an_item_that_dynamodb_refuses_is_named_and_the_rest_of_its_batch_is_put(
    cloud: Cloud, opened: Opened
) -> None:
    rows = [record(n) for n in range(5)]
    with Faulty(cloud.endpoint) as proxy:
        proxy.inject("invalid", times=2, on="BatchWrite")  # the batch, then its first item
        with pytest.raises(Undeliverable) as caught:
            opened(proxy.url).deliver(piece(*rows))
    assert [index for index, _ in caught.value.records] == [0]
    assert not any(word in str(caught.value) for word in QUOTED.split())
    assert records(cloud) == rows[1:]


def test_a_request_stays_below_16_mb() -> None:
    rows = [record(n, properties={"n": [n % 10] * 95_000}) for n in range(25)]
    made = [item_of(msgspec.json.encode(row)) for row in rows]
    assert all(item.fits for item in made)
    sizes = [sum(len(json.dumps(item.attributes)) for item in batch) for batch in batches(made)]
    assert max(sizes) < 16 * 1024 * 1024 < sum(sizes)


# The table


def test_the_table_is_made_once_with_its_indexes_expiry_and_recovery(
    cloud: Cloud, tmp_path: Path
) -> None:
    for _ in range(2):
        create_table(settings(tmp_path, cloud.endpoint))
    client = cloud.client("dynamodb")
    table = client.describe_table(TableName=TABLE)["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert {row["IndexName"] for row in table["GlobalSecondaryIndexes"]} == {
        "user_id-timestamp-index", "session_id-timestamp-index",
    }  # fmt: skip
    expiry = client.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]
    assert expiry["TimeToLiveStatus"] == "ENABLED"
    assert expiry["AttributeName"] == "expires_at"


def test_a_missing_table_and_one_with_another_key_are_refused(cloud: Cloud, tmp_path: Path) -> None:
    described = settings(tmp_path, cloud.endpoint, DATA_LAKE_BUCKET="")
    sink = DynamoTable.from_settings(described)
    with pytest.raises(Terminal, match=r"no table interactions.*INTERACTIONS_TABLE"):
        sink.deliver(piece(record(1)))
    with pytest.raises(Terminal, match="no table interactions"):
        sink.find(ANNA)
    cloud.client("dynamodb").create_table(
        TableName=TABLE, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )  # fmt: skip
    with pytest.raises(Terminal, match="not interaction_id alone"):
        sink.deliver(piece(record(1)))
    with pytest.raises(Terminal, match="not interaction_id alone"):
        create_table(described)
    sink.close()
    with pytest.raises(SettingError, match="INTERACTIONS_TABLE"):
        DynamoTable.from_settings(settings(tmp_path, cloud.endpoint, INTERACTIONS_TABLE=""))


# Forgetting a person


def plant(cloud: Cloud, sink: DynamoTable) -> list[dict[str, Any]]:
    """Records of the person under each kind of id, small and large, and those of others."""
    hers = [record(n, user_id="anna", session_id="s-1", anonymous_id="a-1") for n in range(30)]
    large = record(50, user_id="anna", session_id="s-1", anonymous_id="a-1",
                   request_body="x" * 500_000)  # fmt: skip
    others = [record(100 + n, user_id="ben", properties={"of": "anna"}) for n in range(30)]
    sink.deliver(piece(*hers, large, *others, record(200)))
    return [*others, record(200)]


@pytest.mark.parametrize(
    "person", [ANNA, Person("session_id", "s-1"), Person("anonymous_id", "a-1")]
)
def test_a_person_is_gone_from_items_and_bodies_and_no_one_else_is(
    cloud: Cloud, opened: Opened, person: Person
) -> None:
    client, sink = cloud.bucket(), opened()
    others = plant(cloud, sink)
    assert sink.find(person) == 32  # the large one is an item and an object
    gone = sink.erase(person)
    assert gone.records == 31
    assert gone.remains == "point-in-time recovery of the table"
    assert gone.until == "2025-12-19T16:00:00Z"
    assert sink.find(person) == 0
    assert versions(client) == []
    assert records(cloud) == others
    assert sink.erase(person).records == 0


def test_a_table_without_recovery_keeps_nothing(cloud: Cloud, opened: Opened) -> None:
    sink = opened(DATA_LAKE_BUCKET="")
    cloud.client("dynamodb").update_continuous_backups(
        TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    sink.deliver(piece(record(1, user_id="anna")))
    assert sink.erase(ANNA) == Gone(1)


def test_recovery_that_may_not_be_asked_about_is_assumed(cloud: Cloud, opened: Opened) -> None:
    with Faulty(cloud.endpoint) as proxy:
        proxy.inject("denied", times=5, on="DescribeContinuousBackups")
        gone = opened(proxy.url, DATA_LAKE_BUCKET="").erase(ANNA)
    assert "may not be asked" in gone.remains
    assert gone.until


@pytest.mark.parametrize("value", ["x" * 3000, "", "anonymous"])
def test_ids_that_no_index_holds_are_found_through_the_table(
    cloud: Cloud, opened: Opened, value: str
) -> None:
    sink = opened(DATA_LAKE_BUCKET="")
    sink.deliver(piece(record(1, user_id=value), record(2, user_id="ben")))
    person = Person("user_id", value)
    assert (sink.find(person), sink.erase(person).records, sink.find(person)) == (1, 1, 0)
    assert records(cloud) == [record(2, user_id="ben")]


def test_a_table_without_indexes_is_searched_whole(cloud: Cloud, tmp_path: Path) -> None:
    cloud.client("dynamodb").create_table(
        TableName=TABLE, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "interaction_id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "interaction_id", "KeyType": "HASH"}],
    )  # fmt: skip
    described = settings(tmp_path, cloud.endpoint, DATA_LAKE_BUCKET="")
    sink = DynamoTable.from_settings(described)
    sink._sleep = lambda seconds: None
    sink.deliver(piece(record(1, user_id="anna"), record(2)))
    assert (sink.find(ANNA), sink.erase(ANNA).records, sink.find(ANNA)) == (1, 1, 0)
    sink.close()


def test_an_erase_goes_on_after_the_table_was_away(cloud: Cloud, opened: Opened) -> None:
    with Faulty(cloud.endpoint) as proxy:
        sink = opened(proxy.url, DATA_LAKE_BUCKET="")
        sink.deliver(piece(*(record(n, user_id="anna") for n in range(60)), record(99)))
        proxy.inject("unprocessed", times=2, on="BatchWrite")
        proxy.inject("throttled", on="BatchWrite")
        with pytest.raises(Transient):
            sink.erase(ANNA)
        sink.erase(ANNA)
    assert records(cloud) == [record(99)]


@pytest.mark.parametrize("on", ["DescribeTable", "Query", "Scan", "BatchWrite"])
def test_a_portals_page_is_no_answer_and_no_erase(cloud: Cloud, opened: Opened, on: str) -> None:
    person = Person("anonymous_id", "a-1") if on == "Scan" else ANNA
    with Faulty(cloud.endpoint) as proxy:
        sink = opened(proxy.url, DATA_LAKE_BUCKET="")
        sink.deliver(piece(record(1, user_id="anna", anonymous_id="a-1")))
        proxy.inject("garbage", times=99, on=on)
        with pytest.raises(Transient, match="is not AWS"):
            sink.erase(person)
    assert len(items(cloud)) == 1


def test_an_item_that_an_index_shows_late_is_still_erased(cloud: Cloud, opened: Opened) -> None:
    sink = opened(DATA_LAKE_BUCKET="")
    sink.deliver(piece(record(1, user_id="anna")))
    late = iter([lambda: sink.deliver(piece(record(2, user_id="anna"), at=50))])
    sink._sleep = lambda seconds: next(late, lambda: None)()
    assert sink.erase(ANNA).records == 2
    assert records(cloud) == []


# The shape of items, without a cloud

NUMBERS = st.integers(-(10**60), 10**60) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def same(left: Any, right: Any) -> bool:
    """Equal as JSON is: 1.0 is 1, 1e30 is a one with thirty zeros, -0.0 is 0."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return Decimal(str(left)) == Decimal(str(right))
    return bool(left == right)


@trying(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["properties", "metadata", "lakeward", "expires_at", "x",
                                        "user_id", "session_id", "a/~b"]), VALUES))  # fmt: skip
def test_any_record_is_the_same_after_it_was_an_item(fields: dict[str, Any]) -> None:
    whole = record(1, **fields)
    item = item_of(json.dumps(whole).encode(), ttl_days=3, now_s=NOW)
    assert same(record_of(item.attributes), whole)
    assert len(json.dumps(item.attributes)) <= item.wire
    assert size(item.attributes) <= item.size


def size(attributes: dict[str, Any]) -> int:
    """An item's size by the rules of DynamoDB's documentation."""

    def of(value: dict[str, Any]) -> int:
        content: Any
        kind, content = next(iter(value.items()))
        if kind == "S":
            return len(content.encode())
        if kind == "N":
            digits = content.split("E")[0].strip("-").replace(".", "").strip("0")
            return math.ceil(len(digits) / 2) + 1 + int(content.startswith("-"))
        if kind == "L":
            return 3 + sum(1 + of(inner) for inner in content)
        if kind == "M":
            return 3 + sum(1 + len(name.encode()) + of(inner) for name, inner in content.items())
        return 1

    return sum(len(name.encode()) + of(value) for name, value in attributes.items())


@pytest.mark.parametrize("depth", [29, 30, 31, 32, 33, 200])
def test_no_item_is_nested_deeper_than_dynamodb_takes(depth: int) -> None:
    whole = record(1, properties=json.loads('{"a":' * depth + "1" + "}" * depth))
    item = item_of(msgspec.json.encode(whole))

    def deepest(value: dict[str, Any]) -> int:
        ((kind, content),) = value.items()
        inner = content.values() if kind == "M" else content if kind == "L" else ()
        return 1 + max(map(deepest, inner), default=0)

    assert max(map(deepest, item.attributes.values())) < 32
    assert record_of(item.attributes) == whole


def test_half_a_character_makes_no_item() -> None:
    with pytest.raises(Unfit):
        item_of(b'{"interaction_id":"1","timestamp":"2025","path":"\\ud800"}')
