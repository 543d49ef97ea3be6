"""What commands that ask a question about interactions have in common.

In: arguments of a command line. Out: the parameters of a question, its answer, and that printed.
Fails with `Terminal` naming the argument.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from lakeward.cli.span import moment, zone_of
from lakeward.errors import Rejected, Terminal
from lakeward.lakedir import open_lake
from lakeward.settings import Settings

if TYPE_CHECKING:  # what is behind it needs an extra that other commands do without
    from lakeward.analysis.question import Answer, Question

FORMATS: Final = ("table", "json", "csv")
CLOCKS: Final = ("event", "device", "sent", "received")


def add_events(command: argparse.ArgumentParser) -> None:
    """The arguments of every such command."""
    command.add_argument("--since", metavar="WHEN", help="from then on: a day, a moment, or 7d")
    command.add_argument("--until", metavar="WHEN", help="before then")
    command.add_argument("--zone", default="UTC", metavar="ZONE", help="whose days are meant (UTC)")
    command.add_argument(
        "--clock", choices=CLOCKS, default="event", help="whose clock says when (event)"
    )
    command.add_argument(
        "--where", action="append", default=[], metavar="FIELD=VALUE",
        help="what must hold: = != ~ !~ ^= $= > >= < <=, or a filter as JSON; several: all of them",
    )  # fmt: skip
    command.add_argument("--bots", action="store_true", help="count bots, too")
    command.add_argument(
        "--internal", action="store_true", help="count the team's own traffic, too"
    )
    command.add_argument("--sql", action="store_true", help="print the SQL and ask nothing")


def add_unit(command: argparse.ArgumentParser) -> None:
    """Who is counted."""
    command.add_argument(
        "--unit", default="person", metavar="FIELD",
        help="who is counted: person, user_id, session_id or any field (person)",
    )  # fmt: skip


def add_by(command: argparse.ArgumentParser) -> None:
    """What breaks it down."""
    command.add_argument(
        "--by", default="", metavar="FIELD,…", help="break it down by these fields"
    )


def fields(text: str) -> tuple[str, ...]:
    """Names between commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def events(settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    """The parameters that the arguments of `add_events` mean."""
    from lakeward.analysis.step import filter_of

    zone, now = zone_of(arguments.zone), datetime.now(UTC)
    found: dict[str, Any] = {
        "zone": arguments.zone, "clock": arguments.clock, "bots": arguments.bots,
        "internal": arguments.internal, "internal_is": settings.internal,
    }  # fmt: skip
    for name in ("since", "until"):
        if (text := getattr(arguments, name)) is not None:
            found[name] = moment(f"--{name}", text, zone, now)
    try:
        found["where"] = filter_of(arguments.where)
    except Rejected as error:
        raise Terminal(f"--where: {error}") from None
    return found


def answer_of(settings: Settings, question: Question) -> Answer:
    """Ask the lake."""
    from lakeward.analysis.question import ask
    from lakeward.lake.reading import Reading
    from lakeward.lake.scratch import scratch

    lake = open_lake(settings.lake_dir, create=False)
    memory = settings.query_memory
    with scratch(lake) as spill, Reading(lake, settings, memory=memory, spill=spill) as reading:
        try:
            return ask(reading, question)
        except Rejected as error:
            raise Terminal(str(error)) from None


def print_sql(question: Question, out: TextIO | None = None) -> int:
    """The statement, and the values of its parameters as comments."""
    statement = question.sql()
    stream = out or sys.stdout
    print(statement.text, file=stream)
    for name, value in statement.parameters.items():
        print(f"-- ${name} = {value!r}", file=stream)
    return 0
