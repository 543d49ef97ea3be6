"""`lakeward ai cost|threads|ratings|latency|errors|reprice`: what AI turns cost and said."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from lakeward.cli import repricing
from lakeward.cli.command import add_general_arguments
from lakeward.cli.span import add_span, span
from lakeward.errors import Rejected, SettingError, Terminal
from lakeward.lakedir import open_lake
from lakeward.settings import Settings

if TYPE_CHECKING:  # what is behind it needs an extra that other commands do without
    from lakeward.analysis.question import Answer, Question
    from lakeward.lake.reading import Reading

FORMATS = ("table", "json", "csv")
VERBS = {
    "cost": ("ai_cost", "day", "tokens and cost, and the cost of an outcome"),
    "threads": ("ai_threads", "", "conversations, the newest first, or one of them"),
    "ratings": ("ai_ratings", "model", "how helpful the answers are, with intervals"),
    "latency": ("ai_latency", "model", "times to the first and to the last token"),
    "errors": ("ai_errors", "model", "failures and refusals, with intervals"),
}
REPRICE = "look up the cost of turns that came into the table without one"
MOST_MODELS = 5


def add_arguments(command: argparse.ArgumentParser) -> None:
    """A verb for each question."""
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, (_, by, summary) in VERBS.items():
        each = verbs.add_parser(verb, help=summary, description=summary)
        add_span(each)
        if by:
            each.add_argument(
                "--by", default=by, metavar="DIMENSION,…", help=f"break it down ({by}); '' for none"
            )
        if verb == "cost":
            _add_outcome(each)
        if verb == "threads":
            each.add_argument("--conversation", metavar="ID", help="show this one, turn by turn")
            each.add_argument("--limit", type=int, default=50, metavar="N", help="at most N (50)")
        each.add_argument("--sql", action="store_true", help="print the SQL and ask nothing")
        add_general_arguments(each, below=True, formats=FORMATS)
    later = verbs.add_parser("reprice", help=REPRICE, description=REPRICE)
    repricing.add_arguments(later)
    add_general_arguments(later, below=True, formats=FORMATS[:2])


def _add_outcome(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--per", choices=("demo_booked", "demo_held", "deal_closed"),
        help="what one such outcome cost in turns of the same person before it",
    )  # fmt: skip
    command.add_argument(
        "--within", type=float, default=30, metavar="DAYS", help="how long before it (30)"
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask and print."""
    if arguments.verb == "reprice":
        return repricing.run(settings, arguments)
    from lakeward.analysis.ai_cost import LED
    from lakeward.analysis.question import ask
    from lakeward.cli.answers import write
    from lakeward.lake.reading import Reading
    from lakeward.lake.scratch import scratch

    question = _question(arguments)
    if arguments.sql:
        print(question.sql().text)
        return 0
    lake = open_lake(settings.lake_dir, create=False)
    memory = settings.query_memory
    with scratch(lake) as spill, Reading(lake, settings, memory=memory, spill=spill) as reading:
        answer = ask(reading, question)
        if not answer.rows:
            _say(_nothing(reading, arguments))
        elif arguments.verb == "cost":
            _say_unpriced(reading, arguments, settings)
    if answer.rows or arguments.format != "table":
        if question.name == "ai_thread" and arguments.format == "table":
            _show(answer)
        else:
            dimensions = len(getattr(question, "by", ())) or 1
            led = [column.name for column in LED] if getattr(arguments, "per", None) else []
            write(answer, arguments.format, sys.stdout, keep=dimensions, asked=led)
    return 0


def _question(arguments: argparse.Namespace) -> Question:
    from lakeward.analysis.registry import question_of

    if getattr(arguments, "conversation", None) is not None:
        services = span(arguments)["only"].get("service", (None,))
        return question_of(
            "ai_thread", {"conversation": arguments.conversation, "service": services[0]}
        )
    parameters = span(arguments)
    if hasattr(arguments, "by"):
        parameters["by"] = tuple(name.strip() for name in arguments.by.split(",") if name.strip())
    if arguments.verb == "cost":
        parameters |= {"per": arguments.per, "within_days": arguments.within}
    if arguments.verb == "threads":
        parameters["limit"] = arguments.limit
    try:
        return question_of(VERBS[arguments.verb][0], parameters)
    except Rejected as error:
        raise Terminal(str(error)) from None


def _show(answer: Answer) -> None:
    from lakeward.cli.transcript import transcript

    print("\n".join(transcript(answer.dicts())).rstrip())


def _say(sentence: str) -> None:
    print(f"lakeward: {sentence}", file=sys.stderr)


def _nothing(reading: Reading, arguments: argparse.Namespace) -> str:
    kind = "ai_rating" if arguments.verb == "ratings" else "ai_conversation"
    what = "rating of an AI answer" if arguments.verb == "ratings" else "AI turn"
    held = reading.con.execute(f"SELECT 1 FROM {kind} LIMIT 1").fetchone()  # noqa: S608 - a type
    if held is not None:
        return f"no {what} fits: the lake holds others"
    return f"the lake holds no {what} yet: docs/ai.md says how one gets there"


def _say_unpriced(reading: Reading, arguments: argparse.Namespace, settings: Settings) -> None:
    """How many turns have no price, by model, and what would give them one."""
    from lakeward.analysis.question import ask
    from lakeward.analysis.registry import question_of
    from lakeward.lake import pricelist
    from lakeward.lake.prices import available

    question = question_of("ai_cost", {**span(arguments), "by": ("model",)})
    rows: list[dict[str, Any]] = [r for r in ask(reading, question).dicts() if r["unpriced_turns"]]
    if not rows:
        return
    rows.sort(key=lambda row: (-row["unpriced_turns"], row["model"] or ""))
    models = [f"{row['model'] or 'no model'} ({row['unpriced_turns']:,})" for row in rows]
    more = f", and {len(models) - MOST_MODELS} models more" if len(models) > MOST_MODELS else ""
    mend = "LAKEWARD_AI_PRICES takes prices of your own"
    if not available():
        mend = "prices need an extra: pip install 'lakeward[ai]'"
    try:
        pricelist.read(settings.ai_prices)
    except SettingError as error:
        mend = str(error)
    total = sum(row["unpriced_turns"] for row in rows)
    turns = f"{total:,} turn{' has' if total == 1 else 's have'}"
    _say(f"{turns} no price: {', '.join(models[:MOST_MODELS])}{more}; {mend}")
