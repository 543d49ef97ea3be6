"""What AI turns cost, how many tokens they took, and what an outcome cost that followed on them.

A turn *leads* to an outcome when it is of the same app (`service`) and person, began not after it,
and not more than `within_days` before. A person is who the view `stitched` says; a turn of nobody
known is of the one person that its session names, where it names one only. Cost per outcome is the
cost of the turns that lead to any outcome, each once, by the number of outcomes that any turn leads
to, each once; both within the row. A turn has no price when it has no cost, and has tokens or did
not fail. A turn without a conversation is one of its own.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from lakeward.analysis.ai_turns import TURN, of_turns
from lakeward.analysis.question import Column, Sql, says
from lakeward.analysis.scope import (
    Scope,
    check,
    columns_of,
    grouped,
    listed,
    ordered,
    parameters,
    same,
    selected,
    where,
)
from lakeward.catalog.ai import TOKEN_BUCKETS
from lakeward.errors import Rejected

Outcome = Literal["demo_booked", "demo_held", "deal_closed"]

OUTCOMES: Final[dict[Outcome, str]] = {
    "demo_booked": "booking_id AS id, first_at AS happened_at FROM bookings",
    "demo_held": "booking_id AS id, held_at AS happened_at FROM bookings",
    "deal_closed": "deal_id AS id, closed_at AS happened_at FROM deals",
}
"""The outcomes that a turn may lead to: which one, and its moment."""
MOST_DAYS: Final = 3650
UNPRICED: Final = (
    "cost_usd IS NULL AND (coalesce(total_tokens, 0) > 0 OR ended IS DISTINCT FROM 'failed')"
)

MEASURES: Final = (
    Column("turns", "integer", "Turns.", "turns"),
    *(
        Column(name, "integer", "Tokens of this bucket; no token is in two.", "tokens")
        for name in TOKEN_BUCKETS
    ),
    Column("total_tokens", "integer", "Tokens of all buckets.", "tokens"),
    Column("unknown_turns", "integer", "Turns whose tokens nobody knows.", "turns"),
    Column("estimated_share", "number", "Of turns with tokens, those estimated.", "0 to 1"),
    Column("cost_usd", "number", "Cost of the turns that have a price.", "USD"),
    Column("input_cost_usd", "number", "The prompts' part of it.", "USD"),
    Column("output_cost_usd", "number", "The answers' part of it.", "USD"),
    Column("unpriced_turns", "integer", "Turns that cost something and have no price.", "turns"),
    Column("conversations", "integer", "Conversations that the turns are of.", "conversations"),
    Column("cost_per_conversation_usd", "number", "Of those of which a turn has a price.", "USD"),
)
LED: Final = (
    Column("outcomes", "integer", "Outcomes that a turn of the row led to.", "outcomes"),
    Column("leading_cost_usd", "number", "Cost of the turns that led to one.", "USD"),
    Column("cost_per_outcome_usd", "number", "The one by the other.", "USD"),
)

_BUCKETS: Final = ", ".join(
    f"CASE WHEN count(total_tokens) > 0 THEN coalesce(sum({name}), 0) END AS {name}"
    for name in (*TOKEN_BUCKETS, "total_tokens")
)
MEASURED: Final = f"""count(*) AS turns, {_BUCKETS},
        count(*) - count(total_tokens) AS unknown_turns,
        count(*) FILTER (WHERE total_tokens IS NOT NULL AND tokens_source = 'estimated')
            * 1.0 / nullif(count(total_tokens), 0) AS estimated_share,
        sum(cost_usd) AS cost_usd, sum(input_cost_usd) AS input_cost_usd,
        sum(output_cost_usd) AS output_cost_usd,
        count(*) FILTER (WHERE {UNPRICED}) AS unpriced_turns,
        count(DISTINCT talk) AS conversations, sum(cost_usd)
            / nullif(count(DISTINCT talk) FILTER (WHERE cost_usd IS NOT NULL), 0)
            AS cost_per_conversation_usd"""
PEOPLE: Final = """known AS (
    SELECT service, session_id, min(person) AS person FROM stitched
    WHERE person IS NOT NULL AND session_id <> ''
    GROUP BY service, session_id HAVING count(DISTINCT person) = 1
), asker AS (
    SELECT s.interaction_id, s.service, coalesce(s.person, k.person) AS person
    FROM stitched s LEFT JOIN known k
        ON k.session_id = s.session_id AND k.service IS NOT DISTINCT FROM s.service
    WHERE s.interaction_type = 'ai_conversation'
)"""


class AiCost(Scope, frozen=True, kw_only=True):
    """What AI turns cost."""

    name: ClassVar[str] = "ai_cost"

    per: Annotated[Outcome | None, says("The outcome whose cost is wanted.")] = None
    within_days: Annotated[
        float, says("How many days before an outcome a turn may lead to it.")
    ] = 30

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check(self, TURN)
        if self.per is not None and self.per not in OUTCOMES:
            raise Rejected(f"`per` must be one of {', '.join(OUTCOMES)}.")
        if not 0 < self.within_days <= MOST_DAYS:
            raise Rejected(f"`within_days` must be above 0 and at most {MOST_DAYS}.")

    def columns(self) -> tuple[Column, ...]:
        """Dimensions, then tokens and cost."""
        return (*columns_of(self, TURN), *MEASURES, *(LED if self.per else ()))

    def sql(self) -> Sql:
        """Over `ai_turns`; with `per` over `stitched` and the outcomes' views, too."""
        buckets = ", ".join(f"t.{name}" for name in TOKEN_BUCKETS)
        turn = (
            f"turn AS (SELECT {selected(self, TURN)}t.interaction_id, t.started_at AS began, "
            "ROW(t.service, coalesce(t.conversation_id, t.interaction_id)) AS talk, "
            f"t.status AS ended, t.tokens_source, {buckets}, t.total_tokens, "
            "t.cost_usd, t.input_cost_usd, t.output_cost_usd "
            f"FROM ai_turns t WHERE {where(self, TURN, 't.started_at')})"
        )
        measured = f"SELECT {listed(self)}{MEASURED} FROM turn {grouped(self)}"
        order = ordered(self, TURN, "cost_usd")
        if self.per is None:
            return Sql(of_turns(f"WITH {turn}\n{measured}\n{order}"), parameters(self, TURN))
        text = f"""WITH {turn}, {PEOPLE}, outcome AS (
    SELECT service, person, {OUTCOMES[self.per]}
), led AS (
    SELECT t.*, ROW(o.service, o.id) AS outcome_id
    FROM turn t JOIN asker a ON a.interaction_id = t.interaction_id
    JOIN outcome o ON o.person = a.person AND o.service IS NOT DISTINCT FROM a.service
        AND t.began <= o.happened_at AND t.began >= o.happened_at - $within_days * INTERVAL '1' DAY
), followed AS (
    SELECT {listed(self)}count(DISTINCT outcome_id) AS outcomes FROM led {grouped(self)}
), spent AS (
    SELECT {listed(self)}sum(cost_usd) AS leading_cost_usd
    FROM (SELECT DISTINCT {listed(self)}interaction_id, cost_usd FROM led) l {grouped(self)}
), measured AS ({measured})
SELECT m.*, coalesce(f.outcomes, 0) AS outcomes,
    if(f.outcomes IS NULL, 0, l.leading_cost_usd) AS leading_cost_usd,
    l.leading_cost_usd / nullif(f.outcomes, 0) AS cost_per_outcome_usd
FROM measured m LEFT JOIN followed f ON {same(self, "f", "m")}
LEFT JOIN spent l ON {same(self, "l", "m")}
{order}"""
        return Sql(of_turns(text), parameters(self, TURN, within_days=self.within_days))
