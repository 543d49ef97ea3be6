"""What a detector says of one row, and what it may be told about its series.

In: nothing. Out: `Verdict`, and `Options` with its closed choices. Fails with `Rejected` naming the
option that cannot be.
"""

from __future__ import annotations

import math
import zoneinfo
from datetime import timedelta
from typing import Final, Literal, get_args

import msgspec

from lakeward.errors import Rejected

Kind = Literal["count", "rate", "latency", "value"]
Direction = Literal["both", "up", "down"]
Season = str | int | timedelta | None
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
SEASONS: Final = {
    "auto": "auto", "none": "none", "hour": "hour", "hourly": "hour", "day": "day",
    "daily": "day", "week": "week", "weekly": "week",
}  # fmt: skip
LONGEST: Final = 2016
"""Rows that a season given as their number may have: a week of five minutes."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What is to be thought of one row."""

    score: float
    """0 to 1; an alarm begins at 0.5, and goes on from 0.44."""
    is_anomaly: bool
    expected: float
    low: float
    high: float
    why: str
    alarm: bool = False
    """The first anomalous row of an episode: what a person would be told of."""


class Options(msgspec.Struct, frozen=True):
    """What is known of a series beforehand; each part can be left to the detector."""

    season: str = "auto"
    """auto, none, hour, day, week, or a number of seconds or rows (`3600s`, `24`)."""
    kind: Kind = "value"
    step: float = 0.0
    """Seconds between two rows; 0 is found out."""
    direction: Direction = "both"
    zone: str = "UTC"
    min_volume: float = 0.0
    cooldown: float = 0.0
    """Seconds without a second alarm; 0 is an hour, or twelve rows where they are longer."""
    exclude: tuple[tuple[float, float], ...] = ()
    sensitivity: float = 1.0


def season_named(season: Season) -> str:
    """The season as options keep it."""
    if season is None:
        return "auto"
    if isinstance(season, timedelta):
        return f"{season.total_seconds():g}s"
    text = str(season).strip().lower()
    if text in SEASONS:
        return SEASONS[text]
    seconds = text.endswith("s")
    try:
        number = float(text.removesuffix("s"))
    except ValueError:
        number = math.nan
    if not (number > 1 if seconds else 2 <= number <= LONGEST and number == int(number)):
        raise Rejected(
            f"`season`: {text[:40]!r} is none: say auto, none, hour, day, week, a number of rows "
            f"(2 to {LONGEST}) or of seconds such as 3600s."
        )
    return f"{number:g}s" if seconds else str(int(number))


def checked(options: Options) -> Options:
    """The options, or `Rejected` naming the one that cannot be."""
    if options.kind not in KINDS:
        raise Rejected(f"`kind`: {options.kind!r} is none: say {', '.join(KINDS)}.")
    if options.direction not in DIRECTIONS:
        raise Rejected(f"`direction`: {options.direction!r}: say {', '.join(DIRECTIONS)}.")
    for name in ("step", "min_volume", "cooldown"):
        number = getattr(options, name)
        if not (math.isfinite(number) and number >= 0):
            raise Rejected(f"`{name}` must be a number of at least 0.")
    if not 0.1 <= options.sensitivity <= 10:
        raise Rejected("`sensitivity` must be from 0.1 (few alarms) to 10 (many).")
    try:
        zoneinfo.ZoneInfo(options.zone)
    except (OSError, ValueError, KeyError):  # unknown names raise a kind of KeyError
        raise Rejected(
            f"`zone`: {options.zone[:40]!r} is no time zone such as Europe/Lisbon."
        ) from None
    if any(not start < end for start, end in options.exclude):
        raise Rejected("`exclude`: each range must end after it starts.")
    return options
