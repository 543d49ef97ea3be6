"""How an experiment's report came to be: the same judged as of the end of each day.

In: a `Brief`. Out: units and intervals by moment, as plain data. Fails as `experiment` does.

There is a moment for each day of the zone since the first exposure, of many days every n-th, until
nobody can act any more; the last is `until`. What is told of it is what the report of that moment
says. One question for each metric asks for all moments at once: rows begin with their moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, ClassVar, Final
from zoneinfo import ZoneInfo

from lakeward.analysis.experiment.asking import Wanted, observed_of, population
from lakeward.analysis.experiment.distributions import need
from lakeward.analysis.experiment.measured import (
    ExperimentMoments,
    ExperimentQuantile,
    moments,
    quantiles,
)
from lakeward.analysis.experiment.question import (
    ExperimentUnits,
    Exposed,
    exposures,
    source_of,
)
from lakeward.analysis.experiment.report import report
from lakeward.analysis.experiment.result import Observed, Report
from lakeward.analysis.experiment.study import Brief, Put, Table, asked, ends, plain, told
from lakeward.analysis.question import Column, Sql, says
from lakeward.errors import Rejected

MOST_POINTS: Final = 30
CUT: Final = Column("cut", "integer", "As of this moment, in ms since 1970.")
Cuts = Annotated[tuple[int, ...], says("Moments, in ms since 1970.")]
Row = Mapping[str, Any]


class UnitsByCut(ExperimentUnits, frozen=True, kw_only=True):
    """Who met which arm, as of several moments; of those set aside, who met several."""

    cuts: Cuts

    def columns(self) -> tuple[Column, ...]:
        """Those that a report is made of."""
        own = [each for each in super().columns() if each.name != "open_units"]
        return (CUT, *own, Column("open_units", "integer", "Not told."))

    def sql(self) -> Sql:
        """As the question without moments, for each of them."""
        source = source_of(self)
        ctes = exposures(self, source, self.cuts)
        text = f"""WITH {ctes}, told AS (
    SELECT cut, 'exposed' AS state, arm, min(variant_index) AS variant_index, count(*) AS units,
        min(first_ms) AS first_ms, max(first_ms) AS last_ms,
        CASE WHEN min(assigned_by) = max(assigned_too) THEN min(assigned_by)
            ELSE min(assigned_by) || ', ' || max(assigned_too) END AS assigned_by
    FROM exposed GROUP BY cut, arm
    UNION ALL SELECT cut, 'several_arms', NULL, NULL, count(*), min(first_ms), max(last_ms), NULL
    FROM met WHERE arms > 1 GROUP BY cut
)
SELECT cut, state, arm, variant_index, units, make_timestamptz(first_ms * 1000) AS first_at,
    make_timestamptz(last_ms * 1000) AS last_at, assigned_by, CAST(NULL AS BIGINT) AS open_units
FROM told ORDER BY cut, state, arm NULLS LAST"""
        return Sql(text, source.parameters)


class MomentsByCut(ExperimentMoments, frozen=True, kw_only=True):
    """Means and covariances, as of several moments."""

    cuts: Cuts

    def columns(self) -> tuple[Column, ...]:
        """The moment first."""
        return (CUT, *super().columns())

    def sql(self) -> Sql:
        """As the question without moments, for each of them."""
        return moments(self, self.cuts)


class QuantileByCut(ExperimentQuantile, frozen=True, kw_only=True):
    """A quantile, as of several moments."""

    cuts: Cuts

    def columns(self) -> tuple[Column, ...]:
        """The moment first."""
        return (CUT, *super().columns())

    def sql(self) -> Sql:
        """As the question without moments, for each of them."""
        return quantiles(self, self.cuts)


class ExperimentCourse(Brief, frozen=True, kw_only=True):
    """The report as of the end of each day since it began."""

    name: ClassVar[str] = "experiment_course"

    def document(self, put: Put, over: Callable[[], bool]) -> Mapping[str, Any]:
        """Units and intervals by moment, and the metrics that time left out."""
        need()
        rows = list(put(ExperimentUnits(**_common(self.of))).dicts())
        population(self.of, rows)
        cuts = self.moments(rows)
        units = _by_cut(put(self._units(cuts)).dicts())
        seen: dict[int, list[Observed]] = {cut: [] for cut in cuts}
        left: list[str] = []
        for wanted in self.wanted():
            if over():
                left.append(wanted.metric.name)
                continue
            found = _by_cut(put(self._measured(wanted, cuts)).dicts())
            for cut in cuts:
                seen[cut].append(observed_of(wanted, found.get(cut, []), self.before_days))
        kept = [(cut, self._then(units.get(cut, []), seen[cut])) for cut in cuts]
        return {
            "brief": self,
            "questions": asked(self),
            "left_out": left,
            "units": plain(_units(kept)),
            "intervals": plain(_intervals(kept)),
        }

    def moments(self, rows: Sequence[Row]) -> list[int]:
        """Ends of days of the zone in which something could still change, in ms."""
        exposed = [row for row in rows if row["state"] == "exposed"]
        if not exposed:
            return []
        until = self.of.until or datetime.now(UTC)
        last = max(row["last_at"] for row in exposed) + timedelta(days=self.of.within_days)
        days = list(_midnights(min(row["first_at"] for row in exposed), self.of.zone, until, last))
        step = -(-(len(days) + 1) // MOST_POINTS)
        kept = [*reversed(days[::-1][step - 1 :: step]), until]
        return [round(moment.timestamp() * 1000) for moment in kept]

    def _units(self, cuts: Sequence[int]) -> UnitsByCut:
        return UnitsByCut(**_common(self.of), cuts=tuple(cuts))

    def _measured(self, wanted: Wanted, cuts: Sequence[int]) -> MomentsByCut | QuantileByCut:
        common = {**_common(self.of), "metric": wanted.metric, "cuts": tuple(cuts)}
        if wanted.metric.kind == "quantile":
            return QuantileByCut(**common)
        return MomentsByCut(**common, before_days=self.before_days)

    def _then(self, rows: Sequence[Row], observed: Sequence[Observed]) -> Report | None:
        """What was to be read at that moment; None where one arm had nobody yet."""
        try:
            return report(population(self.of, rows), observed, self.terms)
        except Rejected:
            return None


def _common(of: Exposed) -> dict[str, Any]:
    return {name: getattr(of, name) for name in Exposed.__struct_fields__}


def _by_cut(rows: Iterator[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["cut"], []).append(row)
    return found


def _midnights(
    first: datetime, zone: str, until: datetime, last: datetime
) -> Iterator[datetime]:  # fmt: skip
    local = ZoneInfo(zone)
    day = first.astimezone(local).date()
    while True:
        day += timedelta(days=1)
        moment = datetime.combine(day, time(), local).astimezone(UTC)
        if moment >= until:
            return
        yield moment
        if moment > last:  # nobody can act any more
            return


def _units(kept: Sequence[tuple[int, Report | None]]) -> Table:
    columns = (
        Column("moment", "time", "As of then."),
        Column("arm", "text", "The arm."),
        Column("units", "integer", "Units that had met it.", "units"),
        Column("planned", "number", "Its share by plan.", "0 to 1"),
        Column("split_p", "number", "p of all arms having their shares."),
    )
    rows = [
        (_moment(cut), arm.arm, arm.units, arm.planned, found.split.p)
        for cut, found in kept if found is not None for arm in found.arms
    ]  # fmt: skip
    return columns, rows


def _intervals(kept: Sequence[tuple[int, Report | None]]) -> Table:
    columns = (
        Column("moment", "time", "As of then."),
        Column("metric", "text", "The metric."),
        Column("arm", "text", "The arm that is held against control."),
        *ends("difference", "Treatment minus control"),
        *ends("lift", "Difference by control", "0 to 1"),
        Column("verdict", "text", "What the report of that moment said to do."),
    )
    rows = [
        (_moment(cut), of.metric, effect.arm, *told(effect.difference), *told(effect.lift),
         found.verdict.status)
        for cut, found in kept if found is not None for of in found.metrics for effect in of.effects
    ]  # fmt: skip
    return columns, rows


def _moment(cut: int) -> datetime:
    return datetime.fromtimestamp(cut / 1000, UTC)
