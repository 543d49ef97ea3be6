"""Web vitals: how quick and steady pages were in the browsers of those who saw them.

In: reports (`web_vital`), and fields that break them down. Out: a row for each vital and each
combination.

Of reports with one `metric_id` the last holds, so that a page that goes on shifting is measured
once. The percentile is by nearest rank: a value that was measured. *Good* is a value up to the
first of its thresholds, *poor* one above the second, whatever the sender made of it.

    LCP 2500 ms, 4000 ms   INP 200 ms, 500 ms   CLS 0.1, 0.25   FCP 1800, 3000   TTFB 800, 1800
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from lakeward.analysis.events import Events, Source, check_fields, field_columns
from lakeward.analysis.metric import number
from lakeward.analysis.question import Column, Sql, says
from lakeward.errors import Rejected

LIMITS: Final = {
    "LCP": (2500.0, 4000.0),
    "INP": (200.0, 500.0),
    "CLS": (0.1, 0.25),
    "FCP": (1800.0, 3000.0),
    "TTFB": (800.0, 1800.0),
}
"""Good up to the first, poor above the second, as published by the Chrome team (web.dev/vitals)."""
MOST_ROWS: Final = 10_000
FIGURES: Final = (
    Column("measured", "integer", "Page loads that told it.", "loads"),
    Column("p75", "number", "Percentile 75; in ms, of CLS without a unit."),
    Column("rating", "text", "Of that value: good, needs-improvement or poor."),
    Column("good", "integer", "Loads with a good value.", "loads"),
    Column("needs_improvement", "integer", "Loads with a value between.", "loads"),
    Column("poor", "integer", "Loads with a poor value.", "loads"),
    Column("good_share", "number", "Of the loads that told it.", "0 to 1"),
    Column("needs_improvement_share", "number", "Of the loads that told it.", "0 to 1"),
    Column("poor_share", "number", "Of the loads that told it.", "0 to 1"),
    Column("good_up_to", "number", "The largest value that is good."),
    Column("poor_above", "number", "Larger values are poor."),
)


class WebVitals(Events, frozen=True, kw_only=True):
    """How quick and steady pages were: percentile 75 of each web vital, and shares of loads."""

    name: ClassVar[str] = "web_vitals"

    by: Annotated[tuple[str, ...], says("Fields that break it down, such as path.")] = ()
    limit: Annotated[int, says("How many combinations of a vital, those with the most.")] = 100

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        check_fields("by", self.by)
        if not 1 <= self.limit <= MOST_ROWS:
            raise Rejected(f"`limit` must be from 1 to {MOST_ROWS}.")

    def columns(self) -> tuple[Column, ...]:
        """The vital, the fields, the figures."""
        vital = Column("vital", "text", f"One of {', '.join(LIMITS)}.")
        return (vital, *field_columns(self.by), *FIGURES)

    def sql(self) -> Sql:
        """Over the days that the view knows."""
        return self._sql(Source(self, quick=True))

    def portable(self) -> Sql:
        """The form that every engine takes."""
        return self._sql(Source(self))

    def _sql(self, source: Source) -> Sql:
        vital = source.field("properties.name").sql
        value = number(source.field("properties.value"))
        key = f"coalesce({source.field('properties.metric_id').sql}, i.interaction_id)"
        keys = [f"by_{n}" for n in range(1, len(self.by) + 1)]
        fields = "".join(
            f", {source.field(name).sql} AS {key_}"
            for name, key_ in zip(self.by, keys, strict=True)
        )
        listed = "".join(f", {name}" for name in keys)
        names = source.values.list(tuple(LIMITS))
        terms = (source.of_type("web_vital"), f"{vital} IN ({names})", f"{value} >= 0")
        group = ", ".join(str(n) for n in range(1, len(keys) + 2))
        last = f"row_number() OVER (PARTITION BY {key} ORDER BY {source.ms} DESC, "
        order = f"measured DESC{''.join(f', {name} NULLS LAST' for name in keys)}"
        shown = "".join(f', {key_} AS "{name}"' for name, key_ in zip(self.by, keys, strict=True))
        good, poor = (_bound("vital", source, n) for n in (0, 1))
        text = f"""WITH reports AS (
    SELECT {vital} AS vital, {value} AS x{fields}, {last}i.interaction_id DESC) AS place
    FROM {source.relation(*self.by)} WHERE {source.where(*terms)}
), rated AS (
    SELECT vital, x{listed}, {good} AS good_up_to, {poor} AS poor_above
    FROM reports WHERE place = 1
), counted AS (
    SELECT vital{listed}, count(*) AS measured, quantile_disc(x, 0.75) AS p75,
        count(*) FILTER (WHERE x <= good_up_to) AS good,
        count(*) FILTER (WHERE x > poor_above) AS poor,
        max(good_up_to) AS good_up_to, max(poor_above) AS poor_above
    FROM rated GROUP BY {group}
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY vital ORDER BY {order}) AS place FROM counted
)
SELECT vital{shown}, measured, p75, CASE WHEN p75 <= good_up_to THEN 'good'
    WHEN p75 <= poor_above THEN 'needs-improvement' ELSE 'poor' END AS rating,
    good, measured - good - poor AS needs_improvement, poor, {_share("good")} AS good_share,
    {_share("(measured - good - poor)")} AS needs_improvement_share, {_share("poor")} AS poor_share,
    good_up_to, poor_above
FROM ranked WHERE place <= {self.limit}
ORDER BY {_place("vital")}, place"""
        return Sql(text, source.parameters)


def _bound(vital: str, source: Source, which: int) -> str:
    """A threshold of a row's vital; doubles, as every engine compares them."""
    cases = (f"WHEN {source.values(name)} THEN {source.values(limits[which])}"
             for name, limits in LIMITS.items())  # fmt: skip
    return f"CASE {vital} {' '.join(cases)} END"


def _place(vital: str) -> str:
    """The vitals in the order of `LIMITS`."""
    cases = " ".join(f"WHEN '{name}' THEN {n}" for n, name in enumerate(LIMITS))
    return f"CASE {vital} {cases} END"


def _share(count: str) -> str:
    return f"CAST({count} AS DOUBLE) / measured"
