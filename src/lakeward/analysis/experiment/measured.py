"""What units of each arm did: sufficient statistics of a metric, made by SQL.

In: an experiment, a metric. Out: a row for each arm: units, means and sample covariances of y, d,
x and z (`moments`), or a quantile with the order statistics at the ends of its interval. A deed
counts from the unit's first exposure on (the same millisecond included) and for `within_days`; of
the covariate, in the `before_days` before it. Units that did nothing count with 0.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from lakeward.analysis.experiment.metric import Measure, Metric, Verb, measure, metric
from lakeward.analysis.experiment.moments import FIELDS, PAIRS
from lakeward.analysis.experiment.question import MOST_DAYS, Exposed, check, exposures, parameters
from lakeward.analysis.experiment.source import Source, source
from lakeward.analysis.question import Column, Sql, Value, says
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
KINDS_OF_MONEY: Final = Column("currencies", "integer", "Different currencies in the values.")
VALUE: Final = {
    "did": "CAST(count(*) > 0 AS INTEGER) * 1.0", "count": "count(*) * 1.0",
    "sum": "coalesce(sum(value), 0.0)", "told": "count(value) * 1.0",
}  # fmt: skip
"""What the events of a unit make, by verb."""


class ExperimentMoments(Exposed, frozen=True, kw_only=True):
    """Means and covariances of a metric over the units of each arm."""

    name: ClassVar[str] = "experiment_moments"

    metric: Annotated[str, says("What is compared, such as sum:deal_closed.value.")]
    before_days: Annotated[float, says("Days before the exposure for x and z; 0 for none.")] = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check(self)
        if not 0 <= self.before_days <= MOST_DAYS:
            raise Rejected(f"`before_days` must be 0 to {MOST_DAYS}.")
        if metric(self.metric).kind == "quantile":
            raise Rejected(f"{self.metric[:60]!r} is a quantile: ask experiment_quantile.")
        self.sql()

    def columns(self) -> tuple[Column, ...]:
        """Units, four means, ten covariances."""
        means = (Column(f, "number", f"Mean of {f}: {MEANING[f]}.") for f in FIELDS)
        pairs = (Column(p, "number", f"Sample covariance of {p[0]} and {p[1]}.") for p in PAIRS)
        return (*OF_ARM, *means, *pairs, KINDS_OF_MONEY)

    def sql(self) -> Sql:
        """Over `stitched`, and the views of outcomes."""
        wanted = metric(self.metric)
        bare: Verb = "count" if wanted.kind == "ratio" else "did"
        measures = [measure(text, bare) for text in wanted.measures]
        more: dict[str, Value] = {"within_days": self.within_days, "before_days": self.before_days}
        ctes = [exposures(self)]
        for n, each in enumerate(measures):
            found = source(each, self.unit, f"m{n}")
            more |= found.parameters
            ctes += _deeds(self, found, n, each)
        y, x = _of_unit(0)
        d, z = _of_unit(1) if len(measures) == 2 else ("1.0", "1.0")
        if self.before_days == 0:
            x, z = "0.0", "1.0"
        joins = "\n    ".join(
            f"LEFT JOIN did{n} ON did{n}.unit = e.unit "
            f"AND did{n}.service IS NOT DISTINCT FROM e.service" for n in range(len(measures))
        )  # fmt: skip
        ctes.append(
            f"unit AS (\n    SELECT e.arm, {y} AS y, {d} AS d, {x} AS x, {z} AS z\n"
            f"    FROM exposed e\n    {joins}\n)"
        )
        text = f"""WITH {", ".join(ctes)}
SELECT arm, count(*) AS units, {", ".join(f"avg({f}) AS {f}" for f in FIELDS)},
    {", ".join(f"coalesce(covar_samp({p[0]}, {p[1]}), 0.0) AS {p}" for p in PAIRS)},
    (SELECT count(DISTINCT kind) FROM deed0) AS currencies
FROM unit GROUP BY arm ORDER BY arm"""
        return Sql(text, parameters(self, **more))


def _of_unit(n: int) -> tuple[str, str]:
    """A measure of a unit after and before; nothing is 0."""
    return f"coalesce(did{n}.after, 0.0)", f"coalesce(did{n}.before, 0.0)"


def _deeds(asked: Exposed, found: Source, n: int, of: Measure) -> list[str]:
    """CTEs: a measure's events in a unit's time, and what they make."""
    until = " AND v.moment < $until" if asked.until is not None else ""
    value = VALUE[of.verb].replace("count(*)", "count(*) FILTER (WHERE {})")
    value = value.replace("(value)", "(value) FILTER (WHERE {})")
    return [
        f"""event{n} AS ({found.text}), deed{n} AS (
    SELECT e.service, e.unit, v.moment >= e.first_at AS later, v.value, v.kind
    FROM exposed e JOIN event{n} v ON v.unit = e.unit AND v.service IS NOT DISTINCT FROM e.service
        AND v.moment >= e.first_at - $before_days * INTERVAL '1' DAY
        AND v.moment < e.first_at + $within_days * INTERVAL '1' DAY{until}
)""",
        f"""did{n} AS (
    SELECT service, unit, {value.format("later")} AS after, {value.format("NOT later")} AS before
    FROM deed{n} GROUP BY service, unit
)""",
    ]


class ExperimentQuantile(Exposed, frozen=True, kw_only=True):
    """A quantile of a field in each arm, and the ends of its interval.

    By nearest rank over all values; units are clusters (Deng, Knoblich and Lu 2018, arXiv
    1803.06336, section 4).
    """

    name: ClassVar[str] = "experiment_quantile"

    metric: Annotated[str, says("A quantile of a field, such as p90:api_call.response_time_ms.")]

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check(self)
        if metric(self.metric).kind != "quantile":
            raise Rejected(f"{self.metric[:60]!r} is no quantile such as p90:TYPE.FIELD.")
        self.sql()

    def columns(self) -> tuple[Column, ...]:
        """The quantile and its order statistics."""
        return (
            *OF_ARM,
            Column("measured_units", "integer", "Units that have a value.", "units"),
            Column("events", "integer", "Values.", "events"),
            Column("value", "number", "The quantile."),
            Column("low", "number", "Value at the low end of its 95 % interval."),
            Column("high", "number", "Value at the high end."),
            KINDS_OF_MONEY,
        )

    def sql(self) -> Sql:
        """Over `stitched`, and the views of outcomes."""
        wanted: Metric = metric(self.metric)
        of = measure("sum:" + wanted.measures[0])
        found = source(of, self.unit, "m0")
        deeds = _deeds(self, found, 0, of)[0]
        text = f"""WITH {exposures(self)}, {deeds}, placed AS (
    SELECT e.arm, d.service, d.unit, d.value,
        row_number() OVER (PARTITION BY e.arm ORDER BY d.value) AS place,
        count(*) OVER (PARTITION BY e.arm) AS events
    FROM deed0 d JOIN exposed e ON e.unit = d.unit AND e.service IS NOT DISTINCT FROM d.service
    WHERE d.later AND d.value IS NOT NULL
), middle AS (
    SELECT arm, value FROM placed WHERE place = greatest(1, ceil($share * events))
), unit AS (
    SELECT p.arm, p.service, p.unit, count(*) * 1.0 AS values_,
        count(*) FILTER (WHERE p.value <= m.value) * 1.0 AS below
    FROM placed p JOIN middle m ON m.arm = p.arm GROUP BY p.arm, p.service, p.unit
), cluster AS (
    SELECT arm, count(*) AS units, avg(below) / avg(values_) AS share, avg(values_) AS mean,
        var_samp(below) AS bb, covar_samp(below, values_) AS bv, var_samp(values_) AS vv
    FROM unit GROUP BY arm
), spread AS (
    SELECT arm, units, CASE WHEN units > 1 THEN $z * sqrt(
        greatest(0.0, bb - 2 * share * bv + share * share * vv) / units) / mean END AS half
    FROM cluster
), ends AS (
    SELECT p.arm, any_value(s.units) AS measured_units, any_value(p.events) AS events,
        max(p.value) FILTER (WHERE p.place = greatest(1, ceil($share * p.events))) AS value,
        max(p.value) FILTER (WHERE s.half IS NOT NULL AND p.place =
            greatest(1, ceil(greatest(0.0, $share - s.half) * p.events))) AS low,
        max(p.value) FILTER (WHERE s.half IS NOT NULL AND p.place =
            least(p.events, floor(least(1.0, $share + s.half) * p.events) + 1)) AS high
    FROM placed p JOIN spread s ON s.arm = p.arm GROUP BY p.arm
), whole AS (
    SELECT arm, count(*) AS units FROM exposed GROUP BY arm
)
SELECT w.arm, w.units, coalesce(n.measured_units, 0) AS measured_units,
    coalesce(n.events, 0) AS events, n.value, n.low, n.high,
    (SELECT count(DISTINCT kind) FROM deed0) AS currencies
FROM whole w LEFT JOIN ends n ON n.arm = w.arm ORDER BY w.arm"""
        more: dict[str, Value] = {
            "share": wanted.quantile or 0.5, "z": Z95, "within_days": self.within_days,
            "before_days": 0.0, **found.parameters,
        }  # fmt: skip
        return Sql(text, parameters(self, **more))
