"""What units of each arm did: sufficient statistics of a metric, made by SQL.

In: an experiment, a metric. Out: a row for each arm: units, means and sample covariances of y, d,
x and z (`moments`), or a quantile with the order statistics at the ends of its interval. A deed
counts from the unit's first exposure on (the same millisecond included) and for `within_days`; of
the covariate, in the `before_days` before it. Units that did nothing count with 0.

The interval of a quantile has units as clusters of values (Deng, Knoblich and Lu 2018, arXiv
1803.06336).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from lakeward.analysis.events import Source
from lakeward.analysis.experiment.deeds import deeds
from lakeward.analysis.experiment.metric import Measure, Metric
from lakeward.analysis.experiment.moments import FIELDS, PAIRS
from lakeward.analysis.experiment.question import (
    DAY_MS,
    MOST_DAYS,
    Exposed,
    exposures,
    source_of,
    source_of_deeds,
)
from lakeward.analysis.question import Column, Sql, says
from lakeward.errors import Rejected

MEANING: Final = {
    "y": "what is measured", "d": "what it is divided by", "x": "y before the exposure",
    "z": "d before the exposure",
}  # fmt: skip
Z95: Final = 1.959963984540054
"""Errors at which the order statistics of a quantile are taken."""
OF_ARM: Final = (
    Column("arm", "text", "The arm."),
    Column("units", "integer", "Its units.", "units"),
)
CURRENCIES: Final = Column("currencies", "integer", "Different currencies in the values.")
VALUE: Final = {
    "did": "CASE WHEN count(*) FILTER (WHERE {}) > 0 THEN 1.0 ELSE 0.0 END",
    "count": "count(*) FILTER (WHERE {}) * 1.0",
    "sum": "coalesce(sum(d.value) FILTER (WHERE {}), 0.0)",
    "told": "count(d.value) FILTER (WHERE {}) * 1.0",
}
"""What the deeds of a unit make, by verb."""


class ExperimentMoments(Exposed, frozen=True, kw_only=True):
    """Means and covariances of a metric over the units of each arm."""

    name: ClassVar[str] = "experiment_moments"

    metric: Annotated[Metric, says("What is compared: a share, a mean or a ratio.")]
    before_days: Annotated[float, says("Days before the exposure for x and z; 0 for none.")] = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if not 0 <= self.before_days <= MOST_DAYS:
            raise Rejected(f"`before_days` must be 0 to {MOST_DAYS}.")
        if self.metric.kind == "quantile":
            raise Rejected(f"{self.metric.name[:80]!r} is a quantile: ask experiment_quantile.")
        self.sql()

    def columns(self) -> tuple[Column, ...]:
        """Units, four means, ten covariances."""
        means = (Column(f, "number", f"Mean of {f}: {MEANING[f]}.") for f in FIELDS)
        pairs = (Column(p, "number", f"Sample covariance of {p[0]} and {p[1]}.") for p in PAIRS)
        return (*OF_ARM, *means, *pairs, CURRENCIES)

    def sql(self) -> Sql:
        """Over `stitched`, and the views of outcomes."""
        return moments(self)


def moments(asked: ExperimentMoments, cuts: Sequence[int] = ()) -> Sql:
    """The statement; with `cuts` (ms) as of each of these moments, which rows begin with."""
    source, measures = source_of(asked), asked.metric.measures
    cut, own = ("cut, ", "e.cut, ") if cuts else ("", "")
    ctes = [exposures(asked, source, cuts)]
    for n, each in enumerate(measures):
        ctes += [_deeds(asked, source, n, each, asked.before_days, own), _made(n, each, cut)]
    y, x = _of_unit(0)
    d, z = _of_unit(1) if len(measures) == 2 else ("1.0", "1.0")
    if asked.before_days == 0:
        x, z = "0.0", "1.0"
    joins = " ".join(
        f"LEFT JOIN did{n} ON did{n}.unit = e.unit "
        f"AND did{n}.service IS NOT DISTINCT FROM e.service"
        f"{f' AND did{n}.cut = e.cut' if cuts else ''}" for n in range(len(measures))
    )  # fmt: skip
    ctes.append(
        f"whole AS (\n    SELECT {own}e.arm, {y} AS y, {d} AS d, {x} AS x, {z} AS z\n"
        f"    FROM exposed e {joins}\n)"
    )
    text = f"""WITH {", ".join(ctes)}
SELECT {cut}arm, count(*) AS units, {", ".join(f"avg({f}) AS {f}" for f in FIELDS)},
    {", ".join(f"coalesce(covar_samp({p[0]}, {p[1]}), 0.0) AS {p}" for p in PAIRS)},
    (SELECT count(DISTINCT kind) FROM deed0) AS currencies
FROM whole GROUP BY {cut}arm ORDER BY {cut}arm"""
    return Sql(text, source.parameters)


def _of_unit(n: int) -> tuple[str, str]:
    """A measure of a unit after and before; nothing is 0."""
    return f"coalesce(did{n}.later, 0.0)", f"coalesce(did{n}.earlier, 0.0)"


def _deeds(
    asked: Exposed, source: Source, n: int, of: Measure, before_days: float, cut: str = ""
) -> str:
    """CTE: a measure's interactions in the time of exposed units; `cut`: `e.cut, ` or nothing."""
    before, within = (
        source.values(ms) for ms in (round(before_days * DAY_MS), asked.within_ms)
    )  # fmt: skip
    return f"""deed{n} AS (
    SELECT {cut}e.service, e.unit, e.arm, v.ms >= e.first_ms AS after, v.value, v.kind
    FROM exposed e JOIN ({deeds(of, asked.unit, source_of_deeds(asked, source))}) v
        ON v.unit = e.unit AND v.service IS NOT DISTINCT FROM e.service
        AND v.ms >= e.first_ms - {before} AND v.ms < e.first_ms + {within}
        {"AND v.ms < e.cut" if cut else ""}
)"""


def _made(n: int, of: Measure, cut: str = "") -> str:
    """CTE: what a unit's deeds make; `cut`: `cut, ` or nothing."""
    value = VALUE[of.verb]
    return f"""did{n} AS (
    SELECT {cut}d.service, d.unit, {value.format("d.after")} AS later,
        {value.format("NOT d.after")} AS earlier
    FROM deed{n} d GROUP BY {cut}d.service, d.unit
)"""


class ExperimentQuantile(Exposed, frozen=True, kw_only=True):
    """A quantile of a field in each arm, by nearest rank, and the ends of its interval."""

    name: ClassVar[str] = "experiment_quantile"

    metric: Annotated[Metric, says("What is compared: a quantile.")]

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if self.metric.kind != "quantile":
            raise Rejected(f"{self.metric.name[:80]!r} is no quantile: ask experiment_moments.")
        self.sql()

    def columns(self) -> tuple[Column, ...]:
        """The quantile and its order statistics."""
        return (
            *OF_ARM,
            Column("measured_units", "integer", "Units that have a value.", "units"),
            Column("values", "integer", "Values.", "values"),
            Column("value", "number", "The quantile."),
            Column("low", "number", "Value at the low end of its 95 % interval."),
            Column("high", "number", "Value at the high end."),
            CURRENCIES,
        )

    def sql(self) -> Sql:
        """Over `stitched`, and the views of outcomes."""
        return quantiles(self)


def quantiles(asked: ExperimentQuantile, cuts: Sequence[int] = ()) -> Sql:
    """The statement; with `cuts` (ms) as of each of these moments, which rows begin with."""
    source, of = source_of(asked), asked.metric.measures[0]
    cut, own = ("cut, ", "e.cut, ") if cuts else ("", "")
    p_cut, w_cut = ("p.cut, ", "w.cut, ") if cuts else ("", "")
    with_m, with_s, with_f = (
        f" AND {one}.cut = {other}.cut" if cuts else "" for one, other in ("mp", "sp", "fw")
    )
    ctes = [exposures(asked, source, cuts), _deeds(asked, source, 0, of, 0, own)]
    share, z = source.values(asked.metric.quantile or 0.5), source.values(Z95)
    text = f"""WITH {", ".join(ctes)}, placed AS (
    SELECT {cut}d.arm, d.service, d.unit, d.value,
        row_number() OVER (PARTITION BY {cut}d.arm ORDER BY d.value) AS place,
        count(*) OVER (PARTITION BY {cut}d.arm) AS n
    FROM deed0 d WHERE d.after AND d.value IS NOT NULL
), middle AS (
    SELECT {cut}arm, value FROM placed WHERE place = greatest(1, ceil({share} * n))
), cluster AS (
    SELECT {p_cut}p.arm, p.service, p.unit, count(*) * 1.0 AS held,
        count(*) FILTER (WHERE p.value <= m.value) * 1.0 AS below
    FROM placed p JOIN middle m ON m.arm = p.arm{with_m}
    GROUP BY {p_cut}p.arm, p.service, p.unit
), moments AS (
    SELECT {cut}arm, count(*) AS units, avg(below) / avg(held) AS share, avg(held) AS mean,
        var_samp(below) AS bb, covar_samp(below, held) AS bh, var_samp(held) AS hh
    FROM cluster GROUP BY {cut}arm
), spread AS (
    SELECT {cut}arm, units, CASE WHEN units > 1 THEN {z} * sqrt(
        greatest(0.0, bb - 2 * share * bh + share * share * hh) / units) / mean END AS half
    FROM moments
), found AS (
    SELECT {p_cut}p.arm, max(s.units) AS measured_units, max(p.n) AS n,
        max(p.value) FILTER (WHERE p.place = greatest(1, ceil({share} * p.n))) AS value,
        max(p.value) FILTER (WHERE s.half IS NOT NULL
            AND p.place = greatest(1, ceil(greatest(0.0, {share} - s.half) * p.n))) AS low,
        max(p.value) FILTER (WHERE s.half IS NOT NULL
            AND p.place = least(p.n, floor(least(1.0, {share} + s.half) * p.n) + 1)) AS high
    FROM placed p JOIN spread s ON s.arm = p.arm{with_s} GROUP BY {p_cut}p.arm
), whole AS (
    SELECT {cut}arm, count(*) AS units FROM exposed GROUP BY {cut}arm
)
SELECT {w_cut}w.arm, w.units, coalesce(f.measured_units, 0) AS measured_units,
    coalesce(f.n, 0) AS "values", f.value, f.low, f.high,
    (SELECT count(DISTINCT kind) FROM deed0) AS currencies
FROM whole w LEFT JOIN found f ON f.arm = w.arm{with_f} ORDER BY {w_cut}w.arm"""
    return Sql(text, source.parameters)
