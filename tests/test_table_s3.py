"""One table in S3 that several hosts write: commits are conditional puts, rows stay unique."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable
from obstore.fsspec import FsspecStore
from uuid_utils import uuid7

from clouds import BUCKET, KEYS, REGION, settings
from conftest import Lake, wait_until
from lakeward.errors import LakewardError, Terminal, Transient
from lakeward.lake.delta import Conflict, Table, local_path
from lakeward.lake.forget import TableEraser
from lakeward.lake.lookup import Lookup
from lakeward.lake.merge import merge
from lakeward.lake.progress import read_progress
from lakeward.lake.ranged import RangedStore
from lakeward.lake.rows import connect, listed
from lakeward.lake.scratch import scratch
from lakeward.lake.storage import table_storage
from lakeward.lake.vacuum import vacuum
from lakeward.lakedir import LakeDir, open_lake
from lakeward.person import Person
from test_cli import lakeward
from test_table import MEMORY, NOON, Desk, ids_of, line

if TYPE_CHECKING:
    from clouds import Cloud


HOUR_NS = 3_600_000_000_000


def desk_at(cloud: Cloud, root: Path) -> Desk:
    root.mkdir(parents=True, exist_ok=True)
    return Desk(
        root,
        LAKEWARD_TABLE=f"s3://{BUCKET}/tables/interactions",
        LAKEWARD_AWS_ENDPOINT=cloud.endpoint,
        AWS_REGION=REGION,
        **KEYS,
    )


def test_two_lakes_commit_to_one_table_each_interaction_once(cloud: Cloud, tmp_path: Path) -> None:
    """P5: duplicates of each other, commits that overtake each other, in turns."""
    cloud.bucket(versions="")
    here, there = desk_at(cloud, tmp_path / "a"), desk_at(cloud, tmp_path / "b")
    common = [line(ms=NOON + n) for n in range(60)]
    ours, theirs = [line(ms=NOON) for _ in range(20)], [line(ms=NOON) for _ in range(20)]
    here.log.append([*common, *ours])
    there.log.append([*theirs, *reversed(common)])
    overtaken = False

    def pause(at: str) -> None:
        nonlocal overtaken
        if at == "before commit" and not overtaken:
            overtaken = True
            there.compact()

    done = here.compact(pause=pause)
    assert (done.added, done.duplicate) == (20, 60)
    there.log.append(ours)
    assert there.compact().duplicate == 20
    assert here.ids() == there.ids() == ids_of([*common, *ours, *theirs])
    delta = DeltaTable(here.table().storage.uri, storage_options=here.table().storage.options)
    assert delta.count() == 100
    for desk in (here, there):
        desk.log.close()


def test_of_two_writers_of_one_version_in_s3_one_wins(cloud: Cloud, tmp_path: Path) -> None:
    cloud.bucket(versions="")
    desk = desk_at(cloud, tmp_path)
    table, other = desk.table(), desk.table()
    table.commit(0)
    with pytest.raises(Conflict):
        other.commit(0)
    assert isinstance(other, Table)
    desk.log.close()


def test_a_table_in_s3_is_merged_looked_up_erased_and_vacuumed(
    cloud: Cloud, tmp_path: Path
) -> None:
    cloud.bucket(versions="")
    desk = desk_at(cloud, tmp_path)
    lines = [line(ms=NOON + n, user_id="ann" if n == 3 else "bob") for n in range(30)]
    for start in range(0, 30, 10):
        desk.log.append(lines[start : start + 10])
        desk.compact()
    table = desk.table()
    con = connect(MEMORY, storage=table.storage)
    with scratch(desk.lake) as folder:
        assert merge(con, table, folder, closed_before="2026-01-01") == 3
    lookup = Lookup(desk.lake, desk.settings)
    found = lookup.get(ids_of(lines)[0])
    assert found is not None
    assert TableEraser(desk.lake, desk.settings).erase(Person("user_id", "ann")).records == 1
    assert len(desk.ids()) == 29
    vacuum(desk.lake, table, 0)
    assert {name for name, _ in table.storage.names() if name.endswith(".parquet")} == set(
        table.snapshot().files
    )
    desk.log.close()


def test_files_that_are_read_in_several_ranges_are_merged_whole(
    cloud: Cloud, tmp_path: Path
) -> None:
    """Of several MiB each, which DuckDB's threads read by one handle."""
    cloud.bucket(versions="")
    desk, dice = desk_at(cloud, tmp_path), random.Random(3)
    for start in (0, 6_000):
        lines = [
            line(ms=NOON + start + n, properties={"noise": dice.randbytes(400).hex()})
            for n in range(6_000)
        ]
        desk.log.append(lines)
        desk.compact()
    table = desk.table()
    assert all(file.bytes > 2 << 20 for file in table.snapshot().files.values())
    con = connect(MEMORY, storage=table.storage)
    asked = "SELECT count(*), sum(hash(interaction_id, properties)) FROM read_parquet({})"

    def told() -> object:
        paths = listed(local_path(table.storage, name) for name in table.snapshot().files)
        return con.execute(asked.format(paths)).fetchall()

    before = told()
    with scratch(desk.lake) as folder:
        assert merge(con, table, folder, closed_before="2026-01-01") == 2
    assert len(table.snapshot().files) == 1
    assert told() == before
    desk.log.close()


def test_who_has_no_disk_deletes_what_the_tables_log_says_was_replaced_long_ago(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function or task remembers nothing of what it saw unnamed before."""
    cloud.bucket(versions="")
    desk, now = desk_at(cloud, tmp_path), time.time_ns()
    for n in range(2):
        desk.log.append([line(ms=NOON + n)])
        desk.compact()
    table, con = desk.table(), connect(MEMORY, storage=desk.table().storage)
    for hours in (3, 0):  # one merge long ago, another one just now
        clock = SimpleNamespace(time_ns=partial(int, now - hours * HOUR_NS))
        monkeypatch.setattr("lakeward.lake.delta.time", clock)
        with scratch(desk.lake) as folder:
            assert merge(con, table, folder, closed_before="2026-01-01") == 2
        desk.log.append([line(ms=NOON + 10 - hours)])
        desk.compact()
    orphan = "event_date=2025-08-14/never-committed.c1.parquet"
    table.storage.create(orphan, b"of a commit that never came")
    kept = set(table.snapshot().files)

    def there() -> set[str]:
        return {name for name, _ in table.storage.names() if name.endswith(".parquet")}

    before = there()
    assert len(before - kept) == 5
    for number, (later, left) in enumerate([(0, 3), (23, 3), (25, 0)]):
        fresh = open_lake(tmp_path / f"task{number}")
        gone = vacuum(fresh, table, 3600, now_ms=(now + later * HOUR_NS) // 1_000_000)
        assert len(there() - kept) == left, (later, gone)
    assert there() == kept
    desk.log.close()


def test_a_bucket_that_is_not_there_is_one_sentence(cloud: Cloud, tmp_path: Path) -> None:
    desk = desk_at(cloud, tmp_path)
    desk.log.append([line()])
    with pytest.raises(LakewardError) as caught:
        desk.compact()
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)
    desk.log.close()


def test_a_table_that_moves_is_made_anew_of_the_log_while_the_other_one_goes_on(
    lake: Lake, cloud: Cloud
) -> None:
    """As whoever moves to AWS does: the new table first, then the setting; and back."""
    cloud.bucket()
    there = {"LAKEWARD_TABLE": f"s3://{BUCKET}/table", "LAKEWARD_AWS_ENDPOINT": cloud.endpoint,
             "AWS_REGION": REGION, **KEYS}  # fmt: skip

    def run(*words: str, **environ: str) -> str:
        done = lakeward(lake, *words, LAKEWARD_COMPACT="off", **environ)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout

    for turn in range(3):
        with lake.collector(LAKEWARD_COMPACT="off") as collector:
            for _ in range(10):
                collector.record("custom.tick")
        assert run("compact").startswith("10 interactions added")
        assert run("compact", **there).startswith("10 interactions added")
        assert "the sum holds" in run("doctor", **there)
        for environ in ({}, there):
            counted = run(
                "query", "SELECT count(*) FROM interactions", "--format", "csv", **environ
            )
            assert counted.split() == ["count_star()", str(10 * (turn + 1))]
    assert run("compact").startswith("0 interactions added")
    assert "the sum holds" in run("doctor")


def test_of_a_file_that_is_never_written_again_the_size_is_asked_for_once(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.bucket()
    asked: list[str] = []
    head = FsspecStore._info

    async def counted(self: FsspecStore, path: str, **options: Any) -> dict[str, Any]:
        asked.append(path.rpartition("/")[2])
        return await head(self, path, **options)

    monkeypatch.setattr(FsspecStore, "_info", counted)
    storage = table_storage(tmp_path, settings(tmp_path, cloud.endpoint,
                                               LAKEWARD_TABLE=f"s3://{BUCKET}/table"))  # fmt: skip
    for name in ("a.parquet", "b.parquet", "_last_checkpoint"):
        storage.create(name, b"x" * len(name))
        for _ in range(4):
            assert storage.file_system.info(f"s3://{BUCKET}/table/{name}")["size"] == len(name)
    assert Counter(asked) == {"a.parquet": 1, "b.parquet": 1, "_last_checkpoint": 4}
    with pytest.raises(FileNotFoundError):
        storage.file_system.info(f"s3://{BUCKET}/table/c.parquet")
    storage.create("c.parquet", b"x")
    assert storage.file_system.info(f"s3://{BUCKET}/table/c.parquet")["size"] == 1


def test_a_table_address_of_another_kind_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path, LAKEWARD_TABLE="gs://bucket/x")
    with pytest.raises(Terminal, match="s3://"):
        desk.table()
    desk.log.close()


def test_a_bucket_that_goes_away_leaves_an_erase_waiting(cloud: Cloud, tmp_path: Path) -> None:
    """Whatever the libraries raise then, the eraser says that trying again can help."""
    cloud.bucket(versions="")
    desk = desk_at(cloud, tmp_path)
    desk.log.append([line(user_id="ann"), line()])
    desk.compact()
    eraser = TableEraser(desk.lake, desk.settings)
    assert eraser.find(Person("user_id", "ann")) == 1
    client = cloud.client("s3")
    for name, _ in list(desk.table().storage.names()):
        if name.endswith(".parquet"):
            client.delete_object(Bucket=BUCKET, Key=f"tables/interactions/{name}")
    with pytest.raises(Transient, match="away"):
        eraser.erase(Person("user_id", "ann"))
    desk.log.close()


def tabled(lake: LakeDir, lines: int) -> bool:
    return read_progress(lake).done.counts.read == lines


def test_two_hosts_with_keepers_of_their_own_fill_one_table(cloud: Cloud, tmp_path: Path) -> None:
    """P5 with all that runs in production: two ids, two ring folders, two keepers and their
    compactors, and the same interactions recorded on both hosts."""
    cloud.bucket(versions="")
    ids = [str(uuid7(nanoseconds=(NOON + n) * 1_000_000)) for n in range(80)]
    hosts = [Lake(tmp_path / name / "data-lake", tmp_path / name / "rings") for name in "ab"]
    with contextlib.ExitStack() as running:
        for host in hosts:
            host.ring_dir.mkdir(mode=0o700, parents=True)
            host.env |= {
                "LAKEWARD_TABLE": f"s3://{BUCKET}/tables/interactions", "AWS_REGION": REGION,
                "LAKEWARD_AWS_ENDPOINT": cloud.endpoint, "LAKEWARD_COMPACT_SECONDS": "0", **KEYS,
            }  # fmt: skip
            environ = host.process_env(LAKEWARD_KEEPER="external")
            keeper = subprocess.Popen([sys.executable, "-m", "lakeward.cli", "run"], env=environ)
            running.callback(keeper.wait, 20)
            running.callback(keeper.terminate)
        for mine, host in zip((ids[:60], ids[20:]), hosts, strict=True):
            with host.collector(LAKEWARD_KEEPER="external") as collector:
                for one in mine:
                    collector.record("note", interaction_id=one)
                collector.commit(60)
        for host in hosts:
            wait_until(partial(tabled, host.open(), 60), what="the table")
    desk = desk_at(cloud, tmp_path / "c")
    delta = DeltaTable(desk.table().storage.uri, storage_options=desk.table().storage.options)
    found = delta.to_pyarrow_table(columns=["interaction_id"])["interaction_id"].to_pylist()
    assert sorted(found) == sorted(ids)
    desk.log.close()


def test_threads_that_share_a_file_of_a_bucket_each_have_their_own_place(cloud: Cloud) -> None:
    """As DuckDB's do: it seeks, and then it reads."""
    content = bytes(range(256)) * 64
    client = cloud.bucket(versions="")
    client.put_object(Bucket=BUCKET, Key="table/a.parquet", Body=content)
    store = RangedStore(
        "s3", endpoint=cloud.endpoint, region=REGION, access_key_id="a", secret_access_key="b",
        virtual_hosted_style_request=False, client_options={"allow_http": True},
    )  # fmt: skip
    file = store.open(f"{BUCKET}/table/a.parquet", "rb")
    both = threading.Barrier(2)
    read: dict[int, bytes] = {}

    def reader(place: int) -> None:
        file.seek(place)
        both.wait(60)
        read[place] = file.read(100)

    threads = [threading.Thread(target=reader, args=(place,)) for place in (7, 9_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert read == {place: content[place : place + 100] for place in (7, 9_000)}
    assert file.size == len(content)
    assert (file.seek(-10, 2), file.read(100), file.read(1)) == (
        len(content) - 10,
        content[-10:],
        b"",
    )
    assert (file.seek(0), file.read()) == (0, content)
