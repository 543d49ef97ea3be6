"""`lakeward sessions`: how many there were, how long they took, where they began and ended."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from lakeward.cli.asking import FORMATS as ANSWER_FORMATS
from lakeward.cli.asking import add_by, add_events, add_unit, answer_of, events, fields, print_sql
from lakeward.cli.funnel import seconds
from lakeward.errors import Rejected, Terminal
from lakeward.settings import Settings

FORMATS: Final = ANSWER_FORMATS


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What a session is, and what breaks them down."""
    add_gap(command)
    command.add_argument(
        "--grain", choices=("hour", "day", "week", "month", "all"), default="day",
        help="how long a moment is; all is one (day)",
    )  # fmt: skip
    add_by(command)
    command.add_argument(
        "--ends", default="", metavar="FIELD,…", help="break it down by where sessions ended"
    )
    add_unit(command)
    add_events(command)


def add_gap(command: argparse.ArgumentParser) -> None:
    """The pause that ends a session."""
    command.add_argument(
        "--gap", default="30m", metavar="SPAN", help="a longer pause ends a session (30m)"
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask and print."""
    from lakeward.analysis.registry import question_of
    from lakeward.cli.answers import write

    parameters = events(settings, arguments) | {
        "gap": seconds("--gap", arguments.gap), "unit": arguments.unit,
        "grain": None if arguments.grain == "all" else arguments.grain,
        "by": fields(arguments.by), "ends": fields(arguments.ends),
    }  # fmt: skip
    try:
        question = question_of("sessions", parameters)
    except Rejected as error:
        raise Terminal(str(error)) from None
    if arguments.sql:
        return print_sql(settings, question, arguments.engine)
    answer = answer_of(settings, question, arguments.engine)
    write(answer, arguments.format, sys.stdout, keep=len(answer.columns))
    return 0
