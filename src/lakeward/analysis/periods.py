"""Periods of the calendar, numbered so that the next one has the next number.

In: a grain, a moment, a zone. Out: the number of the period that the moment is in, and its first
day, as SQL or in Python. Nothing fails.

    day 0    1970-01-01
    week 0   from Monday 1969-12-29
    month    year * 12 + month - 1

A period is one of the zone: a day has 23 or 25 hours where clocks change. `quick` is the number
without the engine's calendar, for times within known ends: the zone's few changes between these
stand in the SQL.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from lakeward.analysis.events import Events, Source
from lakeward.analysis.question import Row
from lakeward.lake.dated import DAY

Grain = Literal["day", "week", "month"]
DAY_MS: Final = 86_400_000
EPOCH: Final = date(1970, 1, 1)


def number(grain: Grain, at: str, zone: str) -> str:
    """The number as SQL, of a moment and the placeholder of a zone."""
    local = f"({at} AT TIME ZONE {zone})"
    if grain == "month":
        return f"(CAST(year({local}) AS BIGINT) * 12 + month({local}) - 1)"
    day = f"floor(epoch_ms({local}) / {DAY_MS}.0)"
    return f"CAST({day if grain == 'day' else f'floor(({day} + 3) / 7.0)'} AS BIGINT)"


def of_row(grain: Grain, source: Source) -> str:
    """The number of the period that a row is in."""
    if source.dated and source.events.zone == "UTC":
        return _of_day(grain)
    return number(grain, source.at, source.values(source.events.zone))


def _of_day(grain: Grain) -> str:
    """The number by the row's day in UTC; no row is older than 1970."""
    if grain == "month":
        return f"(year(i.{DAY}) * 12 + month(i.{DAY}) - 1)"
    days = f"(i.{DAY} - DATE '1970-01-01')"
    return days if grain == "day" else f"(({days} + 3) // 7)"


def first_day(grain: Grain, period: str, utc: str) -> str:
    """The first day as SQL, of a number and the placeholder of `UTC`."""
    day = {"day": f"({period})", "week": f"(({period}) * 7 - 3)"}.get(grain)
    if grain == "month":  # years from March on, as leap days are at their ends
        year, month = f"floor((({period}) - 2) / 12.0)", f"(({period} - 2) % 12)"
        leap = f"floor({year} / 4.0) - floor({year} / 100.0) + floor({year} / 400.0)"
        day = f"({year} * 365 + {leap} + floor(({month} * 153 + 2) / 5.0) - 719468)"
    moment = f"make_timestamptz(CAST({day} AS BIGINT) * {DAY_MS}000)"
    return f"CAST(({moment} AT TIME ZONE {utc}) AS DATE)"


def number_of(grain: Grain, moment: datetime, zone: str) -> int:
    """The number of a moment."""
    return number_on(grain, moment.astimezone(ZoneInfo(zone)).date())


def number_on(grain: Grain, day: date) -> int:
    """The number of a day."""
    if grain == "month":
        return day.year * 12 + day.month - 1
    days = (day - EPOCH).days
    return days if grain == "day" else (days + 3) // 7


def first_day_of(grain: Grain, period: int) -> date:
    """The first day of a period."""
    if grain == "month":
        return date(period // 12, period % 12 + 1, 1)
    return EPOCH + timedelta(days=period if grain == "day" else period * 7 - 3)


def ends(grain: Grain, events: Events, zeros: str) -> tuple[str, str]:
    """Rows of zeros for the first and the last period of the range, to be united with rows that
    begin with the period `p`; and the condition that `p` is between these. Where `until` is not
    known, the last is that of the relation `active`."""
    rows, inside = "", []
    if events.since is not None:
        first = number_of(grain, events.since, events.zone)
        rows += f"\n  UNION ALL SELECT {first}, {zeros}"
        inside.append(f"p >= {first}")
    last = "(SELECT max(p) FROM active)"
    if events.until is not None:
        last = str(number_of(grain, events.until - timedelta(microseconds=1), events.zone))
        rows += f"\n  UNION ALL SELECT {last}, {zeros}"
    return rows, " AND ".join([*inside, f"p <= {last}"])


def filled(grain: Grain, rows: list[Row], nothing: Row) -> list[Row]:
    """With `nothing` for each period between them that has no row; rows are in order, and begin
    with the first day of their period."""
    if not rows:
        return rows
    found = {row[0]: row for row in rows}
    numbers = range(number_on(grain, rows[0][0]), number_on(grain, rows[-1][0]) + 1)
    days = (first_day_of(grain, n) for n in numbers)
    return [found.get(day) or (day, *nothing) for day in days]


def quick(grain: Grain, source: Source, since: datetime, until: datetime) -> str:
    """How many periods a row is after that of `since`, in SQL of DuckDB; for times between."""
    ms, zone = source.ms, source.events.zone
    if source.dated and zone == "UTC":
        return f"CAST({_of_day(grain)} - {number_of(grain, since, zone)} AS INTEGER)"
    local = f"({ms} + {_offset(ms, zone, since, until)})"
    base = number_of(grain, since, zone)
    if grain == "month":
        local = f"make_timestamp({local} * 1000)"
        return f"CAST(year({local}) * 12 + month({local}) - {base + 1} AS INTEGER)"
    start = (first_day_of(grain, base) - EPOCH).days * DAY_MS
    width = DAY_MS if grain == "day" else 7 * DAY_MS
    return f"CAST(({local} - {start}) // {width} AS INTEGER)"


def _offset(ms: str, zone: str, since: datetime, until: datetime) -> str:
    """Milliseconds that the zone is ahead of UTC, as SQL."""
    found = offsets(zone, since, until)
    cases = "".join(f" WHEN {ms} < {end} THEN {ahead}" for ahead, end in found[:-1])
    last = found[-1][0]
    return f"CASE{cases} ELSE {last} END" if cases else str(last)


def offsets(zone: str, since: datetime, until: datetime) -> list[tuple[int, int]]:
    """How far the zone is ahead of UTC between two moments: (milliseconds, until when)."""
    place = ZoneInfo(zone)

    def ahead(second: int) -> int:
        offset = datetime.fromtimestamp(second, UTC).astimezone(place).utcoffset()
        assert offset is not None
        return round(offset.total_seconds() * 1000)

    first, last = int(since.timestamp()) - 1, int(until.timestamp()) + 1
    found: list[tuple[int, int]] = []
    for low, high in itertools.pairwise([*range(first, last, 86_400), last]):
        before, after = low, high
        if ahead(before) == ahead(after):
            continue
        while after - before > 1:
            middle = (before + after) // 2
            if ahead(middle) == ahead(low):
                before = middle
            else:
                after = middle
        found.append((ahead(low), after * 1000))
    return [*found, (ahead(last), last * 1000)]
