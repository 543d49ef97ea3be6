"""`lakeward tail [-n N] [-f]`: the newest interactions, as they become durable."""

from __future__ import annotations

import argparse
import time
from typing import Any

import msgspec

from lakeward.lakedir import LakeDir, open_lake
from lakeward.log import Position, last_lines, read_lines
from lakeward.settings import Settings

FOLLOW_SECONDS = 0.2


def add_arguments(command: argparse.ArgumentParser) -> None:
    """How many, and whether to follow."""
    command.add_argument("-n", type=int, default=10, metavar="N", help="how many to show (10)")
    command.add_argument("-f", "--follow", action="store_true", help="go on as more arrive")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the last lines; with -f, print until Ctrl-C."""
    lake = open_lake(settings.lake_dir, create=False)
    rows = last_lines(lake, max(arguments.n, 1 if arguments.follow else 0))
    for line, _ in rows[-arguments.n :] if arguments.n > 0 else []:
        _print(line, arguments.format)
    if arguments.follow:
        follow(lake, rows[-1][1] if rows else None, arguments.format)
    return 0


def follow(lake: LakeDir, position: Position | None, format_: str) -> None:
    """Print what lies beyond `position`, for ever."""
    while True:
        for line, reached in read_lines(lake, position):
            _print(line, format_)
            position = reached
        time.sleep(FOLLOW_SECONDS)


def _print(line: bytes, format_: str) -> None:
    text = line.decode("utf-8", "replace").rstrip("\n")
    if format_ != "json":
        try:
            text = describe(msgspec.json.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
            text = printable(text)  # someone wrote into the log: shown as it stands
    print(text, flush=True)


def describe(row: dict[str, Any]) -> str:
    """One interaction on one line; control characters of visitors never reach the terminal."""
    parts = [row["timestamp"], row["interaction_type"]]
    for name in ("method", "route", "path", "response_status"):
        if row.get(name) is not None and not (name == "route" and row.get("path")):
            parts.append(str(row[name]))
    if row.get("response_time_ms") is not None:
        parts.append(f"{row['response_time_ms']} ms")
    if row.get("user_id") not in (None, "anonymous"):
        parts.append(f"user={row['user_id']}")
    if row.get("error_type"):
        parts.append(f"error={row['error_type']}")
    return printable("  ".join(parts))


def printable(text: str) -> str:
    """`text` without what could steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
