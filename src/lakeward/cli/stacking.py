"""What `lakeward aws plan`, `deploy`, `destroy` and `status` show, and in which order they do it.

In: the environment's stacks and the words of the command. Out: lines for people or JSON, and the
exit code: 1 where a person said no, or where a stack failed. Each stack is planned when those
before it stand, as it may take what they give.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from lakeward.aws.deployment import Environment, require_destroyable, unknown
from lakeward.aws.stacks import STACKS, Stack, in_order
from lakeward.errors import Terminal

if TYPE_CHECKING:
    from lakeward.aws.changes import Change, ChangeSet
    from lakeward.aws.formation import Deployed

Put = Callable[[str | Mapping[str, object]], None]
SIGNS: Mapping[str, str] = {
    "add": "+", "change": "~", "replace": "!", "may replace": "!", "remove": "-"
}  # fmt: skip


def plan(environment: Environment, arguments: argparse.Namespace, where: str, put: Put) -> int:
    """Show what would be done; every change set is taken back."""
    chosen, shown = _chosen(arguments), []
    for stack in in_order(arguments.stacks):
        waiting = environment.prepare(stack, chosen)
        if not waiting.empty:
            environment.take_back(waiting)
        shown.append(_row(stack, waiting))
        if arguments.format != "json":
            put(_told(stack, waiting, where))
    if arguments.format == "json":
        put({"plan": shown})
    return 0


def deploy(
    environment: Environment, arguments: argparse.Namespace, where: str, put: Put,
    agreed: Callable[[str, bool], bool],
) -> int:  # fmt: skip
    """One stack after the other: show, ask, do, wait; the first no ends it."""
    chosen, json, shown = _chosen(arguments), arguments.format == "json", []
    for stack in in_order(arguments.stacks):
        waiting = environment.prepare(stack, chosen)
        if not json:
            put(_told(stack, waiting, where))
        if waiting.empty:
            shown.append({**_row(stack, waiting), "outputs": _outputs(environment, stack)})
            continue
        try:
            go = agreed(f"deploy {stack.called(environment.name)}?", arguments.yes)
        except BaseException:
            environment.take_back(waiting)
            raise
        if not go:
            environment.take_back(waiting)
            put({"deployed": shown, "refused": stack.name} if json else "nothing was done")
            return 1
        found = environment.execute(waiting)
        shown.append({**_row(stack, waiting), "outputs": found.outputs})
        if not json:
            put(_stands(stack, found))
    if json:
        put({"deployed": shown})
    return 0


def destroy(
    environment: Environment, arguments: argparse.Namespace, where: str, put: Put,
    typed: Callable[[str, str], str],
) -> int:  # fmt: skip
    """In the other order; what holds data stays, and is named."""
    json = arguments.format == "json"
    gone: list[dict[str, object]] = []
    for stack in reversed(in_order(arguments.stacks)):
        name = stack.called(environment.name)
        if environment.find(stack) is None:
            if not json:
                put(f"{name} is not there ({where})")
            continue
        if not _may_go(environment, stack, arguments, typed):
            put({"destroyed": gone, "refused": stack.name} if json else "nothing was done")
            return 1
        stays = environment.destroy(stack)
        gone.append({"stack": name, "stays": stays})
        if not json:
            left = f"{', '.join(stays)}: stays, with all data" if stays else "it held no data"
            put(f"{name} is gone; {left}")
    if json:
        put({"destroyed": gone})
    return 0


def _may_go(
    environment: Environment, stack: Stack, arguments: argparse.Namespace,
    typed: Callable[[str, str], str],
) -> bool:  # fmt: skip
    """A yes; for the stack with the data its bucket's name, which says more than a yes."""
    name, bucket = stack.called(environment.name), arguments.bucket or ""
    if stack.name == "storage" and not bucket:
        bucket = typed(f"to take {name} away, type its bucket's name: ", "--bucket NAME")
    require_destroyable(environment, stack, bucket)
    if stack.name == "storage" or arguments.yes:
        return True
    return typed(f"take {name} away? [y/N] ", "--yes").lower() in ("y", "yes")


def status(environment: Environment, json: bool, where: str, put: Put) -> int:
    """All stacks of the environment: state, drift as last looked for, outputs."""
    found = {stack.name: environment.find(stack) for stack in STACKS}
    if json:
        put({"stacks": {name: _state(it) for name, it in found.items()}})
    else:
        put("\n".join([where, *(_line(stack, found[stack.name]) for stack in STACKS)]))
    return 1 if any(it is not None and it.failed for it in found.values()) else 0


def _chosen(arguments: argparse.Namespace) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for word in arguments.chosen:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise Terminal(f"--set takes NAME=VALUE, not {word[:40]!r}")
        chosen[name] = value
    unknown(in_order(arguments.stacks), chosen)
    return chosen


def _outputs(environment: Environment, stack: Stack) -> dict[str, str]:
    found = environment.find(stack)
    return {} if found is None else found.outputs


def _row(stack: Stack, waiting: ChangeSet) -> dict[str, Any]:
    changes = [msgspec.structs.asdict(change) for change in waiting.changes]
    return {"stack": waiting.stack, "template": stack.name, "changed": not waiting.empty,
            "changes": changes}  # fmt: skip


def _told(stack: Stack, waiting: ChangeSet, where: str) -> str:
    if waiting.empty:
        return f"{waiting.stack}: no changes ({where})"
    lines = [f"{waiting.stack}: {stack.about} ({where})"]
    lines += [_change(change) for change in waiting.changes]
    if not waiting.changes:
        lines.append("  ~ tags or outputs alone")
    return "\n".join(lines)


def _change(change: Change) -> str:
    action = change.action if change.action in ("replace", "may replace") else ""
    words = (SIGNS[change.action], change.resource, f"({change.type})", action, change.physical)
    return "  " + " ".join(word for word in words if word)


def _stands(stack: Stack, found: Deployed) -> str:
    lines = [f"{found.name} stands"]
    lines += [f"  {name} = {value}" for name, value in found.outputs.items()]
    return "\n".join([*lines, f"next: {stack.next}"])


def _line(stack: Stack, found: Deployed | None) -> str:
    if found is None or found.empty:
        return f"{stack.name:<11} not deployed"
    drift = "" if found.drift in ("NOT_CHECKED", "IN_SYNC") else f", drift: {found.drift}"
    lines = [f"{stack.name:<11} {found.status}{drift}"]
    lines += [f"  {name} = {value}" for name, value in found.outputs.items()]
    return "\n".join(lines)


def _state(found: Deployed | None) -> dict[str, Any] | None:
    if found is None or found.empty:
        return None
    return {"stack": found.name, "status": found.status, "drift": found.drift,
            "outputs": found.outputs}  # fmt: skip
