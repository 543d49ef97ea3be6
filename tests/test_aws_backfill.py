"""`lakeward aws backfill`: everything is there once, on both sides, while both are in use."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clouds import BUCKET, KEYS, REGION, TABLE
from conftest import Lake, wait_until
from faulty import Faulty
from lakeward.aws.backfill.archive import ArchiveFill
from lakeward.aws.backfill.items import content_of
from lakeward.aws.backfill.known import Known, id_of
from lakeward.aws.backfill.patience import Patience
from lakeward.aws.backfill.shipping import durable
from lakeward.aws.backfill.tally import Report, Sum
from lakeward.cli.compact import compact
from lakeward.lake.archive import KEY
from lakeward.log import read_lines
from lakeward.settings import Settings, load
from lakeward.sinks.blueprint import create_table
from lakeward.sinks.item import item_of
from lakeward.sinks.objects import mark, pack
from lakeward.sinks.s3 import bucket_of
from test_ack_s3 import compactor_of, rows
from test_cli import COMMAND, Done, environment, lakeward, sentence

if TYPE_CHECKING:
    from clouds import Cloud


def on(name: str) -> pytest.MarkDecorator:
    """Of one emulator: what of a test is not about AWS."""
    return pytest.mark.parametrize("cloud", [name], indirect=True)


SECRET = KEYS["AWS_SECRET_ACCESS_KEY"]


def clouded(endpoint: str, **more: str) -> dict[str, str]:
    """Settings of a lake that ships to both, in small pieces."""
    return {
        "USE_S3": "true", "USE_DYNAMODB": "true", "DATA_LAKE_BUCKET": BUCKET,
        "INTERACTIONS_TABLE": TABLE, "AWS_REGION": REGION, "LAKEWARD_AWS_ENDPOINT": endpoint,
        "LAKEWARD_AWS_SECONDS": "20", "LAKEWARD_S3_BYTES": "16KiB", "LAKEWARD_S3_SECONDS": "0.2",
        "LAKEWARD_SEGMENT_BYTES": "64KiB", "LAKEWARD_COMPACT": "off", **KEYS, **more,
    }  # fmt: skip


@pytest.fixture
def shipping(lake: Lake, cloud: Cloud) -> Lake:
    """A lake with a bucket and a table, and nothing in any of them."""
    cloud.bucket()
    lake.env |= clouded(cloud.endpoint)
    create_table(settings_of(lake))
    return lake


def settings_of(lake: Lake, **more: str) -> Settings:
    return load({**lake.env, **more}, lake.root.parent)


def record(lake: Lake, numbers: range, **settings: str) -> None:
    """Interactions of all kinds, from here; nothing is shipped by it."""
    with lake.collector(USE_S3="false", USE_DYNAMODB="false", **settings) as collector:
        for n in numbers:
            more: dict[str, Any] = {"user_id": f"user{n % 40}", "session_id": f"s{n % 60}"}
            if n % 7 == 0:
                more = {"anonymous_id": f"nobody{n}"}
            collector.record(
                "custom.tick", properties={"n": n, "price": n / 8, "great": 10**18 + n,
                                           "name": "Grüße, 東京 \u2028" * (n % 5), "none": None},
                **more,
            )  # fmt: skip
        collector.commit()


def logged(lake: Lake) -> Counter[bytes]:
    """Lines of the log."""
    return Counter(line for line, _ in read_lines(lake.open()))


def archived(cloud: Cloud) -> Counter[bytes]:
    """Lines in the bucket, as often as they stand there."""
    client = cloud.client("s3")
    found: Counter[bytes] = Counter()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="raw/"):
        for row in page.get("Contents", ()):
            assert KEY.fullmatch(row["Key"]), row["Key"]
            body = client.get_object(Bucket=BUCKET, Key=row["Key"])["Body"].read()
            found.update(gzip.decompress(body).splitlines(keepends=True))
    return found


def items(cloud: Cloud) -> dict[str, Any]:
    """Items of the table by their ids."""
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
    return {row["interaction_id"]["S"]: row for page in pages for row in page["Items"]}


def says_the_same(cloud: Cloud, lake: Lake) -> bool:
    """Whether each record of the log, and nothing else, is an item."""
    wanted = {}
    for line in logged(lake):
        item = item_of(line)
        wanted[item.key] = content_of(item.attributes)
    return wanted == {key: content_of(found) for key, found in items(cloud).items()}


def backfilled(lake: Lake, *words: str, code: int = 0, **environ: Any) -> list[dict[str, Any]]:
    """Reports of a run."""
    done = lakeward(lake, "aws", "backfill", *words, "--format", "json", **environ)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert SECRET not in done.stdout + done.stderr
    reports: list[dict[str, Any]] = json.loads(done.stdout)["backfill"]
    for report in reports:
        told = [report[name] for name in ("there", "filled", "superseded", "other")]
        assert report["read"] == sum(told) + sum(report["left_out"].values())
    return reports


def checksum(lines: Counter[bytes]) -> str:
    total = Sum()
    for line in lines.elements():
        total.add(mark(line))
    return f"{total.checksum:016x}"


def test_what_a_rollout_left_out_is_put_beside_and_all_of_it_is_compared(
    shipping: Lake, cloud: Cloud, tmp_path: Path
) -> None:
    record(shipping, range(400))
    shares: dict[str, Any] = {"LAKEWARD_ROLLOUT_S3": "40", "LAKEWARD_ROLLOUT_DYNAMODB": "40"}
    s3, dynamodb = backfilled(shipping, **shares)
    assert logged(shipping) == archived(cloud)
    assert says_the_same(cloud, shipping)
    for report in (s3, dynamodb):
        assert report["verified"] is True
        assert report["read"] == report["expected"]["interactions"] == 400
        assert report["there"] > 80
        assert report["filled"] > 80
        assert report["expected"] == report["found"]
    assert s3["found"]["checksum"] == checksum(logged(shipping))
    again = backfilled(shipping, **shares)
    assert [(one["there"], one["filled"]) for one in again] == [(400, 0), (400, 0)]
    assert [one["found"] for one in again] == [s3["found"], dynamodb["found"]]
    assert logged(shipping) == archived(cloud)
    assert not list((shipping.root / ".lakeward" / "backfill").glob("*.json"))
    other, settings = compactor_of(tmp_path, cloud.endpoint)
    compact(other, settings, archive=True)  # what was put beside is in the table, too
    assert Counter(rows(settings)) == Counter(shipping.ids())


WRITER = """
import sys, time
from lakeward.collector import Collector
from lakeward.settings import load
with Collector(load()) as collector:
    n = 0
    while n < 4000 and not sys.stdin.closed:
        for _ in range(10):
            collector.record("custom.live", user_id=f"user{n % 40}", properties={"n": n})
            n += 1
        collector.commit()
        print(n, flush=True)
        time.sleep(0.01)
"""


def killed(lake: Lake, words: list[str], seconds: float, **environ: str) -> None:
    """A run that is ended by SIGKILL, with all that it started, unless it is through before."""
    process = subprocess.Popen(
        [*COMMAND, "aws", "backfill", *words], env=environment(lake, **environ),
        cwd=lake.root.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def test_under_traffic_kills_and_an_erase_all_is_there_once_and_nobody_who_was_erased(
    shipping: Lake, cloud: Cloud
) -> None:
    record(shipping, range(600))
    shares: dict[str, Any] = {"LAKEWARD_ROLLOUT_S3": "30", "LAKEWARD_ROLLOUT_DYNAMODB": "30"}
    dice = random.Random(5)
    environ = environment(shipping, **shares)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER], env=environ, cwd=shipping.root.parent,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        for turn in range(6):
            words = ["--erased-everywhere"] if turn % 2 else []
            killed(shipping, words, dice.uniform(0.8, 3.5), **shares)
            if turn == 2:
                eraser = threading.Thread(
                    target=lakeward, args=(shipping, "erase", "--user", "user3", "--yes"),
                    kwargs=shares,
                )  # fmt: skip
                eraser.start()
        eraser.join()
    finally:
        writer.kill()
        writer.communicate()
    with shipping.collector(USE_S3="false", USE_DYNAMODB="false"):
        shipping.settled()  # what the writer left in its ring is in the log
    reports = backfilled(shipping, "--erased-everywhere", **shares)
    assert all(report["verified"] for report in reports)
    lines = logged(shipping)
    assert lines == archived(cloud)
    assert says_the_same(cloud, shipping)
    assert not any(b'"user3"' in line for line in archived(cloud))
    assert len(lines) > 600


def test_what_vanished_from_bucket_and_table_is_put_again(shipping: Lake, cloud: Cloud) -> None:
    record(shipping, range(300))
    backfilled(shipping)
    client = cloud.client("s3")
    keys = [row["Key"] for row in client.list_objects_v2(Bucket=BUCKET, Prefix="raw/")["Contents"]]
    assert len(keys) > 3
    body = client.get_object(Bucket=BUCKET, Key=keys[1])["Body"].read()
    gone = len(gzip.decompress(body).splitlines())
    client.delete_object(Bucket=BUCKET, Key=keys[1])
    lost = sorted(items(cloud))[::3]
    for key in lost:
        cloud.client("dynamodb").delete_item(
            TableName=TABLE, Key={"interaction_id": {"S": key}}
        )  # fmt: skip
    s3, dynamodb = backfilled(shipping)
    assert (s3["filled"], dynamodb["filled"]) == (gone, len(lost))
    assert logged(shipping) == archived(cloud)
    assert says_the_same(cloud, shipping)
    only = backfilled(shipping, "s3")
    assert [report["place"] for report in only] == [f"bucket {BUCKET} in {REGION}"]


@on("moto")
def test_another_record_under_an_id_stays_and_is_told_until_it_is_to_be_replaced(
    shipping: Lake, cloud: Cloud
) -> None:
    record(shipping, range(50))
    backfilled(shipping)
    key = sorted(items(cloud))[20]
    cloud.client("dynamodb").update_item(
        TableName=TABLE, Key={"interaction_id": {"S": key}},
        UpdateExpression="SET app_version = :v", ExpressionAttributeValues={":v": {"S": "other"}},
    )  # fmt: skip
    [report] = backfilled(shipping, "dynamodb", code=1)
    assert (report["there"], report["other"], report["verified"]) == (49, 1, False)
    assert items(cloud)[key]["app_version"]["S"] == "other"
    told = lakeward(shipping, "aws", "backfill", "dynamodb")
    assert told.returncode == 1
    assert "1 not there, as another record has their id (--replace puts ours)" in told.stdout
    [report] = backfilled(shipping, "dynamodb", "--replace")
    assert (report["there"], report["filled"], report["verified"]) == (49, 1, True)
    assert says_the_same(cloud, shipping)


@on("ministack")
def test_of_two_records_with_one_id_the_later_stands_and_the_other_counts_as_such(
    shipping: Lake, cloud: Cloud
) -> None:
    record(shipping, range(10))
    ident = shipping.ids()[4]
    with shipping.collector(USE_S3="false", USE_DYNAMODB="false") as collector:
        for n in (1, 2):
            collector.record("custom.again", interaction_id=ident, properties={"n": n})
            for _ in range(600):  # the next one is in another batch
                collector.record("custom.tick")
            collector.commit()
    [report] = backfilled(shipping, "dynamodb")
    assert (report["superseded"], report["other"], report["verified"]) == (2, 0, True)
    assert items(cloud)[ident]["properties"]["M"]["n"]["N"] == "2"


@on("moto")
def test_lines_that_the_log_does_not_have_are_told(shipping: Lake, cloud: Cloud) -> None:
    record(shipping, range(30))
    backfilled(shipping, "s3")
    bucket = bucket_of(settings_of(shipping))
    key = next(key for key, _, _ in bucket.listed("raw/"))
    lines = [*bucket.read(key), b'{"interaction_id":"00000000-0000-7000-8000-000000000000"}\n']
    bucket.put(key, pack(lines), "overwrite")
    [report] = backfilled(shipping, "s3", code=1)
    assert (report["extra"], report["there"], report["verified"]) == (1, 30, False)
    assert report["found"]["interactions"] == 31
    bucket.api.close()


@on("ministack")
def test_what_another_host_erased_in_the_bucket_is_not_put_back(
    shipping: Lake, cloud: Cloud
) -> None:
    record(shipping, range(40))
    backfilled(shipping, "s3")
    bucket = bucket_of(settings_of(shipping))
    key = next(key for key, _, _ in bucket.listed("raw/"))
    lines = list(bucket.read(key))
    bucket.put(key, pack(lines[2:]), "overwrite", erased=True)
    [report] = backfilled(shipping, "s3")
    assert report["left_out"] == {"erased_there": 2}
    assert (report["filled"], report["verified"]) == (0, True)
    assert not set(lines[:2]) & archived(cloud).keys()
    [report] = backfilled(shipping, "s3", "--erased-everywhere")  # then the log is right
    assert (report["filled"], report["verified"]) == (2, True)
    bucket.api.close()


@on("moto")
def test_an_erase_between_looking_and_putting_is_heeded(
    shipping: Lake, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(shipping, range(80))
    backfilled(shipping, "s3", LAKEWARD_ROLLOUT_S3="1")
    client = cloud.client("s3")
    for row in client.list_objects_v2(Bucket=BUCKET, Prefix="raw/")["Contents"]:
        client.delete_object(Bucket=BUCKET, Key=row["Key"])
    put = ArchiveFill._put

    def late(self: ArchiveFill, *rest: Any) -> Report:
        if not done:
            done.append(lakeward(shipping, "erase", "--user", "user5", "--yes"))
        return put(self, *rest)

    done: list[Done] = []
    monkeypatch.setattr(ArchiveFill, "_put", late)
    settings = settings_of(shipping)
    bucket, report = bucket_of(settings), Report("here")
    filling = ArchiveFill(shipping.open(), bucket, settings.s3_bytes, Patience(print))
    for segment, end in durable(shipping.open()):
        filling.fill(segment, end, report)
    assert done[0].returncode == 0, done[0].stderr
    assert report.left_out == {"erased": 2}
    assert report.verified
    assert logged(shipping) == archived(cloud)
    assert sum(logged(shipping).values()) == 78
    bucket.api.close()


@on("ministack")
def test_a_follower_that_stands_still_is_waited_for_and_one_that_stopped_is_told_of(
    shipping: Lake, cloud: Cloud
) -> None:
    record(shipping, range(20))
    with Faulty(cloud.endpoint) as proxy:
        proxy.inject("503", times=3, on="PUT")
        done = lakeward(shipping, "aws", "backfill", "s3", LAKEWARD_AWS_ENDPOINT=proxy.url)
        assert done.returncode == 0, done.stderr
        assert "waiting: " in done.stderr
    assert logged(shipping) == archived(cloud)
    done = lakeward(shipping, "aws", "backfill", "s3", DATA_LAKE_BUCKET="elsewhere")
    record(shipping, range(20, 30))
    done = lakeward(shipping, "aws", "backfill", "s3", DATA_LAKE_BUCKET="elsewhere")
    assert done.returncode == 2
    assert "the follower s3 has stopped" in sentence(done)
    assert "elsewhere" in sentence(done)


@pytest.mark.parametrize(
    ("words", "environ", "said"),
    [
        ([], {}, "there is nothing to fill: set USE_S3=true or USE_DYNAMODB=true"),
        (["s4"], {}, "'s4' is no PLACE: there are s3 and dynamodb"),
        (["s3"], {}, "s3 is not on: set USE_S3=true"),
        (["--from", "s3", "dynamodb"], {}, "--from brings back"),
        (["--from", "s3"], {"USE_S3": "true"}, "USE_S3=true would ship what comes back"),
        (["--from", "s3"], {}, "set DATA_LAKE_BUCKET"),
        (["--from", "dynamodb"], {}, "set INTERACTIONS_TABLE"),
        (["--rate", "-1"], {}, "--rate takes a number"),
        (["--from", "s3"], {"ENABLE_DATA_COLLECTION": "false"}, "collection is off"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(
    lake: Lake, words: list[str], environ: dict[str, str], said: str
) -> None:
    record(lake, range(1))
    done = lakeward(lake, "aws", "backfill", *words, **environ)
    assert done.returncode == 2, done
    assert said in sentence(done)


@on("moto")
def test_a_second_run_beside_the_first_is_refused(shipping: Lake, cloud: Cloud) -> None:
    record(shipping, range(5))
    with Faulty(cloud.endpoint) as proxy:
        proxy.inject("503", times=10_000, on="PUT")
        command = [*COMMAND, "aws", "backfill", "s3"]
        first = subprocess.Popen(
            command, env=environment(shipping, LAKEWARD_AWS_ENDPOINT=proxy.url),
            cwd=shipping.root.parent, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert first.stderr is not None
            assert first.stderr.readline().startswith("waiting: ")
            done = lakeward(shipping, "aws", "backfill", "s3")
            assert done.returncode == 2
            assert "another backfill of this lake runs" in sentence(done)
        finally:
            first.send_signal(signal.SIGKILL)
            first.communicate()


# The way back


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Lake]:
    """An empty lake elsewhere."""
    ring_dir = Path("/dev/shm") / f"lw-home-{tmp_path.stat().st_ino}-{os.getpid()}"
    ring_dir.mkdir(mode=0o700)
    made = Lake(tmp_path / "home" / "data-lake", ring_dir)
    made.root.parent.mkdir()
    yield made
    made.close()


def at_home(cloud: Cloud, **more: str) -> dict[str, str]:
    return {**clouded(cloud.endpoint), "USE_S3": "false", "USE_DYNAMODB": "false", **more}


@pytest.mark.parametrize("source", ["s3", "dynamodb"])
def test_an_empty_lake_gets_everything_back_once_however_often_it_is_killed(
    shipping: Lake, home: Lake, cloud: Cloud, source: str
) -> None:
    record(shipping, range(1500))
    backfilled(shipping)
    home.env |= at_home(cloud)
    dice = random.Random(9)
    for _ in range(5):
        killed(home, ["--from", source], dice.uniform(0.7, 2.0))
    [report] = backfilled(home, "--from", source)
    assert report["verified"] is True
    if source == "s3":
        assert logged(home) == logged(shipping)
        assert report["found"]["checksum"] == checksum(logged(shipping))
    else:
        assert says_the_same(cloud, home)
        assert len(home.ids()) == len(set(home.ids())) == 1500
    [again] = backfilled(home, "--from", source)
    assert (again["there"], again["filled"], again["verified"]) == (1500, 0, True)
    assert not list((home.root / ".lakeward" / "backfill").glob("*"))
    record(shipping, range(1500, 1520))  # traffic goes on where it was
    backfilled(shipping)
    [later] = backfilled(home, "--from", source)
    assert (later["there"], later["filled"]) == (1500, 20)


@on("ministack")
def test_what_a_lake_has_of_its_own_stays_and_of_two_lines_the_first(
    shipping: Lake, home: Lake, cloud: Cloud
) -> None:
    record(shipping, range(20))
    ident = shipping.ids()[3]
    home.env |= at_home(cloud)
    with home.collector() as collector:
        collector.record("custom.own", interaction_id=ident)
        collector.commit()
    backfilled(shipping, "s3")
    [report] = backfilled(home, "--from", "s3")
    assert (report["filled"], report["superseded"], report["verified"]) == (19, 1, True)
    found = Counter(home.ids())
    assert set(found.values()) == {1}
    assert next(row for row in home.rows() if row["interaction_id"] == ident)[
        "interaction_type"
    ] == "custom.own"  # fmt: skip


@on("moto")
def test_who_was_erased_in_a_lake_does_not_come_back(
    shipping: Lake, home: Lake, cloud: Cloud
) -> None:
    record(shipping, range(80))
    backfilled(shipping, "s3")
    home.env |= at_home(cloud)
    with home.collector() as collector:
        collector.record("custom.own", user_id="user5")
        collector.commit()
    alone = {"DATA_LAKE_BUCKET": "", "INTERACTIONS_TABLE": ""}  # not also in the bucket
    assert lakeward(home, "erase", "--user", "user5", "--yes", **alone).returncode == 0
    [report] = backfilled(home, "--from", "s3")
    assert report["left_out"] == {"suppressed": 2}
    assert not any(row.get("user_id") == "user5" for row in home.rows())


@on("ministack")
def test_what_an_older_backup_had_lost_comes_back_from_the_bucket(
    shipping: Lake, home: Lake, cloud: Cloud
) -> None:
    record(shipping, range(30))
    backfilled(shipping, "s3")
    backup = shipping.root.parent / "backup.tar"
    assert lakeward(shipping, "backup", str(backup)).returncode == 0
    record(shipping, range(30, 75))
    backfilled(shipping, "s3")
    home.env |= at_home(cloud)
    done = lakeward(home, "restore", str(backup))
    assert done.returncode == 0, done.stderr
    assert len(home.ids()) == 30
    [report] = backfilled(home, "--from", "s3")
    assert (report["there"], report["filled"]) == (30, 45)
    assert logged(home) == logged(shipping)


@on("moto")
def test_an_unreadable_line_is_counted_and_told(home: Lake, cloud: Cloud) -> None:
    cloud.bucket()
    home.env |= at_home(cloud)
    bucket = bucket_of(settings_of(home))
    folder = "raw/year=2026/month=11/day=20"
    key = f"{folder}/0198a8b0-0000-7000-8000-000000000001-000001-00000001-000000000000-000000000099"
    good = b'{"interaction_id":"0198a959-bf80-8f54-ac03-dc4cbb255891","interaction_type":"a.b"}\n'
    bucket.put(f"{key}.jsonl.gz", pack([b"no json\n", good, b'{"interaction_id":7}\n']))
    [report] = backfilled(home, "--from", "s3", code=1)
    assert (report["filled"], report["left_out"]) == (1, {"unreadable": 2})
    bucket.api.close()


# Its parts


def test_a_sum_is_of_lines_in_any_order_and_tells_one_from_two() -> None:
    def of(*lines: bytes) -> Sum:
        total = Sum()
        for line in lines:
            total.add(mark(line))
        return total

    assert of(b"a", b"b", b"c") == of(b"c", b"a", b"b\n")
    assert of(b"a") != of(b"a", b"a")
    assert of(b"a", b"b").checksum != of(b"a", b"c").checksum
    both = of(b"a")
    both.plus(of(b"b"))
    assert both == of(b"b", b"a")


def test_known_ids_follow_the_log_and_another_place_or_damage_begins_anew(lake: Lake) -> None:
    record(lake, range(10))
    path = lake.root / ".lakeward" / "backfill" / "x.sqlite"
    keys = [id_of(line) or b"" for line in logged(lake)]

    def known(place: str = "here") -> int:
        file = Known(path, lake.open(), place, mark)
        file.follow()
        assert file.is_done("part") is (place == "here" and path.stat().st_size > 0 and again)
        file.done("part", "{}")
        found = len(file.marks(keys))
        file.close()
        return found

    again = False
    assert known() == 10
    again = True
    record(lake, range(10, 12))
    keys = [id_of(line) or b"" for line in logged(lake)]
    assert known() == 12
    assert known("there") == 12
    again = False
    path.write_bytes(b"not a database" * 100)
    assert known() == 12


@on("ministack")
def test_a_rate_is_kept(shipping: Lake, cloud: Cloud) -> None:
    """Of sleeps that are asked for, not of clocks."""
    from lakeward.aws.backfill.items import ItemsFill
    from lakeward.aws.backfill.tally import ReachedFile
    from lakeward.sinks.dynamodb import DynamoTable

    record(shipping, range(1200))
    slept: list[float] = []
    lake = shipping.open()
    file = ReachedFile(lake, "dynamodb", "here")
    table = DynamoTable.from_settings(settings_of(shipping))
    filling = ItemsFill(
        lake, table, file, Patience(print), rate=100, clock=lambda: 1e9, sleep=slept.append
    )
    for segment, end in durable(lake):
        for _ in filling.fill(segment, 0, end, file.report):
            pass
    assert sum(slept) == pytest.approx(12)
    assert max(slept) <= 5
    table.close()


@on("moto")
def test_a_run_goes_on_where_another_was_killed(shipping: Lake, cloud: Cloud) -> None:
    """What is settled is not read again: an item that changes behind that place is not seen."""
    record(shipping, range(1200))
    backfilled(shipping, "dynamodb")
    state = shipping.root / ".lakeward" / "backfill" / "dynamodb.json"
    with Faulty(cloud.endpoint) as proxy:
        slow = {"LAKEWARD_AWS_ENDPOINT": proxy.url}
        process = subprocess.Popen(
            [*COMMAND, "aws", "backfill", "dynamodb", "--rate", "400"],
            env=environment(shipping, **slow), cwd=shipping.root.parent,
        )  # fmt: skip
        wait_until(state.exists, what="the first part")
        process.kill()
        process.wait()
    seen = json.loads(state.read_bytes())["report"]["read"]
    assert 0 < seen < 1200
    first = shipping.ids()[0]
    cloud.client("dynamodb").delete_item(TableName=TABLE, Key={"interaction_id": {"S": first}})
    [report] = backfilled(shipping, "dynamodb")
    assert (report["read"], report["filled"]) == (1200, 0)
    [report] = backfilled(shipping, "dynamodb")
    assert (report["read"], report["filled"]) == (1200, 1)
