"""Trends from cells: the same rows as a trend counts, of hours and days that are counted already.

In: a `Trend`. Out: what it needs of cells, and its statement over them; None for one that needs
rows. It may be broken down by one field that cells are by, and filtered by it, by type and by bots;
its metrics are events, errors, their rate, sums and means, percentiles of the response time and
numbers of different units.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lakeward.analysis.events import ANY
from lakeward.analysis.filters import Filter, fields_of
from lakeward.analysis.metric import field_of
from lakeward.analysis.rollup import bins
from lakeward.analysis.rollup.cells import MEASURES, TIMED, UNITS, WHOLE, counted, summed
from lakeward.analysis.rollup.cover import Need
from lakeward.analysis.rollup.sketch import estimate
from lakeward.analysis.rollup.source import CellSource, facet_of, grains
from lakeward.analysis.trend import Series, Trend

PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
OF_UNITS: Final = ("units", "unique")
MS: Final = "response_time_ms"


def need_of(trend: Trend) -> Need | None:
    """What it needs of cells; None where it needs rows."""
    if trend.clock != "event":
        return None
    names = set(trend.by) | set(fields_of(trend.where)) | ({trend.grain} if trend.grain else set())
    for series in trend.series:
        names |= set(fields_of(series.where))
    facet = facet_of(names)
    whole, coarse = grains(trend, names)
    if facet is None or not whole or not all(_told(trend, series) for series in trend.series):
        return None
    times = any(series.metric in PERCENTILES for series in trend.series)
    units = {_unit(trend, series) for series in trend.series if series.metric in OF_UNITS}
    if (times and facet not in TIMED) or (units and facet) or len(units) > 1:
        return None
    types = "interaction_type" in names or any(
        series.event != ANY for series in trend.series if series.metric in OF_UNITS
    )
    if units and types and not coarse:
        return None
    return Need(
        figures=tuple(dict.fromkeys(("n", *(name for s in trend.series for name in _figures(s))))),
        facet=facet, times=times, unit=next(iter(units), None), typed=types and bool(units),
        coarse=coarse,
    )  # fmt: skip


def _told(trend: Trend, series: Series) -> bool:
    """Whether cells tell the metric of a series."""
    field = field_of(series.metric, series.field)
    if series.metric in ("events", "errors", "error_rate"):
        return True
    if series.metric in ("least", "most") or series.metric in PERCENTILES:
        return field == MS
    if series.metric in ("sum", "mean"):
        return field in MEASURES
    return series.metric in OF_UNITS and _unit(trend, series) in UNITS


def _figures(series: Series) -> tuple[str, ...]:
    """The figures of cells that a series is made of."""
    field = field_of(series.metric, series.field) or ""
    if series.metric in ("sum", "mean"):
        return summed(field), counted(field)
    return {
        "errors": ("failed",), "error_rate": ("failed", "answered"),
        "least": ("least",), "most": ("most",),
    }.get(series.metric, ())  # fmt: skip


def _unit(trend: Trend, series: Series) -> str:
    field = field_of(series.metric, series.field)
    return trend.unit if field is None else field


def statement(trend: Trend, source: CellSource, cells: str) -> str:
    """Over its cells: first together by band and plane, then by what breaks it down."""
    keys = [f"{source.field(name).sql} AS by_{n}" for n, name in enumerate(trend.by, 1)]
    if trend.grain is not None:
        keys.insert(0, f"{source.field(trend.grain).sql} AS moment")
    named = [key.rpartition(" AS ")[2] for key in keys]
    terms = [f"{source.of_type(s.event)} AND {source.condition(s.where)}" for s in trend.series]
    flags = [f"({term}) AS is_{n}" for n, term in enumerate(terms, 1)]
    any_of = " OR ".join(f"({term})" for term in terms)
    ranked = _ranked(trend)
    group = ", ".join([*named, *(("band",) if ranked else ()), "plane"])
    first = ", ".join([group, *_sums(trend), *_slots(trend, ranked)])
    parts = ["i.*", *_windows(ranked, named)]
    lines = [
        f"{_figure(n, series, ranked)} AS series_{n}" for n, series in enumerate(trend.series, 1)
    ]
    shown = [f'{key} AS "{_shown(trend, key)}"' for key in named]
    text = f"""WITH cells AS ({cells}), i AS (
    SELECT {", ".join([*keys, *flags, "i.*"])} FROM cells i WHERE {source.where(f"({any_of})")}
){_most(trend)}, put AS (SELECT {first} FROM i {_among(trend)} GROUP BY {group}
), i2 AS (SELECT {", ".join(parts)} FROM put i)
SELECT {", ".join([*shown, *lines])} FROM i2"""
    if not named:
        return text
    places = ", ".join(str(n) for n in range(1, len(named) + 1))
    order = ", ".join(f"{n} NULLS LAST" for n in range(1, len(named) + 1))
    return f"{text} GROUP BY {places} ORDER BY {order}"


def shares(trend: Trend) -> Iterator[tuple[int, float]]:
    """Which columns of the statement are bands of percentiles, and of which."""
    first = len(trend.by) + (trend.grain is not None)
    for n, series in enumerate(trend.series, first):
        if series.metric in PERCENTILES:
            yield n, PERCENTILES[series.metric]


def _shown(trend: Trend, key: str) -> str:
    return trend.by[int(key[3:]) - 1] if key.startswith("by_") else key


def _most(trend: Trend) -> str:
    """The combinations with the most interactions."""
    if not trend.by:
        return ""
    by = ", ".join(f"by_{n}" for n in range(1, len(trend.by) + 1))
    return (
        f", most AS (SELECT {by} FROM i GROUP BY {by} "
        f"ORDER BY coalesce(sum(n), 0) DESC, {by} LIMIT {trend.top})"
    )


def _among(trend: Trend) -> str:
    if not trend.by:
        return ""
    same = " AND ".join(f"by_{n} IS NOT DISTINCT FROM m_{n}" for n in range(1, len(trend.by) + 1))
    named = ", ".join(f"by_{n} AS m_{n}" for n in range(1, len(trend.by) + 1))
    return f"JOIN (SELECT {named} FROM most) m ON {same}"


def _sums(trend: Trend) -> Iterator[str]:
    """What is put together of the cells of one band and one plane."""
    for n, series in enumerate(trend.series, 1):
        only = f"FILTER (WHERE is_{n})"
        field = field_of(series.metric, series.field) or ""
        match series.metric:
            case "events":
                yield f"sum(n) {only} AS n_{n}"
            case "errors":
                yield f"sum(failed) {only} AS n_{n}"
            case "error_rate":
                yield f"sum(failed) {only} AS n_{n}, sum(answered) {only} AS of_{n}"
            case "sum" | "mean":
                yield f"sum({summed(field)}) {only} AS n_{n}"
                yield f"sum({counted(field)}) {only} AS of_{n}"
            case "least" | "most":
                how = "min" if series.metric == "least" else "max"
                yield f"{how}({series.metric}) {only} AS n_{n}"
            case "units" | "unique":
                yield f"bit_count(bit_or(bits) {only}) AS bits_{n}"
            case _:
                continue


Ranked = dict[tuple[str, Filter | None], int]
"""Which interactions percentiles are of, and the number of the first series that is of these."""


def _ranked(trend: Trend) -> Ranked:
    found: Ranked = {}
    for n, series in enumerate(trend.series, 1):
        if series.metric in PERCENTILES:
            found.setdefault((series.event, series.where), n)
    return found


def _slots(trend: Trend, ranked: Ranked) -> Iterator[str]:
    """How many times are in each bin of a band; where there is one condition, all cells hold it."""
    alone = len({(series.event, series.where) for series in trend.series}) == 1
    for n in ranked.values():
        only = "" if alone else f" FILTER (WHERE is_{n})"
        for slot in bins.SLOTS:
            yield f"CAST(sum({slot}){only} AS BIGINT) AS {slot}_{n}"


def _of(n: int) -> list[str]:
    return [f"{slot}_{n}" for slot in bins.SLOTS]


def _windows(ranked: Ranked, named: list[str]) -> Iterator[str]:
    """How many times are in a band, in it and those before it, and in all."""
    by = f"PARTITION BY {', '.join(named)} " if named else ""
    for n in ranked.values():
        here = bins.total(_of(n))
        yield f"{here} AS here_{n}"
        for frame, name in bins.FRAMES.items():
            yield f"CAST(sum({here}) OVER ({by}{frame}) AS BIGINT) AS {name}_{n}"


def _figure(n: int, series: Series, ranked: Ranked) -> str:
    """The figure of a series."""
    field = field_of(series.metric, series.field) or ""
    match series.metric:
        case "events" | "errors":
            return f"CAST(coalesce(sum(n_{n}), 0) AS BIGINT)"
        case "error_rate":
            return f"sum(n_{n}) * 1e0 / nullif(sum(of_{n}), 0)"
        case "sum":
            kind = "HUGEINT" if field in WHOLE else "DOUBLE"
            return f"CAST(sum(n_{n}) AS {kind})"
        case "mean":
            return f"CAST(sum(n_{n}) AS DOUBLE) / nullif(sum(of_{n}), 0)"
        case "least":
            return f"min(n_{n})"
        case "most":
            return f"max(n_{n})"
        case "units" | "unique":
            return estimate("plane", f"bits_{n}")
        case name:
            of = ranked[series.event, series.where]
            share = PERCENTILES[name]
            return bins.reached(share, _of(of), f"here_{of}", f"so_far_{of}", f"in_all_{of}")
