"""The stacks: which there are, in which order, and what each is called in an account.

In: the name of a template and of an environment. Out: the template's text, the stack's name, what
it takes from others. Fails with `Terminal` for a name that is none, or too long. Pure, but for the
templates in the package.

    storage  ──►  ingest  ──►  query  ──►  processing  ──►  monitoring      made in this order,
                                                                            taken away in the other

A parameter whose name is an output of another stack of the same environment takes its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from typing import Final

import msgspec

from lakeward.errors import Terminal

ENVIRONMENT: Final = re.compile(r"[a-z][a-z0-9-]{0,19}")
"""As the templates' own pattern; role and bucket names are made of it, and AWS bounds those."""


TOP: Final = re.compile(r"^(?=[A-Za-z])", re.MULTILINE)
ENTRY: Final = re.compile(r"\n  (\w+):(?=\n)")


class Stack(msgspec.Struct, frozen=True):
    """A stack: its template's name, what it is for, and what to do when it stands."""

    name: str
    about: str
    next: str
    stays: tuple[str, ...] = ()
    """Logical ids of what outlives the stack."""

    def called(self, environment: str) -> str:
        """Its name in the account."""
        return f"lakeward-{environment}-{self.name}"

    def template(self) -> str:
        """The text of its template."""
        file = resources.files("lakeward.aws") / "templates" / f"{self.name}.yaml"
        return file.read_text(encoding="utf-8")

    def parameters(self) -> dict[str, bool]:
        """What the template takes, and whether somebody must say it."""
        return {name: "\n    Default:" not in body for name, body in self._section("Parameters")}

    def outputs(self) -> tuple[str, ...]:
        """What it gives."""
        return tuple(name for name, _ in self._section("Outputs"))

    def _section(self, name: str) -> list[tuple[str, str]]:
        """Entries of a part of the template, whose form is ours: YAML needs no parser for that."""
        _, _, rest = self.template().partition(f"\n{name}:\n")
        section = TOP.split(rest, maxsplit=1)[0]
        parts = ENTRY.split(f"\n{section}")[1:]
        return list(zip(parts[::2], parts[1::2], strict=True))


STACKS: Final = (
    Stack(
        "storage",
        "bucket and table: where data live",
        "`lakeward aws env` prints the settings; attach ShippingPolicyArn to your hosts' role",
        ("DataLake", "DataLakePolicy", "AccessLogs", "AccessLogsPolicy", "Interactions"),
    ),
    Stack(
        "ingest",
        "takes interactions over HTTP: Lambda or Fargate",
        "send to IngestUrl; deploy monitoring to be told when it fails",
        ("DeadLetters",),
    ),
    Stack(
        "query",
        "Glue tables, Athena workgroup, saved queries",
        "attach AskingPolicyArn to whoever asks; `lakeward ask … --engine athena` asks",
        ("Answers", "AnswersPolicy"),
    ),
    Stack(
        "processing",
        "scheduled compaction, queue of demo uploads",
        "deploy monitoring to be told when compaction fails or lags",
        ("CompactionDeadLetters", "DemoQueue", "DemoDeadLetters"),
    ),
    Stack(
        "monitoring",
        "alarms and a dashboard",
        "subscribe to AlarmTopic, and confirm the subscription in your mail",
    ),
)
NAMES: Final = tuple(stack.name for stack in STACKS)


def stack_of(name: str) -> Stack:
    """A stack by its template's name."""
    for stack in STACKS:
        if stack.name == name:
            return stack
    raise Terminal(f"there is no template {name[:40]!r}: take one of {', '.join(NAMES)}")


def in_order(names: Iterable[str]) -> list[Stack]:
    """Stacks in the order in which they are made, each once."""
    wanted = {stack_of(name).name for name in names}
    return [stack for stack in STACKS if stack.name in wanted]


def checked(environment: str) -> str:
    """The environment's name, when AWS takes what is made of it."""
    if ENVIRONMENT.fullmatch(environment) is None:
        raise Terminal(
            f"{environment[:40]!r} cannot stand in the names of stacks: name an environment of up "
            "to 20 small letters, digits and dashes with --environment or LAKEWARD_ENV"
        )
    return environment
