"""`lakeward demo`: a platform with visitors (the application lives in `lakeward.demo`)."""

from __future__ import annotations

import argparse
import sys

from lakeward.errors import MissingExtra
from lakeward.settings import Settings

VISITORS, SECONDS, SEED, DAYS = 400, 45, 7, 28
MOST_VISITORS, MOST_SECONDS, MOST_DAYS = 20_000, 3600, 366


def add_arguments(command: argparse.ArgumentParser) -> None:
    """How many visitors, for how long, and what then."""
    add = command.add_argument
    add(
        "--visitors",
        type=_visitors,
        default=VISITORS,
        metavar="N",
        help=f"how many come ({VISITORS})",
    )
    add(
        "--seconds",
        type=_seconds,
        default=SECONDS,
        metavar="S",
        help=f"how long they come for ({SECONDS})",
    )
    add(
        "--seed",
        type=int,
        default=SEED,
        metavar="K",
        help=f"equal seeds give equal visitors ({SEED})",
    )
    add(
        "--days",
        type=_days,
        default=None,
        metavar="N",
        help=f"of history before they come; 0 for none ({DAYS} where the lake is empty, else 0)",
    )
    add(
        "--port",
        type=_port,
        default=0,
        metavar="P",
        help="port of the platform; the dashboard gets the next one",
    )
    add(
        "--once",
        action="store_true",
        help="end after the visitors; so it does without a terminal, too",
    )


def _visitors(text: str) -> int:
    return _number(text, 1, MOST_VISITORS)


def _seconds(text: str) -> int:
    return _number(text, 1, MOST_SECONDS)


def _days(text: str) -> int:
    return _number(text, 0, MOST_DAYS)


def _port(text: str) -> int:
    return _number(text, 1, 65_534)


def _number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"must be a number from {least} to {most}")
    return int(text)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Run the demo."""
    try:
        import uvicorn  # noqa: F401 - the platform's process needs it

        from lakeward.demo.app import create  # noqa: F401 - and all of this
        from lakeward.demo.show import Asked, show
    except ModuleNotFoundError as error:
        raise MissingExtra(f"the demo (it uses {error.name})", "demo") from None
    watched = sys.stdin is not None and sys.stdin.isatty()
    return show(
        settings,
        Asked(
            arguments.visitors,
            float(arguments.seconds),
            arguments.seed,
            arguments.port,
            arguments.once or not watched,
            arguments.format,
            arguments.days,
        ),
    )
