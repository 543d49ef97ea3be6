"""Today beside what is usual: hour by hour, and each figure so far.

In: a moment and a zone. Out: a document of plain data, from several questions put to one look at
the lake. Nothing is invented: a day counts as known when the lake had records before it began, and
without a known day there is no usual value.

    known     of the last four days of the same weekday those that the lake knows
    usual     the median of the known days at the same hour; of a figure, until the same clock
    low, high the least and the greatest of them

Bots and the team's own traffic are left out, as by all questions that count people; of calls and of
what came of them everybody's count, as the questions about these have it. A figure of today counts
whatever has come in; that of a known day what had, by its clock, by then.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final, cast
from zoneinfo import ZoneInfo

import msgspec

from lakeward.analysis.comparison import Span, change
from lakeward.analysis.events import OWN
from lakeward.analysis.filters import Filter
from lakeward.analysis.grains import between
from lakeward.analysis.question import Answer, Cell, Question
from lakeward.analysis.scope import check_times
from lakeward.analysis.trend import Series, Trend

DAY: Final = timedelta(days=1)
WEEKS: Final = 4
"""How many days of the same weekday are looked at, at most."""
HOURLY: Final = (Series(label="Interactions"),)
SUMMED: Final = (
    Series(metric="units", label="Active visitors"),
    Series(label="Interactions"),
)
"""Of these, and of the next, roll-ups hold whole hours."""
EVERYBODYS: Final = (
    Series(event="api_call", label="API calls"),
    Series(event="api_call", metric="error_rate", label="Failed calls"),
    Series(event="api_call", metric="p95", label="Response time, p95"),
    Series(event="partner_match", label="Matches"),
    Series(event="deal_closed", label="Deals closed"),
    Series(event="feedback_submission", label="Feedback"),
)
"""Everybody's count, programs and the team's own, too, as on the pages API and Partners."""
CHOSEN: Final = (
    Series(  # a view is told once more when it is left
        event="page_view", label="Page views",
        where=Filter(field="properties.engagement_ms", op="unknown"),
    ),
    Series(
        event="flow_completion", label="Flows completed",
        where=Filter(field="outcomes.status", op="is_not", values=("abandoned",)),
    ),
)  # fmt: skip
"""Of these, and of the next, rows are looked at."""
HELD: Final = (
    Series(
        event="demo_booking",
        label="Demos held",
        where=Filter(field="outcomes.status", values=("held",)),
    ),
)
GROUPS: Final = ((SUMMED, False), (EVERYBODYS, True), (CHOSEN, False), (HELD, True))
"""What is asked together, and whether everybody's counts."""
FIGURES: Final = (
    "Active visitors", "Interactions", "Page views", "API calls", "Failed calls",
    "Response time, p95",
)  # fmt: skip
OUTCOMES: Final = ("Matches", "Demos held", "Deals closed", "Feedback", "Flows completed")
DOCS: Final[Mapping[str, str]] = {
    "Active visitors": "Different users and anonymous visitors who did anything, as each record "
    "says. The page Visitors counts people who saw a page, several ids of one person once.",
    "Interactions": "Everything that people did, without programs and the team's own traffic.",
    "Page views": "Pages that were opened. The page Visitors counts screens of apps, too.",
    "API calls": "Calls of the API by everybody, programs and the team too, as on the page API.",
    "Failed calls": "Calls that the server failed (5xx), of those that were answered.",
    "Response time, p95": "95 of 100 calls were as quick as this, or quicker.",
    "Matches": "Matches of a contractor and a partner.",
    "Deals closed": "Deals that were closed.",
    "Feedback": "Feedback that was given.",
    "Flows completed": "Declared flows that somebody finished.",
    "Demos held": "Demos of which it was told today that they were held, whenever booked.",
}
UNITS: Final[Mapping[str, str]] = {
    "Active visitors": "visitors", "Failed calls": "0 to 1", "Response time, p95": "ms",
    "Page views": "views", "API calls": "calls", "Matches": "matches", "Deals closed": "deals",
    "Demos held": "demos", "Flows completed": "flows",
}  # fmt: skip
WORSE: Final = frozenset({"Failed calls", "Response time, p95"})
"""Figures of which more is worse."""
Put = Callable[[Question], Answer]


class Figure(msgspec.Struct, frozen=True):
    """One number of today, beside what is usual."""

    name: str
    doc: str
    unit: str
    more_is: str
    today: Cell
    usual: float | None
    low: float | None
    high: float | None
    days: int
    change: float | None


class Hour(msgspec.Struct, frozen=True):
    """One hour of today; `over` says that nothing comes to it any more."""

    moment: datetime
    over: bool
    today: int | None
    usual: float | None
    low: float | None
    high: float | None
    days: int


class Today(msgspec.Struct, frozen=True, kw_only=True):
    """How today goes, beside the same weekday of the last weeks."""

    name: ClassVar[str] = "today"

    at: datetime
    zone: str = "UTC"
    internal_is: tuple[str, ...] = OWN

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check_times(self.at, None, self.zone)

    def document(self, put: Put, over: Callable[[], bool]) -> Mapping[str, Any]:
        """Days, hours and figures; and the questions that they are of."""
        days = [self._day(n) for n in range(WEEKS + 1)]
        known = self._known(put, days)
        counts: dict[Any, int] = {}
        for day in days[: known + 1]:  # each for itself: between two of them lies a week
            answer = put(self._trend(day.since, day.until, HOURLY, grain="hour"))
            counts |= {row[0]: cast(int, row[1]) for row in answer.rows}
        figures = {
            figure.name: figure
            for series, everybody in GROUPS
            for figure in self._figures(put, days[: known + 1], series, everybody)
        }
        return {
            "at": self.at,
            "empty": not known and not self._has(put, None, None),
            "zone": self.zone,
            "day": self._local(days[0].since),
            "known": [self._local(day.since) for day in days[1 : known + 1]],
            "hours": self._hours(counts, days[: known + 1]),
            "figures": [figures[name] for name in FIGURES],
            "outcomes": [figures[name] for name in OUTCOMES],
            "questions": {
                f"{part}_of_everybody" if everybody else part: self._trend(
                    days[0].since, days[0].until, named, everybody=everybody
                )
                for part, names in (("figures", FIGURES), ("outcomes", OUTCOMES))
                for everybody in (False, True)
                if (named := _series(names, everybody))
            } | {"hours": self._trend(days[0].since, days[0].until, HOURLY, grain="hour")},
        }  # fmt: skip

    def _day(self, weeks: int) -> Span:
        """A whole day, so many weeks ago."""
        day = self._local(self.at) - timedelta(weeks=weeks)
        ends = (self._midnight(day), self._midnight(day + timedelta(days=1)))
        return Span(*ends)

    def _local(self, moment: datetime) -> date:
        return moment.astimezone(ZoneInfo(self.zone)).date()

    def _midnight(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def _trend(
        self,
        since: datetime | None,
        until: datetime | None,
        series: tuple[Series, ...],
        everybody: bool = False,
        **more: Any,
    ) -> Trend:
        return Trend(
            series=series, since=since, until=until, zone=self.zone, unit="visitor",
            bots=everybody, internal=everybody, internal_is=self.internal_is,
            **({"grain": None} | more),
        )  # fmt: skip

    def _known(self, put: Put, days: Sequence[Span]) -> int:
        """How many of the days before today the lake had records before; they are the last ones."""
        for known in range(WEEKS, 0, -1):
            first = days[known].since  # of the day before it alone is the quicker question
            if self._has(put, first - DAY, first) or self._has(put, None, first):
                return known
        return 0

    def _has(self, put: Put, since: datetime | None, until: datetime | None) -> bool:
        """Whether the lake has anything, of anybody, between two moments."""
        everything = self._trend(since, until, (Series(),), everybody=True)
        return bool(put(everything).rows[0][0])

    def _figures(
        self, put: Put, days: Sequence[Span], series: tuple[Series, ...], everybody: bool
    ) -> list[Figure]:
        """Each figure of today and of the known days until the same clock."""
        spans = [days[0], *map(self._until_now, days[1:])]
        [today, *before] = [
            put(self._trend(s.since, s.until, series, everybody)).rows[0] for s in spans
        ]
        return [
            self._figure(each.label, today[n], [row[n] for row in before])
            for n, each in enumerate(series)
        ]

    def _until_now(self, day: Span) -> Span:
        """As much of an earlier day as is over today, by the clock."""
        place = ZoneInfo(self.zone)
        there = self._local(day.since)
        clock = self.at.astimezone(place).replace(
            year=there.year, month=there.month, day=there.day, fold=0
        )
        least = day.since + timedelta(minutes=1)
        return Span(day.since, min(max(clock.astimezone(UTC), least), day.until))

    def _figure(self, name: str, today: Cell, before: Iterable[Cell]) -> Figure:
        usual, low, high, days = spread(before)
        return Figure(
            name, DOCS[name], UNITS.get(name, "interactions"),
            "worse" if name in WORSE else "better", today, usual, low, high, days,
            change(today, usual),
        )  # fmt: skip

    def _hours(self, counts: Mapping[Any, int], days: Sequence[Span]) -> list[Hour]:
        """The hours of today; each beside that of the same number on a clock."""
        place = ZoneInfo(self.zone)
        before: list[dict[int, list[int]]] = []
        for day in days[1:]:
            by_clock: dict[int, list[int]] = defaultdict(list)
            for moment in self._moments(day):
                by_clock[moment.astimezone(place).hour].append(counts.get(moment, 0))
            before.append(by_clock)
        found, seen = [], defaultdict[int, int](int)
        for moment in self._moments(days[0]):
            clock = moment.astimezone(place).hour
            turn, seen[clock] = seen[clock], seen[clock] + 1  # the second of an hour that is twice
            told = [day[clock][min(turn, len(day[clock]) - 1)] for day in before if day.get(clock)]
            came = counts.get(moment, 0) if moment < self.at else None
            found.append(Hour(moment, moment + timedelta(hours=1) <= self.at, came, *spread(told)))
        return found

    def _moments(self, day: Span) -> Iterable[datetime]:
        return cast(Iterable[datetime], between("hour", day.since, day.until, self.zone))


def _series(names: Sequence[str], everybody: bool) -> tuple[Series, ...]:
    """Of these figures those that count everybody, or those that do not."""
    known = {each.label: each for group, of in GROUPS if of == everybody for each in group}
    return tuple(known[name] for name in names if name in known)


def spread(values: Iterable[Cell]) -> tuple[float | None, float | None, float | None, int]:
    """Median, least, greatest and number of the values that are known."""
    known = [float(cast(float, value)) for value in values if value is not None]
    if not known:
        return None, None, None, 0
    return statistics.median(known), min(known), max(known), len(known)
