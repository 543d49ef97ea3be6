"""Data quality: whether what should come does come, whole, in time, and of whom.

Out: a row for each interaction type and day, the days without any included: from the day of `since`
(else the first day that has anything) to that of `until` (else the last). Days are whole ones of
the zone; one that is not over is not complete.

What is *expected* of a day is the median of the same weekday in the four weeks before it; a day on
which the type did not come counts as zero, days before its first one do not count, and without any
nothing is expected. The first one is looked for from five weeks before the answer's first day on.
The ratio is to an expectation that is not zero.

*Lag* is from the moment of the record, corrected for a client's clock, to that of its receipt, of
those that tell it; *skew* is what the client's clock was off, of those that came with a time of
sending: who sent it more than a minute before or after it came has a wrong clock. All of it is
counted, programs and the team's own traffic too.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, ClassVar, Final
from zoneinfo import ZoneInfo

import msgspec

from lakeward.analysis.events import CLOCKS, Events, Source, check_event
from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.errors import Rejected

WEEKS: Final = 4
MOST_TYPES: Final = 200
MOST_ROWS: Final = 50_000
SKEW_MS: Final = 60_000
RECEIVED_MS: Final = "epoch_ms(TRY_CAST(i.received_at AS TIMESTAMPTZ))"
SENT_MS: Final = "epoch_ms(TRY_CAST(i.sent_at AS TIMESTAMPTZ))"
EXPECTED, RATIO = 3, 4
FIGURES: Final = {
    "bot_rate": "avg(CASE WHEN i.bot IS TRUE THEN 1 ELSE 0 END)",
    "unknown_user_rate": "avg(CASE WHEN i.user_id IS NULL OR i.user_id = 'anonymous' "
    "THEN 1 ELSE 0 END)",
    "received": "count(i.lag_ms)",
    "lag_p50": "CAST(quantile_disc(i.lag_ms, 0.5) AS DOUBLE) / 1000",
    "lag_p95": "CAST(quantile_disc(i.lag_ms, 0.95) AS DOUBLE) / 1000",
    "lag_most": "CAST(max(i.lag_ms) AS DOUBLE) / 1000",
    "sent": "count(i.skew_ms)",
    "skewed_rate": f"avg(CASE WHEN i.skew_ms > {SKEW_MS} OR i.skew_ms < -{SKEW_MS} THEN 1 "
    "WHEN i.skew_ms IS NOT NULL THEN 0 END)",
    "skew_p50": "CAST(quantile_disc(i.skew_ms, 0.5) AS DOUBLE) / 1000",
    "last_at": "max(i.happened_at)",
}
COLUMNS: Final = (
    Column("day", "date", "Day in the zone."),
    Column("interaction_type", "text", "The type."),
    Column("interactions", "integer", "How many there are.", "interactions"),
    Column("expected", "number", "Median of the same weekday in the four weeks before.",
           "interactions"),
    Column("ratio", "number", "How many there are of each that is expected."),
    Column("bot_rate", "number", "Those of programs.", "0 to 1"),
    Column("unknown_user_rate", "number", "Those without a known user.", "0 to 1"),
    Column("received", "integer", "Those that say when they were received.", "interactions"),
    Column("lag_p50", "number", "From the moment to receipt, median.", "s"),
    Column("lag_p95", "number", "From the moment to receipt, percentile 95.", "s"),
    Column("lag_most", "number", "From the moment to receipt, longest.", "s"),
    Column("sent", "integer", "Those that say when they were sent and received.", "interactions"),
    Column("skewed_rate", "number", "Of these, those whose clock is off by more than a minute.",
           "0 to 1"),
    Column("skew_p50", "number", "Receipt less sending, median.", "s"),
    Column("last_at", "time", "When the last one was."),
)  # fmt: skip


class DataQuality(Events, frozen=True, kw_only=True):
    """How much of each type came on each day, against what is expected; lag, clocks, bots."""

    name: ClassVar[str] = "data_quality"

    bots: Annotated[bool, says("Whether programs count.")] = True
    internal: Annotated[bool, says("Whether the team's own traffic counts.")] = True
    types: Annotated[tuple[str, ...], says("Only these types; without any, all.")] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if len(self.types) > MOST_TYPES:
            raise Rejected(f"`types` takes {MOST_TYPES} at most.")
        for name in self.types:
            check_event("types", name)

    def columns(self) -> tuple[Column, ...]:
        """The day, the type, and its figures."""
        return COLUMNS

    def sql(self) -> Sql:
        """Over `interactions`, from four weeks before; `finish` says what is expected."""
        whole = msgspec.structs.replace(self, since=self._since())
        source = Source(whole)
        named = (f"i.interaction_type IN ({source.values.list(self.types)})",)
        where = source.where(*(named if self.types else ()))
        figures = ", ".join(f"{sql} AS {name}" for name, sql in FIGURES.items())
        text = f"""WITH i AS (
    SELECT {source.field("day").sql} AS day, i.interaction_type, i.bot, i.user_id,
        {source.at} AS happened_at, {RECEIVED_MS} - epoch_ms({CLOCKS["event"]}) AS lag_ms,
        {RECEIVED_MS} - {SENT_MS} AS skew_ms
    FROM {source.relation()} WHERE {where}
)
SELECT i.day, i.interaction_type, count(*) AS interactions, CAST(NULL AS DOUBLE) AS expected,
    CAST(NULL AS DOUBLE) AS ratio, {figures}
FROM i GROUP BY i.day, i.interaction_type
ORDER BY i.day, i.interaction_type NULLS LAST"""
        return Sql(text, source.parameters)

    def _since(self) -> datetime | None:
        """The beginning of the day that is five weeks before the first one asked for."""
        if self.since is None:
            return None
        zone = ZoneInfo(self.zone)
        day = self.since.astimezone(zone).date() - timedelta(days=7 * (WEEKS + 1))
        return datetime.combine(day, time(), zone).astimezone(UTC)

    def finish(self, rows: list[Row]) -> list[Row]:
        """With days on which a type did not come, and what is expected of each."""
        if not rows:
            return rows
        zone = ZoneInfo(self.zone)
        first, last = rows[0][0], rows[-1][0]
        if self.since is not None:
            first = self.since.astimezone(zone).date()
        if self.until is not None:
            last = (self.until - timedelta(milliseconds=1)).astimezone(zone).date()
        found = {(row[0], row[1]): row for row in rows}
        began: dict[str, date] = {}
        for day, name, *_ in rows:
            began.setdefault(name, day)
        made: list[Row] = []
        for day in _days(first, last):
            for name in sorted(began):
                if began[name] > day:
                    continue
                made.append(self._row(day, name, found, began[name]))
                if len(made) > MOST_ROWS:
                    raise Rejected(f"The answer has more than {MOST_ROWS} rows: take fewer days.")
        return made

    def _row(self, day: date, name: str, found: dict[tuple[date, str], Row], began: date) -> Row:
        nothing = (day, name, 0, *(None for _ in COLUMNS[3:]))
        row = list(found.get((day, name)) or nothing)
        counts = ("received", "sent")
        for place, column in enumerate(COLUMNS):
            if column.name in counts and row[place] is None:
                row[place] = 0
        before = [day - timedelta(days=7 * n) for n in range(1, WEEKS + 1)]
        usual = [
            found[past, name][2] if (past, name) in found else 0 for past in before if past >= began
        ]
        if usual:
            row[EXPECTED] = float(statistics.median(usual))
            row[RATIO] = row[2] / row[EXPECTED] if row[EXPECTED] else None
        return tuple(row)


def _days(first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        day += timedelta(days=1)
