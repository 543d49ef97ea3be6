"""`lakeward outcomes`: what became of matches, demos and deals, and how partners do."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from lakeward.cli.asking import FORMATS as ANSWER_FORMATS
from lakeward.cli.asking import answer_of, fields, print_sql
from lakeward.cli.span import add_span, span
from lakeward.errors import Rejected, Terminal
from lakeward.settings import Settings

FORMATS: Final = ANSWER_FORMATS
MIXED: Final = (
    "lakeward: deals of several currencies are not added: add currency to --by, or take one with "
    "--only currency=…"
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What breaks it down."""
    command.add_argument(
        "--by", metavar="DIMENSION,…",
        help="break it down: partner, source, deal_type, currency, service, day, week, month",
    )  # fmt: skip
    command.add_argument("--partners", action="store_true", help="how each partner does")
    add_span(command)
    command.add_argument("--sql", action="store_true", help="print the SQL and ask nothing")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask and print."""
    from lakeward.analysis.registry import question_of
    from lakeward.cli.answers import write

    by = fields(arguments.by or "")
    if arguments.partners and "partner" not in by:
        by = ("partner", *by)
    try:
        kind = "partner_performance" if arguments.partners else "outcomes"
        question = question_of(kind, {**span(arguments), "by": by})
    except Rejected as error:
        raise Terminal(str(error)) from None
    if arguments.sql:
        return print_sql(settings, question)
    answer = answer_of(settings, question)
    place = [column.name for column in answer.columns].index("currencies")
    if any(int(str(row[place])) > 1 for row in answer.rows):
        print(MIXED, file=sys.stderr)
    write(answer, arguments.format, sys.stdout, keep=len(by) + 1)
    return 0
