"""AI turns and conversations whose content may be used to train, and why the others may not.

In: which turns, of which rating and consent, one by one or by conversation. Out: examples in a
fixed order, and a count of what was left out, by reason. Content that may not be used never leaves
the engine.

A turn's messages may repeat what was said before it, so a turn without consent takes those after it
in its conversation with it; of whole conversations, one such turn leaves all of it out. What was
said is put together of the turns: a turn that repeats the end of what is there adds what follows.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import msgspec

from lakeward.analysis.ai_threads import NAMED
from lakeward.analysis.ai_turns import TURN
from lakeward.analysis.question import Column, Sql, pieces, says
from lakeward.analysis.scope import Scope, check, parameters, where
from lakeward.errors import Rejected
from lakeward.interaction import JsonObject, iso

if TYPE_CHECKING:
    from lakeward.lake.reading import Reading

Rating = Literal["helpful", "unhelpful", "any"]
Row = dict[str, Any]

TOLD: Final = (
    "interaction_id", "conversation_id", "turn", "started_at", "service", "feature", "provider",
    "model", "prompt_name", "prompt_version", "status", "finish_reason", "content_mode",
    "content_consent", "helpful", "rating", "reason", "ratings_helpful", "ratings_unhelpful",
)  # fmt: skip
"""What stands beside the messages; nobody's id is among it."""


class AiExamples(Scope, frozen=True, kw_only=True):
    """AI turns that may be used to train."""

    name: ClassVar[str] = "ai_examples"

    rating: Annotated[
        Rating | None, says("What more raters found so than not; `any`: what is rated.")
    ] = None
    consent: Annotated[
        Literal["not_refused", "required"],
        says("Whether consent must have been given, or must not have been refused."),
    ] = "not_refused"
    unit: Annotated[
        Literal["turn", "conversation"], says("Each turn as it was asked, or whole conversations.")
    ] = "turn"

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check(self, TURN)
        if self.by:
            raise Rejected("`by`: examples are not broken down.")

    def columns(self) -> tuple[Column, ...]:
        """Of a turn."""
        return (
            *(Column(name, "text", "As in the view `ai_turns`.") for name in TOLD),
            Column("thread", "text", "Its conversation, or itself."),
            Column("consented", "boolean", "Whether its content may be used."),
            Column("messages", "json", "What was said; NULL where it may not be used."),
            Column("tools", "json", "Definitions of tools among the request's parameters."),
        )

    def sql(self) -> Sql:
        """Over `ai_turns`; conversations in the order of their first turns."""
        unsaid = "FALSE" if self.consent == "required" else "TRUE"
        until_then = "ORDER BY started_at, interaction_id ROWS UNBOUNDED PRECEDING"
        scope = until_then if self.unit == "turn" else ""
        order = "t.began, t.service NULLS FIRST, t.thread, " if self.unit == "conversation" else ""
        text = f"""WITH named AS (SELECT *, {NAMED} AS thread FROM ai_turns t), said AS (
    SELECT *, bool_and(coalesce(content_consent, {unsaid}))
            OVER (PARTITION BY service, thread {scope}) AS consented,
        min(started_at) OVER (PARTITION BY service, thread) AS began
    FROM named
)
SELECT {", ".join(f"t.{name}" for name in TOLD)}, t.thread, t.consented,
    CASE WHEN t.consented AND coalesce(t.content_mode, '') <> 'none' THEN t.messages END
        AS messages,
    CASE WHEN t.consented THEN t.parameters->'$.tools' END AS tools
FROM said t WHERE {where(self, TURN, "t.started_at")}
ORDER BY {order}t.started_at, t.interaction_id"""
        return Sql(text, parameters(self, TURN))


class Examples:
    """The examples of one reading, and what was left out of them."""

    def __init__(self, reading: Reading, question: AiExamples) -> None:
        self._reading = reading
        self._question = question
        self.left_out: Counter[str] = Counter()
        """Turns or conversations by reason."""

    def __iter__(self) -> Iterator[JsonObject]:
        """Each with its `messages`, its `tools`, and what is known of it."""
        if self._question.unit == "turn":
            groups: Iterator[list[Row]] = ([row] for row in self._rows())
        else:
            groups = (
                list(rows)
                for _, rows in itertools.groupby(
                    self._rows(), lambda row: (row["service"], row["thread"])
                )
            )
        for rows in groups:
            reason = self._reason(rows)
            if reason is not None:
                self.left_out[reason] += 1
            elif self._question.unit == "turn":
                yield _of_turn(rows[0])
            else:
                yield _of_conversation(rows)

    def _rows(self) -> Iterator[Row]:
        names = [column.name for column in self._question.columns()]
        for piece in pieces(self._reading, self._question):
            for values in piece:
                row = dict(zip(names, values, strict=True))
                row["messages"] = _listed(row["messages"])
                yield row

    def _reason(self, rows: list[Row]) -> str | None:
        """Why it is left out."""
        if not all(row["consented"] for row in rows):
            return "no_consent"
        helpful = sum(row["ratings_helpful"] for row in rows)
        unhelpful = sum(row["ratings_unhelpful"] for row in rows)
        rated = {
            None: True, "helpful": helpful > unhelpful, "unhelpful": unhelpful > helpful,
            "any": any(row["helpful"] is not None or row["rating"] is not None for row in rows),
        }  # fmt: skip
        if not rated[self._question.rating]:
            return "other_rating"
        if not all(row["messages"] for row in rows):
            return "no_content"
        return None


def _listed(raw: str | None) -> list[JsonObject]:
    if raw is None:
        return []
    messages = msgspec.json.decode(raw)
    if not isinstance(messages, list):
        return []
    held = [message for message in messages if isinstance(message, dict)]
    said = any(HELD & message.keys() for message in held)
    return held if said else []


HELD: Final = {"content", "tool_calls", "content_hash", "attachments"}


def _of_turn(row: Row) -> JsonObject:
    told = {name: row[name] for name in TOLD if row[name] is not None}
    told["started_at"] = iso(round(row["started_at"].timestamp() * 1000))
    return told | {"messages": row["messages"]} | _tools([row])


def _of_conversation(rows: list[Row]) -> JsonObject:
    first = rows[0]
    told = {name: first[name] for name in ("conversation_id", "service", "feature") if first[name]}
    return {
        **told,
        "started_at": iso(round(first["started_at"].timestamp() * 1000)),
        "turns": [row["interaction_id"] for row in rows],
        "ratings_helpful": sum(row["ratings_helpful"] for row in rows),
        "ratings_unhelpful": sum(row["ratings_unhelpful"] for row in rows),
        "status": rows[-1]["status"],
        "messages": joined([row["messages"] for row in rows]),
        **_tools(rows),
    }


def _tools(rows: list[Row]) -> JsonObject:
    """The tools of the last request that told of some."""
    for row in reversed(rows):
        if row["tools"] is not None:
            return {"tools": msgspec.json.decode(row["tools"])}
    return {}


def joined(turns: Sequence[Sequence[JsonObject]]) -> list[JsonObject]:
    """What was said in all turns, each once, where later ones repeat the end of it."""
    said: list[JsonObject] = []
    for messages in turns:
        start = 0
        while start < min(len(messages), len(said)) and messages[start]["role"] == "system":
            start += 1
        if list(messages[:start]) != said[:start]:
            start = 0  # other instructions begin something new
        rest = list(messages[start:])
        most = min(len(rest) - 1, len(said))  # something new stands in every turn
        repeated = next((n for n in range(most, 0, -1) if said[-n:] == rest[:n]), 0)
        said += rest[repeated:]
    return said
