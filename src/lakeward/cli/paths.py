"""`lakeward paths`: which pages, routes or steps follow each other within sessions."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from lakeward.cli.asking import FORMATS as ANSWER_FORMATS
from lakeward.cli.asking import add_events, add_unit, answer_of, events, print_sql
from lakeward.cli.funnel import seconds
from lakeward.cli.sessions import add_gap
from lakeward.errors import Rejected, Terminal
from lakeward.settings import Settings

FORMATS: Final = ANSWER_FORMATS


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What the nodes are, and where paths start and end."""
    command.add_argument(
        "--node", default="path", metavar="FIELD",
        help="what is followed: path, route, interaction_type or any field (path)",
    )  # fmt: skip
    command.add_argument("--start", metavar="NODE", help="from the first of it in a session on")
    command.add_argument("--end", metavar="NODE", help="up to the first of it in a session")
    command.add_argument(
        "--depth", type=int, default=5, metavar="N", help="steps of a path, at most; up to 10 (5)"
    )
    command.add_argument(
        "--top", type=int, default=20, metavar="N",
        help="edges of each position, those with the most sessions; the others are one (20)",
    )  # fmt: skip
    add_gap(command)
    add_unit(command)
    add_events(command)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask and print."""
    from lakeward.analysis.registry import question_of
    from lakeward.cli.answers import write

    parameters = events(settings, arguments) | {
        "gap": seconds("--gap", arguments.gap), "unit": arguments.unit, "node": arguments.node,
        "start": arguments.start, "end": arguments.end, "depth": arguments.depth,
        "top": arguments.top,
    }  # fmt: skip
    try:
        question = question_of("paths", parameters)
    except Rejected as error:
        raise Terminal(str(error)) from None
    if arguments.sql:
        return print_sql(settings, question, arguments.engine)
    write(answer_of(settings, question, arguments.engine), arguments.format, sys.stdout, keep=6)
    return 0
