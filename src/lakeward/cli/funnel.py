"""`lakeward funnel STEP STEP …`: how many went through steps, how far, and how long it took."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakeward.cli.asking import FORMATS as ANSWER_FORMATS
from lakeward.cli.asking import (
    add_by,
    add_events,
    add_unit,
    answer_of,
    events,
    fields,
    print_sql,
)
from lakeward.cli.tail import printable
from lakeward.errors import Rejected, Terminal
from lakeward.lake.written import inert
from lakeward.settings import Settings

if TYPE_CHECKING:
    from lakeward.analysis.question import Answer

FORMATS: Final = ANSWER_FORMATS
SPAN: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d|w)?")
SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The steps, and how they belong together."""
    command.add_argument(
        "steps", nargs="+", metavar="STEP",
        help="a type such as demo_booking, page_view[path=/pricing], paid:=deal_closed",
    )  # fmt: skip
    command.add_argument(
        "--within", default="7d", metavar="SPAN",
        help="from the first step to the last: 90s, 30m, 12h, 7d (7d)",
    )  # fmt: skip
    command.add_argument(
        "--order", choices=("ordered", "strict", "any"), default="ordered",
        help="strict: nothing in between; any: in any order (ordered)",
    )  # fmt: skip
    command.add_argument(
        "--exclude", action="append", default=[], metavar="[N:]STEP",
        help="what must not happen between the steps, or after step N alone",
    )  # fmt: skip
    command.add_argument(
        "--hold", default="", metavar="FIELD,…", help="fields that must be the same in all steps"
    )
    add_by(command)
    add_unit(command)
    command.add_argument(
        "--dropped", type=int, metavar="N", help="list the units that reached step N and no further"
    )
    command.add_argument(
        "--reached", type=int, metavar="N", help="list the units that reached step N"
    )
    command.add_argument(
        "--times", type=int, metavar="BINS", help="a histogram of the times from first to last step"
    )
    command.add_argument(
        "--limit", type=int, default=1000, metavar="N", help="units, at most (1000)"
    )
    add_events(command)


def seconds(flag: str, text: str) -> float:
    """A span of time; without a unit it is seconds."""
    found = SPAN.fullmatch(text)
    if found is None:
        raise Terminal(f"{flag}: {text[:40]!r} is no span such as 30m, 12h or 7d")
    return float(found[1]) * SECONDS[found[2] or "s"]


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask and print."""
    from lakeward.analysis.registry import question_of
    from lakeward.cli.answers import write

    lists = [
        name for name in ("dropped", "reached", "times") if getattr(arguments, name) is not None
    ]
    if len(lists) > 1:
        raise Terminal(f"--{lists[0]} and --{lists[1]} are two questions: ask one of them")
    try:
        kind, parameters = _asked(settings, arguments, lists)
        question = question_of(kind, parameters)
    except Rejected as error:
        raise Terminal(str(error)) from None
    if arguments.sql:
        return print_sql(settings, question, arguments.engine)
    answer = answer_of(settings, question, arguments.engine)
    if kind == "funnel" and (missing := _missing(settings, arguments, parameters, answer)):
        print(f"lakeward: {printable(missing)}", file=sys.stderr)
    if kind == "funnel" and arguments.format == "json":
        document = _document(answer, parameters["by"])
        text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
        sys.stdout.write(inert(text) + "\n")
    else:
        write(answer, arguments.format, sys.stdout, keep=3 + len(parameters["by"]))
    return 0


def _asked(
    settings: Settings, arguments: argparse.Namespace, lists: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    from lakeward.analysis.step import step_of

    parameters = events(settings, arguments) | {
        "steps": tuple(step_of(word) for word in arguments.steps),
        "within": seconds("--within", arguments.within),
        "order": arguments.order,
        "exclude": tuple(_exclusion(word) for word in arguments.exclude),
        "by": fields(arguments.by), "hold": fields(arguments.hold), "unit": arguments.unit,
    }  # fmt: skip
    if not lists:
        return "funnel", parameters
    if lists[0] == "times":
        return "funnel_times", parameters | {"bins": arguments.times}
    step = getattr(arguments, lists[0])
    more = {"step": step, "dropped": lists[0] == "dropped", "limit": arguments.limit}
    return "funnel_units", parameters | more


def _missing(
    settings: Settings, arguments: argparse.Namespace, parameters: dict[str, Any], answer: Answer
) -> str:
    """Steps that nothing in this time is: misspelt, they read like steps that nobody reached."""
    from lakeward.analysis.events import Events
    from lakeward.analysis.trend import MOST_SERIES, Series, Trend

    reached = {row["step"] for row in answer.dicts() if row["users"]}
    words = [
        (word[:80], step)
        for n, (word, step) in enumerate(zip(arguments.steps, parameters["steps"], strict=True), 1)
        if n not in reached
    ][:MOST_SERIES]
    if not words:
        return ""
    common = {name: value for name, value in parameters.items() if name in Events.__struct_fields__}
    series = tuple(Series(event=step.event, where=step.where) for _, step in words)
    rows = answer_of(settings, Trend(**common, series=series, grain=None), arguments.engine).rows
    counts = rows[0] if rows else (0,) * len(words)
    names = [word for (word, _), count in zip(words, counts, strict=True) if not count]
    if not names:
        return ""
    asked = "is that its name?" if len(names) == 1 else "are these their names?"
    return f"no interaction of this time is a {' or a '.join(names)}: {asked}"


def _exclusion(word: str) -> Any:
    from lakeward.analysis.funnel import Exclusion
    from lakeward.analysis.step import step_of

    number, colon, rest = word.partition(":")
    after = int(number) if colon and number.isdigit() else None
    step = step_of(rest if after is not None else word)
    return Exclusion(event=step.event, where=step.where, after=after)


def _document(answer: Answer, by: Sequence[str]) -> dict[str, Any]:
    """`{"steps": […]}`, or `{"groups": [{"by": {…}, "steps": […]}]}`."""
    from lakeward.cli.answers import plain

    groups: list[dict[str, Any]] = []
    for row in plain(answer):
        held = {name: row.pop(name) for name in by}
        if not groups or groups[-1]["by"] != held:
            groups.append({"by": held, "steps": []})
        groups[-1]["steps"].append(row)
    if by:
        return {"groups": groups}
    return {"steps": groups[0]["steps"]} if groups else {"steps": []}
