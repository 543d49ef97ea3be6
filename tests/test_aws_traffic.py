"""Real traffic through the whole of it: HTTP API → Lambda → S3 and DynamoDB → table → Athena.

The stacks are made by `lakeward aws deploy` on ministack, which runs the package of `make lambda`
as it is, behind its HTTP API. Functions are killed, and S3 and DynamoDB fail, while clients send
and send again.

ministack's Athena computes with DuckDB, which does not speak Trino: on its way each statement is
read as Trino and written for DuckDB, so that what is proven is its meaning, and no function of
Trino's. It reads Parquet and not Delta: the table is made by one compaction, so that its folder and
its log name the same files, which is looked at first.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec
import pytest
from deltalake import DeltaTable
from sqlglot import exp, parse_one
from uuid_utils import uuid7

from faulty import Faulty
from lakeward.analysis.athena import shown
from lakeward.analysis.listing import SHOWN
from lakeward.analysis.registry import question_of
from lakeward.aws.questions import saved
from lakeward.cli import main
from lakeward.cli.aws_compact import handler as compacted
from lakeward.cli.engine import asked_of
from lakeward.interaction import FIELDS
from lakeward.lake.archive import KEY
from lakeward.lake.storage import table_storage
from lakeward.settings import Settings, load
from lakeward.sinks.item import record_of
from lakeward.store.token import digest, make_token
from lambdas import built
from stacked import CODE, QUERY, Account, account

SECRET = make_token("write", b"s" * 32)
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
BATCHES, CLIENTS, KILLS = 30, 3, 3
BOOTS = 60
"""Seconds within which a new process of the function answers, on a machine that is busy."""


def interactions(n: int, dice: random.Random) -> Iterator[dict[str, Any]]:
    """What one visitor does: some views, calls, a form, an outcome, a talk."""
    who = f"u{n % 11}"
    known: dict[str, Any] = {"anonymous_id": f"a{n % 11}", "session_id": f"s{n}"}
    if n % 3:
        known["user_id"] = who
    if n % 7 == 0:
        yield {"interaction_type": "identify", **known, "user_id": who}
    for _ in range(dice.randrange(1, 4)):
        path = dice.choice(("/", "/pricing", "/it's", "/ünï/1"))
        yield {"interaction_type": "page_view", "path": path, **known,
               "properties": {"view_id": f"v{dice.randrange(10**6)}",
                              "engagement_ms": dice.randrange(9000)}}  # fmt: skip
        yield {"interaction_type": "api_call", "method": "GET", "path": path, "route": path,
               "response_status": dice.choice((200, 200, 404, 500)),
               "response_time_ms": dice.randrange(4000) / 4, **known}  # fmt: skip
    yield {"interaction_type": "experiment_exposure", "experiment": "match-page", "variant_index":
           n % 2, "variant": ("plain", "reasons-first")[n % 2], "hash_attribute": "anonymous_id",
           "hash_value": known["anonymous_id"], "bucket": 0.25, **known}  # fmt: skip
    yield {"interaction_type": "web_vital", "path": "/", "name": dice.choice(("LCP", "CLS")),
           "value": dice.randrange(5000), "metric_id": f"m{n}", **known}  # fmt: skip
    for action in ("start", "field", dice.choice(("submit", "abandon"))):
        told = {"field": "phone", "field_ms": dice.randrange(9000)} if action == "field" else {}
        yield {"interaction_type": "form_interaction", "form": "it's", "path": "/pricing",
               "action": action, **told, **known}  # fmt: skip
    if dice.random() < 0.5:
        yield {"interaction_type": "partner_match", "partner_id": "p1", **known}
    if dice.random() < 0.5:
        yield {"interaction_type": "demo_booking", "booking_id": f"b{n}", "partner_id": "p1",
               "status": dice.choice(("booked", "held")), **known}  # fmt: skip
    if dice.random() < 0.5:
        yield {"interaction_type": "deal_closed", "deal_id": f"d{n}", "partner_id": "p'2",
               "value": dice.choice((100, 2.5)), "currency": "EUR", **known}  # fmt: skip
    if dice.random() < 0.5:
        yield {"interaction_type": "ai_conversation", "conversation_id": f"c{n}", **known,
               "messages": [{"role": "user", "content": "How much?"},
                            {"role": "assistant", "content": "It's 100."}]}  # fmt: skip


class Service:
    """The function behind its API, and how to make both fail."""

    def __init__(self, aws: Account, proxy: Faulty) -> None:
        outputs = aws.outputs("ingest")
        self._cloud, self._url = aws.cloud, f"{aws.cloud.endpoint}/v1/interactions"
        self._host = re.sub(r"^https?://", "", outputs["IngestUrl"]).partition(":")[0]
        self.name = outputs["IngestFunction"]
        self.proxy = proxy
        self._through(proxy.url)

    def _through(self, endpoint: str) -> None:
        """The one thing that the template does not say: AWS is somewhere else here."""
        functions = self._cloud.client("lambda")
        found = functions.get_function_configuration(FunctionName=self.name)
        more = {"LAKEWARD_AWS_ENDPOINT": endpoint, "LAKEWARD_AWS_SECONDS": "1"}
        functions.update_function_configuration(
            FunctionName=self.name,
            Environment={"Variables": found["Environment"]["Variables"] | more},
        )

    def post(self, body: bytes) -> tuple[int, bytes]:
        """One request over HTTP."""
        headers = {"Host": self._host, "Authorization": f"Bearer {SECRET}", "User-Agent": AGENT,
                   "Content-Type": "application/json"}  # fmt: skip
        try:
            with urlopen(Request(self._url, body, headers, method="POST"), timeout=BOOTS) as answer:
                return int(answer.status), answer.read()
        except HTTPError as error:
            return error.code, error.read()

    def processes(self) -> list[int]:
        """Processes of this function that the emulator started."""
        parents, mine = {}, []
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                try:
                    status, command = (
                        (folder / "stat").read_text(),
                        (folder / "cmdline").read_text(),
                    )
                except OSError:
                    continue
                parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
                if self.name in command:
                    mine.append(int(folder.name))
        return [pid for pid in mine if self._cloud.pid in above(pid, parents)]


def above(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while pid in parents:
        pid = parents[pid]
        yield pid


class Sent(NamedTuple):
    """What clients sent until it was acknowledged."""

    records: dict[str, dict[str, Any]]
    refusals: Counter[int]


def traffic(service: Service) -> Sent:
    """Clients that send each batch until it is acknowledged, with the same ids, come what may."""
    dice = random.Random(11)
    records: dict[str, dict[str, Any]] = {}
    batches: list[bytes] = []
    for n in range(BATCHES):
        batch = [{"interaction_id": str(uuid7()), **one} for one in interactions(n, dice)]
        records |= {one["interaction_id"]: one for one in batch}
        batches.append(json.dumps({"batch": batch}).encode())
    refusals: Counter[int] = Counter()
    lock = threading.Lock()

    def client(place: int) -> None:
        body = batches[place]
        while True:
            status, said = service.post(body)
            if status == 200:
                assert json.loads(said)["rejected"] == [], said
                return
            assert status >= 500, (status, said)
            with lock:
                refusals[status] += 1

    def trouble() -> None:
        for n in range(KILLS):
            threshold = (n + 1) * BATCHES // (KILLS + 2)
            while sum(done) < threshold:
                time.sleep(0.01)
            service.proxy.inject("503", times=2, on="PUT /")
            service.proxy.inject("lost", times=1, on="PUT /")
            service.proxy.inject("unprocessed", times=1, on="BatchWriteItem")
            service.proxy.inject("lost", times=1, on="BatchWriteItem")
            if n == 1:
                service.proxy.inject("500", times=10 * CLIENTS, on="BatchWriteItem")
            for pid in service.processes():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    done = [0] * BATCHES
    killed: list[int] = []

    def counted(place: int) -> None:
        client(place)
        done[place] = 1

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        tasks = [pool.submit(trouble), *(pool.submit(counted, n) for n in range(BATCHES))]
        for task in tasks:
            task.result()
    assert len(killed) >= KILLS
    return Sent(records, refusals)


class Stood(NamedTuple):
    """The stacks after the traffic, with what was sent."""

    aws: Account
    outputs: dict[str, str]
    sent: Sent
    environ: dict[str, str]
    """Of a host, and of the function that compacts."""


def deployed(folder: Path) -> Account:
    """The stacks, with the package that is really built."""
    aws = account(folder)
    client = aws.cloud.client("s3")
    client.create_bucket(Bucket="code")
    client.upload_file(str(built(folder / "package")), "code", "lakeward.zip")
    said = aws.run(
        "deploy", "storage", "query", "ingest", "--yes", *CODE, *QUERY,
        "--set", "Authorization=NONE", "--set", "PutItems=yes",
        "--set", f"ClientKeys=app=sha256:{digest(SECRET)}:*",
    )  # fmt: skip
    assert said.code == 0, said.err
    return aws


def environ(aws: Account, folder: Path) -> dict[str, str]:
    """Of a host that asks, and of the function that compacts: what the stacks say of themselves."""
    outputs = {**aws.outputs("storage"), **aws.outputs("query")}
    return {
        **aws.environ, "DATA_LAKE_BUCKET": outputs["DataLakeBucket"],
        "LAKEWARD_TABLE": f"s3://{outputs['DataLakeBucket']}/table",
        "LAKEWARD_LAKE_DIR": str(folder / "lake"), "LAKEWARD_RING_DIR": str(folder / "rings"),
        "LAKEWARD_ATHENA_TABLE": outputs["AthenaTable"],
        "LAKEWARD_ATHENA_WORKGROUP": outputs["AthenaWorkgroup"],
        "LAKEWARD_ATHENA_OUTPUT": outputs["AthenaOutput"],
    }  # fmt: skip


def archived(aws: Account) -> dict[str, list[dict[str, Any]]]:
    """Lines of all objects under raw/, by the id of the interaction."""
    client = aws.cloud.client("s3")
    found: dict[str, list[dict[str, Any]]] = {}
    bucket = aws.outputs("storage")["DataLakeBucket"]
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="raw/"):
        for row in page.get("Contents", ()):
            assert KEY.fullmatch(row["Key"]), row["Key"]
            body = client.get_object(Bucket=bucket, Key=row["Key"])["Body"].read()
            for line in gzip.decompress(body).splitlines():
                record = json.loads(line)
                found.setdefault(record["interaction_id"], []).append(record)
    return found


def prove_s3_has_what_was_sent(
    found: dict[str, list[dict[str, Any]]], sent: dict[str, dict[str, Any]]
) -> None:
    assert found.keys() == sent.keys()
    for name, told in sent.items():
        for record in found[name]:
            for field in told.keys() & set(FIELDS):
                assert record[field] == told[field], (field, told)
    assert any(len(records) > 1 for records in found.values())  # the table has something to do


def prove_each_has_one_item(aws: Account, found: dict[str, list[dict[str, Any]]]) -> None:
    """Which is the record as S3 has it."""
    table = aws.outputs("storage")["InteractionsTable"]
    pages = aws.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    items = [record_of(item) for page in pages for item in page["Items"]]
    assert Counter(item["interaction_id"] for item in items) == dict.fromkeys(found, 1)
    for item in items:
        assert item in found[item["interaction_id"]]


def prove_each_is_one_row(aws: Account, settings: Settings, sent: dict[str, Any]) -> None:
    """And the folder has no file that is not of the table."""
    storage = table_storage(settings.lake_dir, settings)
    table = DeltaTable(storage.uri, storage_options=storage.options)
    ids = table.to_pyarrow_table(columns=["interaction_id"])["interaction_id"].to_pylist()
    assert Counter(map(str, ids)) == dict.fromkeys(sent, 1)
    there = aws.cloud.client("s3").list_objects_v2(
        Bucket=settings.data_lake_bucket, Prefix="table/event_date="
    )
    found = [row["Key"].rpartition("/")[2] for row in there["Contents"]]
    assert sorted(found) == sorted(uri.rpartition("/")[2] for uri in table.file_uris())


def read_as_parquet(aws: Account) -> None:
    """The emulator reads no Delta: it is told that the table's files are Parquet."""
    database, _, name = aws.outputs("query")["AthenaTable"].partition(".")
    glue = aws.cloud.client("glue")
    made = glue.get_table(DatabaseName=database, Name=name)["Table"]
    kept = {key: made[key] for key in ("Name", "StorageDescriptor", "PartitionKeys", "TableType")}
    parameters = {"classification": "parquet"}
    glue.update_table(DatabaseName=database, TableInput={**kept, "Parameters": parameters})


class Translating:
    """On the way to the emulator: each question read as Trino and written for DuckDB.

    Trino has one percentile, an approximate one; `percentile` is what stands in its place: one of
    the two exact ones of DuckDB.
    """

    def __init__(self) -> None:
        self.percentile = "quantile_cont"
        self.questions = 0

    def __call__(self, line: str, body: bytes) -> bytes:
        if not line.endswith("StartQueryExecution"):
            return body
        asked = json.loads(body)
        if not asked["QueryString"].startswith("WITH"):  # who is who, as a table for one question
            return body
        self.questions += 1
        text = parse_one(asked["QueryString"], read="trino").transform(self._said).sql("duckdb")
        return json.dumps({**asked, "QueryString": text}).encode()

    def _said(self, node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Anonymous) and node.name.upper() == "AT_TIMEZONE":
            moment, zone = node.expressions
            return exp.Anonymous(this="timezone", expressions=[zone, moment])
        if isinstance(node, exp.ApproxQuantile):
            share = node.args["quantile"]
            return exp.Anonymous(this=self.percentile, expressions=[node.this, share])
        return node


def is_same(left: Any, right: Any) -> bool:
    """Sums of floats have no last digit."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9)
    return bool(left == right)


def prove_athena_answers_as_duckdb_does(settings: Settings, translating: Translating) -> int:
    """Every question that Athena can be asked, by `lakeward ask`; returns how many those are."""
    names = [one.name for one in saved(settings) if not one.refused]
    with asked_of(settings, "duckdb") as duckdb, asked_of(settings, "athena") as athena:
        for name in names:
            question = question_of(name, SHOWN.get(name, {}), settings)
            ours = duckdb(question).rows
            assert ours, name
            translating.percentile = "quantile_cont"
            theirs = athena(question).rows
            others = theirs
            if "APPROX_PERCENTILE" in shown(question, settings):
                translating.percentile = "quantile_disc"
                others = athena(question).rows
            assert len(ours) == len(theirs) == len(others), name
            for row, one, other in zip(ours, theirs, others, strict=True):
                for cells in zip(row, one, other, strict=True):
                    assert is_same(*cells[:2]) or is_same(cells[0], cells[2]), (name, row, one)
    return len(names)


def test_what_is_acknowledged_is_once_everywhere_and_athena_answers_as_duckdb_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = deployed(tmp_path)
    with Faulty(aws.cloud.endpoint) as proxy:
        sent = traffic(Service(aws, proxy))
    # Without these the rest would prove little: DynamoDB was away for longer than the function
    # waits, and functions ended in the middle of requests.
    assert sent.refusals[503] > 0
    assert sent.refusals.total() > sent.refusals[503]
    found = archived(aws)
    prove_s3_has_what_was_sent(found, sent.records)
    prove_each_has_one_item(aws, found)

    for name, value in environ(aws, tmp_path).items():
        monkeypatch.setenv(name, value)
    done = compacted(None)
    assert done["added"] == len(sent.records)
    assert done["duplicate"] == sum(map(len, found.values())) - len(found)
    prove_each_is_one_row(aws, load(os.environ, tmp_path), sent.records)

    read_as_parquet(aws)
    with Faulty(aws.cloud.endpoint) as proxy:
        proxy.rewritten = translating = Translating()
        monkeypatch.setenv("LAKEWARD_AWS_ENDPOINT", proxy.url)
        count = prove_athena_answers_as_duckdb_does(load(os.environ, tmp_path), translating)
        assert translating.questions >= count > 20
        told = Counter(one["interaction_type"] for one in sent.records.values())
        capsys.readouterr()
        assert main(("ask", "data_types", "--engine", "athena", "--format", "json")) == 0
        rows = msgspec.json.decode(capsys.readouterr().out)
    assert {row["interaction_type"]: row["interactions"] for row in rows} == told
