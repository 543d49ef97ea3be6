"""`LAKEWARD_ACK=s3`: what is answered stands in S3, whatever becomes of the host and its disk."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from deltalake import DeltaTable
from uuid_utils import uuid7

from clouds import BUCKET, KEYS, REGION
from clouds import TABLE as TABLE_OF_ITEMS
from conftest import Lake, wait_until
from faulty import Faulty
from lakeward.cli.compact import compact
from lakeward.errors import SettingError
from lakeward.lake.archive import KEY, Archive, Bucket, days_before
from lakeward.lake.compact import Compactor
from lakeward.lake.delta import Table
from lakeward.lake.storage import table_storage
from lakeward.lakedir import LakeDir, open_lake
from lakeward.server.shipped import check
from lakeward.settings import Settings, load
from lakeward.sinks.blueprint import create_table
from lakeward.sinks.s3 import bucket_of
from machines import kill_all
from server_process import Serving, serving
from test_table import MEMORY

if TYPE_CHECKING:
    from clouds import Cloud

TABLE = f"s3://{BUCKET}/tables/interactions"


def shipping(endpoint: str, **more: str) -> dict[str, str]:
    """A host without a disk of its own: it answers for S3, and leaves the table to others."""
    return {
        "LAKEWARD_ACK": "s3", "LAKEWARD_ACK_SECONDS": "0.02", "USE_S3": "true",
        "DATA_LAKE_BUCKET": BUCKET, "AWS_REGION": REGION, "LAKEWARD_AWS_ENDPOINT": endpoint,
        "LAKEWARD_AWS_SECONDS": "2", "LAKEWARD_COMPACT": "off", "LAKEWARD_TABLE": TABLE,
        "LAKEWARD_INDIVIDUAL_FILES": "off", **KEYS, **more,
    }  # fmt: skip


def compactor_of(folder: Path, endpoint: str) -> tuple[LakeDir, Settings]:
    """Another host, which has nothing but the bucket."""
    environ = {**shipping(endpoint), "LAKEWARD_LAKE_DIR": str(folder / "compacting"),
               "LAKEWARD_RING_DIR": str(folder / "rings")}  # fmt: skip
    (folder / "rings").mkdir(mode=0o700, exist_ok=True)
    settings = load(environ, folder)
    return open_lake(settings.lake_dir), settings


def rows(settings: Settings) -> list[str]:
    """Ids of the table."""
    storage = table_storage(settings.lake_dir, settings)
    table = DeltaTable(storage.uri, storage_options=storage.options)
    return [str(one) for one in table.to_pyarrow_table(columns=["interaction_id"])[0].to_pylist()]


def batch(n: int) -> dict[str, Any]:
    return {"batch": [{"interaction_type": "custom.tick", "properties": {"n": n, "k": k}}
                      for k in range(3)]}  # fmt: skip


def archived(cloud: Cloud) -> list[str]:
    """Ids in the bucket, as often as they stand there."""
    client = cloud.client("s3")
    found = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="raw/"):
        for row in page.get("Contents", ()):
            assert KEY.fullmatch(row["Key"]), row["Key"]
            body = client.get_object(Bucket=BUCKET, Key=row["Key"])["Body"].read()
            found += [
                json.loads(one)["interaction_id"] for one in gzip.decompress(body).splitlines()
            ]
    return found


def items(cloud: Cloud) -> set[str]:
    """Ids in DynamoDB."""
    scanned = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE_OF_ITEMS)
    return {item["interaction_id"]["S"] for page in scanned for item in page["Items"]}


def test_what_is_answered_is_in_the_bucket_already(lake: Lake, cloud: Cloud) -> None:
    cloud.bucket(versions="")
    with serving(lake, **shipping(cloud.endpoint)) as server, server.client() as client:
        for n in range(5):
            answer = client.post("/v1/interactions", json=batch(n))
            assert answer.status_code == 200, answer.text
            assert len(archived(cloud)) == 3 * (n + 1)
    found = archived(cloud)
    assert len(found) == len(set(found)) == 15


def test_while_s3_is_away_nothing_is_answered_for_and_nothing_is_lost(
    lake: Lake, cloud: Cloud
) -> None:
    cloud.bucket(versions="")
    with Faulty(cloud.endpoint) as proxy:
        env = shipping(proxy.url)
        with serving(lake, **env) as server, server.client(timeout=60) as client:
            proxy.inject("503", times=10_000, on="PUT")
            answer = client.post("/v1/interactions", json=batch(0))
            assert (answer.status_code, answer.json()["code"]) == (503, "not_durable")
            assert "not in S3 after 10 s" in answer.json()["message"]
            assert int(answer.headers["retry-after"]) > 0
            assert archived(cloud) == []
            proxy.heal()
            wait_until(lambda: len(archived(cloud)) == 3, what="what had waited")
            assert client.post("/v1/interactions", json=batch(1)).status_code == 200
            assert len(archived(cloud)) == 6


def test_a_follower_that_has_stopped_is_not_waited_for(lake: Lake, cloud: Cloud) -> None:
    env = shipping(cloud.endpoint)  # there is no such bucket
    with serving(lake, **env) as server, server.client(timeout=60) as client:
        answer = client.post("/v1/interactions", json=batch(0))
        assert (answer.status_code, answer.json()["code"]) == (503, "not_durable")
        assert BUCKET in answer.json()["message"]
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in answer.text


def test_what_is_answered_is_in_dynamodb_too_where_that_is_on(lake: Lake, cloud: Cloud) -> None:
    """What waited there on the disk would go with it, and nothing would bring it again."""
    cloud.bucket(versions="")
    with Faulty(cloud.endpoint) as proxy:
        env = shipping(proxy.url, USE_DYNAMODB="true", INTERACTIONS_TABLE=TABLE_OF_ITEMS)
        create_table(load({**lake.env, **env}, lake.root.parent))
        with serving(lake, **env) as server, server.client(timeout=60) as client:
            for n in range(3):
                assert client.post("/v1/interactions", json=batch(n)).status_code == 200
                assert len(items(cloud)) == 3 * (n + 1)
            assert items(cloud) == set(archived(cloud))
            proxy.inject("throttled", times=10_000, on="BatchWriteItem")
            answer = client.post("/v1/interactions", json=batch(3))
            assert (answer.status_code, answer.json()["code"]) == (503, "not_durable")
            assert "not in DynamoDB after 10 s" in answer.json()["message"]
            assert len(archived(cloud)) == 12
            proxy.heal()
            wait_until(lambda: len(items(cloud)) == 12, what="what had waited")


def test_a_follower_of_dynamodb_that_has_stopped_is_not_waited_for(
    lake: Lake, cloud: Cloud
) -> None:
    cloud.bucket(versions="")
    env = shipping(cloud.endpoint, USE_DYNAMODB="true", INTERACTIONS_TABLE="no-such")
    with serving(lake, **env) as server, server.client(timeout=60) as client:
        answer = client.post("/v1/interactions", json=batch(0))
        assert (answer.status_code, answer.json()["code"]) == (503, "not_durable")
        assert "not in DynamoDB: " in answer.json()["message"]
        assert "no-such" in answer.json()["message"]


@pytest.mark.parametrize(
    ("more", "names"),
    [({"USE_S3": "false"}, "USE_S3"), ({"DATA_LAKE_BUCKET": ""}, "DATA_LAKE_BUCKET"),
     ({"LAKEWARD_ROLLOUT_S3": "50"}, "LAKEWARD_ROLLOUT_S3")],
)  # fmt: skip
def test_settings_by_which_nothing_or_not_all_would_reach_s3_are_refused(
    lake: Lake, more: dict[str, str], names: str
) -> None:
    environ = {**lake.env, **shipping("http://127.0.0.1:1"), **more}
    with pytest.raises(SettingError, match=names):
        check(load(environ, lake.root.parent))
    check(load({**environ, "LAKEWARD_ACK": "disk"}, lake.root.parent))


class Host:
    """A server whose disk is lost with it, and what it answered for."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        ring_dir = Path("/dev/shm") / f"lw-ack-{folder.parent.stat().st_ino}-{folder.name}"
        ring_dir.mkdir(mode=0o700)
        self.lake = Lake(folder / "data-lake", ring_dir)
        self.ring_dir = ring_dir
        self.answered: list[str] = []
        self._stop = threading.Event()

    def send(self, server: Serving, number: int) -> None:
        """Batches with ids of the sender's own, until the server is gone."""
        with server.client(timeout=10) as client:
            while not self._stop.is_set():
                ids = [str(uuid7()) for _ in range(3)]
                events = [{"interaction_type": "custom.tick", "interaction_id": one}
                          for one in ids]  # fmt: skip
                try:
                    answer = client.post("/v1/interactions", json={"batch": events})
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    self.answered += ids

    def has_answers(self, many: int) -> bool:
        """Whether it answered for more than so many."""
        return len(self.answered) > many

    def lost(self) -> None:
        """Its disk and memory are gone."""
        self._stop.set()
        shutil.rmtree(self.folder)
        shutil.rmtree(self.ring_dir)


def test_hosts_that_are_killed_with_their_disks_lose_nothing_that_was_answered(
    cloud: Cloud, tmp_path: Path
) -> None:
    """Each host dies in the middle of its work; a fresh one makes the table of the objects."""
    cloud.bucket(versions="")
    dice = random.Random(11)
    answered: list[str] = []
    lake, settings = compactor_of(tmp_path, cloud.endpoint)
    for number in range(4):
        host = Host(tmp_path / f"host{number}")
        with serving(host.lake, **shipping(cloud.endpoint)) as server:
            threads = [threading.Thread(target=host.send, args=(server, n)) for n in range(4)]
            for thread in threads:
                thread.start()
            wait_until(partial(host.has_answers, 30), what="the first answers")
            time.sleep(dice.uniform(0, 0.3))
            kill_all(server.process.pid)
            for thread in threads:
                thread.join()
        host.lost()
        answered += host.answered
        if number % 2:
            compact(lake, settings, archive=True)
    compact(lake, settings, archive=True)
    found = Counter(rows(settings))
    assert set(answered) <= found.keys()
    assert set(found.values()) == {1}
    before = len(found)
    again = compact(lake, settings, archive=True)
    assert (again.added, again.commits) == (0, 0)
    assert len(rows(settings)) == before


def test_a_host_that_compacts_itself_and_the_archive_make_each_row_once(
    lake: Lake, cloud: Cloud, tmp_path: Path
) -> None:
    """Both have one place in the table, so that neither reads what the other brought."""
    cloud.bucket(versions="")
    env = shipping(cloud.endpoint, LAKEWARD_COMPACT="off")
    other, settings = compactor_of(tmp_path, cloud.endpoint)
    own = load({**lake.env, **env}, lake.root.parent)
    with serving(lake, **env) as server, server.client() as client:
        for n in range(6):
            assert client.post("/v1/interactions", json=batch(n)).status_code == 200
            if n == 1:
                assert compact(lake.open(), own).added == 6
            if n == 3:
                report = compact(other, settings, archive=True)
                assert (report.added, report.read) == (6, 6)
        assert compact(lake.open(), own).added == 6
        assert compact(other, settings, archive=True).read == 0
    assert Counter(Counter(rows(settings)).values()) == {1: 18}


class Shelf:
    """A bucket in memory, to look at what is listed and read."""

    def __init__(self, *keys: str) -> None:
        self.keys = sorted(keys)
        self.read_: list[str] = []

    def listed(self, prefix: str, after: str = "") -> Any:
        return ((key, 100, 0.0) for key in self.keys if key.startswith(prefix) and key > after)

    def read(self, key: str) -> Any:
        self.read_.append(key)
        return iter(())


LAKE_ID = "0198a8b0-0000-7000-8000-000000000001"


def made(day: int, segment: int, start: int, end: int, epoch: int = 1, of: str = LAKE_ID) -> str:
    return (
        f"raw/year=2026/month=11/day={day:02d}/{of}-{epoch:06d}-{segment:08d}-{start:012d}-"
        f"{end:012d}.jsonl.gz"
    )


def taken(shelf: Shelf, since: str = "", lake: Lake | None = None, steps: int = 9) -> list[str]:
    """What is read of a shelf until nothing is left."""
    assert lake is not None
    bucket: Bucket = shelf
    table = Table(table_storage(lake.root, load(lake.env, lake.root.parent)))
    archive = Archive(bucket, since)
    compactor = Compactor(open_lake(lake.root), table, memory=MEMORY, source=archive)
    try:
        compactor.run(most=steps)
    finally:
        compactor.close()
    read, shelf.read_ = shelf.read_, []
    return read


def test_objects_are_taken_in_their_makers_order_and_once(lake: Lake) -> None:
    first, second = made(1, 1, 0, 900), made(1, 1, 900, 1100)
    other = made(1, 1, 0, 50, of=LAKE_ID.replace("1", "2"))
    risen = made(2, 1, 0, 900, epoch=2)
    foreign = ["raw/year=2026/month=11/day=01/notes.txt", "items/a.json.gz"]
    shelf = Shelf(second, first, other, risen, *foreign)
    assert sorted(taken(shelf, lake=lake)) == sorted([first, second, other, risen])
    assert taken(shelf, lake=lake) == []
    third = made(2, 2, 0, 10)
    shelf.keys = sorted([*shelf.keys, third])
    assert taken(shelf, lake=lake) == [third]


def test_what_was_taken_and_not_committed_is_taken_again(lake: Lake) -> None:
    one, two = made(1, 1, 0, 900), made(1, 1, 900, 1000)
    shelf = Shelf(one, two)
    table = Table(table_storage(lake.root, load(lake.env, lake.root.parent)))
    archive = Archive(shelf)
    archive.reconcile(table)
    for _ in range(2):  # as after a conflict, or too little memory
        piece = archive.take(table, 1)
        assert piece is not None
        assert shelf.read_.pop() == one
    archive.settle()
    assert archive.take(table, 1) is not None
    assert shelf.read_.pop() == two


@pytest.mark.parametrize(
    ("keys", "merged", "expected", "left"),
    [
        # the very first object of a maker has nothing before it
        ([made(20, 1, 0, 9), made(21, 1, 9, 12)], [], [0, 1], 0),
        # nobody knows what stands before the first one that is seen
        ([made(10, 1, 0, 9), made(21, 1, 9, 12)], [], [], 1),
        ([made(10, 1, 0, 9), made(21, 2, 0, 12)], [made(10, 1, 0, 9)], [], 1),
        # the table has one that is seen, so that all behind it is
        ([made(20, 1, 0, 9), made(21, 1, 9, 12)], [made(20, 1, 0, 9)], [1], 0),
        # a clock that went back put a segment into an older day
        ([made(20, 1, 0, 9), made(9, 2, 0, 5), made(21, 3, 0, 5)], [made(20, 1, 0, 9)], [], 1),
        ([made(20, 1, 0, 9), made(9, 2, 0, 5), made(21, 3, 0, 5)], [], [0], 1),
    ],
)  # fmt: skip
def test_a_listing_of_some_days_takes_nothing_that_may_have_something_unseen_before_it(
    lake: Lake, keys: list[str], merged: list[str], expected: list[int], left: int
) -> None:
    assert sorted(taken(Shelf(*merged), lake=lake)) == sorted(merged)
    shelf = Shelf(*keys)
    assert taken(shelf, "2026-11-20", lake) == [keys[n] for n in expected]
    table = Table(table_storage(lake.root, load(lake.env, lake.root.parent)))
    archive = Archive(shelf, "2026-11-20")
    archive.reconcile(table)
    table.snapshot()
    archive.take(table, 1)
    assert archive.left == left
    rest = [key for key in keys if key not in merged and key not in {keys[n] for n in expected}]
    assert sorted(taken(shelf, lake=lake)) == sorted(rest)  # all days: nothing is left


def test_days_are_counted_back_from_today() -> None:
    assert days_before("2026-03-01", 1) == "2026-02-28"


def test_the_command_compacts_the_archive_and_says_what_it_saw(
    lake: Lake, cloud: Cloud, tmp_path: Path
) -> None:
    cloud.bucket(versions="")
    with serving(lake, **shipping(cloud.endpoint)) as server, server.client() as client:
        assert client.post("/v1/interactions", json=batch(0)).status_code == 200
    _, settings = compactor_of(tmp_path, cloud.endpoint)
    env = {**os.environ, **shipping(cloud.endpoint), "LAKEWARD_LAKE_DIR": str(settings.lake_dir)}

    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lakeward.cli", "compact", *words]
        return subprocess.run(
            command, env=env, capture_output=True, text=True, cwd=tmp_path, check=False
        )  # fmt: skip

    done = ran("--archive", "--days", "2")
    assert "3 interactions added to the table" in done.stdout, done.stderr
    assert ran("--archive").stdout.startswith("0 interactions added")
    line = {"interaction_id": str(uuid7()), "interaction_type": "custom.tick"}
    cloud.client("s3").put_object(
        Bucket=BUCKET, Key=made(20, 1, 0, 99), Body=gzip.compress(json.dumps(line).encode() + b"\n")
    )
    time.sleep(2.1)  # S3 says whole seconds
    for added, waited in ((1, 1), (0, 0)):  # how long the oldest had waited that was not taken
        said = json.loads(ran("--archive", "--format", "json").stdout)
        assert (said["added"], said["objects"], said["lag_seconds"] >= 1) == (added, 2, waited)
    compacting, settings = compactor_of(tmp_path, cloud.endpoint)
    hurried = compact(compacting, settings, archive=True, enough=lambda: True)
    assert (hurried.unfinished, hurried.lag_seconds) == (True, None)  # nothing was listed: no 0
    wrong = ran("--days", "2")
    assert wrong.returncode == 2
    assert "--days is of --archive" in wrong.stderr


def test_the_bucket_lists_behind_a_key_in_order(cloud: Cloud, tmp_path: Path) -> None:
    client = cloud.bucket(versions="")
    for key in ("raw/b", "raw/a", "items/c", "raw/d"):
        client.put_object(Bucket=BUCKET, Key=key, Body=b"12")
    _, settings = compactor_of(tmp_path, cloud.endpoint)
    bucket = bucket_of(settings)
    found = list(bucket.listed("raw/"))
    assert [one[:2] for one in found] == [("raw/a", 2), ("raw/b", 2), ("raw/d", 2)]
    assert all(abs(made_s - time.time()) < 600 for _, _, made_s in found)
    assert list(bucket.listed("raw/", "raw/a")) == found[1:]
    bucket.api.close()
