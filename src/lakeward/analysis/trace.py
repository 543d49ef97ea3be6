"""A trace: everything that happened because of one click, call or turn, in order.

In: a trace id or the id of any interaction. Out: a row for each interaction of it, each behind what
caused it; at most 500, the earliest, and how many there are.

    page_view ──► click ──► api_call ──► ai_conversation ──► ai_rating
                               └──► demo_booking

Interactions belong together by their `trace_id`, by `parent_interaction_id` in both directions, and
by `conversation_id` where what is asked about, or what joins it, has no trace id. That is followed
three times.

The time is known from the id where it is one of ours, as a trace that a page or an app of ours
began has one; else from `near`. So only the days around it are read; without either, all of them.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final

import msgspec

from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.analysis.values import Values
from lakeward.errors import Rejected
from lakeward.interaction import EARLIEST_MS, LATEST_MS, OURS, id_ms
from lakeward.lake.dated import DATED, DAY

MOST: Final = 500
LONGEST: Final = 256
HOPS: Final = ("first", "second", "third")
COLUMNS: Final = (
    Column("interaction_id", "text", "The record."),
    Column("cause", "text", "Id of the one shown here that caused it."),
    Column("depth", "integer", "How many causes lead to it."),
    Column("at", "time", "When it began."),
    Column("start_ms", "number", "Time since the first of them.", "ms"),
    Column("duration_ms", "number", "How long it took, where that is told.", "ms"),
    Column("interaction_type", "text", "Its type."),
    Column("what", "text", "What it was about: an address, an element, a model."),
    Column("method", "text", "HTTP method."),
    Column("route", "text", "Template of the path."),
    Column("status", "integer", "HTTP status."),
    Column("error_type", "text", "Class of the error."),
    Column("service", "text", "App that told of it."),
    Column("user_id", "text", "The user, where known."),
    Column("session_id", "text", "The session."),
    Column("partner_id", "text", "The partner that it concerns."),
    Column("trace_id", "text", "W3C id of the trace."),
    Column("conversation_id", "text", "The AI conversation."),
    Column("joined_by", "text", "Why it is here: trace, cause or conversation."),
    Column("interactions", "integer", "How many there are, shown or not.", "interactions"),
)


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that happened because of one click, call or turn, each behind its cause."""

    name: ClassVar[str] = "trace"

    of: Annotated[str, says("A trace id, or the id of an interaction of it.")]
    near: Annotated[datetime | None, says("When it was, where the id does not tell.")] = None
    days: Annotated[int, says("How many days before and after are looked at.")] = 2

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        if not 1 <= len(self.of.strip()) <= LONGEST:
            raise Rejected(f"`of` must be an id of 1 to {LONGEST} characters.")
        if self.near is not None and self.near.tzinfo is None:
            raise Rejected("`near` must have a zone, such as 2026-11-01T00:00:00Z.")
        if not 0 <= self.days <= 400:
            raise Rejected("`days` must be from 0 to 400.")

    def columns(self) -> tuple[Column, ...]:
        """The same for every trace."""
        return COLUMNS

    def sql(self) -> Sql:
        """Over the days that the view knows."""
        values = Values()
        of = values(self.of.strip())
        window = self._window(values)
        steps = ["seed", *HOPS]
        hops = ",\n".join(_hop(name, before) for before, name in zip(steps, HOPS, strict=False))
        text = f"""WITH near AS (
    SELECT i.interaction_id AS id, i.timestamp AS began, i.parent_interaction_id AS parent,
        i.trace_id AS trace, i.conversation_id AS conversation
    FROM {DATED} i WHERE {window}
), seed AS (SELECT * FROM near WHERE id = lower({of}) OR trace = {of}),
{hops},
kept AS (
    SELECT id, count(*) OVER () AS interactions FROM {HOPS[-1]} ORDER BY began, id LIMIT {MOST}
)
SELECT i.interaction_id, i.parent_interaction_id AS cause, CAST(0 AS INTEGER) AS depth,
    i.timestamp AS "at", CAST(0 AS DOUBLE) AS start_ms, {_duration()} AS duration_ms,
    i.interaction_type, {_what()} AS what, i.method, i.route, i.response_status AS status,
    i.error_type, i.service, nullif(i.user_id, 'anonymous') AS user_id, i.session_id, i.partner_id,
    i.trace_id, i.conversation_id, '' AS joined_by, k.interactions
FROM {DATED} i JOIN kept k ON k.id = i.interaction_id WHERE {window}
ORDER BY i.timestamp, i.interaction_id"""
        return Sql(text, values.parameters)

    def _window(self, values: Values) -> str:
        moment = self.near or _moment(self.of.strip().lower())
        if moment is None:
            return "TRUE"
        first, last = (
            (moment.astimezone(UTC) + sign * timedelta(days=self.days)).date() for sign in (-1, 1)
        )
        return f"i.{DAY} BETWEEN {values(first)} AND {values(last)}"

    def finish(self, rows: list[Row]) -> list[Row]:
        """Each behind its cause, with the time since the first."""
        if not rows:
            return rows
        found = [dict(zip((c.name for c in COLUMNS), row, strict=True)) for row in rows]
        asked = self.of.strip()
        traces = {
            row["trace_id"]
            for row in found
            if asked.lower() == row["interaction_id"] or asked == row["trace_id"]
        }
        began = found[0]["at"]
        for row in found:
            row["start_ms"] = (row["at"] - began).total_seconds() * 1000
            row["joined_by"] = _joined(row, found, traces - {None})
        return [tuple(row.values()) for row in _in_order(found)]


def _moment(text: str) -> datetime | None:
    """The moment of an id of ours, or of a trace whose id has the digits of one."""
    if len(text) == 32:
        text = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    if OURS.fullmatch(text) and EARLIEST_MS <= id_ms(text) < LATEST_MS:
        return datetime.fromtimestamp(id_ms(text) / 1000, UTC)
    return None


def _hop(name: str, before: str) -> str:
    """What belongs to anything of the relation before. A conversation is followed from what is
    asked about alone: from a rating that joined it would lead to every other turn."""
    whole = f"""OR n.conversation IN (SELECT conversation FROM {before} WHERE trace IS NULL)"""
    return f"""{name} AS (SELECT n.* FROM near n
    WHERE n.id IN (SELECT id FROM {before}) OR n.trace IN (SELECT trace FROM {before})
    OR n.id IN (SELECT parent FROM {before}) OR n.parent IN (SELECT id FROM {before})
    OR n.trace IS NULL AND n.conversation IN (SELECT conversation FROM {before})
    {whole if before == "seed" else ""})"""


def _text(slot: str, name: str) -> str:
    return f"json_extract_string(i.{slot}, '$.{name}')"


def _duration() -> str:
    told = [_text("ai_metadata", "duration_ms"), _text("properties", "duration_ms")]
    return f"coalesce(i.response_time_ms, {', '.join(f'TRY_CAST({x} AS DOUBLE)' for x in told)})"


def _what() -> str:
    place = "i.path, i.url"
    click = ", ".join(_text("properties", name) for name in ("element_text", "selector", "cta"))
    model = ", ".join(_text("ai_metadata", name) for name in ("model_answered", "model_requested"))
    form = f"{_text('properties', 'form')} || ' ' || {_text('properties', 'action')}"
    return (
        f"CASE WHEN i.interaction_type IN ('click', 'cta_click') THEN coalesce({click}, {place}) "
        f"WHEN i.interaction_type = 'ai_conversation' THEN coalesce({model}) "
        f"WHEN i.interaction_type = 'form_interaction' THEN coalesce({form}, {place}) "
        f"ELSE coalesce({place}) END"
    )


def _joined(row: dict[str, Any], rows: list[dict[str, Any]], traces: set[str]) -> str:
    if row["trace_id"] in traces:
        return "trace"
    ids, mine = {other["interaction_id"] for other in rows}, row["interaction_id"]
    if row["cause"] in ids or any(other["cause"] == mine for other in rows):
        return "cause"
    return "trace" if row["trace_id"] is not None else "conversation"


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Causes before what they caused, else by time; a cause that is not here is none, and of a
    circle of causes the earliest has none."""
    ids = {row["interaction_id"] for row in rows}
    caused: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["cause"] not in ids or row["cause"] == row["interaction_id"]:
            row["cause"] = None
        caused[row["cause"]].append(row)
    ordered: list[dict[str, Any]] = []
    seen: set[str] = set()

    def walk(root: dict[str, Any]) -> None:
        waiting = [(root, 0)]
        while waiting:
            row, depth = waiting.pop()
            if row["interaction_id"] in seen:
                continue
            seen.add(row["interaction_id"])
            row["depth"] = depth
            ordered.append(row)
            waiting += [(c, depth + 1) for c in reversed(caused[row["interaction_id"]])]

    for root in caused[None]:
        walk(root)
    for row in rows:
        if row["interaction_id"] not in seen:
            row["cause"] = None
            walk(row)
    return ordered
