"""The proof: a person is planted in every store, a scanner finds each, and after the erase none,
while collection and compaction go on and everybody else's records stay as they were."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clouds import BUCKET, KEYS, REGION, TABLE, Cloud, bytes_of_all_versions, emulator
from conftest import Lake, wait_until
from databases import fresh_database
from lakeward.ai.unfinished import drafts_in
from lakeward.analysis.rollup.build import Builder
from lakeward.cli import main
from lakeward.cli.backup import pack
from lakeward.cli.compact import compact
from lakeward.collector import Collector
from lakeward.followers.driver import Driver
from lakeward.lake.delta import Table
from lakeward.lake.reading import open_reading
from lakeward.lake.storage import table_storage
from lakeward.settings import Settings, load
from lakeward.sinks.blueprint import create_table
from lakeward.sinks.registry import configured
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from scanning import Named, files, found
from test_erase_drafts import dead

ANN = "ann-7c1e9f"
BOB = "bob-control"
LARGE = 500_000
"""Characters of a record that has no room in DynamoDB and goes to the bucket."""

NEVER = ("delta log", "private files", "keeper log")
"""Places where no person stands even before: nothing of a record ever goes there."""


class World:
    """A lake with every store that there is."""

    def __init__(self, lake: Lake, cloud: Cloud, database_url: str) -> None:
        self.lake, self.cloud, self.url = lake, cloud, database_url
        self.env = {
            **lake.env, **KEYS, "USE_S3": "true", "USE_DYNAMODB": "true",
            "DATA_LAKE_BUCKET": BUCKET, "INTERACTIONS_TABLE": TABLE, "AWS_REGION": REGION,
            "LAKEWARD_AWS_ENDPOINT": cloud.endpoint, "LAKEWARD_DATABASE_URL": database_url,
            "LAKEWARD_INDIVIDUAL_FILES": "on", "LAKEWARD_ROLLUP_ROWS": "1",
        }  # fmt: skip
        self.settings: Settings = load(self.env, lake.root.parent)
        self.s3: Any = cloud.bucket()
        create_table(self.settings)

    def plant(self) -> None:
        """Ann and Bob everywhere, in several versions, with leftovers of what was changed since."""
        with self.lake.collector() as collector:
            self.tell(collector)
            collector.commit()
        home = self.lake.open()
        (home.private / "keeper.log").write_text("the keeper's own words\n")
        self.deliver()
        compact(home, self.settings)
        with self.lake.collector() as collector:  # a second file, a second version, a tail
            self.tell(collector)
            collector.commit()
        self.roll()
        compact(home, self.settings)
        Table(table_storage(home.root, self.settings)).checkpoint()
        self.roll()
        self.deliver()
        with self.lake.collector() as collector:
            self.tell(collector)
            collector.commit()
        self._plant_versions()
        dead(self.lake, ANN, BOB)
        with open_database(self.settings) as database:
            for who in (ANN, BOB):
                Keys(database).create("write", who, actor=who)

    def tell(self, collector: Collector) -> None:
        """What the two do."""
        for n in range(20):
            for who in (ANN, BOB):
                collector.record("page_view", user_id=who, url=f"https://example.com/{who}/{n}")
        for who in (ANN, BOB):
            collector.record("signed_up", user_id=who, note="x" * 9000 + who)
            collector.record("page_view", user_id=who, path=f"/home/{who}")
            collector.record("wrote", user_id=who, parts=["y" * 10_000] * (LARGE // 10_000))
            collector.record("demo_booking", user_id=who, status="later")

    def roll(self) -> None:
        """What the keeper does of days that are over; these are, by its clock."""
        later = datetime.now(UTC) + timedelta(days=3)
        Builder(self.lake.open(), self.settings, now=lambda: later).run()

    def deliver(self) -> None:
        """What the courier does: each follower goes to the log's end."""
        home = self.lake.open()
        for subscription in configured(self.settings, home):
            driver = Driver(home, subscription, refuse)
            try:
                while driver.step(linger=False) == 0.0:
                    pass
                assert not driver.stopped
            finally:
                driver.close()

    def _plant_versions(self) -> None:
        """A version under a newer one, and one under a delete marker."""
        keys = sorted({key for key, _ in bytes_of_all_versions(self.s3, "raw/")})
        body = self.s3.get_object(Bucket=BUCKET, Key=keys[0])["Body"].read()
        self.s3.put_object(Bucket=BUCKET, Key=keys[0], Body=body)
        gone = keys[0].replace(".jsonl.gz", "-gone.jsonl.gz")
        self.s3.put_object(Bucket=BUCKET, Key=gone, Body=body)
        self.s3.delete_object(Bucket=BUCKET, Key=gone)

    def places(self) -> dict[str, Callable[[], Iterator[Named]]]:
        """Every store as bytes."""
        root, private = self.lake.root, self.lake.root / ".lakeward"
        apart = ("app.db", "keeper.log")
        return {
            "rings": lambda: files(*self.lake.ring_dir.glob("*.ring")),
            "drafts": lambda: files(*drafts_in([self.lake.ring_dir])),
            "log": lambda: files(*root.glob("raw/*/*/*/*.jsonl")),
            "individual files": lambda: files(*root.glob("raw/*/*/*/*.json")),
            "quarantine": lambda: files(root / "quarantine"),
            "table": lambda: files(*root.glob("table/event_date=*")),
            "rollups": lambda: files(root / "rollup"),
            "delta log": lambda: files(root / "table" / "_delta_log"),
            "private files": lambda: (
                (name, content)
                for name, content in files(private)
                if not Path(name).name.startswith(apart)
            ),
            "keeper log": lambda: files(private / "keeper.log"),
            "s3": self._objects,
            "dynamodb": self._items,
            "database": self._database,
        }

    def _objects(self) -> Iterator[Named]:
        for (key, version), body in bytes_of_all_versions(self.s3).items():
            yield f"s3://{key}?{version}", body

    def _items(self) -> Iterator[Named]:
        pages = self.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
        for page in pages:
            for item in page["Items"]:
                yield f"item {item['interaction_id']['S']}", json.dumps(item).encode()

    def _database(self) -> Iterator[Named]:
        if not self.url:
            yield from files(*self.lake.root.glob(".lakeward/app.db*"))
            return
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
            number = connection.execute(
                "SELECT oid FROM pg_database WHERE datname = current_database()"
            ).fetchone()
        assert number is not None
        yield from files(Path(folder) / "base" / str(number[0]))

    def whereabouts(self) -> dict[str, list[str]]:
        """Where Ann stands."""
        return {name: found(ANN.encode(), read()) for name, read in self.places().items()}

    def control(self) -> dict[str, str]:
        """What each store knows of Bob, as a hash of it."""
        bob = BOB.encode()
        objects = [
            line
            for (key, _), body in bytes_of_all_versions(self.s3).items()
            for line in gzip.decompress(body).splitlines()
            if bob in line and "-gone" not in key
        ]
        with open_reading(self.lake.open(), self.settings) as reading:
            rows = reading.con.execute(
                "SELECT * FROM interactions WHERE user_id = ? ORDER BY interaction_id", [BOB]
            ).fetchall()
        with open_database(self.settings) as database:
            keys = [key for key in Keys(database).all() if key.created_by == BOB]
        lake = self.lake
        return {
            "log": _hash(row for row in lake.rows() if row["user_id"] == BOB),
            "quarantine": _hash(e for e in lake.quarantined() if e["record"]["user_id"] == BOB),
            "table": _hash(map(repr, rows)),
            "s3": _hash({line.decode() for line in objects}),
            "dynamodb": _hash(content.decode() for _, content in self._items() if bob in content),
            "database": _hash(map(repr, keys)),
        }


def refuse(follower: str, lines: list[tuple[bytes, str]]) -> None:
    """Every planted record can be delivered."""
    raise AssertionError(f"{follower} sets aside {len(lines)} lines")


def _hash(rows: Any) -> str:
    lines = sorted(
        row if isinstance(row, str) else msgspec.json.encode(row).decode() for row in rows
    )
    assert lines
    return sha256("\n".join(lines).encode()).hexdigest()


@pytest.fixture(params=["ministack, SQLite", "moto, PostgreSQL"])
def world(request: pytest.FixtureRequest, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> World:
    """A lake, a cloud and a database, each combination of two makers once."""
    name, _, kind = request.param.partition(", ")
    cloud = emulator(name)
    cloud.reset()
    url = ""
    if kind == "PostgreSQL":
        url = fresh_database(request.getfixturevalue("postgresql"))
    made = World(lake, cloud, url)
    for variable, value in made.env.items():
        monkeypatch.setenv(variable, value)
    return made


class Crowd:
    """Others who go on: one records, one compacts, one delivers, one counts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stop = threading.Event()
        self._errors: list[Exception] = []
        self.ids: list[str] = []
        compacting, delivering = self._again(self._compact), self._again(world.deliver)
        self._threads = [
            threading.Thread(target=work)
            for work in (self._write, compacting, delivering, self._again(world.roll))
        ]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: len(self.ids) > 5)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self._errors, self._errors

    def _write(self) -> None:
        with self._world.lake.collector() as collector:
            while not self._stop.is_set():
                made = collector.record("signed_up", user_id="carol")
                assert made is not None
                self.ids.append(made)
                collector.commit()
                time.sleep(0.002)

    def _compact(self) -> None:
        compact(self._world.lake.open(), self._world.settings)

    def _again(self, work: Callable[[], None]) -> Callable[[], None]:
        def go_on() -> None:
            try:
                while not self._stop.is_set():
                    work()
                    time.sleep(0.01)
            except Exception as error:
                self._errors.append(error)

        return go_on


def erased(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The receipt. An emulator may answer 500 to one of a crowd, which is then tried again as the
    keeper would; nothing else may be left undone."""
    words = ["erase", "--user", ANN, "--yes"]
    for _ in range(3):
        code = main([*words, "--format", "json"])
        receipt: dict[str, Any] = json.loads(capsys.readouterr().out)["erasures"][0]
        if code == 0:
            return receipt
        assert all(note["done"] or "(500)" in note["error"] for note in receipt["stores"])
        words = ["erase", "--resume"]
    raise AssertionError(receipt)


def test_after_an_erase_no_byte_of_the_person_is_left_in_any_store(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.plant()
    app = world.lake.collector(LAKEWARD_KEEPER="external")
    world.tell(app)
    before = world.whereabouts()
    assert {name for name, where in before.items() if not where} == set(NEVER)
    assert len(before["table"]) > 4

    with Crowd(world) as crowd:
        receipt = erased(capsys)
    app.close()
    with world.lake.collector() as collector:  # its keeper buries the app's ring
        collector.record("signed_up", user_id="carol")
        collector.commit()
        wait_until(lambda: len(list(world.lake.ring_dir.glob("*.ring"))) == 1)

    world.deliver()
    compact(world.lake.open(), world.settings)
    after = world.whereabouts()
    assert after == {name: [] for name in after}
    assert ANN not in json.dumps(receipt)
    removed = {note["name"]: note["records"] for note in receipt["stores"]}
    assert min(removed.values()) > 0
    assert main(["erase", "--verify", receipt["erasure_id"], "--user", ANN]) == 0

    ids = set(world.lake.ids())
    assert set(crowd.ids) <= ids
    report = world.lake.audit()
    assert report.ok, report.faults


def test_everybody_elses_rows_are_the_same_before_and_after(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.plant()
    world.deliver()
    control = world.control()
    with Crowd(world):
        erased(capsys)
    assert world.control() == control


def test_a_backup_made_after_the_erase_has_nothing_of_the_person(world: World) -> None:
    world.plant()

    def archive() -> bytes:
        file = io.BytesIO()
        pack(world.lake.open(), world.settings, file)
        return file.getvalue()

    assert found(ANN.encode(), [("before", archive())])
    assert main(["erase", "--user", ANN, "--yes"]) == 0
    assert not found(ANN.encode(), [("after", archive())])
    assert found(BOB.encode(), [("after", archive())])


def test_a_cloud_that_is_away_leaves_the_erasure_waiting_and_the_person_hidden(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.plant()
    monkeypatch.setenv("LAKEWARD_AWS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("LAKEWARD_AWS_SECONDS", "1")
    assert main(["erase", "--user", ANN, "--yes"]) == 1
    with open_reading(world.lake.open(), world.settings) as reading:
        rows = reading.con.execute(
            "SELECT count(*) FROM interactions WHERE user_id = ?", [ANN]
        ).fetchall()
    assert rows == [(0,)]
    assert world.whereabouts()["s3"]
    monkeypatch.setenv("LAKEWARD_AWS_ENDPOINT", world.cloud.endpoint)
    assert main(["erase", "--resume"]) == 0
    after = world.whereabouts()
    assert {name: where for name, where in after.items() if name != "rings"} == {
        name: [] for name in after if name != "rings"
    }


# The scanner itself


def test_the_scanner_sees_through_everything_that_packs(tmp_path: Path) -> None:
    needle = b"needle-in-hay"
    parquet = io.BytesIO()
    values = ["needle-in-a", needle.decode()]  # the second one shares what the first begins with
    pq.write_table(
        pa.table({"user_id": values}), parquet, use_dictionary=False, write_statistics=False,
        column_encoding={"user_id": "DELTA_BYTE_ARRAY"},
    )  # fmt: skip
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("inner.parquet")
        info.size = len(parquet.getvalue())
        tar.addfile(info, io.BytesIO(parquet.getvalue()))
    assert needle not in parquet.getvalue()
    for content in (needle, gzip.compress(needle), parquet.getvalue(), packed.getvalue()):
        assert found(needle, [("x", content)]), content[:20]
    assert not found(needle, [("x", gzip.compress(b"hay"))])

    path = tmp_path / "x.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (?)", [needle])
    connection.execute("DELETE FROM t")
    assert found(needle, files(tmp_path))
    connection.close()
