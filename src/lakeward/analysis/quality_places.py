"""What did not come through: what was refused and why, and where everything offered is.

Out: refusals by day, type and reason, from the quarantine; and, for the whole lake since it began,
what was offered, delivered, set aside, dropped by reason, and what became of each line on its way
into the table: what came twice is a `duplicate`. Neither is in the table, so each question
makes a small table of it before it is asked (`prepare`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import msgspec

from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.analysis.scope import (
    Dimension,
    Scope,
    check,
    columns_of,
    days,
    ordered,
    parameters,
    selected,
    where,
)
from lakeward.lake.refusals import make_places, make_refusals

if TYPE_CHECKING:
    from lakeward.lake.reading import Reading

REFUSAL: Final = {
    **days("x.set_aside_at"),
    "type": Dimension("x.interaction_type", "The type that was claimed."),
    "reason": Dimension("x.reason", "Why it was set aside."),
    "follower": Dimension("x.follower", "The store that refused it; none: the door."),
}


class DataRefused(Scope, frozen=True, kw_only=True):
    """What was set aside and why: schema failures, and what stores refused."""

    name: ClassVar[str] = "data_refused"

    by: Annotated[tuple[str, ...], says("Dimensions that break the answer down.")] = (
        "type", "reason",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check(self, REFUSAL)

    def columns(self) -> tuple[Column, ...]:
        """Dimensions, then counts."""
        return (
            *columns_of(self, REFUSAL),
            Column("refused", "integer", "Entries of the quarantine.", "interactions"),
            Column("brought_back", "integer", "Those that were replayed since.", "interactions"),
            Column("last_at", "time", "When the last one was set aside."),
        )

    def prepare(self, reading: Reading) -> None:
        """The quarantine as a table."""
        make_refusals(reading)

    def sql(self) -> Sql:
        """Over the quarantine."""
        places = ", ".join(str(n) for n in range(1, len(self.by) + 1))
        text = f"""SELECT {selected(self, REFUSAL)}coalesce(sum(x.n), 0) AS refused,
    coalesce(sum(CASE WHEN x.brought_back THEN x.n END), 0) AS brought_back,
    max(x.set_aside_at) AS last_at
FROM refusals x WHERE {where(self, REFUSAL, "x.set_aside_at")}
{f"GROUP BY {places}" if places else ""}
{ordered(self, REFUSAL, "refused")}"""
        return Sql(text, parameters(self, REFUSAL))


class DataPlaces(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything offered is, since the lake began: delivered, dropped, twice, waiting."""

    name: ClassVar[str] = "data_places"

    def columns(self) -> tuple[Column, ...]:
        """Of a place."""
        return (
            Column("place", "text", "offered, delivered, quarantined, waiting, dropped (never "
                   "reached the log), compacted (a line's way into the table), not_in_table."),
            Column("reason", "text", "Of what was dropped, why; of what was compacted, what "
                   "became of it: added, duplicate, suppressed, erased, refused, gone."),
            Column("interactions", "integer", "How many.", "interactions"),
            Column("oldest_at", "time", "Of those not in the table yet, the oldest."),
        )  # fmt: skip

    def prepare(self, reading: Reading) -> None:
        """The counts as a table."""
        make_places(reading)

    def sql(self) -> Sql:
        """Over the counts."""
        return Sql(
            "SELECT x.place, x.reason, x.n AS interactions, x.oldest_at FROM places x\n"
            "ORDER BY x.place, x.n DESC, x.reason NULLS FIRST",
            {},
        )

    def finish(self, rows: list[Row]) -> list[Row]:
        """As the statement gave them."""
        return rows
