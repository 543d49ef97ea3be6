"""Outcomes: what became of matches, bookings and deals, and how partners do.

Out: a row for each combination of dimensions. A match counts when it was made, a booking when it
was first told, a deal when it was closed, feedback when it was given; each has its own day. So
`booked`, `held` and `won` are of the matches of a row, whenever that came, and the demos and deals
of a row may come from matches of another. What does not have a dimension stands in the row in which
it is NULL: a match has the `source` of the first booking that came from it, a deal that of its
booking; `deal_type` and `currency` are of deals alone.

Money of two currencies is never added: `revenue` is there where a row has deals of one currency
alone; deals that name none are of one that is not known. Break it down by `currency` to have all.
Days are from the match to the deal where the match is known; what the app itself told stands apart.
Percentiles are by nearest rank. A demo that was held and one to which nobody came are what the
newest word on the booking says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

import msgspec

from lakeward.analysis.ai_turns import Z95, share_columns, wilson
from lakeward.analysis.question import Column, Sql, says
from lakeward.analysis.scope import (
    Dimension,
    Dimensions,
    Scope,
    check,
    columns_of,
    days,
    listed,
    ordered,
    parameters,
    selected,
    where,
)
from lakeward.errors import Rejected

NONE: Final = "CAST(NULL AS VARCHAR)"


class Thing(msgspec.Struct, frozen=True):
    """A kind of row that counts: where it is, when it was, and what it says."""

    relation: str
    at: str
    says: Mapping[str, str]
    source: str = NONE
    deal_type: str = NONE
    currency: str = NONE
    sourced: str = ""
    """The join that tells its source."""

    def dimensions(self) -> Dimensions:
        """How it is broken down."""
        return {
            **days(self.at),
            "partner": Dimension("x.partner_id", "The partner."),
            "service": Dimension("x.service", "App that told of it."),
            "source": Dimension(self.source, "What led to the booking, such as match or e-mail."),
            "deal_type": Dimension(self.deal_type, "Kind of deal, such as new or renewal."),
            "currency": Dimension(self.currency, "Currency of the deal."),
        }


FIRST_BOOKED: Final = """LEFT JOIN (
    SELECT match_interaction_id, source, row_number() OVER (
        PARTITION BY match_interaction_id ORDER BY first_at, booking_id, service NULLS LAST
    ) AS place
    FROM bookings WHERE match_interaction_id IS NOT NULL
) f ON f.match_interaction_id = x.interaction_id AND f.place = 1"""
ITS_BOOKING: Final = (
    "LEFT JOIN bookings f ON f.booking_id = x.booking_id "
    "AND f.service IS NOT DISTINCT FROM x.service"
)
THINGS: Final = {
    "match": Thing(
        "matches x", "x.matched_at",
        {"booked": "x.booked_at IS NOT NULL", "held": "x.held_at IS NOT NULL",
         "won": "x.deals > 0", "person": "x.person", "score": "x.score"},
        source="f.source", sourced=FIRST_BOOKED,
    ),
    "booking": Thing("bookings x", "x.first_at", {"status": "x.status"}, source="x.source"),
    "deal": Thing(
        "deals x", "x.closed_at",
        {"worth": "x.value", "money": "coalesce(x.currency, '')", "took": "x.days_from_match",
         "told": "x.days_to_close", "satisfied": "x.satisfaction"},
        source="f.source", deal_type="x.deal_type", currency="x.currency", sourced=ITS_BOOKING,
    ),
    "feedback": Thing(
        "feedback_submission x", "x.timestamp",
        {"overall": "TRY_CAST(json_extract_string(x.feedback, '$.overall') AS DOUBLE)"},
    ),
    "onboarding": Thing(
        "partner_onboarding x", "x.timestamp",
        {"status": "json_extract_string(x.outcomes, '$.status')"},
    ),
}  # fmt: skip
SAID: Final = {
    "booked": "BOOLEAN", "held": "BOOLEAN", "won": "BOOLEAN", "person": "VARCHAR",
    "score": "DOUBLE", "status": "VARCHAR", "worth": "DOUBLE", "money": "VARCHAR",
    "took": "DOUBLE", "told": "DOUBLE", "satisfied": "DOUBLE", "overall": "DOUBLE",
}  # fmt: skip
"""All that rows of any kind say."""
DIMENSIONS: Final = THINGS["deal"].dimensions()


def _of(kind: str, more: str = "TRUE") -> str:
    return f"(count(*) FILTER (WHERE t.kind = '{kind}' AND {more}))"


def _share(name: str, hits: str, of: str) -> dict[str, str]:
    low, high = wilson(hits, of)
    return {
        f"{name}_rate": f"{hits} * 1.0 / nullif({of}, 0)",
        f"{name}_low": f"CASE WHEN {of} > 0 THEN {low} END",
        f"{name}_high": f"CASE WHEN {of} > 0 THEN {high} END",
    }


HELD, NO_SHOW = _of("booking", "t.status = 'held'"), _of("booking", "t.status = 'no_show'")
ONE: Final = "count(DISTINCT t.money) = 1"
FIGURES: Final = {
    "matches": _of("match"),
    **{
        key: value
        for name in ("booked", "held", "won")
        for key, value in {
            name: _of("match", f"t.{name}"), **_share(name, _of("match", f"t.{name}"), _of("match"))
        }.items()
    },
    "bookings": _of("booking"),
    "demos_held": HELD,
    "no_shows": NO_SHOW,
    "cancelled": _of("booking", "t.status = 'cancelled'"),
    **_share("no_show", NO_SHOW, f"({HELD} + {NO_SHOW})"),
    "deals": _of("deal"),
    "revenue": f"CASE WHEN {ONE} THEN sum(t.worth) END",
    "revenue_currency": f"CASE WHEN {ONE} THEN nullif(max(t.money), '') END",
    "currencies": "count(DISTINCT t.money)",
    "timed_deals": "count(t.took)",
    "days_p50": "quantile_disc(t.took, 0.5)",
    "days_p90": "quantile_disc(t.took, 0.9)",
    "told_days_p50": "quantile_disc(t.told, 0.5)",
    "rated_deals": "count(t.satisfied)",
    "satisfaction": "avg(t.satisfied)",
}  # fmt: skip
COUNTED: Final = (
    Column("matches", "integer", "Matches.", "matches"),
    Column("booked", "integer", "Those after which a demo was booked.", "matches"),
    *share_columns("booked", "Of the matches."),
    Column("held", "integer", "Those after which a demo was held.", "matches"),
    *share_columns("held", "Of the matches."),
    Column("won", "integer", "Those after which a deal was closed.", "matches"),
    *share_columns("won", "Of the matches."),
    Column("bookings", "integer", "Demos that were booked.", "bookings"),
    Column("demos_held", "integer", "Those that were held.", "bookings"),
    Column("no_shows", "integer", "Those to which somebody did not come.", "bookings"),
    Column("cancelled", "integer", "Those that were cancelled.", "bookings"),
    *share_columns("no_show", "Of the demos that were held or to which somebody did not come."),
    Column("deals", "integer", "Deals closed.", "deals"),
    Column("revenue", "number", "Their worth, where all are in one currency.", "currency"),
    Column("revenue_currency", "text", "That currency, where it is told."),
    Column("currencies", "integer", "Currencies that the deals are in; one not told is one, too."),
    Column("timed_deals", "integer", "Deals whose match is known.", "deals"),
    Column("days_p50", "number", "From the match to the deal, median.", "days"),
    Column("days_p90", "number", "From the match to the deal, percentile 90.", "days"),
    Column("told_days_p50", "number", "Days to close as the app told them, median.", "days"),
    Column("rated_deals", "integer", "Deals that say how satisfied the contractor is.", "deals"),
    Column("satisfaction", "number", "Mean of that.", "1 to 10"),
)


class Outcomes(Scope, frozen=True, kw_only=True):
    """What became of matches, demos and deals: shares, revenue by currency, time to deal."""

    name: ClassVar[str] = "outcomes"
    things: ClassVar[tuple[str, ...]] = ("match", "booking", "deal")

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check(self, DIMENSIONS)

    def columns(self) -> tuple[Column, ...]:
        """Dimensions, then figures."""
        return (*columns_of(self, DIMENSIONS), *COUNTED)

    def sql(self) -> Sql:
        """Over `matches`, `bookings` and `deals`."""
        return self._sql(FIGURES, ordered(self, DIMENSIONS, "deals"))

    def _sql(self, figures: Mapping[str, str], order: str) -> Sql:
        rows = "\n    UNION ALL ".join(self._rows(kind) for kind in self.things)
        places = ", ".join(str(n) for n in range(1, len(self.by) + 1))
        text = f"""WITH t AS (
    {rows}
)
SELECT {listed(self, "t")}{", ".join(f"{sql} AS {name}" for name, sql in figures.items())}
FROM t{self._kept()} {f"GROUP BY {places}" if places else ""}
{order}"""
        return Sql(text, parameters(self, DIMENSIONS, z=Z95))

    def _kept(self) -> str:
        return ""

    def _rows(self, kind: str) -> str:
        """The rows of one kind, with what rows of another say as NULL."""
        thing = THINGS[kind]
        dimensions = thing.dimensions()
        join = f" {thing.sourced}" if "source" in (*self.by, *self.only) else ""
        said = ", ".join(
            f"{thing.says.get(name, f'CAST(NULL AS {type_})')} AS {name}"
            for name, type_ in SAID.items()
        )
        return (
            f"SELECT {selected(self, dimensions)}'{kind}' AS kind, {thing.at} AS happened_at, "
            f"{said} FROM {thing.relation}{join} WHERE {where(self, dimensions, thing.at)}"
        )


OF_PARTNERS: Final = {
    "contractors": "count(DISTINCT t.person)",
    "mean_score": "avg(t.score)",
    "feedbacks": "count(t.overall)",
    "mean_feedback": "avg(t.overall)",
    "onboarding": "arg_max(t.status, (t.happened_at, t.status)) "
    "FILTER (WHERE t.kind = 'onboarding')",
    "last_at": "max(t.happened_at)",
}
PARTNER_COLUMNS: Final = (
    Column("contractors", "integer", "People who were matched.", "people"),
    Column("mean_score", "number", "Mean score of the matches that have one.", "points of 100"),
    Column("feedbacks", "integer", "Feedback that rates the partner as a whole.", "feedback"),
    Column("mean_feedback", "number", "Mean of these ratings.", "1 to 10"),
    Column("onboarding", "text", "Newest word on how far the partner has come in joining."),
    Column("last_at", "time", "When anything of it happened last."),
)


class PartnerPerformance(Outcomes, frozen=True, kw_only=True):
    """How each partner does: matches, demos, deals, revenue, time to deal, what people say."""

    name: ClassVar[str] = "partner_performance"
    things: ClassVar[tuple[str, ...]] = tuple(THINGS)

    by: Annotated[
        tuple[str, ...], says("Dimensions that break the answer down; the partner is one.")
    ] = ("partner",)

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if "partner" not in self.by:
            raise Rejected("`by` must have `partner`: without it, ask for outcomes.")

    def columns(self) -> tuple[Column, ...]:
        """As outcomes, and more of a partner."""
        return (*super().columns(), *PARTNER_COLUMNS)

    def sql(self) -> Sql:
        """As outcomes, and over feedback; the partner with the most deals first."""
        order = ordered(self, DIMENSIONS, "deals DESC, won DESC, matches")
        return self._sql(FIGURES | OF_PARTNERS, order)

    def _kept(self) -> str:
        return ' WHERE t."partner" IS NOT NULL'
