"""API health from cells: the same rows as an `ApiHealth` counts.

In: an `ApiHealth`. Out: what it needs of cells, and its statement over them; None for one that
needs rows: it may be broken down by route or service and by the calendar, and its Apdex is of the
usual threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lakeward.analysis.ai_turns import Z95
from lakeward.analysis.api_health import CALL, PERCENTS, ApiHealth, figures
from lakeward.analysis.events import CALENDAR
from lakeward.analysis.filters import fields_of
from lakeward.analysis.question import Sql
from lakeward.analysis.rollup import bins
from lakeward.analysis.rollup.cells import APDEX_MS, TIMED, summed
from lakeward.analysis.rollup.cover import Need
from lakeward.analysis.rollup.source import CellSource, facet_of, grains

SUMMED: Final = {
    "calls": "n", "answered": "answered", "client_errors": "refused", "errors": "failed",
    "rated": "rated", "satisfied": "satisfied", "tolerating": "tolerating",
    "bytes_in": summed("request_bytes"), "bytes_out": summed("response_bytes"),
}  # fmt: skip
ENDS: Final = ("first_ms", "last_ms", "most")
BYTES: Final = ("bytes_in", "bytes_out")


def need_of(health: ApiHealth) -> Need | None:
    """What it needs of cells; None where it needs rows."""
    names = {*health.by, *fields_of(health.where)}
    if health.clock != "event" or health.apdex_ms != APDEX_MS or names & set(CALL):
        return None
    facet = facet_of(names)
    whole, coarse = grains(health, names)
    if facet not in TIMED or not whole:
        return None
    figured = (*SUMMED.values(), *ENDS)
    return Need(figures=figured, facet=facet, times=True, coarse=coarse)


def statement(health: ApiHealth, source: CellSource, cells: str) -> Sql:
    """Over its cells: first together by band, then by what breaks it down."""
    keys = [f"by_{n}" for n in range(1, len(health.by) + 1)]
    told = "".join(
        f"{source.field(name).sql} AS {key}, " for name, key in zip(health.by, keys, strict=True)
    )
    listed = "".join(f"{key}, " for key in keys)
    places = ", ".join(str(n) for n in range(1, len(keys) + 1))
    group = f"GROUP BY {places}" if keys else ""
    window = f"PARTITION BY {', '.join(keys)} " if keys else ""
    here = bins.total(list(bins.SLOTS))
    far = ", ".join(
        f"CAST(sum({here}) OVER ({window}{frame}) AS BIGINT) AS {name}"
        for frame, name in bins.FRAMES.items()
    )
    slots = ", ".join(f"CAST(sum({slot}) AS BIGINT) AS {slot}" for slot in bins.SLOTS)
    ranked = ", ".join(f"{_percentile(p)} AS p{p}" for p in PERCENTS)
    sums = ", ".join(f"sum({column}) AS {name}" for name, column in SUMMED.items())
    flat = ", ".join(
        f"CAST(sum({name}) AS HUGEINT) AS {name}" if name in BYTES
        else f"CAST(coalesce(sum({name}), 0) AS BIGINT) AS {name}"
        for name in SUMMED
    )  # fmt: skip
    order = [f"{key} NULLS LAST" for key in keys]
    most = ", ".join(["calls DESC", *order])
    by_time = bool(health.by) and health.by[0] in CALENDAR
    shown = [f'{key} AS "{name}"' for key, name in zip(keys, health.by, strict=True)]
    ranks = figures({f"p{p}": f"p{p}" for p in PERCENTS})
    shown += [f"{sql} AS {name}" for name, sql in ranks.items()]
    text = f"""WITH cells AS ({cells}), put AS (
    SELECT {told}band, {sums}, {slots}, min(first_ms) AS first_ms, max(last_ms) AS last_ms,
        max(most) AS longest
    FROM cells i WHERE {source.where(source.of_type("api_call"))}
    GROUP BY {listed}band
), far AS (
    SELECT *, {here} AS here, {far} FROM put
), counted AS (
    SELECT {listed}{flat}, {ranked}, min(first_ms) AS first_ms, max(last_ms) AS last_ms,
        max(longest) AS longest
    FROM far {group}
), timed AS (
    SELECT *, {health.span_ms(source)} AS span_ms FROM counted ORDER BY {most}
    LIMIT {health.limit}
)
SELECT {", ".join(shown)}
FROM timed
ORDER BY {", ".join(order) if by_time else most}"""
    return Sql(text, source.parameters | {"z": Z95})


def shares(health: ApiHealth) -> Iterator[tuple[int, float]]:
    """Which columns of the statement are bands of percentiles, and of which."""
    names = [column.name for column in health.columns()]
    return ((names.index(f"p{percent}"), percent / 100) for percent in PERCENTS)


def _percentile(percent: int) -> str:
    return bins.reached(percent / 100, list(bins.SLOTS), "here", "so_far", "in_all")
