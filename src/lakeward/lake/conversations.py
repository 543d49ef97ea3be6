"""Turns of AI conversations and how people rate them, worked out when it is asked.

Out: the views `ai_turns`, one row for each `ai_conversation`, and `ai_ratings_current`, one for the
last word of each rater on each turn.

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
"""

from __future__ import annotations

from typing import Final

from lakeward.catalog.ai import TOKEN_BUCKETS
from lakeward.interaction import PAGES

NOBODY: Final = "('anonymous', '')"

KINDS: Final[dict[str, str]] = {
    "turn": "BIGINT",
    "feature": "VARCHAR",
    "operation": "VARCHAR",
    "provider": "VARCHAR",
    "model_requested": "VARCHAR",
    "model_answered": "VARCHAR",
    "response_id": "VARCHAR",
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
}
"""What is read of `ai_metadata`, in one go; a value of another kind is NULL."""

_SHAPE: Final = "{" + ", ".join(f'"{name}": "{kind}"' for name, kind in KINDS.items()) + "}"
_SUM: Final = " + ".join(f"coalesce(m.{name}, 0)" for name in TOKEN_BUCKETS)
_ANY: Final = ", ".join(f"m.{name}" for name in TOKEN_BUCKETS)
_OWN: Final = ", ".join(
    f"m.{name}::VARCHAR AS {name}" if kind == "JSON" else f"m.{name}"
    for name, kind in KINDS.items()
    if name not in ("turn", "total_tokens")
)

NUMBERED: Final = """
SELECT interaction_id, timestamp AS started_at, service, conversation_id,
    trace_id, coalesce(TRY_CAST(ai_metadata->>'$.turn' AS BIGINT),
        if(conversation_id IS NULL, NULL, row_number() OVER (
            PARTITION BY service, conversation_id ORDER BY timestamp, interaction_id) - 1)
    ) AS turn
FROM ai_conversation
"""
"""Turns with their numbers."""

_USER: Final = f"""
        WHEN ai_metadata->>'$.rater_id' <> '' THEN '{{u}}' || (ai_metadata->>'$.rater_id')
        WHEN user_id NOT IN {NOBODY} THEN '{{u}}' || user_id"""
_VISITOR: Final = f"""
        WHEN anonymous_id NOT IN {NOBODY} THEN '{{a}}' || anonymous_id
        WHEN session_id NOT IN {NOBODY} THEN '{{s}}' || session_id"""
SAID: Final = f"""
SELECT interaction_id, service, conversation_id, trace_id,
    least(timestamp, coalesce(TRY_CAST(received_at AS TIMESTAMPTZ), timestamp)) AS rated_at,
    nullif(parent_interaction_id, '') AS parent_interaction_id,
    TRY_CAST(ai_metadata->>'$.turn' AS BIGINT) AS turn,
    TRY_CAST(ai_metadata->>'$.helpful' AS BOOLEAN) AS helpful,
    TRY_CAST(ai_metadata->>'$.rating' AS BIGINT) AS rating,
    ai_metadata->>'$.reason' AS reason, ai_metadata->>'$.comment' AS comment,
    CASE WHEN substr(interaction_id, 15, 4) = '{PAGES}'
        THEN CASE {_VISITOR.format(a="A", s="S")} {_USER.format(u="U")} END
        ELSE CASE {_USER.format(u="u")} {_VISITOR.format(a="a", s="s")} END END AS whose
FROM ai_rating
"""

RATINGS: Final = f"""
WITH numbered AS ({NUMBERED}), said AS ({SAID}), may_be AS (
    SELECT s.interaction_id, s.rated_at, n.interaction_id AS turn_id, n.started_at
    FROM said s JOIN numbered n ON n.conversation_id = s.conversation_id AND n.turn = s.turn
        AND n.service IS NOT DISTINCT FROM s.service
    UNION ALL
    SELECT s.interaction_id, s.rated_at, n.interaction_id, n.started_at
    FROM said s JOIN numbered n ON n.trace_id = s.trace_id
        AND n.service IS NOT DISTINCT FROM s.service
    WHERE s.parent_interaction_id IS NULL AND s.turn IS NULL
), chosen AS (
    SELECT interaction_id, arg_max(turn_id, (started_at <= rated_at, started_at, turn_id))
        AS turn_id
    FROM may_be GROUP BY interaction_id
), placed AS (
    SELECT s.*, coalesce(named.interaction_id, c.turn_id) AS turn_id
    FROM said s LEFT JOIN numbered named ON named.interaction_id = s.parent_interaction_id
    LEFT JOIN chosen c ON c.interaction_id = s.interaction_id
), keyed AS (
    SELECT p.interaction_id, p.rated_at, p.turn_id,
        if(n.interaction_id IS NULL, p.service, n.service) AS service,
        if(n.interaction_id IS NULL, p.conversation_id, n.conversation_id) AS conversation_id,
        if(n.interaction_id IS NULL, p.turn, n.turn) AS turn,
        p.whose[2:] AS rater,
        CASE p.whose[1] WHEN 'u' THEN 'user_id' WHEN 'U' THEN 'claimed_user_id'
            WHEN 'a' THEN 'anonymous_id' WHEN 'A' THEN 'anonymous_id'
            WHEN 's' THEN 'session_id' WHEN 'S' THEN 'session_id' END AS rater_kind,
        p.helpful, p.rating, p.reason, p.comment, coalesce(p.whose, p.interaction_id) AS who,
        CASE WHEN p.turn_id IS NOT NULL THEN ['turn', p.turn_id]
            WHEN p.conversation_id IS NOT NULL AND p.turn IS NOT NULL
                THEN ['number', p.conversation_id, p.turn::VARCHAR]
            WHEN p.parent_interaction_id IS NOT NULL THEN ['turn', p.parent_interaction_id]
            WHEN p.conversation_id IS NOT NULL THEN ['conversation', p.conversation_id]
            ELSE ['rating', p.interaction_id] END AS what
    FROM placed p LEFT JOIN numbered n ON n.interaction_id = p.turn_id
)
SELECT * EXCLUDE (who, what) FROM keyed
QUALIFY row_number() OVER (
    PARTITION BY service, what, who ORDER BY rated_at DESC, interaction_id DESC) = 1
"""

TURNS: Final = f"""
WITH rated AS (
    SELECT turn_id, count(*) AS ratings, count(*) FILTER (helpful) AS ratings_helpful,
        count(*) FILTER (NOT helpful) AS ratings_unhelpful, avg(rating) AS mean_rating,
        arg_max(helpful, (rated_at, interaction_id)) AS helpful,
        arg_max(rating, (rated_at, interaction_id)) AS rating,
        arg_max(reason, (rated_at, interaction_id)) AS reason
    FROM ai_ratings_current WHERE turn_id IS NOT NULL GROUP BY turn_id
), told AS (
    SELECT interaction_id, service, environment, conversation_id, timestamp AS started_at, user_id,
        anonymous_id, session_id, partner_id, trace_id, parent_interaction_id, error_type, messages,
        coalesce(json_transform(ai_metadata, '{_SHAPE}'), json_transform('{{}}', '{_SHAPE}')) AS m
    FROM ai_conversation
)
SELECT t.interaction_id, t.service, t.environment, t.conversation_id, n.turn, t.started_at,
    t.user_id, t.anonymous_id, t.session_id, t.partner_id, t.trace_id, t.parent_interaction_id,
    coalesce(m.model_answered, m.model_requested) AS model, {_OWN}, t.error_type,
    coalesce(m.total_tokens, if(coalesce({_ANY}) IS NULL, NULL, {_SUM})) AS total_tokens,
    r.helpful, r.rating, r.reason, coalesce(r.ratings, 0) AS ratings,
    coalesce(r.ratings_helpful, 0) AS ratings_helpful,
    coalesce(r.ratings_unhelpful, 0) AS ratings_unhelpful, r.mean_rating, t.messages
FROM told t JOIN ({NUMBERED}) n ON n.interaction_id = t.interaction_id
LEFT JOIN rated r ON r.turn_id = t.interaction_id
"""

VIEWS: Final[dict[str, str]] = {"ai_ratings_current": RATINGS, "ai_turns": TURNS}
"""The select of each view by its name; the second stands on the first."""
