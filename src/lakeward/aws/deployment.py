"""Deploying: stacks of one environment in their order, each fed with what the earlier ones gave.

In: settings, an environment, values that a person sets. Out: change sets, and stacks that stand.
Fails with `Terminal` for a parameter that nobody gave, naming who would.

    value of a parameter:  --set > output of another stack > what it had > template's default
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from hashlib import sha256
from typing import Final

from lakeward.aws.changes import ChangeSet, execute, prepare, take_back
from lakeward.aws.formation import Deployed, Formation, require_alive
from lakeward.aws.stacks import STACKS, Stack
from lakeward.errors import Terminal
from lakeward.interaction import JsonObject
from lakeward.settings import Settings
from lakeward.sinks import aws
from lakeward.sinks.verdict import Place
from lakeward.version import VERSION

INLINE_BYTES: Final = 51_200
"""A template that is longer must lie in a bucket."""


class Environment:
    """The stacks of one environment in one account."""

    def __init__(self, formation: Formation, settings: Settings, name: str) -> None:
        self._formation = formation
        self._settings = settings
        self.name = name

    def find(self, stack: Stack) -> Deployed | None:
        """The stack as it stands."""
        return self._formation.find(stack.called(self.name))

    def standing(self) -> dict[str, Deployed]:
        """Every stack that stands, by its template's name."""
        found = {stack.name: self.find(stack) for stack in STACKS}
        return {name: it for name, it in found.items() if it is not None and not it.empty}

    def outputs(self) -> dict[str, str]:
        """What the stacks of this environment gave."""
        return {key: value for it in self.standing().values() for key, value in it.outputs.items()}

    def prepare(self, stack: Stack, chosen: Mapping[str, str]) -> ChangeSet:
        """What a deployment of the stack would do; nothing is done."""
        found = self.find(stack)
        require_alive(found, "deploy")
        outputs = self.outputs()
        template = self._template(stack, outputs)
        return prepare(
            self._formation, stack.called(self.name), found,
            {
                **template,
                "Parameters": self._parameters(stack, found, outputs, chosen),
                "Capabilities": ["CAPABILITY_IAM"],
                "Tags": [
                    {"Key": "lakeward", "Value": stack.name},
                    {"Key": "environment", "Value": self.name},
                ],
                "Description": f"by lakeward {VERSION}",
            },
        )  # fmt: skip

    def execute(self, waiting: ChangeSet) -> Deployed:
        """Do it and wait for the end."""
        return execute(self._formation, waiting)

    def take_back(self, waiting: ChangeSet) -> None:
        """Leave everything as it was."""
        take_back(self._formation, waiting)

    def destroy(self, stack: Stack) -> tuple[str, ...]:
        """Take the stack away; the physical names of what stays."""
        name = stack.called(self.name)
        rows = self._formation.api.ask("describe_stack_resources", StackName=name)["StackResources"]
        stays = tuple(
            row["PhysicalResourceId"]
            for row in rows
            if row["LogicalResourceId"] in stack.stays
            and not row["ResourceType"].endswith("Policy")
            and row.get("PhysicalResourceId")
        )
        self._formation.api.ask("delete_stack", StackName=name)
        left = self._formation.settled(name)
        if left is not None:
            raise Terminal(
                f"{name} could not be taken away ({left.status}): {self._formation.failure(name)}"
            )
        return stays

    def _template(self, stack: Stack, outputs: Mapping[str, str]) -> dict[str, str]:
        """The text itself, or where it was put."""
        text = stack.template()
        body = text.encode()
        if len(body) <= INLINE_BYTES:
            return {"TemplateBody": text}
        bucket = outputs.get("DataLakeBucket") or self._settings.data_lake_bucket
        if not bucket:
            raise Terminal(
                f"the template {stack.name} is too long to be sent and must lie in a bucket: "
                "deploy storage first, or set DATA_LAKE_BUCKET"
            )
        key = f"templates/{stack.name}-{sha256(body).hexdigest()[:16]}.yaml"
        keys = aws.session(self._settings)
        place = Place(f"bucket {bucket}", "DATA_LAKE_BUCKET")
        with closing(aws.s3_api(self._settings, keys, place)) as api:
            if not api.ask("list_objects_v2", Bucket=bucket, Prefix=key)["KeyCount"]:
                api.ask("put_object", Bucket=bucket, Key=key, Body=body)
        aws_itself = f"https://s3.{self._settings.aws_region}.amazonaws.com"
        endpoint = self._settings.aws_endpoint.rstrip("/") or aws_itself
        return {"TemplateURL": f"{endpoint}/{bucket}/{key}"}

    def _parameters(
        self, stack: Stack, found: Deployed | None, outputs: Mapping[str, str],
        chosen: Mapping[str, str],
    ) -> list[JsonObject]:  # fmt: skip
        had = {} if found is None or found.empty else found.parameters
        own = stack.outputs()
        values: dict[str, str] = {"Environment": self.name}
        for key, needed in stack.parameters().items():
            if key in values:
                continue
            if key in chosen:
                values[key] = chosen[key]
            elif outputs.get(key) and key not in own:
                values[key] = outputs[key]
            elif key in had:
                values[key] = had[key]
            elif needed:
                raise Terminal(f"{stack.name} needs {key}: {_giver(key)}")
        return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def unknown(stacks: list[Stack], chosen: Mapping[str, str]) -> None:
    """Refuse a value that no stack takes, which would else be lost without a word."""
    for key in chosen:
        if key == "Environment":
            raise Terminal("the environment is named with --environment, not with --set")
        if not any(key in stack.parameters() for stack in stacks):
            raise Terminal(
                f"{key[:40]!r} is no parameter of {', '.join(s.name for s in stacks)}: "
                "`lakeward aws template NAME` shows them"
            )


def _giver(key: str) -> str:
    for stack in STACKS:
        if key in stack.outputs():
            return f"deploy {stack.name} first, which gives it, or add --set {key}=VALUE"
    return f"add --set {key}=VALUE"


def require_destroyable(environment: Environment, stack: Stack, bucket: str) -> None:
    """Data's own stack goes last, and only for whoever names its bucket."""
    standing = environment.standing()
    found = standing.get(stack.name)
    if found is None or stack.name != "storage":
        return
    if others := [name for name in standing if name != "storage"]:
        raise Terminal(f"{', '.join(others)} stand on storage: destroy them first")
    real = found.outputs.get("DataLakeBucket", "")
    if real and bucket != real:
        raise Terminal(
            "storage is taken away only for whoever names its bucket: add --bucket NAME, as "
            "`lakeward aws status` shows it"
        )
