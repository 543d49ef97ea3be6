"""Turns of AI conversations and how people rate them, worked out when it is asked.

Out: the views `ai_turns`, one row for each turn, `ai_ratings_current`, one for the last word of
each rater on each turn, and `ai_told_twice`, one for each record that is no turn of its own.

An app that records a turn itself may be traced, too: what a span told of the same answer, by the
provider's id of it, is no second turn. Which of the two came first is all the same.

    ai_rating ──► its turn    by parent_interaction_id, where that is a turn
                  │           else by service, conversation_id and number
                  │           else, where it names neither, by service and trace_id;
                  │           of several the newest that had begun when it was rated
                  └► its rater   rater_id or user_id, else anonymous_id, else session_id;
                                 of a page's rating anonymous_id, else session_id, else the user
                                 that it claims: nobody that another program told of

A turn without a number has its place in the conversation, in the order of time, from 0. What names
no rater stands for itself. The last rating of a rater counts whole: nothing is left of those
before.

`turns` and `ratings` make the selects of the views, and of questions that need some columns or some
rows only: metadata are parsed once for a row and only for what is asked, nothing is numbered where
no number is, and no rating is looked at where none is.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from lakeward.catalog.ai import TELLING_ID, TOKEN_BUCKETS
from lakeward.interaction import PAGES

NOBODY: Final = "('anonymous', '')"
ALL: Final = "(FROM ai_conversation ANTI JOIN ai_told_twice USING (interaction_id))"
"""Where all turns are."""

TWICE: Final = f"""
WITH span AS (
    SELECT interaction_id, ai_metadata->>'$.response_id' AS response_id FROM ai_conversation
    WHERE contains(ai_metadata, '"otel"') AND ai_metadata->>'$.captured_by' = 'otel'
        AND length(ai_metadata->>'$.response_id') >= {TELLING_ID}
), own AS (
    SELECT interaction_id AS turn_id, timestamp, ai_metadata->>'$.response_id' AS response_id
    FROM ai_conversation WHERE ai_metadata->>'$.captured_by' = 'api'
    UNION ALL
    SELECT interaction_id, timestamp, unnest(TRY_CAST(ai_metadata->'$.response_ids' AS VARCHAR[]))
    FROM ai_conversation
    WHERE contains(ai_metadata, '"response_ids"') AND ai_metadata->>'$.captured_by' = 'api'
)
SELECT s.interaction_id, min_by(o.turn_id, (o.timestamp, o.turn_id)) AS turn_id
FROM own o JOIN span s ON o.response_id = s.response_id
GROUP BY s.interaction_id
"""
"""Most lakes have no such spans: their text is looked at before it is parsed, and first."""


KINDS: Final[dict[str, str]] = {
    "turn": "BIGINT",
    "feature": "VARCHAR",
    "operation": "VARCHAR",
    "provider": "VARCHAR",
    "model_requested": "VARCHAR",
    "model_answered": "VARCHAR",
    "response_id": "VARCHAR",
    "response_ids": "VARCHAR[]",
    "prompt_name": "VARCHAR",
    "prompt_version": "VARCHAR",
    "status": "VARCHAR",
    "finish_reason": "VARCHAR",
    "streamed": "BOOLEAN",
    "time_to_first_token_ms": "DOUBLE",
    "duration_ms": "DOUBLE",
    "tool_call_count": "BIGINT",
    "tools_used": "VARCHAR[]",
    **dict.fromkeys((*TOKEN_BUCKETS, "total_tokens"), "BIGINT"),
    "tokens_source": "VARCHAR",
    "tokenizer": "VARCHAR",
    "cost_usd": "DOUBLE",
    "input_cost_usd": "DOUBLE",
    "output_cost_usd": "DOUBLE",
    "price_source": "VARCHAR",
    "price_version": "VARCHAR",
    "question_answered": "BOOLEAN",
    "action_taken": "BOOLEAN",
    "follow_up_needed": "BOOLEAN",
    "content_mode": "VARCHAR",
    "content_consent": "BOOLEAN",
    "captured_by": "VARCHAR",
    "parameters": "JSON",
    "usage": "JSON",
    "requests": "JSON",
}
"""What is read of `ai_metadata`, in one go; a value of another kind is NULL."""

_SUM: Final = " + ".join(f"coalesce(m.{name}, 0)" for name in TOKEN_BUCKETS)
_ANY: Final = ", ".join(f"m.{name}" for name in TOKEN_BUCKETS)

TURN: Final[dict[str, str]] = {
    **{name: f"t.{name}" for name in ("interaction_id", "service", "environment")},
    "conversation_id": "t.conversation_id",
    "turn": "n.turn",
    "started_at": "t.timestamp",
    **{
        name: f"t.{name}"
        for name in (
            "user_id", "anonymous_id", "session_id", "partner_id", "trace_id",
            "parent_interaction_id",
        )
    },
    "model": "coalesce(m.model_answered, m.model_requested)",
    **{
        name: f"m.{name}::VARCHAR" if kind == "JSON" else f"m.{name}"
        for name, kind in KINDS.items()
        if name not in ("turn", "total_tokens")
    },
    "error_type": "t.error_type",
    "total_tokens": f"coalesce(m.total_tokens, if(coalesce({_ANY}) IS NULL, NULL, {_SUM}))",
    **{name: f"r.{name}" for name in ("helpful", "rating", "reason")},
    **{
        name: f"coalesce(r.{name}, 0)"
        for name in ("ratings", "ratings_helpful", "ratings_unhelpful")
    },
    "mean_rating": "r.mean_rating",
    "messages": "t.messages",
}  # fmt: skip
"""The columns of `ai_turns`."""


def numbers(rows: str) -> str:
    """The number of each turn. `rows` has all turns of a conversation, or none."""
    return f"""
SELECT interaction_id, coalesce(TRY_CAST(ai_metadata->>'$.turn' AS BIGINT),
    if(conversation_id IS NULL, NULL, row_number() OVER (
        PARTITION BY service, conversation_id ORDER BY timestamp, interaction_id) - 1)) AS turn
FROM {rows}
"""


_SAID: Final = "[" + ", ".join(
    f"'$.{name}'" for name in ("turn", "helpful", "rating", "reason", "comment", "rater_id")
) + "]"  # fmt: skip


_USER: Final = f"""
        WHEN own[6] <> '' THEN '{{u}}' || own[6]
        WHEN user_id NOT IN {NOBODY} THEN '{{u}}' || user_id"""
_VISITOR: Final = f"""
        WHEN anonymous_id NOT IN {NOBODY} THEN '{{a}}' || anonymous_id
        WHEN session_id NOT IN {NOBODY} THEN '{{s}}' || session_id"""
"""Whose a rating is: a page says so of itself, whoever it claims to be."""


def ratings(only: str = "TRUE", *, numbered: bool = True) -> str:
    """The select of `ai_ratings_current`, without `turn` where it is not `numbered`. `only` lets
    rows of `ai_rating` through: all that rate the turns that are asked for."""
    turn = "if(k.turn_id IS NULL, k.turn, n.turn) AS turn," if numbered else ""
    own = numbers(ALL)
    number = f"LEFT JOIN ({own}) n ON n.interaction_id = k.turn_id" if numbered else ""
    return f"""
WITH said AS (
    SELECT interaction_id, service, conversation_id, trace_id,
        least(timestamp, coalesce(TRY_CAST(received_at AS TIMESTAMPTZ), timestamp)) AS rated_at,
        nullif(coalesce(told, parent_interaction_id), '') AS parent_interaction_id,
        TRY_CAST(own[1] AS BIGINT) AS turn, TRY_CAST(own[2] AS BOOLEAN) AS helpful,
        TRY_CAST(own[3] AS BIGINT) AS rating, own[4] AS reason, own[5] AS comment,
        CASE WHEN substr(interaction_id, 15, 4) = '{PAGES}'
            THEN CASE {_VISITOR.format(a="A", s="S")} {_USER.format(u="U")} END
            ELSE CASE {_USER.format(u="u")} {_VISITOR.format(a="a", s="s")} END END AS whose
    FROM (SELECT r.*, w.turn_id AS told, json_extract_string(ai_metadata, {_SAID}) AS own
        FROM (FROM ai_rating WHERE {only}) r
        LEFT JOIN ai_told_twice w ON w.interaction_id = r.parent_interaction_id)
), named AS (
    SELECT s.*, n.interaction_id AS named_id, n.service AS named_service,
        n.conversation_id AS named_conversation
    FROM said s LEFT JOIN {ALL} n ON n.interaction_id = s.parent_interaction_id
), unnamed AS (
    SELECT interaction_id, service, conversation_id, trace_id, rated_at, parent_interaction_id, turn
    FROM named WHERE named_id IS NULL
), counted AS (
    FROM {ALL}
    WHERE conversation_id IN (SELECT conversation_id FROM unnamed WHERE turn IS NOT NULL)
), may_be AS (
    SELECT s.interaction_id, s.rated_at, n.interaction_id AS turn_id, n.conversation_id,
        n.timestamp AS started_at
    FROM unnamed s JOIN counted n ON n.conversation_id = s.conversation_id
        AND n.service IS NOT DISTINCT FROM s.service
    JOIN ({numbers("counted")}) c ON c.interaction_id = n.interaction_id AND c.turn = s.turn
    UNION ALL
    SELECT s.interaction_id, s.rated_at, n.interaction_id, n.conversation_id, n.timestamp
    FROM unnamed s JOIN {ALL} n ON n.trace_id = s.trace_id
        AND n.service IS NOT DISTINCT FROM s.service
    WHERE s.parent_interaction_id IS NULL AND s.turn IS NULL
), chosen AS (
    SELECT interaction_id, arg_max(
        {{'id': turn_id, 'conversation': conversation_id}},
        (started_at <= rated_at, started_at, turn_id)) AS turn
    FROM may_be GROUP BY interaction_id
), placed AS (
    SELECT s.* EXCLUDE (service, conversation_id), coalesce(named_id, c.turn.id) AS turn_id,
        if(named_id IS NULL, s.service, named_service) AS service,
        CASE WHEN named_id IS NOT NULL THEN named_conversation
            WHEN c.turn IS NOT NULL THEN c.turn.conversation
            ELSE s.conversation_id END AS conversation_id
    FROM named s LEFT JOIN chosen c ON c.interaction_id = s.interaction_id
), keyed AS (
    SELECT *, coalesce(whose, interaction_id) AS who,
        CASE WHEN turn_id IS NOT NULL THEN ['turn', turn_id]
            WHEN conversation_id IS NOT NULL AND turn IS NOT NULL
                THEN ['number', conversation_id, turn::VARCHAR]
            WHEN parent_interaction_id IS NOT NULL THEN ['turn', parent_interaction_id]
            WHEN conversation_id IS NOT NULL THEN ['conversation', conversation_id]
            ELSE ['rating', interaction_id] END AS what
    FROM placed
), last AS (
    SELECT * FROM keyed QUALIFY row_number() OVER (
        PARTITION BY service, what, who ORDER BY rated_at DESC, interaction_id DESC) = 1
)
SELECT k.interaction_id, k.rated_at, k.turn_id, k.service, k.conversation_id,
    {turn} k.whose[2:] AS rater,
    CASE k.whose[1] WHEN 'u' THEN 'user_id' WHEN 'U' THEN 'claimed_user_id'
        WHEN 'a' THEN 'anonymous_id' WHEN 'A' THEN 'anonymous_id'
        WHEN 's' THEN 'session_id' WHEN 'S' THEN 'session_id' END AS rater_kind,
    k.helpful, k.rating, k.reason, k.comment
FROM last k {number}
"""


def turns(names: Collection[str], rows: str = ALL, rated: str = "ai_ratings_current") -> str:
    """The select of these columns of `ai_turns`, of the turns of `rows`, which has all of a
    conversation where the number is asked for, and of the ratings of `rated`."""
    made = {name: sql for name, sql in TURN.items() if name in names}
    read = dict.fromkeys(_READ.findall(" ".join(made.values())))
    shape = ", ".join(f'"{name}": "{KINDS[name]}"' for name in read)
    parsed = f"json_transform(ai_metadata, '{{{shape}}}')" if read else "NULL"
    text = f"""
SELECT {", ".join(f"{sql} AS {name}" for name, sql in made.items())}
FROM (SELECT *, {parsed} AS m FROM {rows}) t
"""
    if "turn" in names:
        text += f"JOIN ({numbers(rows)}) n ON n.interaction_id = t.interaction_id\n"
    if any(_RATED.search(sql) for sql in made.values()):
        text += f"""LEFT JOIN (
    SELECT turn_id, count(*) AS ratings, count(*) FILTER (helpful) AS ratings_helpful,
        count(*) FILTER (NOT helpful) AS ratings_unhelpful, avg(rating) AS mean_rating,
        arg_max(helpful, (rated_at, interaction_id)) AS helpful,
        arg_max(rating, (rated_at, interaction_id)) AS rating,
        arg_max(reason, (rated_at, interaction_id)) AS reason
    FROM {rated} WHERE turn_id IS NOT NULL GROUP BY turn_id
) r ON r.turn_id = t.interaction_id
"""
    return text


_READ: Final = re.compile(r"\bm\.(\w+)")
_RATED: Final = re.compile(r"\br\.\w")

VIEWS: Final[dict[str, str]] = {
    "ai_told_twice": TWICE, "ai_ratings_current": ratings(), "ai_turns": turns(TURN)
}  # fmt: skip
"""The select of each view by its name; each stands on those before."""
