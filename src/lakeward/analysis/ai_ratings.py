"""How people rate AI answers: the last word of each rater on each turn, counted.

A rating whose turn is not in the lake counts where no dimension of a turn is asked for; with one
it stands in the row without a value.
"""

from __future__ import annotations

from typing import ClassVar, Final

from lakeward.analysis.ai_turns import (
    RATED,
    TURN,
    Z95,
    is_of_turns,
    of_turns,
    share_columns,
    wilson,
)
from lakeward.analysis.question import Column, Sql
from lakeward.analysis.scope import (
    Dimension,
    Scope,
    check,
    columns_of,
    days,
    grouped,
    ordered,
    parameters,
    selected,
    where,
)
from lakeward.lake.conversations import ALL

RATING: Final[dict[str, Dimension]] = {
    **TURN,
    **days("r.rated_at"),
    "service": Dimension("r.service", "App of the turn, else the one that told of the rating."),
    "conversation": Dimension("r.conversation_id", "Conversation of the turn."),
    "reason": Dimension("r.reason", "The reason that was chosen."),
    "stars": Dimension("r.rating", "How good, 1 to 5.", "integer"),
}
"""How ratings can be broken down: by when they were given, and by their turns."""

SAID: Final = "(count(*) FILTER (WHERE r.helpful IS NOT NULL))"
HELPFUL: Final = "(count(*) FILTER (WHERE r.helpful))"
LOW, HIGH = wilson(HELPFUL, SAID)
MEASURES: Final = (
    Column("ratings", "integer", "Ratings that count: the last of each rater and turn.", "ratings"),
    Column("helpful", "integer", "Those that say helpful.", "ratings"),
    Column("unhelpful", "integer", "Those that say not helpful.", "ratings"),
    *share_columns("helpful", "Helpful ones of those that say either."),
    Column("starred", "integer", "Those that have stars.", "ratings"),
    Column("mean_rating", "number", "Mean of the stars.", "1 to 5"),
    Column("comments", "integer", "Those with a comment.", "ratings"),
)


OF_RATED: Final = f"(FROM {ALL} WHERE interaction_id IN (SELECT turn_id FROM rated))"


class AiRatings(Scope, frozen=True, kw_only=True):
    """How helpful AI answers are."""

    name: ClassVar[str] = "ai_ratings"

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check(self, RATING)

    def columns(self) -> tuple[Column, ...]:
        """Dimensions, then what was said."""
        return (*columns_of(self, RATING), *MEASURES)

    def sql(self) -> Sql:
        """Over `ai_ratings_current`, and the turns."""
        figures = f"""SELECT {selected(self, RATING)}count(*) AS ratings, {HELPFUL} AS helpful,
    count(*) FILTER (WHERE NOT r.helpful) AS unhelpful,
    {HELPFUL} * 1.0 / nullif({SAID}, 0) AS helpful_rate,
    CASE WHEN {SAID} > 0 THEN {LOW} END AS helpful_low,
    CASE WHEN {SAID} > 0 THEN {HIGH} END AS helpful_high,
    count(r.rating) AS starred, avg(r.rating) AS mean_rating,
    count(*) FILTER (WHERE r.comment <> '') AS comments
FROM rated r"""
        rest = f"""
WHERE {where(self, RATING, "r.rated_at")}
{grouped(self)}
{ordered(self, RATING, "ratings")}"""
        if is_of_turns(figures + rest):
            join = "\nLEFT JOIN ai_turns t ON t.interaction_id = r.turn_id"
            text = of_turns(f"{figures}{join}{rest}", OF_RATED)
        else:
            text = figures + rest
        return Sql(f"WITH rated AS {RATED}\n{text}", parameters(self, RATING, z=Z95))
