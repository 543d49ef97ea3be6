"""What commands that ask a question about interactions have in common.

In: arguments of a command line. Out: the parameters of a question, its answer, and that printed.
Fails with `Terminal` naming the argument.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lakeward.cli.engine import add_engine, asked_of, said
from lakeward.cli.span import moment, zone_of
from lakeward.errors import Rejected, Terminal
from lakeward.settings import Settings

if TYPE_CHECKING:  # what is behind it needs an extra that other commands do without
    from lakeward.analysis.question import Answer, Question

FORMATS: Final = ("table", "json", "csv")
CLOCKS: Final = ("event", "device", "sent", "received")


def add_events(command: argparse.ArgumentParser, *, traffic: bool = True) -> None:
    """The arguments of every such command; without `traffic` of one that counts all of it."""
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
    if traffic:
        command.add_argument("--bots", action="store_true", help="count bots, too")
        command.add_argument(
            "--internal", action="store_true", help="count the team's own traffic, too"
        )
    add_engine(command)
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
        "zone": arguments.zone, "clock": arguments.clock,
        "bots": getattr(arguments, "bots", True), "internal": getattr(arguments, "internal", True),
        "internal_is": settings.internal,
    }  # fmt: skip
    for name in ("since", "until"):
        if (text := getattr(arguments, name)) is not None:
            found[name] = moment(f"--{name}", text, zone, now)
    try:
        found["where"] = filter_of(arguments.where)
    except Rejected as error:
        raise Terminal(f"--where: {error}") from None
    return found


def answer_of(settings: Settings, question: Question, engine: str = "duckdb") -> Answer:
    """Ask an engine; what it can never be asked is said before it is looked for."""
    if engine != "duckdb":
        from lakeward.analysis.engines import check

        check(question, engine)
    with asked_of(settings, engine) as put:
        try:
            return put(question)
        except Rejected as error:
            raise Terminal(str(error)) from None


def print_sql(settings: Settings, question: Question, engine: str = "duckdb") -> int:
    """The statement as the engine takes it."""
    print(said(settings, question, engine))
    return 0
