"""Trend: how often, how many, how much and how fast, over time and broken down.

In: up to ten series, each of a type, a filter and a metric. Out: a row for each moment of the grain
and each combination of the fields that break it down, with a column for each series. Moments in
which nothing happened are rows too, between the first and the last, or from `since` to `until`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final

import msgspec

from lakeward.analysis.events import (
    ANY,
    Events,
    Source,
    check_event,
    check_fields,
    field_columns,
    looked,
)
from lakeward.analysis.filters import Filter, check_size, fields_of
from lakeward.analysis.grains import Grain, floored, following
from lakeward.analysis.metric import field_of, metric_of, number
from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.errors import Rejected

MOST_SERIES: Final = 10
MOST_ROWS: Final = 50_000
COUNTS: Final = frozenset({"events", "units", "unique", "errors"})
"""Metrics that are 0 where nothing happened; others are unknown there."""


class Series(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One line of a trend."""

    event: Annotated[str, says("The interaction type; `*` for every one.")] = ANY
    where: Annotated[Filter | None, says("What must hold of it.")] = None
    metric: Annotated[str, says("What is counted.")] = "events"
    field: Annotated[str | None, says("The field that the metric is of.")] = None
    label: Annotated[str, says("What it is called.")] = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check_event("event", self.event)
        check_size(self.where)
        if (field := field_of(self.metric, self.field)) is not None:
            looked(field)

    @property
    def name(self) -> str:
        """What a legend says."""
        if self.label:
            return self.label
        of = f"({field})" if (field := field_of(self.metric, self.field)) else ""
        return f"{self.event} {self.metric}{of}"


class Trend(Events, frozen=True, kw_only=True):
    """How often, how many, how much and how fast, over time."""

    name: ClassVar[str] = "trend"

    series: Annotated[tuple[Series, ...], says("What is counted; up to ten.")] = (Series(),)
    grain: Annotated[Grain | None, says("How long a moment is; without it all is one.")] = "day"
    by: Annotated[tuple[str, ...], says("Fields that break it down.")] = ()
    top: Annotated[int, says("How many combinations of these, those with the most.")] = 25
    unit: Annotated[str, says("Who is counted: person, user_id, session_id, or any field.")] = (
        "person"
    )
    exact: Annotated[bool, says("Whether rows are counted, where roll-ups come close.")] = False

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if not 1 <= len(self.series) <= MOST_SERIES:
            raise Rejected(f"`series` takes 1 to {MOST_SERIES} of them.")
        check_fields("by", self.by)
        looked(self.unit)
        if not 1 <= self.top <= 1000:
            raise Rejected("`top` must be from 1 to 1000.")

    def columns(self) -> tuple[Column, ...]:
        """The moment, the fields, and a column for each series."""
        columns = [*field_columns(self.by)]
        if self.grain is not None:
            kind: Any = "time" if self.grain == "hour" else "date"
            columns.insert(0, Column("moment", kind, f"Beginning of the {self.grain}."))
        for n, series in enumerate(self.series, 1):
            metric = metric_of(series.metric)
            columns.append(Column(f"series_{n}", metric.kind, f"{series.name}.", metric.unit))
        return tuple(columns)

    def sql(self) -> Sql:
        """Over `interactions`, or `stitched` where the person counts."""
        return self._sql(Source(self, quick=True))

    def portable(self) -> Sql:
        """The form that every engine takes."""
        return self._sql(Source(self))

    def _sql(self, source: Source) -> Sql:
        counted = any("i.unit" in metric_of(series.metric).sql for series in self.series)
        names = [*self.by, *(f for s in self.series for f in named_by(s))]
        inner = [f"{source.field(self.unit).sql} AS unit"] if counted else []
        keys = [f"{source.field(name).sql} AS by_{n}" for n, name in enumerate(self.by, 1)]
        if self.grain is not None:
            keys.insert(0, f"{source.field(self.grain).sql} AS moment")
        terms = [f"{source.of_type(s.event)} AND {source.condition(s.where)}" for s in self.series]
        inner += [*keys, *(f"({term}) AS is_{n}" for n, term in enumerate(terms, 1))]
        values = []
        for n, series in enumerate(self.series, 1):
            metric, field = metric_of(series.metric), field_of(series.metric, series.field)
            if field is not None:
                found = source.field(field)
                x = number(found) if metric.takes == "number" else found.sql
                inner.append(f"{x} AS x_{n}")
            values.append(metric.sql.format(rows=f"i.is_{n}", x=f"i.x_{n}") + f" AS series_{n}")
        inner.append("i.response_status")
        relation = source.relation(*names, *([self.unit] if counted else []))
        any_of = " OR ".join(f"({term})" for term in terms)
        rows = (
            f"WITH i AS (SELECT {', '.join(inner)} FROM {relation} "
            f"WHERE {source.where(f'({any_of})')})"
        )
        named = [key.rpartition(" AS ")[2] for key in keys]
        shown = [f'i.{key} AS "{self._shown(key)}"' for key in named]
        group = f"GROUP BY {', '.join(str(n) for n in range(1, len(named) + 1))}" if named else ""
        if self.by:
            by = ", ".join(f"by_{n}" for n in range(1, len(self.by) + 1))
            rows += (
                f", most AS (SELECT {by} FROM i GROUP BY {by} "
                f"ORDER BY count(*) DESC, {by} LIMIT {self.top})"
            )
            same = " AND ".join(
                f"i.by_{n} IS NOT DISTINCT FROM m.by_{n}" for n in range(1, len(self.by) + 1)
            )
            origin = f"FROM i JOIN most m ON {same}"
        else:
            origin = "FROM i"
        order = f"ORDER BY {', '.join(f'{n} NULLS LAST' for n in range(1, len(named) + 1))}"
        text = f"{rows}\nSELECT {', '.join([*shown, *values])}\n{origin}\n{group}"
        return Sql(f"{text}\n{order}" if named else text, source.parameters)

    def _shown(self, key: str) -> str:
        return self.by[int(key[3:]) - 1] if key.startswith("by_") else key

    def finish(self, rows: list[Row]) -> list[Row]:
        """With a row for each moment in which nothing happened, for each combination."""
        if self.grain is None or not rows:
            return rows
        first, last = rows[0][0], rows[-1][0]
        if self.since is not None:
            first = floored(self.grain, self.since, self.zone)
        if self.until is not None:
            last = floored(self.grain, self.until - timedelta(milliseconds=1), self.zone)
        width = 1 + len(self.by)
        found = {row[:width]: row for row in rows}
        kinds = dict.fromkeys(row[1:width] for row in rows)
        nothing = tuple(0 if s.metric in COUNTS else None for s in self.series)
        filled: list[Row] = []
        for moment in following(self.grain, first, last, self.zone):
            for kind in kinds:
                key = (moment, *kind)
                filled.append(found.get(key) or (*key, *nothing))
                if len(filled) > MOST_ROWS:
                    raise Rejected(
                        f"The answer has more than {MOST_ROWS} rows: take a longer grain."
                    )
        return filled


def named_by(series: Series) -> Iterator[str]:
    """The fields that a series names, its filter's included."""
    if (field := field_of(series.metric, series.field)) is not None:
        yield field
    yield from fields_of(series.where)
