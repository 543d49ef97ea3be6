"""Ranges that are excluded: times in which some series are neither judged nor learned.

In: the tables `[[exclude]]`, and the zone whose days are meant. Out: frozen `Exclude`s. Fails with
`SettingError` that names the file, the place in it and the mend.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

import msgspec

from lakeward.alerts.tables import only, table_of, tables_of
from lakeward.errors import SettingError


class Exclude(msgspec.Struct, frozen=True):
    """A time in which some series are neither judged nor learned."""

    begin_ms: int
    end_ms: int
    series: str = "*"

    def holds(self, key: str, at: int) -> bool:
        """Whether a bucket of a series is in it."""
        return self.begin_ms <= at < self.end_ms and fnmatchcase(key, self.series)


def excluded(content: object, zone: str, where: str) -> tuple[Exclude, ...]:
    """The ranges that tables mean."""
    found = []
    for n, row in enumerate(tables_of(content, where, "exclude"), 1):
        place = f"exclude[{n}]"
        table = table_of(row, where, place)
        only(table, ("from", "until", "series"), where, place)
        begin, end = (_moment(table, name, zone, where, place) for name in ("from", "until"))
        series = table.get("series", "*")
        if not isinstance(series, str):
            raise SettingError(f"{where}: {place}.series must be text, such as route:*")
        if begin >= end:
            raise SettingError(f"{where}: {place}.until must be after from")
        found.append(Exclude(begin, end, series))
    return tuple(found)


def _moment(table: Mapping[str, object], name: str, zone: str, where: str, place: str) -> int:
    """Milliseconds of a day's beginning or a moment; what names no zone is of the zone."""
    value = table.get(name)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise SettingError(f"{where}: {place}.{name} must be a day or a moment, such as 2026-12-24")
    moment = value if value.tzinfo is not None else value.replace(tzinfo=ZoneInfo(zone))
    return round(moment.timestamp() * 1000)
