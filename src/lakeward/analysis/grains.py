"""Grains: the hours, days, weeks and months of a zone, one after the other.

In: a grain, moments, a zone. Out: the beginnings of what a moment is in and of all that follow. An
hour's beginning is a moment, so that none is two where clocks go back; the others' are dates.
Nothing fails for a zone that exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

Grain = Literal["hour", "day", "week", "month"]
GRAINS: tuple[Grain, ...] = ("hour", "day", "week", "month")


def floored(grain: Grain, moment: datetime, zone: str) -> Any:
    """The beginning of the grain that a moment is in, as SQL has it."""
    local = moment.astimezone(ZoneInfo(zone))
    if grain == "hour":
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return (moment - past).astimezone(UTC)
    day = local.date()
    if grain == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if grain == "month" else day


def following(grain: Grain, first: Any, last: Any, zone: str) -> Iterator[date]:
    """All beginnings from one to another, both included."""
    moment = first
    while moment <= last:
        yield moment
        if grain == "hour":
            moment = floored(grain, moment + timedelta(hours=1), zone)
        elif grain == "month":
            moment = (moment.replace(day=1) + timedelta(days=32)).replace(day=1)
        else:
            moment += timedelta(days=7 if grain == "week" else 1)


def between(grain: Grain, since: datetime, until: datetime, zone: str) -> Iterator[date]:
    """All beginnings of a time; `until` is in it no more."""
    last = floored(grain, until - timedelta(microseconds=1), zone)
    return following(grain, floored(grain, since, zone), last, zone)
