"""The Lambda that takes interactions: what it answers for is in S3, by the server's own rules."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from uuid_utils import uuid7

from clouds import BUCKET, KEYS, REGION
from faulty import Faulty
from lakeward.aws import ingest
from lakeward.aws.direct import Buffer, Holder
from lakeward.aws.given_keys import GivenKeys
from lakeward.cli.aws_compact import handler as compacted
from lakeward.errors import NotDurable, SettingError, Terminal, Transient
from lakeward.lake.archive import KEY
from lakeward.store.token import digest, make_token
from test_ack_s3 import TABLE, archived, compactor_of, rows

if TYPE_CHECKING:
    from clouds import Cloud

SECRET = make_token("write", b"s" * 32)
PAGES = make_token("write", b"p" * 32)


def environ(endpoint: str, folder: Path) -> dict[str, str]:
    return {
        "USE_S3": "true", "DATA_LAKE_BUCKET": BUCKET, "AWS_REGION": REGION,
        "LAKEWARD_AWS_ENDPOINT": endpoint, "LAKEWARD_AWS_SECONDS": "2", "LAKEWARD_ACK": "s3",
        "LAKEWARD_TABLE": TABLE, "LAKEWARD_ENV": "production",
        "LAKEWARD_LAKE_DIR": str(folder / "lambda-lake"),
        "LAKEWARD_RING_DIR": str(folder / "lambda-rings"),
        "LAKEWARD_KEYS": f"app=sha256:{digest(SECRET)}:*,page=sha256:{digest(PAGES)}", **KEYS,
    }  # fmt: skip


def renewed() -> None:
    """Another container: what this process had open is closed."""
    if ingest.opened.cache_info().currsize:
        ingest.opened().close()
    ingest.opened.cache_clear()


@pytest.fixture
def function(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:  # fmt: skip
    """The Lambda as a new process has it."""
    cloud.bucket(versions="")
    for name, value in environ(cloud.endpoint, tmp_path).items():
        monkeypatch.setenv(name, value)
    yield cloud
    renewed()


def event(
    body: bytes | str = "", key: str = SECRET, path: str = "/v1/interactions",
    method: str = "POST", **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """What an API Gateway sends."""
    text = body if isinstance(body, str) else base64.b64encode(body).decode()
    headers = {"content-type": "application/json", "host": "api.example.com"}
    return {
        "version": "2.0", "rawPath": path, "rawQueryString": "",
        "headers": headers | ({"authorization": f"Bearer {key}"} if key else {}),
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "198.51.100.7"},
                           "stage": "$default"},
        "body": text, "isBase64Encoded": isinstance(body, bytes), **more,
    }  # fmt: skip


def sent(*ids: str, kind: str = "demo_booking", **fields: Any) -> str:
    told = {"booking_id": "b1", "status": "booked"} if kind == "demo_booking" else {}
    return json.dumps({"batch": [{"interaction_type": kind, "interaction_id": one, **told, **fields}
                                 for one in ids]})  # fmt: skip


def lines(cloud: Cloud) -> list[dict[str, Any]]:
    client = cloud.client("s3")
    found = []
    for row in client.list_objects_v2(Bucket=BUCKET, Prefix="raw/").get("Contents", []):
        body = client.get_object(Bucket=BUCKET, Key=row["Key"])["Body"].read()
        found += [json.loads(one) for one in gzip.decompress(body).splitlines()]
    return found


def new(n: int) -> list[str]:
    return [str(uuid7()) for _ in range(n)]


def test_what_it_answers_for_is_in_the_bucket_as_a_server_would_store_it(function: Cloud) -> None:
    ids = new(3)
    body = sent(*ids, user_id="u1", properties={"password": "hunter2"})
    for form in (body, body.encode()):
        answer = ingest.handler(event(form))
        assert answer["statusCode"] == 200, answer
        assert json.loads(answer["body"])["accepted"] == 3
    kept = lines(function)
    assert Counter(row["interaction_id"] for row in kept) == dict.fromkeys(ids, 2)
    for row in kept:
        assert row["ip_address"] == "198.51.100.7"
        assert row["properties"]["password"] != "hunter2"
        assert row["environment"] == "production"
        assert row["received_at"]
    for row in function.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]:
        assert KEY.fullmatch(row["Key"])


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"key": ""}, 401, "no_key"),
        ({"key": make_token("write", b"x" * 32)}, 401, "unknown_key"),
        ({"body": "{"}, 400, "bad_json"),
        ({"body": '{"batch": 7}'}, 400, "bad_batch"),
        ({"path": "/nowhere"}, 404, "not_found"),
        ({"method": "GET"}, 405, "wrong_method"),
    ],
)
def test_what_it_does_not_take_is_refused_in_the_servers_words(
    function: Cloud, asked: dict[str, Any], status: int, code: str
) -> None:
    answer = ingest.handler(event(**{"body": sent(*new(1)), **asked}))
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (status, code)
    assert lines(function) == []


def test_a_pages_key_sends_what_a_browser_may_claim_and_nothing_else(function: Cloud) -> None:
    (one, other) = new(2)
    answer = ingest.handler(event(sent(one), key=PAGES))
    assert json.loads(answer["body"])["rejected"]
    answer = ingest.handler(event(sent(other, kind="page_view", path="/"), key=PAGES))
    assert json.loads(answer["body"])["accepted"] == 1
    assert [row["interaction_type"] for row in lines(function)] == ["page_view"]


def test_while_s3_is_away_it_answers_for_nothing_and_goes_on_afterwards(
    function: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakeward.server.ingest.Limits.commit_seconds", 1.0, raising=False)
    with Faulty(function.endpoint) as proxy:
        monkeypatch.setenv("LAKEWARD_AWS_ENDPOINT", proxy.url)
        proxy.inject("503", times=1000, on="PUT")
        lost, kept = new(2), new(2)
        answer = ingest.handler(event(sent(*lost)))
        assert answer["statusCode"] == 503
        assert json.loads(answer["body"])["code"] == "not_durable"
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in json.dumps(answer)
        proxy.heal()
        assert ingest.handler(event(sent(*kept)))["statusCode"] == 200
        assert ingest.handler(event(sent(*lost)))["statusCode"] == 200  # as its sender tries again
    assert sorted(row["interaction_id"] for row in lines(function)) == sorted([*lost, *kept])


class Shelf:
    """A bucket that fails as it is told."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.made: dict[str, tuple[bytes, ...]] = {}

    def put_once(self, key: str, lines: tuple[bytes, ...]) -> None:
        error = self.errors.pop(0) if self.errors else None
        assert self.made.get(key, lines) == lines, "two commits in one place"
        self.made[key] = lines  # whoever hears of an error does not know
        if error is not None:
            raise error


def moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def held(shelf: Shelf, *, days: list[str]) -> Holder:

    return Holder(Buffer(1 << 20), shelf, (10_000,) * 8, lambda: moment(days[0]))


def test_places_are_of_one_maker_and_no_two_commits_share_one() -> None:
    days = ["2026-11-27T10:00:00.000Z"]
    shelf = Shelf(None, Terminal("no"), None, None)
    holder = held(shelf, days=days)

    def commit(text: bytes) -> None:
        holder.ring.append(text)
        holder.commit(0.2)

    commit(b"a" * 9)
    with pytest.raises(NotDurable):
        commit(b"b" * 4)
    commit(b"c" * 2)
    holder.commit(0.2)  # of nothing none is made
    days[0] = "2026-11-28T00:00:00.000Z"
    commit(b"d")
    found = [KEY.fullmatch(key) for key in sorted(shelf.made)]
    places = [tuple(map(int, one.groups()[5:])) for one in found if one]
    assert places == [(1, 0, 10), (1, 10, 15), (1, 15, 18), (2, 0, 2)]
    assert {one[4] for one in found if one} == {holder.writer}


def test_an_answer_that_was_lost_is_asked_for_again_in_the_same_place() -> None:
    shelf = Shelf(Transient("lost"), Transient("lost"), None)
    holder = held(shelf, days=["2026-11-27T10:00:00.000Z"])
    holder.ring.append(b"once")
    holder.commit(5.0)
    assert list(shelf.made.values()) == [(b"once",)]


def test_the_table_is_made_of_what_all_containers_wrote(
    function: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [new(2) for _ in range(5)]
    for n, some in enumerate(ids):
        if n % 2:
            renewed()  # another container
        assert ingest.handler(event(sent(*some)))["statusCode"] == 200
        assert ingest.handler(event(sent(*some)))["statusCode"] == 200  # and once more
    capsys.readouterr()
    done = compacted({"days": 2}, None)
    assert json.loads(capsys.readouterr().out) == done  # one line, of which the lag is a metric
    assert (done["added"], done["duplicate"]) == (10, 10)
    assert compacted(None, None)["read"] == 0
    _, settings = compactor_of(tmp_path, function.endpoint)
    assert sorted(rows(settings)) == sorted(one for some in ids for one in some)


@pytest.mark.parametrize("wrong", [{"days": 0}, {"days": "3"}, {"days": 9999}])
def test_days_that_are_none_are_refused(function: Cloud, wrong: dict[str, Any]) -> None:
    with pytest.raises(Terminal, match="days"):
        compacted(wrong, None)


LOADED = "import lakeward.aws.ingest, sys; print(*{name.partition('.')[0] for name in sys.modules})"
UNUSED = {
    "alembic", "argon2", "deltalake", "duckdb", "jinja2", "numpy", "opentelemetry", "psycopg",
    "pyarrow", "scipy", "sqlalchemy", "starlette", "uvicorn",
}  # fmt: skip


def test_a_cold_start_loads_no_database_no_engine_and_no_web_framework() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"lakeward", "boto3", "obstore"} <= loaded
    assert not UNUSED & loaded


CONTAINER = """
import json, sys
from lakeward.aws.ingest import handler
for line in sys.stdin:
    event = json.loads(line)
    print(handler(event)["statusCode"], flush=True)
"""


def test_containers_that_are_killed_lose_nothing_that_they_answered_for(
    cloud: Cloud, tmp_path: Path
) -> None:
    cloud.bucket(versions="")
    env = {**os.environ, **environ(cloud.endpoint, tmp_path)}
    answered: list[str] = []
    for number in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", CONTAINER], env=env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(6 + number):
            ids = new(2)
            process.stdin.write(json.dumps(event(sent(*ids))) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "200\n"
            answered += ids
        process.stdin.write(json.dumps(event(sent(*new(2)))) + "\n")  # nobody waits for this one
        process.stdin.flush()
        process.kill()
        process.wait(60)
        process.stdin.close()
        process.stdout.close()
    found = Counter(archived(cloud))
    assert set(answered) <= found.keys()
    assert set(found.values()) == {1}


# Events and keys


def test_an_event_that_is_no_request_is_named(function: Cloud) -> None:
    with pytest.raises(Terminal, match="no request of an HTTP API"):
        ingest.handler({"Records": []})


def test_a_lake_that_cannot_be_opened_is_a_503_without_a_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in environ("http://127.0.0.1:9", tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATA_LAKE_BUCKET", "")
    renewed()
    answer = ingest.handler(event(sent(*new(1))))
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "5")
    assert "s3cr3t" not in json.dumps(answer)
    renewed()


def test_cookies_stages_and_bytes_pass_the_gateway(function: Cloud) -> None:
    answer = ingest.handler(event(path="/prod/lakeward.js", method="GET", key="",
                                  cookies=["a=1", "b=2"]) | {
        "requestContext": {"http": {"method": "GET", "path": "/prod/lakeward.js",
                                    "sourceIp": "2001:db8::1"}, "stage": "prod"},
    })  # fmt: skip
    assert answer["statusCode"] == 200
    assert "javascript" in answer["headers"]["content-type"]


@pytest.mark.parametrize(
    "entry", ["app", "app=sha256:00", "app=md5:" + "0" * 64, f"a b=sha256:{'0' * 64}",
              f"app=sha256:{'0' * 64}:Not A Type", f"app=sha256:{'0' * 64}:DROP"],
)  # fmt: skip
def test_a_key_that_is_none_is_refused_by_the_settings_name(entry: str) -> None:
    with pytest.raises(SettingError, match="LAKEWARD_KEYS"):
        GivenKeys([entry])


def test_a_secret_is_known_by_its_digest_alone() -> None:
    keys = GivenKeys([f"app=sha256:{digest(SECRET)}:deal_closed+shop.*"])
    found = keys.find(SECRET)
    assert found is not None
    assert (found.key_id, len(keys), found.public) == ("app", 1, False)
    assert found.permits("deal_closed")
    assert found.permits("shop.sold")
    assert not found.permits("page_view")
    assert keys.find(PAGES) is None
    assert keys.find("lwk_w_nonsense") is None
    assert not GivenKeys([])


def test_the_command_prints_the_digest_and_never_the_secret() -> None:
    command = [sys.executable, "-m", "lakeward.cli", "keys", "digest"]
    done = subprocess.run(command, input=f"{SECRET}\n", capture_output=True, text=True, check=True)
    assert done.stdout == f"sha256:{digest(SECRET)}\n"
    wrong = subprocess.run(command, input="no key", capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert re.search("that is no key", wrong.stderr)
