"""Comparison: the same question over an earlier time, and how much has changed since.

In: a question with a time, which earlier time is meant, and what time it is. Out: the question over
that time; for its answer what stands beside what, and the changes. Fails with `Rejected` where a
comparison means nothing: lists of single things, questions without a whole time, a time to come.

    previous   as long, just before: whole months before whole months, whole days before whole days
    day, week, month, year     earlier by the calendar of the question's zone, at the same clock

A day earlier is a day of the calendar, whether it has 23, 24 or 25 hours; a month that has no such
day ends early. A time that goes on is compared with as much of the earlier one as is over now.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, cast
from zoneinfo import ZoneInfo

import msgspec

from lakeward.analysis.grains import GRAINS, Grain, between
from lakeward.analysis.question import Answer, Question, Row
from lakeward.errors import Rejected

How = Literal["previous", "day", "week", "month", "year"]
HOWS: Final[tuple[How, ...]] = ("previous", "day", "week", "month", "year")
MONTHS: Final[Mapping[str, int]] = {"month": 1, "year": 12}
DAYS: Final[Mapping[str, int]] = {"day": 1, "week": 7}
APART: Final = frozenset(
    {
        "funnel_units", "ai_thread", "ai_threads", "api_slowest", "api_failures", "data_places",
        "experiment_units", "experiment_moments", "experiment_quantile",
    }
)  # fmt: skip
"""Lists of single things, what is there now, and experiments, which have a time of their own."""


class Span(msgspec.Struct, frozen=True):
    """From when to when."""

    since: datetime
    until: datetime


def earlier(question: Question, how: How, now: datetime) -> Question:
    """The question over the earlier time."""
    since: datetime | None = getattr(question, "since", None)
    until: datetime | None = getattr(question, "until", None)
    if question.name in APART:
        raise Rejected(f"The question {question.name!r} has nothing to be compared with.")
    if since is None or until is None:
        raise Rejected("A comparison needs `since` and `until`.")
    if since >= now:
        raise Rejected("What is to come cannot be compared: `since` must be in the past.")
    zone: str = getattr(question, "zone", "UTC")
    try:
        found = span_before(Span(since, until), how, zone, now)
    except (ValueError, OverflowError):
        raise Rejected("There is no earlier time to compare with: `since` is too early.") from None
    changed = cast(msgspec.Struct, question)
    return cast(Question, msgspec.structs.replace(changed, since=found.since, until=found.until))


def span_before(span: Span, how: How, zone: str, now: datetime) -> Span:
    """The earlier time, as far as the later one is over."""
    place = ZoneInfo(zone)
    first, last = (moment.astimezone(place) for moment in (span.since, span.until))
    months, days = _step(first, last, how)
    if not months and not days:
        length = span.until - span.since
        found, over = Span(span.since - length, span.since), now - length
    else:
        found = Span(_moved(first, months, days), _end_moved(first, last, months, days))
        over = _moved(now.astimezone(place), months, days)
    if found.until <= found.since:  # the hour that is twice, or the day that a month does not have
        found = Span(found.since, found.since + (span.until - span.since))
    if now < span.until:
        if over <= found.since:
            over = found.since + (now - span.since)
        found = Span(found.since, min(found.until, over))
    return found


def _step(first: datetime, last: datetime, how: How) -> tuple[int, int]:
    """How many months and days earlier; none of both for as long as it is."""
    if how != "previous":
        return MONTHS.get(how, 0), DAYS.get(how, 0)
    if not _is_midnight(first) or not _is_midnight(last):
        return 0, 0
    if first.day == last.day == 1:
        return (last.year - first.year) * 12 + last.month - first.month, 0
    return 0, (last.date() - first.date()).days


def _is_midnight(local: datetime) -> bool:
    """Whether a day begins; where clocks skip midnight it begins later."""
    return _utc(local) == _utc(datetime(local.year, local.month, local.day, tzinfo=local.tzinfo))


def _moved(local: datetime, months: int, days: int) -> datetime:
    """The same clock on an earlier day; a clock that does not show it is past it. A day's
    beginning, which is at one where clocks skip midnight, stays one."""
    day = _day_moved(local.date(), months, days)
    if _is_midnight(local):
        return _utc(datetime(day.year, day.month, day.day, tzinfo=local.tzinfo))
    return _utc(local.replace(year=day.year, month=day.month, day=day.day, fold=0))


def _day_moved(day: date, months: int, days: int) -> date:
    number = day.year * 12 + day.month - 1 - months
    year, month = number // 12, number % 12 + 1
    there = min(day.day, calendar.monthrange(year, month)[1])
    return date(year, month, there) - timedelta(days=days)


def _end_moved(first: datetime, last: datetime, months: int, days: int) -> datetime:
    """Whole months end where a month begins; other whole days with the last one of them."""
    if not _is_midnight(last) or (first.day == last.day == 1 and _is_midnight(first)):
        return _moved(last, months, days)
    day = _day_moved(last.date() - timedelta(days=1), months, days) + timedelta(days=1)
    return _utc(datetime(day.year, day.month, day.day, tzinfo=last.tzinfo))


def _utc(local: datetime) -> datetime:
    return local.astimezone(UTC)


def beside(question: Question, before: Question, rows: Sequence[Row]) -> list[Any] | None:
    """For each row of the earlier answer the moment of the later time beside which it stands: the
    third hour of the one beside the third of the other. None where rows are not of moments."""
    grain = _grain(question)
    if grain is None:
        return None
    zone = getattr(question, "zone", "UTC")
    spans = [
        between(grain, cast(Any, each).since, cast(Any, each).until, zone)
        for each in (before, question)
    ]
    places = dict(zip(*spans, strict=False))
    return [places.get(row[0]) for row in rows]


def _grain(question: Question) -> Grain | None:
    first = question.columns()[0]
    if first.kind not in ("date", "time"):
        return None
    named = getattr(question, "grain", None) or first.name
    return cast(Grain, named) if named in GRAINS else None


def changes(question: Question, answer: Answer, before: Answer) -> list[float | None] | None:
    """By column of a total how much a number has changed, of what it was; None for no total."""
    if getattr(question, "by", ()) or getattr(question, "grain", None) is not None:
        return None
    if len(answer.rows) != 1 or len(before.rows) > 1:
        return None
    then = before.rows[0] if before.rows else (None,) * len(answer.columns)
    return [
        change(now, was) if column.kind in ("integer", "number") else None
        for column, now, was in zip(answer.columns, answer.rows[0], then, strict=True)
    ]


def change(now: Any, was: Any) -> float | None:
    """How much a number has changed, of what it was; None where that was nothing or unknown."""
    if now is None or not was:
        return None
    found = float((now - was) / abs(was))
    return found if math.isfinite(found) else None
