"""`lakeward coverage`: which declared flows and outcomes were seen, and when last."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator

import msgspec

from lakeward.cli.summary import cut
from lakeward.flows import Flows, path_of, read
from lakeward.lake.coverage import Coverage, FlowCoverage, Item, coverage
from lakeward.lakedir import open_lake
from lakeward.settings import Settings

NAME = 36
"""Letters that a name may take inside a line."""
ROWS = 50
"""Undeclared steps or flows that the text shows; JSON has them all."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """How strict to be."""
    command.add_argument(
        "--strict", action="store_true",
        help="exit code 1 when something declared was never seen, or not within --days",
    )  # fmt: skip
    command.add_argument(
        "--days", type=_days, metavar="N", help="what was last seen earlier than that counts stale"
    )


def _days(text: str) -> float:
    days = float(text)
    if not (math.isfinite(days) and 0 < days <= 36_500):
        raise argparse.ArgumentTypeError("must be more than 0 and at most 36500")
    return days


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Look and print."""
    flows = read(settings)
    lake = open_lake(settings.lake_dir, create=False)
    now_ms = time.time_ns() // 1_000_000
    found = coverage(lake, settings, flows, now_ms=now_ms, days=arguments.days)
    if arguments.format == "json":
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print("\n".join(render(found, flows, str(path_of(settings)))))
    return 1 if arguments.strict and found.missing else 0


def render(found: Coverage, flows: Flows, path: str) -> Iterator[str]:
    """For people: what is declared first, what is missing last."""
    if flows == Flows():
        yield f"Nothing is declared: {path} says which flows and outcomes to expect."
        yield ""
    declared = [flow for flow in found.flows if flow.declared]
    others = [flow for flow in found.flows if not flow.declared]
    yield f"{'seen':>10}  {'first (UTC)':<17} {'last (UTC)':<17} what"
    for flow in (*declared, *others[:ROWS]):
        yield from _flow(flow)
    if len(others) > ROWS:
        yield f"… {len(others) - ROWS:,} more flows that nobody declared: --format json lists them"
    yield "Outcomes"
    for item in found.outcomes:
        if item.declared or item.count:
            yield _line(item, "" if item.declared else "not declared")
    unseen = [item.name for item in found.outcomes if not item.declared and not item.count]
    if unseen:
        yield f"{'never':>10}  {'':36}and not expected: {', '.join(unseen)}"
    yield ""
    yield _verdict(found, flows)


def _flow(flow: FlowCoverage) -> Iterator[str]:
    marks = [] if flow.declared else ["not declared", *([f"{flow.like}?"] if flow.like else [])]
    marks += [f"completed {flow.completed:,}", f"abandoned {flow.abandoned:,}"]
    yield f"Flow {cut(flow.name, NAME)} ({', '.join(marks)})"
    undeclared = 0
    for item in flow.steps:
        undeclared += not item.declared
        if undeclared <= ROWS:
            yield _line(item, "not declared" if flow.declared and not item.declared else "")
    if undeclared > ROWS:
        yield f"… {undeclared - ROWS:,} more steps that nobody declared: --format json lists them"


def _line(item: Item, mark: str) -> str:
    marks = [mark] if mark else []
    if item.like:
        marks.append(f"{cut(item.like, NAME)}?")
    if item.state == "stale":
        marks.append("stale")
    note = f" ({', '.join(marks)})" if marks else ""
    count = f"{item.count:,}" if item.count else "never"
    first, last = (_minute(moment) for moment in (item.first, item.last))
    return f"{count:>10}  {first:<17} {last:<17} {cut(item.name, NAME)}{note}"


def _minute(moment: str | None) -> str:
    return "" if moment is None else moment[:16].replace("T", " ")


def _verdict(found: Coverage, flows: Flows) -> str:
    n = sum(len(flow.steps) for flow in flows.flows) + len(flows.expected)
    within = f" within {found.days:g} days" if found.days is not None else ""
    if not n:
        return "Nothing is declared, so nothing is missing."
    if not found.missing:
        return f"All {n} declared steps and outcomes were seen{within}."
    names = ", ".join(cut(name, 2 * NAME) for name in found.missing)
    return f"{len(found.missing)} of {n} declared were not seen{within}: {names}"
