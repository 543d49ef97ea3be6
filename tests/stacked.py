"""Stacks on ministack, which makes each of their resources: the command in this process.

ministack knows neither saved queries of Athena nor budgets: stacks leave both out by parameter.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clouds import KEYS, REGION, Cloud, emulator
from lakeward.cli import main

CODE = ("--set", "CodeBucket=code", "--set", "CodeKey=lakeward.zip")
IMAGE = ("--set", "ImageUri=000000000000.dkr.ecr.us-east-1.amazonaws.com/lakeward:0.1.0")
QUERY = ("--set", "SavedQueries=no")
STOPPED = ("--set", "Tasks=0")
"""The emulator would start containers, which this machine need not be able to."""
FARGATE = (
    "--set", "Kind=fargate", "--set", "ImageUri=example.test/lakeward:0.1.0",
    "--set", "ImageRepositoryArn=arn:aws:ecr:us-east-1:000000000000:repository/lakeward",
    "--set", "CertificateArn=arn:aws:acm:us-east-1:000000000000:certificate/1",
    "--set", "DatabaseUrlArn=arn:aws:secretsmanager:us-east-1:000000000000:secret:url-AbCdEf",
)  # fmt: skip
KEY = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"


class Said(msgspec.Struct):
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


class Account:
    """An emptied account with the function's package, and a command line that is of it."""

    def __init__(self, folder: Path, cloud: Cloud, **more: str) -> None:
        self.cloud = cloud
        self._folder = folder
        self.environ: Mapping[str, str] = {
            **KEYS, "AWS_REGION": REGION, "LAKEWARD_AWS_ENDPOINT": cloud.endpoint,
            "LAKEWARD_ENV": "production", "LAKEWARD_LAKE_DIR": str(folder / "data-lake"), **more,
        }  # fmt: skip
        cloud.reset()

    def run(self, *words: str, **more: str) -> Said:
        """`lakeward aws …`."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self._folder)
            for name, value in {**self.environ, **more}.items():
                patch.setenv(name, value)
            with redirect_stdout(out), redirect_stderr(err):
                try:
                    code = main(("aws", *words))
                except SystemExit as ended:
                    code = int(ended.code or 0)
        return Said(code, out.getvalue(), err.getvalue())

    def package(self) -> None:
        """A function that answers, where the template looks for it."""
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as file:
            for name in ("lakeward/__init__.py", "lakeward/aws/__init__.py"):
                file.writestr(name, "")
            file.writestr(
                "lakeward/aws/ingest.py",
                "import os\ndef handler(event, context):\n"
                "    return {'statusCode': 200, 'body': os.environ['DATA_LAKE_BUCKET']}\n",
            )
        s3 = self.cloud.client("s3")
        s3.create_bucket(Bucket="code")
        s3.put_object(Bucket="code", Key="lakeward.zip", Body=body.getvalue())

    def network(self) -> tuple[str, ...]:
        """Arguments that name a network with two subnets."""
        ec2 = self.cloud.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=zone)
            ["Subnet"]["SubnetId"]
            for n, zone in enumerate(("us-east-1a", "us-east-1b"))
        ]  # fmt: skip
        both = ",".join(subnets)
        return ("--set", f"VpcId={vpc}", "--set", f"TaskSubnetIds={both}")

    def outputs(self, stack: str, environment: str = "production") -> dict[str, str]:
        found = self.run("status", "--environment", environment, "--format", "json").json
        outputs: dict[str, str] = found["stacks"][stack]["outputs"]
        return outputs


def account(folder: Path, name: str = "ministack", **more: str) -> Account:
    """An account of an emulator."""
    return Account(folder, emulator(name), **more)
