"""`lakeward export --ai`: AI turns and conversations, to look through or to train with.

In: which ones, and a format. Out: a line of JSON for each, in a fixed order, and on stderr how many
were written and how many were left out, by reason. Nobody's id is in it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import IO, TYPE_CHECKING, Final

import msgspec

from lakeward.cli.output import fresh
from lakeward.cli.span import add_span, span
from lakeward.errors import Rejected, Terminal
from lakeward.interaction import JsonObject
from lakeward.lakedir import open_lake
from lakeward.settings import Settings

if TYPE_CHECKING:
    from lakeward.analysis.ai_examples import AiExamples, Examples

FORMATS: Final = ("jsonl", "openai", "sharegpt")
REASONS: Final = {
    "no_consent": "without consent",
    "no_content": "without content",
    "other_rating": "of another rating",
    "not_completed": "that did not end as completed",
    "not_text": "with files",
    "too_long": "too long to have been kept whole",
    "unknown_role": "of unknown roles",
    "no_answer": "without an answer",
    "odd_calls": "whose tool calls are not whole",
    "out_of_turn": "in which nobody takes turns",
}
"""Why something is left out, in words."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What `--ai` takes."""
    command.add_argument(
        "--ai", action="store_true", help="AI turns instead: to look through or to train with"
    )
    command.add_argument(
        "--rating", choices=("helpful", "unhelpful", "any"),
        help="--ai: only what is rated so, by more raters than not",
    )  # fmt: skip
    command.add_argument("--feature", metavar="F", help="--ai: only of this feature")
    command.add_argument(
        "--consent", choices=("not_refused", "required"),
        help="--ai: consent must not have been refused (default), or must have been given",
    )  # fmt: skip
    command.add_argument(
        "--unit", choices=("turn", "conversation"),
        help="--ai: each turn with what it was asked (default), or whole conversations",
    )  # fmt: skip
    add_span(command)


GIVEN: Final = ("rating", "feature", "consent", "unit", "since", "until", "only")


def refuse_without(arguments: argparse.Namespace) -> None:
    """Terminal for an argument of `--ai` that stands without it."""
    if given := [name for name in GIVEN if getattr(arguments, name)]:
        raise Terminal(f"--{given[0]} is for AI turns: say --ai, too")
    if arguments.format not in ("jsonl", "parquet"):
        raise Terminal(f"--format {arguments.format} is for AI turns: say --ai, too")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write the file and say what is in it."""
    from lakeward.analysis.ai_examples import Examples
    from lakeward.lake.reading import Reading
    from lakeward.lake.scratch import scratch

    if arguments.format not in FORMATS:
        raise Terminal(f"--ai has no {arguments.format}: take {', '.join(FORMATS)}")
    question = _question(arguments)
    lake = open_lake(settings.lake_dir, create=False)
    memory = settings.query_memory
    with scratch(lake) as spill, Reading(lake, settings, memory=memory, spill=spill) as reading:
        examples = Examples(reading, question)
        if arguments.output is None:
            written = write(examples, arguments.format, sys.stdout.buffer)
        else:
            with fresh(arguments.output) as path, path.open("wb") as file:
                written = write(examples, arguments.format, file)
    print(said(written, examples.left_out, question.unit), file=sys.stderr)
    return 0


def _question(arguments: argparse.Namespace) -> AiExamples:
    from lakeward.analysis.ai_examples import AiExamples

    parameters = span(arguments)
    for name in ("rating", "consent", "unit"):
        if (value := getattr(arguments, name)) is not None:
            parameters[name] = value
    if arguments.feature is not None:
        parameters["only"] = {**parameters["only"], "feature": (arguments.feature,)}
    try:
        return AiExamples(**parameters)
    except Rejected as error:
        raise Terminal(str(error)) from None


def write(examples: Examples, format_: str, file: IO[bytes]) -> int:
    """A line for each that fits the format; how many."""
    written = 0
    for example in examples:
        line = example if format_ == "jsonl" else _trained(example, format_, examples.left_out)
        if line is not None:
            file.write(msgspec.json.encode(line) + b"\n")
            written += 1
    return written


def _trained(example: JsonObject, format_: str, left_out: Counter[str]) -> JsonObject | None:
    from lakeward.analysis.training import Unfit, openai, sharegpt

    if example.get("status") not in (None, "completed"):
        left_out["not_completed"] += 1
        return None
    make = openai if format_ == "openai" else sharegpt
    try:
        return make(example["messages"], example.get("tools"))
    except Unfit as unfit:
        left_out[unfit.reason] += 1
        return None


def said(written: int, left_out: Counter[str], unit: str) -> str:
    """What is in the file, and what is not."""
    sentence = f"{written:,} {unit}{'' if written == 1 else 's'}"
    if not left_out:
        return sentence
    parts = [f"{count:,} {REASONS[reason]}" for reason, count in left_out.most_common()]
    return f"{sentence}; left out: {', '.join(parts)}"
