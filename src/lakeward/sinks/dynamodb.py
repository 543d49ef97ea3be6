"""Interactions in DynamoDB: one item per `interaction_id`, found by user, session or id.

In: slices. Out: items, put in batches of 25. A repeated delivery puts the same items again; of two
records with one id the later in the log stands, wherever batches end. An item beyond 400 KB leaves
its record in the bucket, under `items/`, and points to it. `Transient` when DynamoDB is away or at
its limit; `Terminal` for credentials or a table of another shape; `Undeliverable` names the records
of which no item can be made, once all others are put.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from lakeward.errors import LakewardError, Terminal, Transient, Undeliverable
from lakeward.followers.protocol import Slice
from lakeward.interaction import JsonObject
from lakeward.lakedir import LakeDir
from lakeward.person import Gone, Person
from lakeward.settings import Settings
from lakeward.sinks import versions
from lakeward.sinks.aws import Api
from lakeward.sinks.blueprint import INDEXES, check, describe, table_api
from lakeward.sinks.item import Item, Unfit, indexable, item_of, pointer, record_of
from lakeward.sinks.objects import Bucket, pack
from lakeward.sinks.s3 import bucket_of
from lakeward.sinks.verdict import Invalid

BATCH, BATCH_BYTES = 25, 15 * 1024 * 1024
LOOKED_UP = 100
ATTEMPTS, FIRST_WAIT, LONGEST_WAIT = 6, 0.05, 2.0
INDEX_LAG = 1.0  # an index follows its table within a fraction of a second
RECOVERY_DAYS = 35
BODIES = "items/"


class DynamoTable:
    """The table as a follower, and as a store that can forget a person."""

    name = "dynamodb"

    def __init__(
        self,
        api: Api,
        table: str,
        bucket: Bucket | None = None,
        *,
        ttl_days: int = 0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._api, self._table, self._bucket = api, table, bucket
        self._ttl_days = ttl_days
        self._clock, self._sleep, self._chance = clock, sleep, chance
        self._checked = False
        self._put: tuple[str, set[str]] = ("", set())

    @classmethod
    def from_settings(cls, settings: Settings, lake: LakeDir | None = None) -> DynamoTable:
        """The table that settings describe; the lake plays no part, as keys are ids."""
        api = table_api(settings)
        bucket = bucket_of(settings) if settings.data_lake_bucket else None
        return cls(api, settings.interactions_table, bucket, ttl_days=settings.dynamodb_ttl_days)

    def deliver(self, piece: Slice) -> None:
        """Put every record of the slice; what an earlier attempt put is not put again."""
        self._check()
        refused: dict[int, str] = {}
        places: dict[str, int] = {}
        items = self._items(piece, refused, places)
        if self._put[0] != piece.name:
            self._put = (piece.name, set())
        done = self._put[1]
        for batch in batches(item for item in items.values() if item.key not in done):
            for item in self._put_batch(batch):
                refused[places[item.key]] = "DynamoDB does not take the item (ValidationException)"
            done.update(item.key for item in batch)
        if refused:
            raise Undeliverable(sorted(refused.items()))

    def expected(self, line: bytes) -> Item:
        """The item that a line has here once it is delivered; Unfit when it can have none."""
        item = item_of(line, self._ttl_days, self._clock())
        if item.fits or self._bucket is None:
            return item
        return pointer(line, _body(item), pack([line]).sha256, self._ttl_days, self._clock())

    def look(self, keys: list[str]) -> dict[str, JsonObject]:
        """Attributes of those of these items that are there, as they are now."""
        self._check()
        found: dict[str, JsonObject] = {}
        for n in range(0, len(keys), LOOKED_UP):
            asked = [{"interaction_id": {"S": key}} for key in keys[n : n + LOOKED_UP]]
            for item in self._got(asked):
                found[item["interaction_id"]["S"]] = item
        return found

    def page(self, after: str = "") -> tuple[list[JsonObject], str]:
        """Some items behind one, by its id, and the id behind which others follow; "" when none
        do."""
        self._check()
        more = {"ExclusiveStartKey": {"interaction_id": {"S": after}}} if after else {}
        page = self._api.ask("scan", TableName=self._table, ConsistentRead=True, **more)
        last = page.get("LastEvaluatedKey")
        return page["Items"], last["interaction_id"]["S"] if last else ""

    def line_of(self, item: JsonObject) -> bytes:
        """The line of the log that an item was made of, or one that says the same."""
        body = item.get("lakeward", {}).get("M", {}).get("body", {}).get("S")
        if body is None:
            return msgspec.json.encode(record_of(item))
        if self._bucket is None:
            raise Terminal("records over 400 KB are in a bucket: set DATA_LAKE_BUCKET")
        return b"".join(self._bucket.read(body)).rstrip(b"\n")

    def _got(self, keys: list[JsonObject]) -> Iterator[JsonObject]:
        """BatchGetItem until nothing is left over; Transient when something stays so."""
        pending: JsonObject = {self._table: {"Keys": keys, "ConsistentRead": True}}
        for attempt in range(ATTEMPTS):
            answer = self._api.ask("batch_get_item", RequestItems=pending)
            yield from answer["Responses"].get(self._table, ())
            pending = answer.get("UnprocessedKeys") or {}
            if not pending:
                return
            self._sleep(self._chance() * min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))
        raise Transient(f"{self._api.place.name} left keys over: it is at its limit")

    def _items(
        self, piece: Slice, refused: dict[int, str], places: dict[str, int]
    ) -> dict[str, Item]:
        """The slice's items, the last of each id; large records are in the bucket already."""
        items: dict[str, Item] = {}
        now = self._clock()
        for index, line in enumerate(piece.lines):
            try:
                item = item_of(line, self._ttl_days, now)
                if not item.fits:
                    item = self._pointer(item, line, now)
            except Unfit as error:
                refused[index] = str(error)
                continue
            items[item.key] = item
            places[item.key] = index
        return items

    def _pointer(self, item: Item, line: bytes, now: float) -> Item:
        if self._bucket is None:
            raise Unfit("the item is over 400 KB: set DATA_LAKE_BUCKET, where such records go")
        body = _body(item)
        made = pointer(line, body, pack([line]).sha256, self._ttl_days, now)
        self._bucket.put_latest(body, (line,))
        return made

    def _put_batch(self, batch: list[Item]) -> list[Item]:
        """Put a batch; returns the items that DynamoDB does not take."""
        try:
            self._write([{"PutRequest": {"Item": item.attributes}} for item in batch])
        except Invalid:
            if len(batch) == 1:
                return batch
            return [item for one in batch for item in self._put_batch([one])]
        return []

    def _write(self, requests: list[JsonObject]) -> None:
        """BatchWriteItem until nothing is left over; Transient when something stays so."""
        pending: JsonObject = {self._table: requests}
        for attempt in range(ATTEMPTS):
            answer = self._api.ask("batch_write_item", RequestItems=pending)
            pending = answer.get("UnprocessedItems") or {}
            if not pending:
                return
            self._sleep(self._chance() * min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))
        left = len(pending[self._table])
        raise Transient(f"{self._api.place.name} left {left} items over: it is at its limit")

    def _check(self) -> None:
        if not self._checked:
            check(describe(self._api, self._table), self._api)
            self._checked = True

    def find(self, person: Person) -> int:
        """Items that name the person, and records in the bucket that are too large for one."""
        bodies = versions.find(self._bucket, (BODIES,), person) if self._bucket else 0
        return bodies + sum(1 for _ in self._keys(person))

    def erase(self, person: Person) -> Gone:
        """Delete the person's items; names the day on which table backups forget them, too."""
        bodies = versions.forget(self._bucket, (BODIES,), person) if self._bucket else 0
        deleted, quiet = 0, 0
        while quiet < 2:  # the second look comes after the index has caught up
            found = 0
            for batch in _blocks(self._keys(person)):
                self._write([{"DeleteRequest": {"Key": {"interaction_id": key}}} for key in batch])
                found += len(batch)
            deleted += found
            quiet = 0 if found else quiet + 1
            if quiet < 2:
                self._sleep(INDEX_LAG)
        return self._receipt(max(deleted, bodies))

    def _receipt(self, records: int) -> Gone:
        days = RECOVERY_DAYS
        try:
            answer = self._api.ask("describe_continuous_backups", TableName=self._table)
        except LakewardError:
            what = "point-in-time recovery of the table, if it is on (it may not be asked)"
        else:
            state = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
            if state.get("PointInTimeRecoveryStatus") != "ENABLED":
                return Gone(records)
            days = int(state.get("RecoveryPeriodInDays") or RECOVERY_DAYS)
            what = "point-in-time recovery of the table"
        until = datetime.fromtimestamp(self._clock(), UTC) + timedelta(days=days)
        return Gone(records, what, until.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def _keys(self, person: Person) -> Iterator[JsonObject]:
        """Keys of the person's items: by index where one holds them, else through the table."""
        names = {"#id": "interaction_id", "#who": person.kind}
        asked: JsonObject = {
            "TableName": self._table,
            "ProjectionExpression": "#id",
            "ExpressionAttributeValues": {":who": {"S": person.value}},
        }
        index = INDEXES.get(person.kind)
        if index and indexable(person.value) and self._has(index):
            pages = self._api.pages("query", IndexName=index, KeyConditionExpression="#who = :who",
                                    ExpressionAttributeNames=names, **asked)  # fmt: skip
        else:
            names |= {"#own": "lakeward", "#omitted": "omitted"}
            pages = self._api.pages(
                "scan", FilterExpression="#who = :who OR #own.#omitted.#who = :who",
                ExpressionAttributeNames=names, ConsistentRead=True, **asked,
            )  # fmt: skip
        for page in pages:
            yield from (row["interaction_id"] for row in page.get("Items", ()))

    def _has(self, index: str) -> bool:
        found = describe(self._api, self._table)
        if found is None:
            raise Terminal(f"there is no {self._api.place.name}: mend INTERACTIONS_TABLE")
        rows = found.get("GlobalSecondaryIndexes") or []
        return any(row["IndexName"] == index and row.get("IndexStatus") == "ACTIVE" for row in rows)

    def close(self) -> None:
        """Let go of connections."""
        self._api.close()
        if self._bucket:
            self._bucket.api.close()


def _body(item: Item) -> str:
    """The object of a record that is too large for an item."""
    return f"{BODIES}{item.key}.json.gz"


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Items in batches that one request may carry: at most 25, and less than 16 MB of JSON."""
    batch: list[Item] = []
    size = 0
    for item in items:
        if batch and (len(batch) == BATCH or size + item.wire > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.wire
    if batch:
        yield batch


def _blocks(keys: Iterable[JsonObject]) -> Iterator[list[JsonObject]]:
    block: list[JsonObject] = []
    for key in keys:
        block.append(key)
        if len(block) == BATCH:
            yield block
            block = []
    if block:
        yield block
