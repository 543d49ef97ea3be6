"""`--since`, `--until`, `--zone` and `--only`: which part of the lake a question is about.

In: words of a command line, and the present moment. Out: moments with a zone, filters by dimension.
Fails with `Terminal` naming the argument.

    2026-11-01              the day's beginning in the zone
    2026-11-01T08:00        a moment in the zone, or in its own: 2026-11-01T08:00:00Z
    90m, 24h, 7d, 4w        so long ago
"""

from __future__ import annotations

import argparse
import re
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from lakeward.errors import Terminal

AGO: Final = re.compile(r"([0-9]{1,6})([mhdw])")
UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add_span(command: argparse.ArgumentParser) -> None:
    """The four arguments."""
    command.add_argument("--since", metavar="WHEN", help="from then on: a day, a moment, or 7d")
    command.add_argument("--until", metavar="WHEN", help="before then")
    command.add_argument("--zone", default="UTC", metavar="ZONE", help="whose days are meant (UTC)")
    command.add_argument(
        "--only", action="append", default=[], metavar="DIMENSION=VALUE",
        help="what has this value; one dimension more than once: any of its values",
    )  # fmt: skip


def span(arguments: argparse.Namespace, now: datetime | None = None) -> dict[str, Any]:
    """The parameters of a question that the arguments mean."""
    zone = zone_of(arguments.zone)
    present = now or datetime.now(UTC)
    found: dict[str, Any] = {"zone": arguments.zone, "only": only(arguments.only)}
    for name in ("since", "until"):
        if (text := getattr(arguments, name)) is not None:
            found[name] = moment(f"--{name}", text, zone, present)
    return found


def zone_of(name: str) -> tzinfo:
    """A zone by its name."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Terminal(f"--zone: {name[:40]!r} is no time zone such as Europe/Lisbon") from None


def moment(flag: str, text: str, zone: tzinfo, now: datetime) -> datetime:
    """A moment as somebody writes it."""
    if ago := AGO.fullmatch(text):
        try:
            return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            pass
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Terminal(
            f"{flag}: {text[:40]!r} is no day such as 2026-11-01, no moment and no span such as 7d"
        ) from None


def only(words: list[str]) -> dict[str, tuple[str, ...]]:
    """Values by dimension."""
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise Terminal(f"--only: {word[:40]!r} must be like model=gpt-4o")
        found[name] = (*found.get(name, ()), value)
    return found
