"""Conversations with an AI: each as one row, or one of them turn by turn with what was said.

A turn without a conversation is a conversation of its own, called by its id. Figures are those of
the turns that the times and filters let through. A text that is looked for (`find`) is part of a
conversation's id, or of who asked, a feature, a model or what was said in one of these turns,
whatever the case of its letters.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec

from lakeward.analysis.ai_turns import TURN, of_turns
from lakeward.analysis.question import Column, Row, Sql, Value, says
from lakeward.analysis.scope import Scope, check, parameters, where
from lakeward.errors import Rejected
from lakeward.lake.conversations import ALL, ratings

THREADS: Final = (
    Column("conversation", "text", "Id of the conversation."),
    Column("service", "text", "App that told of it."),
    Column("user", "text", "Who asked last, where it is known."),
    Column("feature", "text", "What the app uses it for."),
    Column("turns", "integer", "Turns.", "turns"),
    Column("first_at", "time", "When the first one began."),
    Column("last_at", "time", "When the last one began."),
    Column("models", "text", "Models that answered."),
    Column("total_tokens", "integer", "Tokens of all its turns.", "tokens"),
    Column("cost_usd", "number", "Cost of the turns that have a price.", "USD"),
    Column("helpful", "integer", "Raters who found an answer helpful.", "ratings"),
    Column("unhelpful", "integer", "Raters who did not.", "ratings"),
    Column("failed", "integer", "Turns that did not end as completed.", "turns"),
    Column("last_status", "text", "How the last turn ended."),
)
NAMED: Final = "coalesce(t.conversation_id, t.interaction_id)"
_LAST: Final = "(t.started_at, t.interaction_id)"
USER: Final = TURN["user"].sql
LONGEST_TEXT: Final = 200
FOUND: Final = (
    f"contains(lower(concat_ws(chr(10), {NAMED}, {USER}, t.feature, t.model, t.messages)), "
    "lower($find))"
)


class AiThreads(Scope, frozen=True, kw_only=True):
    """AI conversations, the newest first."""

    name: ClassVar[str] = "ai_threads"

    limit: Annotated[int, says("How many, at most.")] = 50
    find: Annotated[str, says("A text that is in it: its id, who, what for, what was said.")] = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check(self, TURN)
        if self.by:
            raise Rejected("`by`: threads are rows of their own and are not broken down.")
        if self.limit < 1:
            raise Rejected("`limit` must be 1 or more.")
        if len(self.find) > LONGEST_TEXT:
            raise Rejected(f"`find` must have at most {LONGEST_TEXT} letters.")

    def columns(self) -> tuple[Column, ...]:
        """Of a conversation."""
        return THREADS

    def sql(self) -> Sql:
        """Over `ai_turns`."""
        found: dict[str, Value] = {"limit": self.limit}
        has = ""
        if self.find:
            has, found["find"] = f"\nHAVING bool_or({FOUND})", self.find
        text = f"""SELECT {NAMED} AS conversation, t.service,
    arg_max({USER}, {_LAST}) AS "user", arg_max(t.feature, {_LAST}) AS feature,
    count(*) AS turns, min(t.started_at) AS first_at, max(t.started_at) AS last_at,
    string_agg(DISTINCT t.model, ', ' ORDER BY t.model) AS models,
    sum(t.total_tokens) AS total_tokens, sum(t.cost_usd) AS cost_usd,
    sum(t.ratings_helpful) AS helpful, sum(t.ratings_unhelpful) AS unhelpful,
    count(*) FILTER (WHERE t.status <> 'completed') AS failed,
    arg_max_null(t.status, {_LAST}) AS last_status
FROM ai_turns t WHERE {where(self, TURN, "t.started_at")}
GROUP BY {NAMED}, t.service{has}
ORDER BY last_at DESC, conversation, t.service LIMIT $limit"""
        return Sql(of_turns(text), parameters(self, TURN, **found))


THREAD: Final = (
    Column("interaction_id", "text", "Id of the turn, by which it is rated."),
    Column("turn", "integer", "Number in the conversation, from 0."),
    Column("started_at", "time", "When it began."),
    Column("service", "text", "App that told of it."),
    Column("user", "text", "Who asked."),
    Column("feature", "text", "What the app uses it for."),
    Column("model", "text", "Model that answered, else the one asked for."),
    Column("status", "text", "How it ended."),
    Column("error_type", "text", "Class of the error."),
    Column("time_to_first_token_ms", "number", "From the request to the first token.", "ms"),
    Column("duration_ms", "number", "From the request to the last token.", "ms"),
    Column("total_tokens", "integer", "Tokens of all buckets.", "tokens"),
    Column("tokens_source", "text", "Whether the tokens were reported or estimated."),
    Column("cost_usd", "number", "Cost of the turn.", "USD"),
    Column("helpful", "boolean", "What the newest rating says."),
    Column("rating", "integer", "Stars of the newest rating that has some.", "1 to 5"),
    Column("reason", "text", "Its reason."),
    Column("ratings_helpful", "integer", "Raters who found it helpful.", "ratings"),
    Column("ratings_unhelpful", "integer", "Raters who did not.", "ratings"),
    Column("trace_id", "text", "W3C id of the trace that it is in."),
    Column("messages", "json", "What was said, as far as it is stored."),
)


OF_THREAD: Final = """interaction_id IN (SELECT interaction_id FROM ai_rating
    WHERE conversation_id = $conversation
    OR parent_interaction_id IN (SELECT interaction_id FROM thread)
    OR parent_interaction_id IN (SELECT interaction_id FROM ai_told_twice
        WHERE turn_id IN (SELECT interaction_id FROM thread))
    OR trace_id IN (SELECT trace_id FROM thread))"""
"""The ratings that may be of its turns, by each way in which a rating names one. Their ids are
found first: then few row groups are read for the rest."""


class AiThread(msgspec.Struct, frozen=True, kw_only=True):
    """One AI conversation, turn by turn."""

    name: ClassVar[str] = "ai_thread"

    conversation: Annotated[str, says("Its id, or that of a turn without one.")]
    service: Annotated[str | None, says("Its app, where several have one of this id.")] = None

    def columns(self) -> tuple[Column, ...]:
        """Of a turn."""
        return THREAD

    def sql(self) -> Sql:
        """Over `ai_turns`."""
        found: dict[str, Value] = {"conversation": self.conversation}
        of_service = ""
        if self.service is not None:
            of_service, found["service"] = "AND service = $service", self.service
        own = ", ".join(
            f't.{column.name}' if column.name != "user" else f'{USER} AS "user"'
            for column in THREAD
        )  # fmt: skip
        text = f"""WITH thread AS (
    FROM {ALL} WHERE (conversation_id = $conversation
        OR (conversation_id IS NULL AND interaction_id = $conversation)) {of_service}
)
SELECT {own} FROM ai_turns t
ORDER BY t.service NULLS FIRST, t.turn, t.started_at, t.interaction_id"""
        return Sql(of_turns(text, "thread", f"({ratings(OF_THREAD, numbered=False)})"), found)

    def finish(self, rows: list[Row]) -> list[Row]:
        """As the statement gave them."""
        return rows
