"""The fields of cells, under the names that they have in interactions.

In: a question. Out: SQL over cells `i`, for what they can be asked; Rejected for what they cannot.
The calendar is worked out of whole hours, so a zone that is half an hour off has none here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from lakeward.analysis.events import CALENDAR, FIELDS, Events, Source, calendar, look
from lakeward.analysis.offsets import SHOWN, changes, numbered
from lakeward.analysis.rollup.cells import DAY_MS, FACETS, HOUR_MS, Literals
from lakeward.analysis.scope import Dimension
from lakeward.errors import Rejected

KEPT: Final = ("interaction_type", "bot")
"""Fields that each cell has, whichever other it is by."""
DAILY: Final = frozenset({"day", "week", "month", "weekday"})


class CellSource(Source):
    """As `Source`, over cells that are by one field, or by none."""

    def field(self, name: str) -> Dimension:
        """A field that cells have."""
        if name in CALENDAR:
            return self._calendar(name)
        if name == "interaction_type":
            return FIELDS[name]
        if name == "bot":
            return Dimension("i.bot", FIELDS["bot"].doc, "boolean")
        if name not in FACETS:
            raise Rejected(f"{name!r} is no field of cells")
        found = look(name, Literals())
        sql = "CAST(i.value AS BIGINT)" if found.kind == "integer" else "i.value"
        return Dimension(sql, found.doc, found.kind)

    def _calendar(self, name: str) -> Dimension:
        told = calendar(name, "i.timestamp", "")
        basis = "day" if name == "month" else name
        number = numbered(
            basis, "epoch_ms(i.timestamp)", self.events.zone, self.events.since, self.events.until
        )
        sql = SHOWN[basis].format(x=f"({number})")
        if name == "month":
            sql = f"CAST(date_trunc('month', {sql}) AS DATE)"
        return Dimension(sql, told.doc, told.kind)

    def where(self, *more: str, before_ms: int = 0, after_ms: int = 0) -> str:
        """The condition of traffic and filters; which cells there are is a matter of time."""
        terms = list(more)
        if not self.events.bots:
            terms.append("NOT i.bot")
        if not self.events.internal:
            terms.append("NOT i.own")
        if self.events.where is not None:
            terms.append(self.condition(self.events.where))
        return " AND ".join(terms) or "TRUE"


def facet_of(names: set[str]) -> str | None:
    """The one field, beside those that every cell has, by which cells must be; None for two."""
    wanted = names - {*CALENDAR, *KEPT}
    if len(wanted) > 1 or not wanted <= set(FACETS):
        return None
    return next(iter(wanted), "")


def grains(events: Events, names: set[str]) -> tuple[bool, bool]:
    """Whether hours in UTC can tell these fields of the calendar, and whether days can."""
    asked = names & set(CALENDAR)
    if not asked:
        return True, True
    ahead = _offsets(events)
    whole = all(offset % HOUR_MS == 0 for offset in ahead)
    return whole, asked <= DAILY and all(offset % DAY_MS == 0 for offset in ahead)


def _offsets(events: Events) -> list[int]:
    """How far the zone is ahead of UTC within the time that is asked about."""
    found = changes(events.zone)
    first, last = _ms(events.since, found[0][0]), _ms(events.until, found[-1][0])
    begin = max((n for n, (at, _) in enumerate(found) if at <= first), default=0)
    return [found[begin][1], *(offset for at, offset in found[begin + 1 :] if at <= last)]


def _ms(moment: datetime | None, otherwise: int) -> int:
    return otherwise if moment is None else round(moment.timestamp() * 1000)
