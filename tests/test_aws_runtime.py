"""Both functions in AWS's own runtime client, each in a process of its own, as Lambda has them.

The client is the image's; what it speaks to is `lambdas.Runtime`. Nothing here ran on AWS.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clouds import BUCKET, KEYS
from conftest import wait_until
from faulty import Faulty, Kind
from lakeward.aws.ingest import Function
from lakeward.cli.aws_compact import fitted, out_of_time
from lakeward.cli.aws_compact import handler as compacted
from lakeward.settings import load
from lambdas import REPO, Gone, built, client, container, unpacked
from templated import resources
from test_ack_s3 import TABLE, archived, compactor_of, rows
from test_aws_ingest import environ, event, new, sent

if TYPE_CHECKING:
    from clouds import Cloud

INGEST, COMPACT = "lakeward.aws.ingest.handler", "lakeward.cli.aws_compact.handler"
LIBRARIES = [Path(path) for path in site.getsitepackages()]
NO_ROOT = "needs root and unshare for a mount namespace"
READ_ONLY = """
set -e
mount --bind "$SCRATCH" "$SCRATCH"
mount -o remount,bind,ro /
exec "$@"
"""


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AWS's client."""
    return client(tmp_path_factory.mktemp("client") / "runtime")


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of ingest, unpacked in an empty folder."""
    folder = tmp_path_factory.mktemp("task")
    return unpacked(built(folder / "package"), folder / "task")


def test_the_package_answers_in_awss_client_with_nothing_else_installed(
    task: Path, runtime: Path, cloud: Cloud, tmp_path: Path
) -> None:
    cloud.bucket(versions="")
    log, (one, *more) = tmp_path / "log", new(3)
    with container(INGEST, [task, runtime], environ(cloud.endpoint, tmp_path), log) as function:
        first = function.invoke(event(sent(one)))
        assert (first.failed, first.content["statusCode"]) == (False, 200), log.read_text()
        assert archived(cloud) == [one]
        refused = function.invoke({"Records": []})
        assert refused.failed
        assert refused.content["errorType"] == "Terminal"
        assert "no request of an HTTP API" in refused.content["errorMessage"]
        again = function.invoke(event(sent(*more)))  # by the same process
        assert again.content["statusCode"] == 200
    assert sorted(archived(cloud)) == sorted([one, *more])
    said = log.read_text()
    for secret in (*KEYS.values(), one, *more):
        assert secret not in said


def test_a_function_killed_in_a_request_answers_for_nothing_that_is_not_in_s3(
    task: Path, runtime: Path, cloud: Cloud, tmp_path: Path
) -> None:
    cloud.bucket(versions="")
    log, kept, lost = tmp_path / "log", new(2), new(2)
    with container(INGEST, [task, runtime], environ(cloud.endpoint, tmp_path), log) as function:
        assert function.invoke(event(sent(*kept))).content["statusCode"] == 200
        function.ask(event(sent(*lost)))
        function.kill()
        with pytest.raises(Gone):
            function.invoke(event(sent(*lost)))
    with container(INGEST, [task, runtime], environ(cloud.endpoint, tmp_path), log) as function:
        assert function.invoke(event(sent(*lost))).content["statusCode"] == 200
    assert set(archived(cloud)) == {*kept, *lost}
    assert compacting(cloud, tmp_path, runtime, log, {})["added"] == 4


def compacting(
    cloud: Cloud, folder: Path, runtime: Path, log: Path, asked: Any, prefix: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What a compaction by the other function says."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    more = {
        "LAKEWARD_LAKE_DIR": str(scratch / "data-lake"), "TMPDIR": str(scratch),
        "LAKEWARD_RING_DIR": str(scratch / "rings"), "SCRATCH": str(scratch),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    paths = [REPO / "src", runtime, *LIBRARIES]
    with container(
        COMPACT, paths, environ(cloud.endpoint, folder) | more, log, cwd=Path("/"), prefix=prefix
    ) as function:
        answer = function.invoke(asked, 300)
    assert not answer.failed, answer.content
    done: dict[str, Any] = answer.content
    return done


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("unshare"), reason=NO_ROOT)
def test_compaction_runs_in_awss_client_with_a_read_only_root(
    runtime: Path, cloud: Cloud, tmp_path: Path
) -> None:
    cloud.bucket(versions="")
    ids = filled(cloud, tmp_path, objects=3)
    prefix = ("unshare", "--mount", "sh", "-c", READ_ONLY, "sh")
    done = compacting(cloud, tmp_path, runtime, tmp_path / "log", {"days": 2}, prefix)
    assert (done["added"], done["unfinished"]) == (len(ids), False)
    _, settings = compactor_of(tmp_path, cloud.endpoint)
    assert Counter(rows(settings)) == dict.fromkeys(ids, 1)


def test_a_compaction_that_fails_is_an_error_of_the_invocation(
    runtime: Path, cloud: Cloud, tmp_path: Path
) -> None:
    paths = [REPO / "src", runtime, *LIBRARIES]
    env = environ(cloud.endpoint, tmp_path) | {"LAKEWARD_TABLE": ""}
    with container(COMPACT, paths, env, tmp_path / "log") as function:
        answer = function.invoke({})
    assert (answer.failed, answer.content["errorType"]) == (True, "Terminal")
    assert "set LAKEWARD_TABLE=s3://" in answer.content["errorMessage"]


# Time that runs out


def filled(cloud: Cloud, folder: Path, objects: int, size: int = 0) -> list[str]:
    """Objects under raw/, of one host; of `size` random bytes each, at least."""
    function = Function(load(environ(cloud.endpoint, folder), folder))
    ids: list[str] = []
    for _ in range(objects):
        some = new(max(2, size // 8_000))
        told = [{"interaction_type": "custom.noise", "interaction_id": one,
                 "properties": {"noise": os.urandom(size // len(some) // 2).hex()}}
                for one in some]  # fmt: skip
        answer = function.answer(event(json.dumps({"batch": told})))
        assert (answer["statusCode"], json.loads(answer["body"])["rejected"]) == (200, []), answer
        ids += some
    function.close()
    return ids


class OneCommit:
    """A context whose time is nearly over after the first commit to the table."""

    memory_limit_in_mb: str | int = "1024"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._before = self._commits()

    def _commits(self) -> int:
        log = f"{TABLE.removeprefix(f's3://{BUCKET}/')}/_delta_log/"
        found = self._cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=log)
        return sum(row["Key"].endswith(".json") for row in found.get("Contents", []))

    def get_remaining_time_in_millis(self) -> int:
        return 900_000 if self._commits() == self._before else 110_000


def test_a_compaction_stops_before_its_time_is_over_and_the_next_one_goes_on(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.bucket(versions="")
    _, settings = compactor_of(tmp_path, cloud.endpoint)
    for name, value in environ(cloud.endpoint, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LAKEWARD_COMPACT_MEMORY", "768MiB")  # slices of 24 MiB: about two objects
    filled(cloud, tmp_path, objects=1)
    compacted({}, None)  # the table is there
    ids = filled(cloud, tmp_path, objects=5, size=3_000_000)
    added = []
    for _ in range(10):
        done = compacted({}, OneCommit(cloud))
        added.append(done["added"])
        assert len(rows(settings)) == 2 + sum(added)
        if not done["unfinished"]:
            break
    assert added[-1] == 0
    assert all(added[:-1])
    assert len(added) > 2
    assert Counter(rows(settings)).keys() >= set(ids)
    assert len(rows(settings)) == len(ids) + 2


def test_a_function_of_little_time_works_for_half_of_it() -> None:
    class Short:
        memory_limit_in_mb: str | int = "1024"
        left = 20_000

        def get_remaining_time_in_millis(self) -> int:
            return self.left

    context = Short()
    over = out_of_time(context)
    assert not over()
    context.left = 10_001
    assert not over()
    context.left = 10_000
    assert over()
    assert not out_of_time(None)()


POINTS: list[tuple[Kind, str]] = [
    ("hang", "GET /lake/raw/"),
    ("hang", "PUT /lake/tables/interactions/event_date"),
    ("hang", "PUT /lake/tables/interactions/_delta_log/0"),
    ("late", "PUT /lake/tables/interactions/_delta_log/0"),  # done, and never heard of
]


@pytest.mark.parametrize(
    ("function", "setting", "used"),
    [("3008", "1GiB", 1024), ("1152", "1GiB", 896), ("1024", "1GiB", 768), ("512", "2GiB", 768)],
)
def test_a_compaction_takes_no_more_memory_than_the_function_has(
    tmp_path: Path, function: str, setting: str, used: int
) -> None:
    class Sized:
        memory_limit_in_mb: str | int = function

        def get_remaining_time_in_millis(self) -> int:
            return 900_000

    settings = load({"LAKEWARD_COMPACT_MEMORY": setting}, tmp_path)
    assert fitted(settings, Sized()).compact_memory == used << 20
    assert fitted(settings, None) is settings


def test_a_compaction_killed_at_any_point_is_finished_by_the_next(
    runtime: Path, cloud: Cloud, tmp_path: Path
) -> None:
    cloud.bucket(versions="")
    ids, log = [], tmp_path / "log"
    paths = [REPO / "src", runtime, *LIBRARIES]
    for kind, on in POINTS:
        ids += filled(cloud, tmp_path, objects=2)
        with Faulty(cloud.endpoint) as proxy:
            proxy.inject(kind, on=on)
            with container(COMPACT, paths, environ(proxy.url, tmp_path), log) as function:
                function.ask({}, 900)
                wait_until(lambda on=on: proxy.count(on) > 0, what=on)  # type: ignore[misc]  # bound
                time.sleep(0.3 if kind == "late" else 0.0)  # until it is done
                function.kill()
                with pytest.raises(Gone):
                    function.wait(60)
    compacting(cloud, tmp_path, runtime, log, {})
    _, settings = compactor_of(tmp_path, cloud.endpoint)
    assert Counter(rows(settings)) == dict.fromkeys(ids, 1)


# The image


def test_the_templates_start_the_images_python_with_awss_client_and_a_handler_that_is_there() -> (
    None
):
    dockerfile = (REPO / "deploy" / "Dockerfile").read_text()
    extras = dockerfile.partition("*.whl)[")[2].partition("]")[0].split(",")
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    declared = project["optional-dependencies"]
    assert {"server", "aws", "postgres", "lake", "lambda"} <= set(extras) <= set(declared)
    assert [one.partition(">")[0] for one in declared["lambda"]] == ["awslambdaric"]
    handlers = []
    for _, _, resource in resources("AWS::Lambda::Function"):
        config = resource["Properties"]["ImageConfig"]
        config = config["Fn::If"][2] if "Fn::If" in config else config
        python, *rest = config["EntryPoint"]
        assert f"python -m venv {Path(python).parent.parent}" in dockerfile
        assert rest == ["-m", "awslambdaric"]
        handlers += config["Command"]
    assert sorted(handlers) == [INGEST, COMPACT]
    for name in handlers:
        module, _, attribute = name.rpartition(".")
        assert callable(getattr(sys.modules.get(module) or __import__(module, fromlist=["x"]),
                                attribute))  # fmt: skip


def test_the_pinned_client_is_of_the_extras_range() -> None:
    pinned = (REPO / "requirements" / "lambda-client.txt").read_text()
    assert pinned.startswith("awslambdaric==4.")
