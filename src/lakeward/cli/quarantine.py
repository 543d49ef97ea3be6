"""`lakeward quarantine list`: what was set aside and why, the newest first."""

from __future__ import annotations

import argparse
import shutil

import msgspec

from lakeward.cli.command import add_general_arguments
from lakeward.cli.summary import cut
from lakeward.cli.tail import printable
from lakeward.errors import Terminal
from lakeward.interaction import iso, parse_iso
from lakeward.lake.summary import day_named
from lakeward.lakedir import open_lake
from lakeward.quarantine import Entry, Selection, brought_back, newest
from lakeward.settings import Settings

WIDEST_TYPE = 28


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The one verb, and what it shows."""
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")
    show = verbs.add_parser("list", help="show what was set aside, the newest first")
    show.add_argument("-n", type=int, default=20, metavar="N", help="how many to show (20)")
    add_selection(show)
    add_general_arguments(show, below=True)


def add_selection(command: argparse.ArgumentParser) -> None:
    """Which entries a command is about."""
    command.add_argument("--reason", default="", metavar="TEXT", help="any part of the reason")
    command.add_argument("--type", default="", metavar="TYPE", help="the interaction's type")
    command.add_argument(
        "--follower", default="", metavar="NAME", help="set aside by this follower, such as s3"
    )
    command.add_argument(
        "--date", default="", metavar="DAY",
        help="set aside on this day: today, yesterday or YYYY-MM-DD, UTC",
    )  # fmt: skip
    command.add_argument(
        "--since", default="", metavar="TIME", help="set aside since then, ISO 8601"
    )
    command.add_argument(
        "--id", action="append", default=[], metavar="ID", help="an entry; may be repeated"
    )


def selection(arguments: argparse.Namespace) -> Selection:
    """What the arguments select; Terminal for a day or a time that is none."""
    try:
        day = day_named(arguments.date) if arguments.date else ""
    except ValueError as error:
        raise Terminal(f"--date: {error}") from None
    try:
        since = iso(parse_iso(arguments.since)) if arguments.since else ""
    except (ValueError, OverflowError):
        raise Terminal(
            f"--since: {arguments.since!r} is no time: write ISO 8601 such as 2025-09-01T12:00Z"
        ) from None
    ids = frozenset(text.lower() for text in arguments.id)
    return Selection(arguments.reason, arguments.type, arguments.follower, day, since, ids)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show the newest entries that are selected."""
    lake = open_lake(settings.lake_dir, create=False)
    found = newest(lake, selection(arguments), max(arguments.n, 0))
    marked = brought_back(lake)
    if arguments.format == "json":
        rows = [_row(entry) | {"replayed": entry.quarantine_id in marked} for entry in found]
        print(msgspec.json.encode({"quarantine": rows}).decode())
    else:
        print(_table(found, marked))
    return 0


def _row(entry: Entry) -> dict[str, object]:
    """An entry without what it does not have."""
    return {name: value for name, value in msgspec.structs.asdict(entry).items()
            if value not in ("", 0, None) or name == "reason"}  # fmt: skip


def _table(found: list[Entry], marked: set[str]) -> str:
    if not found:
        return "nothing of the kind is in the quarantine"
    rows = [("SET ASIDE", "ID", "TYPE", "REASON")]
    rows += [
        (entry.quarantined_at, entry.quarantine_id, entry.interaction_type or "-",
         _why(entry, marked))
        for entry in found
    ]  # fmt: skip
    rows = [(when, which, cut(kind, WIDEST_TYPE), why) for when, which, kind, why in rows]
    widths = [max(len(row[n]) for row in rows) for n in range(3)]
    width = max(shutil.get_terminal_size((160, 24)).columns, 120)
    lines = ("  ".join([*map(str.ljust, row[:3], widths), row[3]]) for row in rows)
    return "\n".join(line if len(line) <= width else line[: width - 1] + "…" for line in lines)


def _why(entry: Entry, marked: set[str]) -> str:
    parts = ["replayed; " if entry.quarantine_id in marked else "",
             f"{entry.follower}: " if entry.follower else "", entry.reason,
             f" ({entry.note})" if entry.note else ""]  # fmt: skip
    return printable("".join(parts))
