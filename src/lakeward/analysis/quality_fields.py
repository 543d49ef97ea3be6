"""How full the fields of a type are: of each field, how many records have it.

In: a type of the catalog, whose own fields it knows, or any other, of which it knows the record's
alone. Out: a row for each field, or for each day and field. A field that holds JSON's null is not
there, and neither is an object of the record, such as `properties`, in which nothing stands; the
user `anonymous` and the type of user `unknown` are nobody known.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from lakeward.analysis.events import Events, Source, check_event
from lakeward.analysis.question import Column, Sql, says
from lakeward.catalog import TYPES
from lakeward.lake.columns import ENRICHED, NESTED, RECORD

ALWAYS: Final = frozenset({"interaction_id", "timestamp", "interaction_type", "extra"})
"""What every record has, and what is no field of its own."""


class DataFields(Events, frozen=True, kw_only=True):
    """How full the fields of a type are: those of the record, and its own of the catalog."""

    name: ClassVar[str] = "data_fields"

    bots: Annotated[bool, says("Whether programs count.")] = True
    internal: Annotated[bool, says("Whether the team's own traffic counts.")] = True
    event: Annotated[str, says("The interaction type.")]
    daily: Annotated[bool, says("A row for each day and field; else for each field.")] = False

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        check_event("event", self.event)

    def columns(self) -> tuple[Column, ...]:
        """The field and how full it is."""
        day = (Column("day", "date", "Day in the zone."),) if self.daily else ()
        return (
            *day,
            Column("field", "text", "The field, such as outcomes.score."),
            Column("required", "boolean", "Whether the type is refused without it."),
            Column("interactions", "integer", "Interactions of the type.", "interactions"),
            Column("present", "integer", "Those that have the field.", "interactions"),
            Column("null_rate", "number", "Those that do not.", "0 to 1"),
        )

    def sql(self) -> Sql:
        """Over `interactions`: one pass counts all, then each has its row."""
        source = Source(self)
        fields = fields_of_type(self.event)
        counted = [
            f"count({self._present(name, source)}) AS n_{n}" for n, name in enumerate(fields, 1)
        ]
        day = f"{source.field('day').sql} AS day, " if self.daily else ""
        kept = "c.day, " if self.daily else ""
        needed = required(self.event)
        rows = [
            f"SELECT {kept}{n} AS place, {source.values(name)} AS field, "
            f"{str(name in needed).upper()} AS required, c.n, c.n_{n} AS present FROM c"
            for n, name in enumerate(fields, 1)
        ]
        shown = "f.day, " if self.daily else ""
        text = f"""WITH c AS (
    SELECT {day}count(*) AS n, {", ".join(counted)}
    FROM {source.relation()} WHERE {source.where(source.of_type(self.event))}
    {"GROUP BY 1" if self.daily else ""}
), f AS (
    {" UNION ALL ".join(rows)}
)
SELECT {shown}f.field, f.required, f.n AS interactions, f.present,
    1 - CAST(f.present AS DOUBLE) / nullif(f.n, 0) AS null_rate
FROM f WHERE f.n > 0 ORDER BY {shown}f.place"""
        return Sql(text, source.parameters)

    def _present(self, name: str, source: Source) -> str:
        """SQL that is NULL where the field is not there."""
        if name in NESTED:
            return f"nullif(nullif(nullif(i.{name}, 'null'), '{{}}'), '[]')"
        return "i.bot" if name == "bot" else source.field(name).sql


def fields_of_type(name: str) -> list[str]:
    """The record's fields and, of a type of the catalog, its own, by their paths."""
    record = [field for field in (*RECORD, *ENRICHED) if field not in ALWAYS]
    spec = TYPES.get(name)
    if spec is None or spec.slot is None:
        return record
    own = [field for field in spec.struct.__struct_fields__ if field in spec.own]
    return [*(f"{spec.slot}.{field}" for field in own), *record]


def required(name: str) -> frozenset[str]:
    """The fields without which the type is refused, by their paths."""
    spec = TYPES.get(name)
    if spec is None:
        return frozenset()
    return frozenset(
        f"{spec.slot}.{field}" if field in spec.own else field for field in spec.required
    )
