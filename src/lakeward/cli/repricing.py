"""`lakeward ai reprice [--since DAY] [--all]`: costs for turns that came into the table without."""

from __future__ import annotations

import argparse
from datetime import date

import msgspec

from lakeward.errors import Terminal
from lakeward.lake.reprice import Repriced, reprice
from lakeward.lakedir import open_lake
from lakeward.settings import Settings


def add_arguments(command: argparse.ArgumentParser) -> None:
    """From which day on, and whether known costs are looked up again."""
    command.add_argument(
        "--since", default="", metavar="DAY", help="the first day, YYYY-MM-DD in UTC (default: all)"
    )
    command.add_argument(
        "--all", action="store_true",
        help="look costs up again, too, that Lakeward looked up; those that were told stay",
    )  # fmt: skip


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Complete the turns and say how many."""
    try:
        since = date.fromisoformat(arguments.since).isoformat() if arguments.since else ""
    except ValueError:
        raise Terminal(f"--since: {arguments.since[:40]!r} is no day: give YYYY-MM-DD") from None
    lake = open_lake(settings.lake_dir, create=False)
    done = reprice(lake, settings, since=since, again=arguments.all)
    if arguments.format == "json":
        print(msgspec.json.encode(done).decode())
    else:
        print(render(done))
    return 0


def render(done: Repriced) -> str:
    """What was done, for people."""
    return (
        f"{done.turns:,} turns completed in {done.files:,} files; "
        f"{done.unpriced:,} still have no cost"
    )
