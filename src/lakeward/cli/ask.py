"""`lakeward ask QUESTION [JSON]`: any question of the registry, as Python and HTTP ask it."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

import msgspec

from lakeward.cli.asking import FORMATS as ANSWER_FORMATS
from lakeward.cli.asking import answer_of, print_sql
from lakeward.cli.engine import add_engine
from lakeward.errors import Rejected, Terminal
from lakeward.settings import Settings

FORMATS: Final = ANSWER_FORMATS


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Which question, and its parameters."""
    command.add_argument("question", metavar="QUESTION", help="its name; `list` shows all")
    command.add_argument(
        "parameters", nargs="?", default="{}", metavar="JSON",
        help="its parameters as a JSON object; - reads standard input",
    )  # fmt: skip
    add_engine(command)
    command.add_argument("--sql", action="store_true", help="print the SQL and ask nothing")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask and print."""
    from lakeward.analysis.registry import QUESTIONS, question_of
    from lakeward.cli.answers import write

    if arguments.question == "list":
        for name, kind in QUESTIONS.items():
            print(f"{name:<16} {(kind.__doc__ or '').splitlines()[0]}")
        return 0
    try:
        question = question_of(arguments.question, _parameters(arguments.parameters), settings)
        if arguments.sql:
            return print_sql(settings, question, arguments.engine)
        write(answer_of(settings, question, arguments.engine), arguments.format, sys.stdout, keep=2)
    except Rejected as error:
        raise Terminal(str(error)) from None
    return 0


def _parameters(text: str) -> dict[str, Any]:
    content = sys.stdin.buffer.read() if text == "-" else text.encode("utf-8", "surrogateescape")
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Terminal(f"the parameters are no JSON object: {error}") from None
