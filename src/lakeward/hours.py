"""Hours in which people are left alone, by the clocks where they are.

In: a moment and a zone. Out: when the quiet hours end. Nothing fails for a zone that there is.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class Quiet(msgspec.Struct, frozen=True):
    """Hours in which only what is critical is told: from one minute of the day to another."""

    begins: int
    ends: int
    zone: str

    def until(self, now_ms: int) -> int | None:
        """When the quiet hours end that this moment is in; None outside them."""
        zone = ZoneInfo(self.zone)
        local = datetime.fromtimestamp(now_ms / 1000, zone)
        minute = local.hour * 60 + local.minute
        over_night = self.begins > self.ends
        inside = (
            minute >= self.begins or minute < self.ends
            if over_night
            else self.begins <= minute < self.ends
        )
        if not inside:
            return None
        day = local.date() + timedelta(days=1 if over_night and minute >= self.begins else 0)
        end = moment_of(day.isoformat(), self.ends, self.zone)
        if end <= now_ms:  # in the night when clocks go back: it comes twice
            end = moment_of(day.isoformat(), self.ends, self.zone, fold=1)
        return max(end, now_ms + 1)


def minute_of(text: str) -> int | None:
    """The minute of the day that a clock shows; None for no such text."""
    found = CLOCK.fullmatch(text.strip())
    return int(found[1]) * 60 + int(found[2]) if found else None


def moment_of(day: str, minute: int, zone: str, *, fold: int = 0) -> int:
    """When the clocks of a zone show this minute on a day: of two times the first, or with `fold`
    the second; where they skip it, as long after midnight as it would have been."""
    naive = datetime.combine(datetime.fromisoformat(day).date(), time(minute // 60, minute % 60))
    return round(naive.replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)
