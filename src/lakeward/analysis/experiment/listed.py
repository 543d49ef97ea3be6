"""Which experiments a lake knows: every one that somebody met, with its arms.

In: a time and filters. Out: a row for each experiment, then one for each of its arms. What is told
is what was exposed: units in several arms are in each of them here, and in none of a report. Of
many experiments, those that were met last.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from lakeward.analysis.events import Events, Source, looked
from lakeward.analysis.question import Column, Sql, says
from lakeward.errors import Rejected

MOST: Final = 500
MOST_ARMS: Final = 20
"""Strangers may make up arms without end: those with the most units are told."""


class Experiments(Events, frozen=True, kw_only=True):
    """Experiments that somebody met: their arms, units and days."""

    name: ClassVar[str] = "experiments"

    unit: Annotated[str, says("Who is counted: person, session_id, or any field.")] = "person"
    limit: Annotated[int, says("How many experiments; those that were met last.")] = 100

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        looked(self.unit)
        if not 1 <= self.limit <= MOST:
            raise Rejected(f"`limit` must be from 1 to {MOST}.")

    def columns(self) -> tuple[Column, ...]:
        """The same for every lake."""
        return (
            Column("experiment", "text", "Key of the experiment."),
            Column("arm", "text", "The arm; nothing for the whole experiment."),
            Column("units", "integer", "Units that met it.", "units"),
            Column("exposures", "integer", "Exposures.", "interactions"),
            Column("first_at", "time", "The first exposure."),
            Column("last_at", "time", "The last one."),
            Column("days", "number", "Days from the first to the last.", "days"),
        )

    def sql(self) -> Sql:
        """Over `interactions`, or `stitched` where persons are counted."""
        source = Source(self)
        unit = source.field(self.unit).sql
        own = {n: source.field(f"experiments.{n}").sql for n in ("experiment", "variant", "forced")}
        terms = source.where(
            source.of_type("experiment_exposure"),
            f"{own['experiment']} IS NOT NULL",
            f"{own['variant']} IS NOT NULL",
            f"coalesce({own['forced']} <> 'true', TRUE)",
        )
        figures = (
            "count(DISTINCT unit) AS units, count(*) AS exposures, min(ms) AS first_ms, "
            "max(ms) AS last_ms"
        )
        text = f"""WITH seen AS (
    SELECT {own["experiment"]} AS experiment, {own["variant"]} AS arm, {unit} AS unit,
        {source.ms} AS ms
    FROM {source.relation(self.unit)} WHERE {terms}
), whole AS (
    SELECT experiment, {figures} FROM seen GROUP BY experiment
    ORDER BY last_ms DESC, experiment LIMIT {self.limit}
), arms AS (
    SELECT s.experiment, s.arm, count(DISTINCT s.unit) AS units, count(*) AS exposures,
        min(s.ms) AS first_ms, max(s.ms) AS last_ms
    FROM seen s JOIN whole w ON w.experiment = s.experiment GROUP BY s.experiment, s.arm
), placed AS (
    SELECT a.*, row_number() OVER (PARTITION BY experiment ORDER BY units DESC, arm) AS place
    FROM arms a
), told AS (
    SELECT experiment, CAST(NULL AS VARCHAR) AS arm, units, exposures, first_ms, last_ms FROM whole
    UNION ALL SELECT experiment, arm, units, exposures, first_ms, last_ms FROM placed
    WHERE place <= {MOST_ARMS}
)
SELECT t.experiment, t.arm, t.units, t.exposures, make_timestamptz(t.first_ms * 1000) AS first_at,
    make_timestamptz(t.last_ms * 1000) AS last_at, (t.last_ms - t.first_ms) / 86400000.0 AS days
FROM told t JOIN whole w ON w.experiment = t.experiment
ORDER BY w.last_ms DESC, t.experiment, t.arm NULLS FIRST"""
        return Sql(text, source.parameters)
