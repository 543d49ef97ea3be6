"""The package of the Lambda: within its limits, whole, and the same from the same inputs."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from clouds import BUCKET, Cloud, emulator
from test_aws_ingest import environ, event, lines, new, sent

REPO = Path(__file__).resolve().parent.parent
BUILDER = REPO / "deploy" / "package_lambda.py"


def builder() -> Any:
    """The program that packages, as a module."""
    spec = importlib.util.spec_from_file_location("package_lambda", BUILDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RUN = """
import json, sys
sys.path[:] = [sys.argv[1], *(path for path in sys.path if "site-packages" not in path)]
from lakeward.aws.ingest import handler
print(json.dumps(handler(json.load(sys.stdin))))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lambda")
    command = [sys.executable, str(BUILDER), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    return folder / "lakeward-ingest.zip"


def test_it_fits_lambda_and_holds_what_it_needs(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
        unzipped = sum(one.file_size for one in archive.infolist())
    assert package.stat().st_size <= builder().MOST_ZIPPED
    assert unzipped <= builder().MOST_UNZIPPED
    assert "lakeward/aws/ingest.py" in names
    assert not [
        one for one in names if one.startswith(("lakeward/server/static/", "lakeward/demo/"))
    ]
    bytecode = {one.rpartition(".cpython-311")[0] for one in names if one.endswith(".pyc")}
    assert "lakeward/aws/__pycache__/ingest" in bytecode
    assert "botocore/__pycache__/client" in bytecode
    assert not [one for one in bytecode if one.startswith(("lakeward/demo/", "sqlalchemy/"))]


def test_its_bytecode_is_read_wherever_it_stands(package: Path, tmp_path: Path) -> None:
    """A file's time is not kept, and Lambda's folder takes no other bytecode."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path)
    found = tmp_path / "lakeward" / "aws" / "__pycache__" / "ingest.cpython-311.pyc"
    assert int.from_bytes(found.read_bytes()[4:8], "little") == 0b01  # by hash, and not looked at


def test_the_same_inputs_make_the_same_bytes(package: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    builder().zipped(package.parent / "tree", again)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(
        package.read_bytes()
    ).digest()  # fmt: skip


def test_what_is_in_it_takes_interactions_and_needs_nothing_besides(
    package: Path, tmp_path: Path
) -> None:
    cloud: Cloud = emulator("moto")
    cloud.reset()
    cloud.bucket(versions="")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path / "task")
    ids = new(2)
    env = {"PATH": os.environ["PATH"], **environ(cloud.endpoint, tmp_path)}
    done = subprocess.run(
        [sys.executable, "-I", "-c", RUN, str(tmp_path / "task")], env=env, text=True,
        input=json.dumps(event(sent(*ids))), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["statusCode"] == 200, answer
    assert [row["interaction_id"] for row in lines(cloud)] == ids
    assert BUCKET not in done.stderr
