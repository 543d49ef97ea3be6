"""`lakeward quality`: whether data come as expected: volume, fields, refusals, lag, clocks."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

from lakeward.cli.asking import FORMATS as ANSWER_FORMATS
from lakeward.cli.asking import add_events, answer_of, events, fields, print_sql
from lakeward.errors import Rejected, Terminal
from lakeward.settings import Settings

FORMATS: Final = ANSWER_FORMATS


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Which of its questions."""
    which = command.add_mutually_exclusive_group()
    which.add_argument("--fields", metavar="TYPE", help="how full the fields of a type are")
    which.add_argument(
        "--refused", action="store_true", help="what was set aside, by type and reason"
    )
    which.add_argument(
        "--places", action="store_true",
        help="where everything offered is, since the lake began: dropped, twice, waiting",
    )  # fmt: skip
    command.add_argument("--types", default="", metavar="TYPE,…", help="only these types")
    command.add_argument(
        "--daily", action="store_true", help="--fields and --refused for each day apart"
    )
    add_events(command, traffic=False)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask and print."""
    from lakeward.analysis.registry import question_of
    from lakeward.cli.answers import write

    kind, parameters, keep = _asked(settings, arguments)
    try:
        question = question_of(kind, parameters)
    except Rejected as error:
        raise Terminal(str(error)) from None
    if arguments.sql:
        return print_sql(settings, question, arguments.engine)
    write(answer_of(settings, question, arguments.engine), arguments.format, sys.stdout, keep=keep)
    return 0


def _asked(settings: Settings, arguments: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    """The question, its parameters, and how many columns a table has in any case."""
    if arguments.places:
        return "data_places", {}, 3
    parameters = events(settings, arguments)
    types = fields(arguments.types)
    if arguments.refused:
        found = {
            name: parameters[name] for name in ("since", "until", "zone") if name in parameters
        }
        by = ("day",) if arguments.daily else ()
        only = {"type": types} if types else {}
        return "data_refused", found | {"by": (*by, "type", "reason"), "only": only}, len(by) + 3
    if arguments.fields is not None:
        own = {"event": arguments.fields, "daily": arguments.daily}
        return "data_fields", parameters | own, 5
    return "data_quality", parameters | {"types": types}, 5
