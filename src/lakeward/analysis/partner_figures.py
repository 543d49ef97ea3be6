"""Partner figures: what a partner's own records say of matches, demos, deals and feedback.

In: records that name a partner, and fields that break them down. Out: a row for each combination.

Each record counts on its own day, and no other record changes what it says: so a partner may ask it
about itself, where `partner_performance` joins what everybody's records tell. A demo that is told
as held in May counts as held in May, whenever it was booked, and one that was moved to no-show
afterwards counts there, too; of a status a booking counts once, by its newest word on it. A deal
counts once, as its newest word says. Money of two currencies is never added: break it down by
`currency` to have all.
"""

from __future__ import annotations

from itertools import islice
from typing import Annotated, ClassVar, Final

from lakeward.analysis.events import (
    CALENDAR,
    VISITOR,
    Events,
    Source,
    check_fields,
    field_columns,
)
from lakeward.analysis.grains import GRAINS, between
from lakeward.analysis.metric import number
from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.analysis.scope import MOST_DIMENSIONS
from lakeward.analysis.trend import MOST_ROWS
from lakeward.errors import Rejected

CURRENCY: Final = Column("currency", "text", "Currency of the deal.")
STATUSES: Final = {
    "booked": "Demos that were booked.",
    "held": "Demos that were told as held.",
    "no_show": "Demos to which somebody did not come.",
    "cancelled": "Demos that were cancelled.",
}
TYPES: Final = (
    "partner_match", "demo_booking", "deal_closed", "feedback_submission", "partner_onboarding",
)  # fmt: skip
COUNTED: Final = (
    Column("matches", "integer", "Matches.", "matches"),
    Column("visitors", "integer", "Whom they matched, by what each record itself says.", "people"),
    *(Column(name, "integer", doc, "bookings") for name, doc in STATUSES.items()),
    Column("deals", "integer", "Deals closed.", "deals"),
    Column("revenue", "number", "Their worth, where all are in one currency.", "currency"),
    Column("revenue_currency", "text", "That currency, where it is told."),
    Column("currencies", "integer", "Currencies that the deals are in; one not told is one, too."),
    Column("feedbacks", "integer", "Feedback that rates the partner as a whole.", "feedback"),
    Column("mean_feedback", "number", "Mean of these ratings.", "1 to 10"),
    Column("onboarding", "text", "Newest word on how far the partner has come in joining."),
    Column("steps_done", "integer", "Steps of joining that are done.", "steps"),
    Column("steps_total", "integer", "Steps of joining that there are.", "steps"),
)


def _of(kind: str, more: str = "TRUE") -> str:
    return f"(count(*) FILTER (WHERE r.kind = '{kind}' AND {more}))"


MONEY: Final = "count(DISTINCT CASE WHEN r.kind = 'deal_closed' THEN r.money END)"
FIGURES: Final = {
    "matches": _of("partner_match"),
    "visitors": "count(DISTINCT CASE WHEN r.kind = 'partner_match' THEN r.visitor END)",
    **{name: _of("demo_booking", f"r.stage = '{name}'") for name in STATUSES},
    "deals": _of("deal_closed"),
    "revenue": f"CASE WHEN {MONEY} = 1 THEN "
    "sum(CASE WHEN r.kind = 'deal_closed' THEN r.worth END) END",
    "revenue_currency": f"CASE WHEN {MONEY} = 1 THEN "
    "nullif(max(CASE WHEN r.kind = 'deal_closed' THEN r.money END), '') END",
    "currencies": MONEY,
    "feedbacks": "count(CASE WHEN r.kind = 'feedback_submission' THEN r.overall END)",
    "mean_feedback": "avg(CASE WHEN r.kind = 'feedback_submission' THEN r.overall END)",
    "onboarding": "max(CASE WHEN r.kind = 'partner_onboarding' THEN r.status END)",
    "steps_done": "max(CASE WHEN r.kind = 'partner_onboarding' THEN r.steps_done END)",
    "steps_total": "max(CASE WHEN r.kind = 'partner_onboarding' THEN r.steps_total END)",
}


NOTHING: Final = tuple(
    0 if column.kind == "integer" and not column.name.startswith("steps") else None
    for column in COUNTED
)
"""The figures of a time in which nothing happened."""


class PartnerFigures(Events, frozen=True, kw_only=True):
    """What a partner's own records say of matches, demos, deals and feedback."""

    name: ClassVar[str] = "partner_figures"

    by: Annotated[
        tuple[str, ...], says("Fields that break it down, and `currency`, of deals alone.")
    ] = ("partner_id",)

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        fields = tuple(name for name in self.by if name != CURRENCY.name)
        check_fields("by", fields)
        if len(set(self.by)) < len(self.by) or len(self.by) > MOST_DIMENSIONS:
            raise Rejected(f"`by` takes {MOST_DIMENSIONS} different fields at most.")

    def columns(self) -> tuple[Column, ...]:
        """Fields, then figures."""
        shown = [
            CURRENCY if name == CURRENCY.name else field_columns((name,))[0] for name in self.by
        ]
        return (*shown, *COUNTED)

    def finish(self, rows: list[Row]) -> list[Row]:
        """By time alone, between `since` and `until`: with the times in which nothing happened."""
        grain = next((each for each in GRAINS if self.by == (each,)), None)
        if grain is None or self.since is None or self.until is None or not rows:
            return rows
        found = {row[0]: row for row in rows}
        times = list(islice(between(grain, self.since, self.until, self.zone), MOST_ROWS + 1))
        if len(times) > MOST_ROWS:
            raise Rejected(f"The answer has more than {MOST_ROWS} rows: take a longer grain.")
        return [found.get(time) or (time, *NOTHING) for time in times]

    def sql(self) -> Sql:
        """Over rows that know their day."""
        return self._sql(Source(self, quick=True))

    def portable(self) -> Sql:
        """The form that every engine takes."""
        return self._sql(Source(self))

    def _sql(self, source: Source) -> Sql:
        names = [name for name in self.by if name != CURRENCY.name]
        keys = "".join(
            f"{'r.currency' if name == CURRENCY.name else f'r.by_{n}'}, "
            for n, name in enumerate(self.by, 1)
        )
        fields = "".join(
            f"{source.field(name).sql} AS by_{n}, "
            for n, name in enumerate(self.by, 1)
            if name != CURRENCY.name
        )
        shown = "".join(
            f'{key} AS "{name}", ' for key, name in zip(keys.split(", "), self.by, strict=False)
        )
        places = ", ".join(str(n) for n in range(1, len(self.by) + 1))
        nulls = ", ".join(f"{n} NULLS LAST" for n in range(1, len(self.by) + 1))
        by_time = bool(self.by) and self.by[0] in CALENDAR
        order = nulls if by_time else ", ".join(filter(None, ("deals DESC, matches DESC", nulls)))
        text = f"""WITH i AS (
    {self._rows(source, fields, names)}
), told AS (
    SELECT i.*, row_number() OVER (
        PARTITION BY i.kind, i.partner_id, i.service, i.stage, i.name
        ORDER BY i.at_ms DESC, i.interaction_id DESC
    ) AS place FROM i
), r AS (
    SELECT told.*, CASE WHEN kind = 'deal_closed' THEN nullif(money, '') END AS currency
    FROM told WHERE place = 1
)
SELECT {shown}{", ".join(f"{sql} AS {name}" for name, sql in FIGURES.items())}
FROM r {f"GROUP BY {places}" if places else ""}
ORDER BY {order}"""
        return Sql(text, source.parameters)

    def _rows(self, source: Source, fields: str, names: list[str]) -> str:
        """What counts of the records, each with what makes it the same as another."""
        told = {
            name: source.field(f"outcomes.{name}").sql
            for name in ("status", "booking_id", "deal_id", "currency")
        }
        worth, done, total = (
            number(source.field(f"outcomes.{name}"))
            for name in ("value", "steps_completed", "steps_total")
        )
        overall = number(source.field("feedback.overall"))
        types = source.values.list(TYPES)
        return f"""SELECT {fields}i.interaction_id, i.interaction_type AS kind, i.partner_id,
        i.service, {source.ms} AS at_ms, {VISITOR.sql} AS visitor, {told["status"]} AS status,
        CASE WHEN i.interaction_type = 'demo_booking' THEN {told["status"]} END AS stage,
        CASE WHEN i.interaction_type = 'partner_onboarding' THEN i.partner_id
            WHEN i.interaction_type = 'demo_booking'
            THEN coalesce({told["booking_id"]}, i.interaction_id)
            WHEN i.interaction_type = 'deal_closed' THEN coalesce({told["deal_id"]},
            i.interaction_id) ELSE i.interaction_id END AS name,
        coalesce({told["currency"]}, '') AS money, {worth} AS worth, {overall} AS overall,
        CAST({done} AS BIGINT) AS steps_done, CAST({total} AS BIGINT) AS steps_total
    FROM {source.relation(*names)}
    WHERE {source.where(f"i.interaction_type IN ({types})", "i.partner_id IS NOT NULL")}"""
