"""API health: how many calls, how many failed, and how quick they were.

In: calls (`api_call`), and fields that break them down. Out: a row for each combination.

An *error* is a call that the server failed (5xx), a *client error* one that it refused (4xx); rates
are of the calls that got a status, with Wilson's 95 % interval. A call without a status is one
whose client had gone. Percentiles are by nearest rank: values that were measured. Apdex counts a
call within the threshold whole and one within four of them half; a failed call counts nothing,
however quick it was. It is of the calls that have a time, and the failed ones.

Calls per minute are of the minutes from `since`, else the first call, to `until`, else the last
one. Broken down by the hour, day, week or month they are of the minutes of each that lie between
`since` and `until`: a day of 23 hours has 1380. Nothing is per minute of no time.

Health is what everybody met: programs and the team's own calls count unless they are left out.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, ClassVar, Final
from zoneinfo import ZoneInfo

from lakeward.analysis import offsets
from lakeward.analysis.ai_turns import Z95, share_columns, wilson
from lakeward.analysis.events import CALENDAR, DAYS, Events, Source, looked
from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.analysis.scope import MOST_DIMENSIONS, Dimension
from lakeward.errors import Rejected

MOST_ROWS: Final = 10_000
PERCENTS: Final = (50, 95, 99)
CALL: Final[dict[str, Dimension]] = {
    "consumer": Dimension(
        "coalesce(nullif(i.user_id, 'anonymous'), i.browser, i.user_agent)",
        "Who called: the user, else the program by its name, else what it says that it is.",
    ),
    "status_class": Dimension(
        "CASE WHEN i.response_status >= 500 THEN '5xx' WHEN i.response_status >= 400 THEN '4xx' "
        "WHEN i.response_status >= 300 THEN '3xx' WHEN i.response_status >= 200 THEN '2xx' "
        "WHEN i.response_status IS NOT NULL THEN '1xx' END",
        "2xx, 3xx, 4xx or 5xx; none where the client had gone.",
    ),
}
"""How calls can be broken down, beside the fields of interactions."""
SPANS: Final = ("hour", "day", "week", "month")
"""Stretches of time, the shortest first."""
COUNTED: Final = (
    Column("calls", "integer", "Calls.", "calls"),
    Column("calls_per_minute", "number", "Calls in a minute.", "calls"),
    Column("gone", "integer", "Calls whose client had gone before there was a status.", "calls"),
    Column("client_errors", "integer", "Calls that the server refused (4xx).", "calls"),
    *share_columns("client_error", "Refused ones of the calls that got a status."),
    Column("errors", "integer", "Calls that the server failed (5xx).", "calls"),
    *share_columns("error", "Failed ones of the calls that got a status."),
    *(Column(f"p{p}", "number", f"Response time, percentile {p}.", "ms") for p in PERCENTS),
    Column("longest", "number", "Longest response time.", "ms"),
    Column("apdex", "number", "Apdex of the threshold.", "0 to 1"),
    Column("bytes_in", "integer", "Bytes of the requests that say it.", "bytes"),
    Column("bytes_out", "integer", "Bytes of the responses that say it.", "bytes"),
)
_FLAT: Final = {
    "calls": "count(*)",
    "answered": "count(i.status)",
    "client_errors": "count(*) FILTER (WHERE i.status >= 400 AND i.status < 500)",
    "errors": "count(*) FILTER (WHERE i.status >= 500)",
    "rated": "count(*) FILTER (WHERE i.ms IS NOT NULL OR i.status >= 500)",
    "satisfied": "count(*) FILTER (WHERE i.ms <= {t} AND coalesce(i.status < 500, TRUE))",
    "tolerating": "count(*) FILTER (WHERE i.ms > {t} AND i.ms <= 4.0 * {t} "
    "AND coalesce(i.status < 500, TRUE))",
    "longest": "max(i.ms)",
    "bytes_in": "sum(i.request_bytes)",
    "bytes_out": "sum(i.response_bytes)",
}
"""What is aggregated in both forms."""


class ApiHealth(Events, frozen=True, kw_only=True):
    """How many calls, how many failed, and how quick they were: by route, consumer and time."""

    name: ClassVar[str] = "api_health"

    bots: Annotated[bool, says("Whether programs count.")] = True
    internal: Annotated[bool, says("Whether the team's own traffic counts.")] = True
    by: Annotated[
        tuple[str, ...],
        says("Fields that break it down, and `consumer` (the user, else the program) and "
             "`status_class`."),
    ] = ("route",)  # fmt: skip
    apdex_ms: Annotated[float, says("Response time up to which a call satisfies, in ms.")] = 300
    limit: Annotated[int, says("How many rows, at most; those with the most calls.")] = 1000
    exact: Annotated[bool, says("Whether rows are counted, where roll-ups come close.")] = False

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if len(set(self.by)) < len(self.by) or len(self.by) > MOST_DIMENSIONS:
            raise Rejected(f"`by` takes {MOST_DIMENSIONS} different fields at most.")
        for name in self.by:
            _dimension(name)
        if not 0 < self.apdex_ms <= 3_600_000:
            raise Rejected("`apdex_ms` must be more than 0 and at most 3600000.")
        check_limit(self.limit)

    def columns(self) -> tuple[Column, ...]:
        """Fields, then figures."""
        kept = [(name, _dimension(name)) for name in self.by]
        return (*(Column(name, found.kind, found.doc) for name, found in kept), *COUNTED)

    def sql(self) -> Sql:
        """Percentiles from one sort, the calendar by arithmetic; the answer is the same."""
        shares = ", ".join(f"{p / 100}" for p in PERCENTS)
        ranked = {"ranked": f"quantile_disc(i.ms, [{shares}])"}
        shown = {f"p{p}": f"ranked[{n}]" for n, p in enumerate(PERCENTS, 1)}
        return self._sql(ranked, shown, quick=True)

    def portable(self) -> Sql:
        """What other engines say too."""
        ranked = {f"p{p}": f"quantile_disc(i.ms, {p / 100})" for p in PERCENTS}
        return self._sql(ranked, {name: name for name in ranked})

    def _sql(
        self, ranked: dict[str, str], percentiles: dict[str, str], *, quick: bool = False
    ) -> Sql:
        source = Source(self, quick=quick)
        threshold = source.values(float(self.apdex_ms))
        told = [grouped(self, name, source) for name in self.by]
        keys = [f"by_{n}" for n in range(1, len(self.by) + 1)]
        named = "".join(f"{sql} AS {key}, " for (sql, _), key in zip(told, keys, strict=True))
        listed = "".join(f"{key}, " for key in keys)
        flat = {name: sql.format(t=threshold) for name, sql in _FLAT.items()} | ranked
        if self._span is None:
            flat |= {"first_ms": "min(i.at_ms)", "last_ms": "max(i.at_ms)"}
        places = ", ".join(str(n) for n in range(1, len(keys) + 1))
        order = [f"{key} NULLS LAST" for key in keys]
        most = ", ".join(["calls DESC", *order])
        shown = [
            f'{meant.format(x=key)} AS "{name}"'
            for (_, meant), key, name in zip(told, keys, self.by, strict=True)
        ]
        shown += [f"{sql} AS {name}" for name, sql in figures(percentiles).items()]
        by_time = bool(self.by) and self.by[0] in CALENDAR
        relation = source.relation(*self.by)
        where = source.where(source.of_type("api_call"))
        text = f"""WITH i AS (
    SELECT {named}i.response_status AS status, i.response_time_ms AS ms,
        i.request_bytes, i.response_bytes, {source.ms} AS at_ms
    FROM {relation} WHERE {where}
), counted AS (
    SELECT {listed}{", ".join(f"{sql} AS {name}" for name, sql in flat.items())}
    FROM i {f"GROUP BY {places}" if places else ""}
), timed AS (
    SELECT {listed}{", ".join(flat)}, {self.span_ms(source)} AS span_ms
    FROM counted ORDER BY {most} LIMIT {self.limit}
)
SELECT {", ".join(shown)}
FROM timed
ORDER BY {", ".join(order) if by_time else most}"""
        return Sql(text, source.parameters | {"z": Z95})

    @property
    def _span(self) -> str | None:
        """The shortest stretch of time that it is broken down by."""
        return next((name for name in SPANS if name in self.by), None)

    def span_ms(self, source: Source) -> str:
        """Of the whole answer; where it is broken down by time, `finish` knows."""
        if self._span is not None:
            return "CAST(NULL AS BIGINT)"
        first, last = "min(first_ms) OVER ()", "max(last_ms) OVER ()"
        if self.since is not None:
            first = source.values(round(self.since.timestamp() * 1000))
        if self.until is not None:
            last = source.values(round(self.until.timestamp() * 1000))
        return f"greatest({last} - {first}, 0)"

    def finish(self, rows: list[Row]) -> list[Row]:
        """With the calls per minute of each stretch of time."""
        if (span := self._span) is None:
            return rows
        place, calls = self.by.index(span), len(self.by)
        found = []
        for row in rows:
            minutes = None if row[place] is None else self._minutes(span, row[place])
            rate = row[calls] / minutes if minutes else None
            found.append((*row[: calls + 1], rate, *row[calls + 2 :]))
        return found

    def _minutes(self, span: str, moment: Any) -> float:
        """Of one stretch, as far as it is asked for."""
        if span == "hour":
            first, last = moment, moment + timedelta(hours=1)
        else:
            days = {"day": 1, "week": 7, "month": 32}[span]
            end = moment + timedelta(days=days)
            first = self._midnight(moment)
            last = self._midnight(end.replace(day=1) if span == "month" else end)
        first = first if self.since is None else max(first, self.since)
        last = last if self.until is None else min(last, self.until)
        return float((last - first).total_seconds() / 60)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), ZoneInfo(self.zone)).astimezone(UTC)


def grouped(events: Events, name: str, source: Source) -> tuple[str, str]:
    """What is grouped by, and what is shown of it, `{x}`: of the calendar, numbers go quicker."""
    if source.dated and events.zone == "UTC" and name in DAYS:
        return DAYS[name], "{x}"
    if source.dated and name in offsets.SHOWN:
        number = offsets.numbered(
            name, "epoch_ms(i.timestamp)", events.zone, events.since, events.until
        )
        return number, offsets.SHOWN[name]
    return (CALL.get(name) or source.field(name)).sql, "{x}"


def check_limit(limit: int) -> None:
    """Refuse a number of rows that is none."""
    if not 1 <= limit <= MOST_ROWS:
        raise Rejected(f"`limit` must be from 1 to {MOST_ROWS}.")


def _dimension(name: str) -> Dimension:
    try:
        return CALL.get(name) or looked(name)
    except Rejected as error:
        raise Rejected(f"`by`: {error} Calls have {' and '.join(CALL)}, too.") from None


def figures(percentiles: dict[str, str]) -> dict[str, str]:
    """The columns of the answer, over a row of what was aggregated."""
    found = {
        "calls": "calls",
        "calls_per_minute": f"{_double('calls')} * 60000 / nullif(span_ms, 0)",
        "gone": "calls - answered",
    }
    for short in ("client_error", "error"):
        hits, of = _double(f"{short}s"), _double("answered")
        low, high = wilson(hits, of)
        found |= {
            f"{short}s": f"{short}s",
            f"{short}_rate": f"{hits} / nullif(answered, 0)",
            f"{short}_low": f"CASE WHEN answered > 0 THEN {low} END",
            f"{short}_high": f"CASE WHEN answered > 0 THEN {high} END",
        }
    apdex = f"({_double('satisfied')} + {_double('tolerating')} / 2) / nullif(rated, 0)"
    same = ("bytes_in", "bytes_out")
    return found | percentiles | {"longest": "longest", "apdex": apdex, **{n: n for n in same}}


def _double(count: str) -> str:
    """A count to divide: of decimals Spark keeps six digits."""
    return f"CAST({count} AS DOUBLE)"
