"""`lakeward api`: rates, errors and percentiles of the API, its slowest calls, newest failures."""

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
    """What breaks it down, or which calls to list."""
    command.add_argument(
        "--by", default="route", metavar="FIELD,…",
        help="break it down by these fields, consumer and status_class too (route); '' for none",
    )  # fmt: skip
    command.add_argument(
        "--apdex", type=float, default=300, metavar="MS",
        help="response time up to which a call satisfies (300)",
    )  # fmt: skip
    command.add_argument(
        "--limit", type=int, default=1000, metavar="N",
        help="rows, at most: those with the most calls (1000)",
    )  # fmt: skip
    command.add_argument("--slowest", type=int, metavar="N", help="list the N slowest calls")
    command.add_argument("--failures", type=int, metavar="N", help="list the N newest failures")
    command.add_argument(
        "--status", type=int, default=500, metavar="N",
        help="least status that --failures lists; 400 takes refusals in (500)",
    )  # fmt: skip
    add_events(command, traffic=False)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask and print."""
    from lakeward.analysis.registry import question_of
    from lakeward.cli.answers import write

    if arguments.slowest is not None and arguments.failures is not None:
        raise Terminal("--slowest and --failures are two questions: ask one of them")
    kind, parameters, keep = _asked(arguments)
    try:
        question = question_of(kind, events(settings, arguments) | parameters)
    except Rejected as error:
        raise Terminal(str(error)) from None
    if arguments.sql:
        return print_sql(settings, question, arguments.engine)
    write(answer_of(settings, question, arguments.engine), arguments.format, sys.stdout, keep=keep)
    return 0


def _asked(arguments: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    """The question, its own parameters, and how many columns a table has in any case."""
    if arguments.slowest is not None:
        return "api_slowest", {"limit": arguments.slowest}, 5
    if arguments.failures is not None:
        own = {"limit": arguments.failures, "status": arguments.status}
        return "api_failures", own, 5
    by = fields(arguments.by)
    own = {"by": by, "apdex_ms": arguments.apdex, "limit": arguments.limit}
    return "api_health", own, len(by) + 1
