"""Several machines: two hosts and one bucket, of which one is killed and one cut off; a cluster.

Everything is read from the bucket's bytes and DynamoDB's items by a few lines of this file: what
Lakeward says of itself is asked last.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pyarrow.parquet as pq
import pytest
from uuid_utils import uuid7

from asked import Row
from clouds import BUCKET
from conftest import alive, wait_until
from lakeward.catalog import TYPES
from lakeward.lake.columns import NESTED
from lakeward.lake.delta import position_of
from lakeward.lakedir import open_lake
from lakeward.log import Position
from machines import GROUND, Loopback
from spark_cluster import Cluster
from test_engines import QUESTIONS_ASKED, rows
from two_hosts import HOSTS, LASTING, PASSING, Hosts, namespaces_or_loopback

ROWS = int(os.environ.get("LAKEWARD_HOSTS_ROWS", "2400"))
"""`make soak` asks for more, and all questions of them."""
BATCH = ROWS // 240
PORTIONS = 9
"""Of the batches: one for each thing that befalls a host, so that it does so under load."""
KEY = re.compile(
    r"raw/year=\d{4}/month=\d\d/day=\d\d/(.{36})-(\d{6})-(\d{8})-(\d{12})-(\d{12})\.jsonl\.gz"
)


def events(many: int) -> Iterator[Row]:
    """What hosts are sent: the rows over which all questions are asked, as clients may say them."""
    for row in rows(many):
        moment = row.pop("ms") * 1_000_000
        for name in ("bot", "service", "client_timestamp"):  # which are the server's own to say
            row.pop(name, None)
        if row.get("properties", {}).get("name") == "FID":
            continue  # which no client may say
        kind = TYPES[row["interaction_type"]]
        sent = without_nulls(row)
        place = sent.setdefault(kind.slot, {}) if kind.slot else sent
        for name in kind.required - kind.lifted:
            place.setdefault(name, kind.example[name])
        for name in kind.required & kind.lifted:
            sent.setdefault(name, kind.example[name])
        yield sent | {"interaction_id": str(uuid7(nanoseconds=moment))}


def without_nulls(row: Row) -> Row:
    """A row and its objects without what is nothing."""
    return {
        name: without_nulls(value) if isinstance(value, dict) else value
        for name, value in row.items()
        if value is not None
    }


def lake_id(hosts: Hosts, host: str) -> str:
    """The id of the lake that a host has now."""
    return open_lake(hosts.folder / host / "data-lake", create=False).identity.lake_id


class Story:
    """What was sent, who answered, and what stands in the cloud afterwards."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self._portions = PORTIONS
        sent = list(events(ROWS))
        self.batches: list[dict[str, Any]] = [
            {"n": n, "both": n % 5 == 0, "batch": sent[n * BATCH : (n + 1) * BATCH]}
            for n in range(-(-len(sent) // BATCH))
        ]
        self.sent = {event["interaction_id"]: event for event in sent}

    def run(self) -> None:
        """Kill each host once and cut the lasting one off, all of it under load."""
        hosts = self.hosts
        for host in HOSTS:
            hosts.serve(host)
        self._go_on(5, *HOSTS)
        hosts.site.cut(LASTING)
        assert not hosts.reaches_the_cloud(LASTING)
        self._go_on(5, *HOSTS)
        assert hosts.reaches_the_cloud(PASSING)
        hosts.site.mend(LASTING)
        self._go_on(5, *HOSTS)
        for host, other in (HOSTS, HOSTS[::-1]):
            self._go_on(3, *HOSTS)
            hosts.switch_off(host)
            self._go_on(5, other)
            hosts.serve(host)
            self._go_on(5, host)
        assert self._portions == 0
        hosts.sent_all()
        for host in HOSTS:
            hosts.delivered(host)
            hosts.stop(host)
        for words in ((PASSING, "compact"), (LASTING, "compact", "--archive")):
            done = hosts.ran(*words)
            assert done.returncode == 0, done.stdout
        self.mirror = hosts.mirror()
        self.bucket = self.mirror / BUCKET

    def _go_on(self, many: int, *hosts: str) -> None:
        """With the next portion of the batches, none of which is waited for to the end."""
        done = len(self.batches) * (PORTIONS - self._portions) // PORTIONS
        self._portions -= 1
        portion = self.batches[done : len(self.batches) * (PORTIONS - self._portions) // PORTIONS]
        self.hosts.go_on(portion, many, *hosts)

    def acknowledged(self) -> set[str]:
        """Ids that a host answered for."""
        return {
            event["interaction_id"]
            for number, _ in self.hosts.told()
            for event in self.batches[number]["batch"]
        }


@pytest.fixture(
    scope="module", params=["namespaces", pytest.param("loopback", marks=pytest.mark.soak)]
)
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    site = namespaces_or_loopback() if request.param == "namespaces" else Loopback(HOSTS)
    hosts = Hosts(tmp_path_factory.mktemp("hosts"), site)
    try:
        hosts.start_cloud("ministack")
        made = Story(hosts)
        made.run()
        yield made
    finally:
        hosts.close()


class Slice(msgspec.Struct, frozen=True, order=True):
    """An object of the raw archive: where in its maker's log it is from, and its lines."""

    epoch: int
    segment: int
    start: int
    end: int
    body: bytes

    def rows(self) -> list[Row]:
        """Its records."""
        return [json.loads(line) for line in self.body.splitlines()]


def archived(bucket: Path) -> dict[str, list[Slice]]:
    """The raw archive by makers, each in the order of its log."""
    found: dict[str, list[Slice]] = defaultdict(list)
    for path in bucket.glob("raw/**/*.gz"):
        key = KEY.fullmatch(str(path.relative_to(bucket)))
        assert key is not None, path
        body = gzip.decompress(path.read_bytes())
        epoch, segment, start, end = map(int, key.groups()[1:])
        found[key[1]].append(Slice(epoch, segment, start, end, body))
    return {maker: sorted(slices) for maker, slices in found.items()}


class Delta:
    """The table's log, read as its protocol says: files that stand, and transactions."""

    def __init__(self, folder: Path) -> None:
        self.files: set[Path] = set()
        self.reached: dict[str, list[int]] = defaultdict(list)
        for version in sorted(folder.glob("_delta_log/*.json")):
            for action in map(json.loads, version.read_text().splitlines()):
                if add := action.get("add"):
                    self.files.add(folder / unquote(add["path"]))
                if remove := action.get("remove"):
                    self.files.discard(folder / unquote(remove["path"]))
                if txn := action.get("txn"):
                    self.reached[txn["appId"]].append(txn["version"])

    def rows(self) -> list[Row]:
        """All rows, objects decoded and nothing where nothing is."""
        found = [row for file in sorted(self.files) for row in pq.read_table(file).to_pylist()]
        return [without_nulls({name: decoded(name, value) for name, value in row.items()})
                for row in found]  # fmt: skip


def decoded(name: str, value: Any) -> Any:
    return json.loads(value) if name in NESTED and value is not None else value


def of_dynamodb(value: dict[str, Any]) -> Any:
    """An attribute as the value that was put there."""
    ((kind, found),) = value.items()
    if kind == "M":
        return {name: of_dynamodb(one) for name, one in found.items()}
    if kind == "L":
        return [of_dynamodb(one) for one in found]
    return float(found) if kind == "N" else found


def other_than(sent: Row, found: Row) -> Row:
    """What of a record is not what the client said."""
    return {name: found.get(name) for name, value in sent.items() if found.get(name) != value}


def test_everything_answered_for_is_in_the_table_once_and_nothing_else(story: Story) -> None:
    found = Delta(story.bucket / "tables/interactions").rows()
    assert Counter(row["interaction_id"] for row in found) == Counter(story.acknowledged())
    assert story.acknowledged() == story.sent.keys()
    for row in found:
        assert other_than(story.sent[row["interaction_id"]], row) == {}
    kinds = Counter(event["interaction_type"] for event in story.sent.values())
    assert Counter(row["interaction_type"] for row in found) == kinds
    who = Counter(host for _, host in story.hosts.told())
    assert len(story.hosts.told()) > len(story.batches), "some were sent to both hosts"
    assert min(who.values()) > 25, who


def test_the_table_has_a_place_of_each_lake_behind_its_last_object(story: Story) -> None:
    """Of the one that is gone as well, which other hosts know by its objects alone."""
    reached = Delta(story.bucket / "tables/interactions").reached
    makers = archived(story.bucket)
    assert len(makers) == 3
    assert {lake_id(story.hosts, host) for host in HOSTS} < makers.keys()
    for maker, slices in makers.items():
        places = reached[f"lakeward:{maker}:1"]
        assert places == sorted(places)
        assert position_of(places[-1], 1) == Position(1, slices[-1].segment, slices[-1].end)


def test_the_archive_has_every_byte_of_every_log_once(story: Story) -> None:
    found: set[str] = set()
    for maker, slices in archived(story.bucket).items():
        place = (1, 1, 0)
        for one in slices:
            at = (one.epoch, one.segment, one.start)
            assert at in {place, (one.epoch, place[1] + 1, 0)}, (maker, at)
            assert len(one.body) == one.end - one.start
            place = (one.epoch, one.segment, one.end)
            for row in one.rows():
                assert other_than(story.sent[row["interaction_id"]], row) == {}
                found.add(row["interaction_id"])
    assert found == story.acknowledged()


def test_everything_answered_for_is_an_item_of_dynamodb(story: Story) -> None:
    lines = (story.mirror / "items.jsonl").read_text().splitlines()
    items = [of_dynamodb({"M": json.loads(line)}) for line in lines]
    assert Counter(item["interaction_id"] for item in items) == Counter(story.acknowledged())
    for item in items:
        assert other_than(story.sent[item["interaction_id"]], item) == {}


def test_each_host_accounts_for_all_that_it_was_sent(story: Story) -> None:
    for host in HOSTS:
        done = story.hosts.ran(host, "doctor")
        assert done.returncode == 0, done.stdout


FEW = (
    "API health by day and consumer", "trend by texts, filtered", "funnel ordered *",
    "retention by day, on, every", "sessions", "paths from a text to another",
)  # fmt: skip
"""What `make test` asks a cluster: a shape of statement each. `make soak` asks all."""


@pytest.fixture(scope="module")
def cluster(story: Story) -> Cluster:
    if not shutil.which("java"):
        pytest.skip("Spark needs Java, which is not installed: run `make java`")
    hosts = story.hosts
    return Cluster(hosts.site, hosts.folder / "spark", story.bucket, HOSTS)


def test_nothing_of_a_site_stays_when_whoever_made_it_is_killed(tmp_path: Path) -> None:
    if isinstance(site := namespaces_or_loopback(), Loopback):
        pytest.skip("this machine allows no network namespaces")
    site.close()
    made = subprocess.Popen(
        [sys.executable, "-c", MAKES_A_SITE, str(tmp_path)], cwd=Path(__file__).parent,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert made.stdout is not None
    started = json.loads(made.stdout.readline())
    assert all(map(alive, started))
    made.kill()
    made.communicate()
    wait_until(lambda: not any(map(alive, started)), what="the end of what it had started")


MAKES_A_SITE = """
import json, sys, time
from pathlib import Path
from machines import GROUND, Namespaces, descendants

def sleeping(pid):
    for one in descendants(pid):
        if Path(f"/proc/{one}/comm").read_text() == "sleep\\n":
            return one
    time.sleep(0.01)
    return sleeping(pid)

site = Namespaces(["host"])
commands = [site.start(place, ["sleep", "600"], Path(sys.argv[1], "output"), {}, whole=bool(place))
            for place in (GROUND, "host")]
print(json.dumps([sleeping(one.pid) for one in commands]), flush=True)
time.sleep(600)
"""


class Asking:
    """Questions on their way to an engine, asked from the ground by somebody without a log."""

    def __init__(self, story: Story, names: Sequence[str], engine: str, **env: str) -> None:
        hosts = story.hosts
        folder = Path(tempfile.mkdtemp(prefix=f"{engine}-", dir=hosts.folder))
        asked = [(QUESTIONS_ASKED[name].name, msgspec.to_builtins(QUESTIONS_ASKED[name]))
                 for name in names]  # fmt: skip
        (folder / "questions").write_text("".join(json.dumps(one) + "\n" for one in asked))
        self._answers, self._output = folder / "answers", folder / "output"
        script = Path(__file__).with_name("asking_engine.py")
        shell = 'exec "$0" "$@" < questions'
        command = ["sh", "-c", shell, sys.executable, str(script), engine, str(self._answers)]
        open_lake(hosts.folder / "asking" / "data-lake")
        self._process = hosts.site.start(
            GROUND, command, self._output, {**hosts.env(GROUND), **env}
        )

    def has(self, many: int) -> bool:
        """Whether so many are answered."""
        assert self._process.poll() in {None, 0}, self._output.read_text()
        lines = self._answers.read_text().count("\n") if self._answers.exists() else 0
        return lines >= many

    def answers(self) -> list[Any]:
        """All of them, when they are there; numbers to twelve digits."""
        assert self._process.wait(3000) == 0, self._output.read_text()
        lines = self._answers.read_text().splitlines()
        return [json.loads(line, parse_float=lambda text: float(f"{float(text):.12g}"))
                for line in lines]  # fmt: skip


def test_a_cluster_answers_as_duckdb_does_though_a_worker_is_killed_at_a_task(
    story: Story, cluster: Cluster
) -> None:
    """First both workers answer; then one of them dies in the middle of a question."""
    names = FEW if ROWS == 2400 else tuple(QUESTIONS_ASKED)
    here = Asking(story, names, "duckdb").answers()
    asking = Asking(story, names, "spark", **cluster.env(GROUND))
    wait_until(lambda: asking.has(len(names) // 2), seconds=3000, what="half of the answers")
    cluster.kill_working(PASSING)
    for name, mine, theirs in zip(names, here, asking.answers(), strict=True):
        assert len(mine) > 1, name
        assert theirs == mine, name
    done = Counter(
        event["Task Info"]["Host"] + event["Task Info"]["Executor ID"]
        for event in cluster.events("SparkListenerTaskEnd")
        if event["Task End Reason"]["Reason"] == "Success"
    )
    assert len(done) == 2, done
    reasons = {
        event["Task End Reason"]["Reason"] for event in cluster.events("SparkListenerTaskEnd")
    }
    assert "ExecutorLostFailure" in reasons
