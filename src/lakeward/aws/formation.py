"""CloudFormation's API: what stands, in which state, with which outputs, and why something failed.

In: settings. Out: `Deployed` stacks, reasons in one sentence. `Terminal` for what must be mended,
with AWS's own reason, `Transient` where a change is under way.

Reasons of CloudFormation name resources and rules, which nobody can do without; keys and request
ids are cut from them. Of all other services codes alone are read, see `lakeward.sinks.verdict`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final

import msgspec

from lakeward.errors import LakewardError, Terminal, Transient
from lakeward.interaction import JsonObject
from lakeward.settings import Settings
from lakeward.sinks import aws
from lakeward.sinks.aws import Api
from lakeward.sinks.verdict import Invalid, Missing, Place, of_boto

PLACE: Final = Place("CloudFormation", "AWS_REGION")
DEAD: Final = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"})
"""Stacks that take no update; the first holds nothing."""
STUCK: Final = frozenset({"UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED"})
BEGINS: Final = frozenset({
    "CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS",
})  # fmt: skip
"""With the stack's own id, the event that a change began with."""
DETAILS: Final = "DescribeEvents"
"""What a reason names when it stands elsewhere."""
SERVICE: Final = re.compile(r"\s*\((?:Service:|RequestToken:|HandlerErrorCode:).*", re.DOTALL)
KEY: Final = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")
LONGEST: Final = 300
POLL_SECONDS, WAIT_SECONDS = 2.0, 3600.0


class Deployed(msgspec.Struct, frozen=True):
    """A stack in the account."""

    name: str
    id: str
    status: str
    outputs: dict[str, str]
    parameters: dict[str, str]
    drift: str = "NOT_CHECKED"
    updated: str = ""
    """When its latest change began."""

    @property
    def empty(self) -> bool:
        """A stack that a change set reserved, and that nothing was made in."""
        return self.status == "REVIEW_IN_PROGRESS"

    @property
    def failed(self) -> bool:
        """Whether somebody must look after it."""
        return self.status in DEAD | STUCK


def reason(text: str) -> str:
    """AWS's words without keys and request ids, cut."""
    line = KEY.sub("[REDACTED]", " ".join(SERVICE.sub("", text).split()))
    return line.rstrip(".")[:LONGEST]


def judged(error: Exception, place: Place) -> LakewardError:
    """As `of_boto`; a request that CloudFormation finds invalid is told with its reason."""
    answer = getattr(error, "response", None)
    said = answer.get("Error", {}) if isinstance(answer, dict) else {}
    if said.get("Code") == "ValidationError":
        text = reason(str(said.get("Message", "")))
        if "does not exist" in text:
            return Missing(f"{place.name}: {text}")
        return Invalid(f"CloudFormation refuses this: {text}")
    if said.get("Code") == "ChangeSetNotFound":
        return Missing(f"{place.name}: there is no such change set")
    return of_boto(error, place)


class Formation:
    """CloudFormation in one account and region."""

    def __init__(self, api: Api, sleep: Callable[[float], None] = time.sleep) -> None:
        self.api = api
        self.sleep = sleep

    def find(self, name: str) -> Deployed | None:
        """A stack by its name in the account; None when there is none."""
        try:
            (row,) = self.api.ask("describe_stacks", StackName=name)["Stacks"]
        except Missing:
            return None
        return None if row["StackStatus"] == "DELETE_COMPLETE" else _deployed(row)

    def settled(self, name: str) -> Deployed | None:
        """Wait until nothing changes the stack any more."""
        waited = 0.0
        while True:
            found = self.find(name)
            if found is None or found.empty or not found.status.endswith("_IN_PROGRESS"):
                return found
            if waited >= WAIT_SECONDS:
                raise Transient(
                    f"{name} is still {found.status} after an hour: look with `lakeward aws status`"
                )
            self.sleep(POLL_SECONDS)
            waited += POLL_SECONDS

    def failure(self, name: str) -> str:
        """The first thing that failed in the latest change, and why."""
        found = "CloudFormation gives no reason"
        for page in self.api.pages("describe_stack_events", StackName=name):
            for event in page["StackEvents"]:  # the newest first
                why, status = event.get("ResourceStatusReason", ""), event["ResourceStatus"]
                if event["PhysicalResourceId"] == event["StackId"] and status in BEGINS:
                    return found  # what is older is of another change
                if status.endswith("_FAILED") and "cancelled" not in why:
                    found = f"{event['LogicalResourceId']}: {reason(why)}"
                    if DETAILS in why:
                        found = self.invalid(StackName=name) or found
        return found

    def invalid(self, **which: str) -> str:
        """The first resource that did not pass the check before a change; empty if all did."""
        for event in self.api.ask("describe_events", **which)["OperationEvents"]:
            if event.get("ValidationStatus") == "FAILED":
                return f"{event['LogicalResourceId']}: {reason(event['ValidationStatusReason'])}"
        return ""


@contextmanager
def formation(settings: Settings) -> Iterator[Formation]:
    """A connection to CloudFormation."""
    keys = aws.session(settings)
    with closing(aws.service_api("cloudformation", settings, keys, PLACE, judged)) as api:
        yield Formation(api)


def account_of(settings: Settings) -> str:
    """The account that the credentials are of."""
    place = Place("AWS", "AWS_REGION")
    with closing(aws.service_api("sts", settings, aws.session(settings), place)) as api:
        return str(api.ask("get_caller_identity")["Account"])


def require_account(settings: Settings, wanted: str) -> str:
    """Refuse to go on in another account than the one that was named."""
    account = account_of(settings)
    if wanted and wanted != account:
        raise Terminal(
            f"these credentials are of account {account}, not of {wanted}: choose others, or "
            "mend --account"
        )
    return account


def require_alive(found: Deployed | None, verb: str) -> None:
    """Refuse a stack that takes no change in its state."""
    if found is None or found.empty:
        return
    if found.status in DEAD:
        raise Terminal(
            f"{found.name} could not be made or taken away ({found.status}): "
            f"`lakeward aws destroy` clears it, then {verb} again"
        )
    if found.status in STUCK:
        raise Terminal(
            f"{found.name} is stuck ({found.status}): continue its rollback in the console of "
            f"CloudFormation, then {verb} again"
        )
    if found.status.endswith("_IN_PROGRESS"):
        raise Transient(
            f"{found.name} is being changed ({found.status}): {verb} again when it has ended"
        )


def _deployed(row: JsonObject) -> Deployed:
    return Deployed(
        row["StackName"],
        row["StackId"],
        row["StackStatus"],
        {out["OutputKey"]: out.get("OutputValue", "") for out in row.get("Outputs", [])},
        {it["ParameterKey"]: it.get("ParameterValue", "") for it in row.get("Parameters", [])},
        row.get("DriftInformation", {}).get("StackDriftStatus", "NOT_CHECKED"),
        str(row.get("LastUpdatedTime", "")),
    )
