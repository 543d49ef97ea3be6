"""S3 and DynamoDB in the followers' contract suite, on both emulators, behind a faulty proxy."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from clouds import BUCKET, KEYS, REGION, TABLE, Cloud, emulator, settings, versions
from destinations import DESTINATIONS, Destination, Fault
from faulty import Faulty, Kind
from lakeward.lakedir import LakeDir
from lakeward.sinks.blueprint import create_table
from lakeward.sinks.item import record_of

KINDS: dict[Fault, Kind] = {
    "errors": "500", "throttled": "slow_down", "timeout": "late", "hang": "hang", "down": "reset",
    "refused": "bad_key",
}  # fmt: skip


class Aws:
    """What both have in common: the emulator, and the proxy that fails."""

    bad: bytes | None = None

    def __init__(self, cloud: Cloud, proxy: Faulty, follower: str, environ: dict[str, str]) -> None:
        self._cloud, self._proxy = cloud, proxy
        self.follower = follower
        self.environ = {
            "DATA_LAKE_BUCKET": BUCKET, "AWS_REGION": REGION, "LAKEWARD_AWS_ENDPOINT": proxy.url,
            "LAKEWARD_AWS_SECONDS": "1", **KEYS, **environ,
        }  # fmt: skip

    def fail(self, fault: Fault, times: int = 1 << 30) -> bool:
        """Let requests fail from now on, or heal."""
        self._proxy.heal()
        if fault != "none":
            self._proxy.inject(KINDS[fault], times)
        return True

    def close(self) -> None:
        """The proxy ends with its context, the emulator with the tests."""


class S3Destination(Aws):
    """Objects of the archive."""

    def names(self) -> list[str]:
        """Keys, one for each version, so that a second version is seen."""
        return sorted(row["Key"] for row in versions(self._cloud.client("s3"), "raw/"))

    def arrived(self) -> list[dict[str, Any]]:
        """Every line of every object."""
        client = self._cloud.client("s3")
        found: list[dict[str, Any]] = []
        for key in self.names():
            body = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            found += map(msgspec.json.decode, gzip.decompress(body).splitlines())
        return found


class DynamoDestination(Aws):
    """Items of the table."""

    bad: bytes | None = (
        b'{"interaction_id":"0198a8b0-1f11-7000-8000-00000000bad0","interaction_type":"no_time"}\n'
    )

    def names(self) -> list[str]:
        """Keys of the items."""
        return sorted(row["interaction_id"] for row in self.arrived())

    def arrived(self) -> list[dict[str, Any]]:
        """Every record; one that is too large from the bucket."""
        client, bucket = self._cloud.client("dynamodb"), self._cloud.client("s3")
        found: list[dict[str, Any]] = []
        for page in client.get_paginator("scan").paginate(TableName=TABLE):
            for item in page["Items"]:
                own = item.get("lakeward", {"M": {}})["M"]
                if "body" in own:
                    got = bucket.get_object(Bucket=BUCKET, Key=own["body"]["S"])["Body"].read()
                    found.append(msgspec.json.decode(gzip.decompress(got)))
                else:
                    found.append(record_of(item))
        return found


@contextlib.contextmanager
def _s3(name: str, lake: LakeDir, folder: Path) -> Iterator[Destination]:
    cloud = emulator(name)
    cloud.reset()
    cloud.bucket()
    with Faulty(cloud.endpoint) as proxy:
        yield S3Destination(cloud, proxy, "s3", {"USE_S3": "true", "LAKEWARD_S3_SECONDS": "0"})


@contextlib.contextmanager
def _dynamodb(name: str, lake: LakeDir, folder: Path) -> Iterator[Destination]:
    cloud = emulator(name)
    cloud.reset()
    cloud.bucket()
    create_table(settings(folder, cloud.endpoint))
    with Faulty(cloud.endpoint) as proxy:
        environ = {"USE_DYNAMODB": "true", "INTERACTIONS_TABLE": TABLE}
        yield DynamoDestination(cloud, proxy, "dynamodb", environ)


def _join() -> None:
    for name in ("ministack", "moto"):
        for follower, opened in (("s3", _s3), ("dynamodb", _dynamodb)):
            DESTINATIONS[f"{follower}-{name}"] = _on(opened, name)


def _on(opened: Any, name: str) -> Any:
    return lambda lake, folder: opened(name, lake, folder)


_join()
