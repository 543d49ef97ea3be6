"""Who met which arm: units of an experiment, and those that are set aside.

In: an experiment's name and how its units are known. Out: a row for each arm and for each reason to
set units aside. A unit is exposed when it first met its arm; who met several arms is in none. Units
are kept apart by app (`service`), as outcomes are. Exposures that were forced by hand or came of
programs do not count; of several versions of an experiment, the newest does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final

import msgspec

from lakeward.analysis.experiment.source import UNITS, Unit
from lakeward.analysis.question import Column, Sql, Value, says
from lakeward.errors import Rejected

MOST_DAYS: Final = 3650
LONGEST: Final = 200
COLUMNS: Final = (
    Column("state", "text", "exposed, several_arms, forced, program, earlier_version or unknown."),
    Column("arm", "text", "The arm; of several, all of them."),
    Column("variant_index", "integer", "Its least place among the variants."),
    Column("units", "integer", "Units; of unknown ones, exposures.", "units"),
    Column("first_at", "time", "The first exposure."),
    Column("last_at", "time", "The last unit's first exposure."),
    Column("open_units", "integer", "Units whose time to act is not over at `until`.", "units"),
    Column("assigned_by", "text", "Attributes that assigned, where they were told."),
)


class Exposed(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters that questions about an experiment have in common."""

    experiment: Annotated[str, says("Key of the experiment.")]
    unit: Annotated[Unit, says("What is a unit: whoever assigned by it.")] = "person"
    service: Annotated[str | None, says("Only this app.")] = None
    since: Annotated[datetime | None, says("The first moment that counts.")] = None
    until: Annotated[datetime | None, says("The first moment that counts no more.")] = None
    within_days: Annotated[
        float, says("How many days from its first exposure on a unit's deeds count.")
    ] = 14

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check(self)


def check(asked: Exposed) -> None:
    """Refuse what cannot be asked of any experiment."""
    if not 0 < len(asked.experiment) <= LONGEST:
        raise Rejected(f"`experiment` must have 1 to {LONGEST} letters.")
    if not 0 < asked.within_days <= MOST_DAYS:
        raise Rejected(f"`within_days` must be above 0 and at most {MOST_DAYS}.")
    for parameter, moment in (("since", asked.since), ("until", asked.until)):
        if moment is not None and moment.tzinfo is None:
            raise Rejected(f"`{parameter}` must have a zone, such as 2026-11-01T00:00:00Z.")
    if asked.since and asked.until and asked.since >= asked.until:
        raise Rejected("`until` must be after `since`.")


def parameters(asked: Exposed, **more: Value) -> dict[str, Value]:
    """The values of `exposures`."""
    found: dict[str, Value] = {"experiment": asked.experiment, **more}
    for name, moment in (("since", asked.since), ("until", asked.until)):
        if moment is not None:
            found[name] = moment.astimezone(UTC)
    if asked.service is not None:
        found["service"] = asked.service
    return found


def exposures(asked: Exposed) -> str:
    """CTEs `seen`, `counted`, `met` (a row for each unit) and `exposed` (those of one arm)."""
    terms = [
        "interaction_type = 'experiment_exposure'",
        "experiments->>'$.experiment' = $experiment",
    ]
    if asked.since is not None:
        terms.append("timestamp >= $since")
    if asked.until is not None:
        terms.append("timestamp < $until")
    if asked.service is not None:
        terms.append("service = $service")
    return f"""seen AS (
    SELECT service, {UNITS[asked.unit]} AS unit, timestamp AS moment,
        experiments->>'$.variant' AS arm,
        TRY_CAST(experiments->>'$.variant_index' AS BIGINT) AS variant_index,
        experiments->>'$.hash_attribute' AS assigned_by,
        coalesce(TRY_CAST(experiments->>'$.experiment_version' AS BIGINT), 0) AS version,
        CASE WHEN coalesce(bot, false) THEN 'program'
            WHEN coalesce(TRY_CAST(experiments->>'$.forced' AS BOOLEAN), false) THEN 'forced'
            WHEN {UNITS[asked.unit]} IS NULL OR experiments->>'$.variant' IS NULL THEN 'unknown'
        END AS aside
    FROM stitched WHERE {" AND ".join(terms)}
), newest AS (
    SELECT max(version) AS version FROM seen WHERE aside IS NULL
), counted AS (
    SELECT s.* FROM seen s JOIN newest n ON n.version = s.version WHERE s.aside IS NULL
), met AS (
    SELECT service, unit, min(moment) AS first_at, min(arm) AS arm, count(DISTINCT arm) AS arms,
        min(variant_index) AS variant_index
    FROM counted GROUP BY service, unit
), exposed AS (
    SELECT service, unit, first_at, arm, variant_index FROM met WHERE arms = 1
)"""


class ExperimentUnits(Exposed, frozen=True, kw_only=True):
    """Who met which arm of an experiment, and who is set aside."""

    name: ClassVar[str] = "experiment_units"

    def columns(self) -> tuple[Column, ...]:
        """The same for every experiment."""
        return COLUMNS

    def sql(self) -> Sql:
        """Over `stitched`."""
        more: dict[str, Value] = {}
        open_ = "CAST(NULL AS BIGINT)"
        if self.until is not None:
            more["within_days"] = self.within_days
            open_ = "count(*) FILTER (WHERE first_at > $until - $within_days * INTERVAL '1' DAY)"
        text = f"""WITH {exposures(self)}, crossed AS (
    SELECT m.service, m.unit, m.first_at, string_agg(DISTINCT c.arm, ' + ' ORDER BY c.arm) AS arm
    FROM met m JOIN counted c ON c.unit = m.unit AND c.service IS NOT DISTINCT FROM m.service
    WHERE m.arms > 1 GROUP BY m.service, m.unit, m.first_at
), assigned AS (
    SELECT arm, string_agg(DISTINCT assigned_by, ', ' ORDER BY assigned_by) AS assigned_by
    FROM counted GROUP BY arm
), earlier AS (
    SELECT s.service, s.unit, s.moment, s.arm FROM seen s JOIN newest n ON s.version < n.version
    WHERE s.aside IS NULL
)
SELECT 'exposed' AS state, e.arm, min(e.variant_index) AS variant_index, count(*) AS units,
    min(e.first_at) AS first_at, max(e.first_at) AS last_at, {open_} AS open_units,
    any_value(a.assigned_by) AS assigned_by
FROM exposed e LEFT JOIN assigned a ON a.arm = e.arm GROUP BY e.arm
UNION ALL SELECT 'several_arms', arm, NULL, count(*), min(first_at), max(first_at), NULL, NULL
FROM crossed GROUP BY arm
UNION ALL SELECT 'earlier_version', arm, NULL, count(DISTINCT ROW(service, unit)), min(moment), max(moment),
    NULL, NULL FROM earlier GROUP BY arm
UNION ALL SELECT aside, arm, NULL, CASE WHEN aside = 'unknown' THEN count(*)
    ELSE count(DISTINCT ROW(service, unit)) END, min(moment), max(moment), NULL, NULL
FROM seen WHERE aside IS NOT NULL GROUP BY aside, arm
ORDER BY state, arm NULLS FIRST"""
        return Sql(text, parameters(self, **more))
