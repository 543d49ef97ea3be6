"""Who met which arm: units of an experiment, and those that are set aside.

In: an experiment's name and how its units are known. Out: a row for each arm and for each reason to
set units aside. A unit is exposed when it first met its arm, in the time that is asked for; who met
several arms in it is in none. Units are kept apart by app (`service`), as outcomes are. Exposures
that were forced by hand do not count; of several versions of an experiment, the newest does.
`where` must hold of the exposures, not of what follows on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from lakeward.analysis.events import Events, Source, looked
from lakeward.analysis.question import Column, Sql, says
from lakeward.errors import Rejected

MOST_DAYS: Final = 3650
LONGEST: Final = 200
DAY_MS: Final = 86_400_000
COLUMNS: Final = (
    Column("state", "text", "exposed, several_arms, forced, earlier_version or unknown."),
    Column("arm", "text", "The arm; of several the first and the last."),
    Column("variant_index", "integer", "Its least place among the variants."),
    Column("units", "integer", "Units; of unknown ones, exposures.", "units"),
    Column("first_at", "time", "The first exposure."),
    Column("last_at", "time", "The last one; of an arm, the last unit's first."),
    Column("open_units", "integer", "Units whose time is not over at `until`.", "units"),
    Column("assigned_by", "text", "What assigned, where it was told; of several two."),
)


class Exposed(Events, frozen=True, kw_only=True):
    """The parameters that questions about an experiment have in common."""

    experiment: Annotated[str, says("Key of the experiment.")]
    unit: Annotated[str, says("What was assigned: person, session_id, or any field.")] = "person"
    within_days: Annotated[
        float, says("How many days from its first exposure on a unit's deeds count.")
    ] = 14

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if not 0 < len(self.experiment) <= LONGEST:
            raise Rejected(f"`experiment` must have 1 to {LONGEST} letters.")
        if not 0 < self.within_days <= MOST_DAYS:
            raise Rejected(f"`within_days` must be above 0 and at most {MOST_DAYS}.")
        if looked(self.unit).kind != "text":
            raise Rejected(f"`unit`: {self.unit!r} is no id: take person, session_id or another.")

    @property
    def within_ms(self) -> int:
        """How long a unit's deeds count."""
        return round(self.within_days * DAY_MS)


def source_of(asked: Exposed) -> Source:
    """What builds the statement."""
    return Source(asked)


def source_of_deeds(asked: Exposed, source: Source) -> Source:
    """The same for what follows on exposures: neither `since` nor `where` is about it."""
    common = {name: getattr(asked, name) for name in Events.__struct_fields__}
    return Source(Events(**common | {"since": None, "where": None}), source.values)


def exposures(asked: Exposed, source: Source, cuts: Sequence[int] = ()) -> str:
    """CTEs `seen`, `counted`, `met` (a row for each unit) and `exposed` (those of one arm); with
    `cuts` (ms) each of them but the first is as of every one of these moments."""

    def own(name: str) -> str:
        return source.field(f"experiments.{name}").sql

    unit = source.field(asked.unit).sql
    terms = source.where(
        source.of_type("experiment_exposure"),
        f"{own('experiment')} = {source.values(asked.experiment)}",
    )
    listed = ", ".join(f"({source.values(cut)})" for cut in cuts)
    cut, n_cut, s_cut, by, of = ("cut, ", "n.cut, ", "s.cut, ", "GROUP BY c.cut", "c.cut, ")
    moments = f"cuts AS (SELECT cut FROM (VALUES {listed}) v(cut)), "
    each, before = "JOIN cuts c ON s.ms < c.cut", " AND s.ms < n.cut"
    if not cuts:
        cut = n_cut = s_cut = by = of = moments = each = before = ""
    return f"""{moments}seen AS (
    SELECT i.service, {unit} AS unit, {source.ms} AS ms, {own("variant")} AS arm,
        TRY_CAST({own("variant_index")} AS BIGINT) AS variant_index,
        {own("hash_attribute")} AS assigned_by,
        coalesce(TRY_CAST({own("experiment_version")} AS BIGINT), 0) AS version,
        CASE WHEN {own("forced")} = 'true' THEN 'forced'
            WHEN {unit} IS NULL OR {own("variant")} IS NULL THEN 'unknown' END AS aside
    FROM {source.relation(asked.unit)} WHERE {terms}
), newest AS (
    SELECT {of}max(version) AS version FROM seen s {each} WHERE aside IS NULL {by}
), counted AS (
    SELECT {n_cut}s.* FROM seen s JOIN newest n ON n.version = s.version{before}
    WHERE s.aside IS NULL
), met AS (
    SELECT {s_cut}service, unit, min(ms) AS first_ms, max(ms) AS last_ms, min(arm) AS arm,
        max(arm) AS other, count(DISTINCT arm) AS arms, min(variant_index) AS variant_index,
        min(assigned_by) AS assigned_by, max(assigned_by) AS assigned_too
    FROM counted s GROUP BY {s_cut}service, unit
), exposed AS (
    SELECT {cut}service, unit, first_ms, arm, variant_index, assigned_by, assigned_too
    FROM met WHERE arms = 1
)"""


class ExperimentUnits(Exposed, frozen=True, kw_only=True):
    """Who met which arm of an experiment, and who is set aside."""

    name: ClassVar[str] = "experiment_units"

    def columns(self) -> tuple[Column, ...]:
        """The same for every experiment."""
        return COLUMNS

    def sql(self) -> Sql:
        """Over `stitched`, or `interactions` where the unit is no person."""
        source = source_of(self)
        ctes = exposures(self, source)
        open_ = "CAST(NULL AS BIGINT)"
        if self.until is not None:
            over = round(self.until.timestamp() * 1000) - self.within_ms
            open_ = f"count(*) FILTER (WHERE first_ms > {source.values(over)})"
        text = f"""WITH {ctes}, aside AS (
    SELECT 'several_arms' AS state, CASE WHEN arms = 2 THEN arm || ' + ' || other
        ELSE arm || ' + … + ' || other END AS arm, first_ms, last_ms
    FROM met WHERE arms > 1
    UNION ALL SELECT 'earlier_version', s.arm, min(s.ms), max(s.ms)
    FROM seen s JOIN newest n ON s.version < n.version
    WHERE s.aside IS NULL GROUP BY s.service, s.unit, s.arm
    UNION ALL SELECT 'forced', arm, min(ms), max(ms)
    FROM seen WHERE aside = 'forced' GROUP BY service, unit, arm
    UNION ALL SELECT 'unknown', arm, ms, ms FROM seen WHERE aside = 'unknown'
), told AS (
    SELECT 'exposed' AS state, arm, min(variant_index) AS variant_index, count(*) AS units,
        min(first_ms) AS first_ms, max(first_ms) AS last_ms, {open_} AS open_units,
        CASE WHEN min(assigned_by) = max(assigned_too) THEN min(assigned_by)
            ELSE min(assigned_by) || ', ' || max(assigned_too) END AS assigned_by
    FROM exposed GROUP BY arm
    UNION ALL SELECT state, arm, CAST(NULL AS BIGINT), count(*), min(first_ms), max(last_ms),
        CAST(NULL AS BIGINT), CAST(NULL AS VARCHAR)
    FROM aside GROUP BY state, arm
)
SELECT state, arm, variant_index, units, make_timestamptz(first_ms * 1000) AS first_at,
    make_timestamptz(last_ms * 1000) AS last_at, open_units, assigned_by
FROM told ORDER BY state, arm NULLS LAST"""
        return Sql(text, source.parameters)
