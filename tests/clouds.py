"""Two AWS emulators that share no code: real servers on the loopback, ended by their own ids.

Their clocks, limits and mistakes differ, so what both say is likely what AWS says. Neither checks
credentials, throttles, or is ever away: `faulty` stands between where a test needs that.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
from botocore.config import Config

from conftest import wait_until
from lakeward.settings import Settings, load
from servers import free_port

BUCKET, TABLE, REGION = "lake", "interactions", "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST", "AWS_SECRET_ACCESS_KEY": "s3cr3t-of-tests"}
END_WITH_THE_TESTS = (  # even when they are killed: PR_SET_PDEATHSIG, SIGTERM
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execv(sys.argv[1], sys.argv[1:])"
)


class Cloud:
    """A running emulator."""

    def __init__(self, name: str, port: int, reset_path: str, pid: int = 0) -> None:
        self.name = name
        self.pid = pid
        self.endpoint = f"http://127.0.0.1:{port}"
        self._reset_path = reset_path

    def reset(self) -> None:
        """Empty it."""
        urlopen(Request(self.endpoint + self._reset_path, method="POST"), timeout=120).close()

    def client(self, service: str) -> Any:
        """A boto3 client, for looking behind the sinks' back."""
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=REGION,
            aws_access_key_id="looks", aws_secret_access_key="looks",
            config=Config(s3={"addressing_style": "path"}),
        )  # fmt: skip

    def bucket(self, versions: str = "Enabled") -> Any:
        """A client after the bucket was made; `versions` is Enabled, Suspended or empty."""
        client = self.client("s3")
        client.create_bucket(Bucket=BUCKET)
        if versions:
            client.put_bucket_versioning(
                Bucket=BUCKET, VersioningConfiguration={"Status": versions}
            )
        return client


def settings(folder: Path, endpoint: str, **more: str) -> Settings:
    """Settings of a lake that ships to an emulator, or to what stands before it."""
    environ = {
        "LAKEWARD_LAKE_DIR": str(folder / "data-lake"), "USE_S3": "true", "USE_DYNAMODB": "true",
        "DATA_LAKE_BUCKET": BUCKET, "INTERACTIONS_TABLE": TABLE, "AWS_REGION": REGION,
        "LAKEWARD_AWS_SECONDS": "2",
        "LAKEWARD_AWS_ENDPOINT": endpoint, **KEYS, **more,
    }  # fmt: skip
    return load(environ, folder)


EMULATORS: dict[str, tuple[list[str], str]] = {
    "ministack": (["hypercorn", "-b", "127.0.0.1:{port}", "ministack.app:app"],
                  "/_ministack/reset"),
    "moto": (["moto.server", "-H", "127.0.0.1", "-p", "{port}"], "/moto-api/reset"),
}  # fmt: skip


@cache
def emulator(name: str) -> Cloud:
    """An emulator in a process of its own, one for all tests of this process, ended with it."""
    module, reset_path = EMULATORS[name]
    port = free_port()
    folder = tempfile.mkdtemp(prefix=f"{name}-")
    module = [part.replace("{port}", str(port)) for part in module]
    command = [sys.executable, "-c", END_WITH_THE_TESTS, sys.executable, "-m", *module]
    with (Path(folder) / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    atexit.register(_end, process, folder)
    cloud = Cloud(name, port, reset_path, process.pid)
    wait_until(lambda: _answers(cloud, process, Path(folder) / "output"), what=f"start of {name}")
    return cloud


def _end(process: subprocess.Popen[bytes], folder: str) -> None:
    process.terminate()
    try:
        process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _answers(cloud: Cloud, process: subprocess.Popen[bytes], output: Path) -> bool:
    assert process.poll() is None, output.read_text()
    try:
        cloud.reset()
    except OSError:
        return False
    return True


def versions(client: Any, prefix: str = "") -> list[dict[str, Any]]:
    """Every version and delete marker in the bucket."""
    found: list[dict[str, Any]] = []
    for page in client.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=prefix):
        found += page.get("Versions", []) + page.get("DeleteMarkers", [])
    return found


def bytes_of_all_versions(client: Any, prefix: str = "") -> dict[tuple[str, str], bytes]:
    """Content of every version by key and version."""
    found = {}
    for row in versions(client, prefix):
        if "Size" in row:
            got = client.get_object(Bucket=BUCKET, Key=row["Key"], VersionId=row["VersionId"])
            found[row["Key"], row["VersionId"]] = got["Body"].read()
    return found
