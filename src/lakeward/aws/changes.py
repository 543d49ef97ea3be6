"""Change sets: what a deployment would do, before anything is done.

In: a stack, its template and parameters. Out: the changes, or none; executed or taken back. Fails
with `Terminal` where CloudFormation refuses, or where the change failed and was rolled back, with
the reason of the first resource that failed.
"""

from __future__ import annotations

import uuid
from typing import Final, Literal

import msgspec

from lakeward.aws.formation import (
    DETAILS,
    POLL_SECONDS,
    WAIT_SECONDS,
    Deployed,
    Formation,
    reason,
)
from lakeward.errors import Terminal, Transient
from lakeward.interaction import JsonObject

Action = Literal["add", "change", "replace", "may replace", "remove"]
BEGIN_SECONDS: Final = 30.0
NOTHING: Final = ("didn't contain changes", "No updates are to be performed", "No changes")
"""How AWS says that a change set is empty: it fails."""


class Change(msgspec.Struct, frozen=True):
    """What would become of one resource."""

    action: Action
    resource: str
    type: str
    physical: str = ""


class ChangeSet(msgspec.Struct, frozen=True):
    """A change set that waits; `empty` when it would do nothing at all."""

    stack: str
    id: str
    changes: tuple[Change, ...]
    new: bool
    updated: str = ""
    """When the change before this one began."""
    empty: bool = False


def prepare(
    formation: Formation, name: str, found: Deployed | None, request: JsonObject
) -> ChangeSet:
    """Have CloudFormation work out what it would do."""
    new = found is None or found.empty
    made = formation.api.ask(
        "create_change_set", StackName=name, ChangeSetName=f"lakeward-{uuid.uuid4().hex}",
        ChangeSetType="CREATE" if new else "UPDATE", **request,
    )  # fmt: skip
    which, waited = str(made["Id"]), 0.0
    while True:
        pages = list(formation.api.pages("describe_change_set", ChangeSetName=which))
        status, why = pages[0]["Status"], str(pages[0].get("StatusReason", ""))
        if status == "CREATE_COMPLETE":
            rows = [row["ResourceChange"] for page in pages for row in page.get("Changes", [])]
            before = "" if found is None else found.updated
            return ChangeSet(name, which, tuple(map(_change, rows)), new, before)
        if status == "FAILED":
            waiting = ChangeSet(name, which, (), new, empty=True)
            said = formation.invalid(ChangeSetName=which) if DETAILS in why else ""
            take_back(formation, waiting)
            if any(word in why for word in NOTHING):
                return waiting
            raise Terminal(f"CloudFormation refuses {name}: {said or reason(why)}")
        if waited >= WAIT_SECONDS:
            raise Transient(f"CloudFormation does not finish the change set of {name}: try again")
        formation.sleep(POLL_SECONDS / 4)
        waited += POLL_SECONDS / 4


def take_back(formation: Formation, waiting: ChangeSet) -> None:
    """Delete the change set, and the empty stack that the first one of a stack leaves."""
    formation.api.ask("delete_change_set", ChangeSetName=waiting.id)
    found = formation.find(waiting.stack) if waiting.new else None
    if found is not None and found.empty:
        formation.api.ask("delete_stack", StackName=waiting.stack)
        formation.settled(waiting.stack)


def execute(formation: Formation, waiting: ChangeSet) -> Deployed:
    """Do it and wait for the end."""
    formation.api.ask("execute_change_set", ChangeSetName=waiting.id)
    _begun(formation, waiting)
    found = formation.settled(waiting.stack)
    if found is None:
        raise Terminal(f"{waiting.stack} was taken away by somebody meanwhile: deploy it again")
    if found.status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise Terminal(
            f"{found.name} failed and is {found.status}: {formation.failure(found.name)}"
        )
    return found


def _begun(formation: Formation, waiting: ChangeSet) -> None:
    """Wait until the stack says so: before, its state is that of the change before."""
    waited = 0.0
    while waited < BEGIN_SECONDS:
        found = formation.find(waiting.stack)
        if found is None or (not found.empty and (waiting.new or found.updated != waiting.updated)):
            return
        formation.sleep(POLL_SECONDS / 4)
        waited += POLL_SECONDS / 4


def _change(row: JsonObject) -> Change:
    action: Action
    match row["Action"], row.get("Replacement"):
        case "Add", _:
            action = "add"
        case "Remove", _:
            action = "remove"
        case _, "True":
            action = "replace"
        case _, "Conditional":
            action = "may replace"
        case _:
            action = "change"
    return Change(
        action, row["LogicalResourceId"], row["ResourceType"], row.get("PhysicalResourceId") or ""
    )
