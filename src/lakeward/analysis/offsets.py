"""The calendar of a zone as arithmetic: several times quicker than asking DuckDB for each row.

In: a zone and the moments that are asked about. Out: SQL over a column of milliseconds that gives
whole numbers to group by, and what makes dates of them afterwards. Moments outside 2000 to 2100,
which no record has, are not understood. Nothing fails for a zone that exists.

    day         (ms + offset) // 86400000          ──► DATE '1970-01-01' + it
    offset      CASE WHEN ms < 1761440400000 THEN 3600000 ELSE 0 END

A zone's offset changes at moments that Python's own tables say; the same as DuckDB's, by
`test_offsets.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from lakeward.interaction import EARLIEST_MS, LATEST_MS

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
Change = tuple[int, int]
"""From when on (ms since 1970), and by how many ms the zone is before UTC."""
NUMBERED: Final = {
    "hour": "{ms} - ({local} % 3600000)",
    "day": "{local} // 86400000",
    "week": "{local} // 86400000 - ({local} // 86400000 + 3) % 7",
    "hour_of_day": "({local} // 3600000) % 24",
    "weekday": "({local} // 86400000 + 3) % 7 + 1",
}
"""Fields that can be had this way."""
SHOWN: Final = {
    "hour": "make_timestamptz({x} * 1000)",
    "day": "DATE '1970-01-01' + CAST({x} AS INTEGER)",
    "week": "DATE '1970-01-01' + CAST({x} AS INTEGER)",
    "hour_of_day": "CAST({x} AS INTEGER)",
    "weekday": "CAST({x} AS INTEGER)",
}
"""What such a number means."""


def numbered(name: str, ms: str, zone: str, since: datetime | None, until: datetime | None) -> str:
    """The field as a whole number."""
    first = EARLIEST_MS if since is None else max(_ms(since), EARLIEST_MS)
    last = LATEST_MS if until is None else min(_ms(until), LATEST_MS)
    offset = _offset(_between(changes(zone), first, last), ms)
    return NUMBERED[name].format(ms=ms, local=f"({ms} + {offset})")


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _between(found: Sequence[Change], first: int, last: int) -> Sequence[Change]:
    """The changes that matter from a moment to another; the first of them holds from the start."""
    begin = max((n for n, (at, _) in enumerate(found) if at <= first), default=0)
    return [found[begin], *(change for change in found[begin + 1 :] if change[0] <= last)]


def _offset(found: Sequence[Change], ms: str) -> str:
    """The offset by halves, so that a hundred years are eight comparisons."""
    if len(found) == 1:
        return str(found[0][1])
    half = len(found) // 2
    early, late = _offset(found[:half], ms), _offset(found[half:], ms)
    return f"CASE WHEN {ms} < {found[half][0]} THEN {early} ELSE {late} END"


@functools.lru_cache(maxsize=32)
def changes(zone: str) -> tuple[Change, ...]:
    """All changes from 2000 to 2100: a day in which the offset differs is halved to the second."""
    named = ZoneInfo(zone)

    def offset(ms: int) -> int:
        told = datetime.fromtimestamp(ms // 1000, UTC).astimezone(named).utcoffset()
        return 0 if told is None else round(told.total_seconds() * 1000)

    before = offset(EARLIEST_MS)
    found = [(EARLIEST_MS, before)]
    for day in range(EARLIEST_MS + DAY_MS, LATEST_MS + DAY_MS, DAY_MS):
        now = offset(day)
        if now == before:
            continue
        low, high = (day - DAY_MS) // 1000, day // 1000
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if offset(middle * 1000) != before else (middle, high)
        found.append((high * 1000, now))
        before = now
    return tuple(found)
