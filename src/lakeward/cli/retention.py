"""`lakeward retention [START] [BACK]`: who comes back, who is active how often, who falls away."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import Any, Final

from lakeward.cli.asking import FORMATS as ANSWER_FORMATS
from lakeward.cli.asking import add_by, add_events, add_unit, answer_of, events, fields, print_sql
from lakeward.errors import Rejected, Terminal
from lakeward.settings import Settings

FORMATS: Final = ANSWER_FORMATS
SHOWN: Final = ("cohorts", "stickiness", "active", "lifecycle")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What a start and a return are, and how they are counted."""
    command.add_argument(
        "start", nargs="?", default="*", metavar="START",
        help="what starts a unit, such as page_view[path=/pricing] (every one)",
    )  # fmt: skip
    command.add_argument("back", nargs="?", metavar="BACK", help="what brings it back (as START)")
    command.add_argument(
        "--show", choices=SHOWN, default="cohorts",
        help="stickiness: active in how many periods; active: by day, in 7 and 30 days; "
        "lifecycle: new, returning, resurrecting, dormant (cohorts)",
    )  # fmt: skip
    command.add_argument(
        "--grain", choices=("hour", "day", "week", "month"),
        help="how long a period is (week; of stickiness day)",
    )  # fmt: skip
    command.add_argument(
        "--periods", type=int, metavar="N", help="how many periods after the first, at most (8)"
    )
    command.add_argument(
        "--or-later", action="store_true", help="back in a period or in any later one"
    )
    command.add_argument(
        "--cohort", choices=("first", "first_ever", "every"),
        help="whose start counts: first of the range, first ever if in it, every one (first)",
    )  # fmt: skip
    add_by(command)
    add_unit(command)
    add_events(command)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask and print."""
    from lakeward.analysis.registry import question_of
    from lakeward.cli.answers import write

    try:
        kind, parameters = _asked(settings, arguments)
        question = question_of(kind, parameters)
    except Rejected as error:
        raise Terminal(str(error)) from None
    if arguments.sql:
        return print_sql(settings, question, arguments.engine)
    answer = answer_of(settings, question, arguments.engine)
    write(answer, arguments.format, sys.stdout, keep=len(answer.columns))
    return 0


def _asked(settings: Settings, arguments: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    from lakeward.analysis.step import step_of

    parameters = events(settings, arguments) | {"unit": arguments.unit}
    parameters.setdefault("until", datetime.now(UTC))  # so that it is known which periods are over
    start, grain = step_of(arguments.start), arguments.grain
    if grain is not None and arguments.show != "active":
        parameters["grain"] = grain
    if arguments.show != "cohorts":
        _refuse(arguments, "back", "periods", "or_later", "cohort", "by")
        if arguments.show == "active":
            _refuse(arguments, "grain")
        return arguments.show, parameters | {"active": start}
    given = {name: getattr(arguments, name) for name in ("periods", "cohort")}
    return "retention", parameters | {
        "start": start, "back": step_of(arguments.back or arguments.start),
        "kind": "on_or_after" if arguments.or_later else "on", "by": fields(arguments.by),
        **{name: value for name, value in given.items() if value is not None},
    }  # fmt: skip


def _refuse(arguments: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(arguments, name) not in (None, False, ""):
            said = "BACK" if name == "back" else f"--{name.replace('_', '-')}"
            raise Terminal(f"--show {arguments.show} takes no {said}")
