"""The types that a lake holds: how many of each, since when, by whom, in which form.

Out: a row for each interaction type, the most frequent first. `known` says whether the catalog has
it; others are custom and welcome. `schema_version` is the form of the record that a Lakeward wrote:
two of them mean that apps of two versions write.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from lakeward.analysis.events import Events, Source
from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.catalog import TYPES

COLUMNS: Final = (
    Column("interaction_type", "text", "The type."),
    Column("known", "boolean", "Whether the catalog has it; else it is custom."),
    Column("interactions", "integer", "How many there are.", "interactions"),
    Column("first_at", "time", "When the first one was."),
    Column("last_at", "time", "When the last one was."),
    Column("services", "integer", "Apps that name themselves and sent it.", "apps"),
    Column("schema_version", "integer", "Newest form of the record."),
    Column("schema_version_least", "integer", "Oldest form of the record."),
)
KNOWN: Final = 1


class DataTypes(Events, frozen=True, kw_only=True):
    """The types that the lake holds: how many of each, first and last, known or custom."""

    name: ClassVar[str] = "data_types"

    bots: Annotated[bool, says("Whether programs count.")] = True
    internal: Annotated[bool, says("Whether the team's own traffic counts.")] = True

    def columns(self) -> tuple[Column, ...]:
        """The type and its figures."""
        return COLUMNS

    def sql(self) -> Sql:
        """Over `interactions`; `finish` looks into the catalog."""
        source = Source(self)
        text = f"""SELECT i.interaction_type, CAST(NULL AS BOOLEAN) AS known,
    count(*) AS interactions, min({source.at}) AS first_at, max({source.at}) AS last_at,
    count(DISTINCT i.service) AS services,
    max(coalesce(i.schema_version, 1)) AS schema_version,
    min(coalesce(i.schema_version, 1)) AS schema_version_least
FROM {source.relation()} WHERE {source.where()}
GROUP BY i.interaction_type
ORDER BY interactions DESC, i.interaction_type NULLS LAST"""
        return Sql(text, source.parameters)

    def finish(self, rows: list[Row]) -> list[Row]:
        """With what the catalog says."""
        return [(*row[:KNOWN], row[0] in TYPES, *row[KNOWN + 1 :]) for row in rows]
