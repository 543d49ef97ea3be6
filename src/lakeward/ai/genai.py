"""AI turns of spans: OpenTelemetry's conventions for GenAI, of today and before.

In: a span. Out: an `ai_conversation` and the ratings that were given on it. Pure; nothing fails.
"""

from __future__ import annotations

from typing import Any

from lakeward.ai.attributes import Attributes, whole
from lakeward.ai.genai_messages import Told, structured, told
from lakeward.ai.genai_tokens import OLD_TOTAL, USAGE, tokens
from lakeward.ai.spans import (
    ASSOCIATED,
    ERROR,
    LONGEST_NAME,
    Event,
    Span,
    completed,
    cut,
    duration_ms,
    our_id,
    time_of,
)
from lakeward.interaction import JsonObject
from lakeward.plain import text_of

TURNS = frozenset(
    {"chat", "text_completion", "generate_content", "embeddings", "completion", "embedding"}
)
"""Operations that ask a model. An agent's span sums up those inside it: its tokens would count
twice."""
OPERATION = ("gen_ai.operation.name", "llm.request.type")
PROVIDER = ("gen_ai.provider.name", "gen_ai.system")
DETAILS = "gen_ai.client.inference.operation.details"
EVALUATION = "gen_ai.evaluation.result"
REQUEST = "gen_ai.request."
PARAMETERS = {"gen_ai.output.type": "output_type", "gen_ai.tool.definitions": "tools"}
STREAMED = frozenset({"gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"})
FIELDS = {
    "operation": OPERATION,
    "provider": PROVIDER,
    "model_requested": ("gen_ai.request.model",),
    "model_answered": ("gen_ai.response.model",),
    "response_id": ("gen_ai.response.id",),
    "prompt_name": ("gen_ai.prompt.name",),
    "prompt_version": ("gen_ai.prompt.version",),
    "feature": ("lakeward.feature", f"{ASSOCIATED}feature"),
}
FIELD_OF = {name: field for field, names in FIELDS.items() for name in names}
RANK = {name: rank for names in FIELDS.values() for rank, name in enumerate(names)}
FINISH = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
CHUNK = "gen_ai.content.completion.chunk"
"""OpenLLMetry marks each piece of a stream by an event without content: the first tells a time."""
REFUSALS = frozenset({"refusal", "content_filter", "safety", "prohibited_content"})
INVENTORS = ("openai_v2", "opentelemetry.util.genai")
"""Scopes that write `error` where the model gave no reason, as its stream was closed:
`choice.finish_reason or "error"` in opentelemetry-instrumentation-openai-v2 2.4b0, `patch.py`."""
UP = frozenset({"thumbs_up", "positive", "helpful", "upvote", "like", "liked"})
DOWN = frozenset({"thumbs_down", "negative", "unhelpful", "not_helpful", "downvote", "dislike"})
STARS = frozenset({"rating", "stars", "user_rating", "star_rating"})
"""Evaluations whose score is 1 to 5; any other scale is nobody's but the evaluator's."""


def is_turn(span: Span) -> bool:
    """Whether the span is one request to a model."""
    given = _with_details(span)
    operation = next((text for name in OPERATION if (text := text_of(given.get(name)))), None)
    return operation is not None and operation.lower() in TURNS


def _with_details(span: Span) -> JsonObject:
    """The attributes, with those of the event that may carry them instead."""
    given: JsonObject = {}
    for event in span.events:
        if event.name == DETAILS:
            given |= event.attributes
    return given | span.attributes


def ai_conversation(span: Span) -> list[JsonObject]:
    """The record of a turn, and behind it those of its ratings."""
    given = _with_details(span)
    said = told(given, span.events)
    fields, attributes, usage = _sorted(given, said.attributes)
    fields |= tokens(usage)
    _spoken(fields, said)
    _timed(span, fields, attributes)
    _ended(span, fields, attributes, said)
    ratings, kept = [], []
    for index, event in enumerate(span.events):
        rated = _rating(span, index, event)
        if rated is not None:
            ratings.append(rated)
        elif index not in said.events and event.name not in (DETAILS, CHUNK):
            kept.append(index)
    turn = completed(span, fields, attributes, kept, named=True)
    if not ratings:
        return [turn]
    # A rating is of the person whose turn it is.
    who = {name: turn[name] for name in ("user_id", "session_id", "conversation_id")
           if name in turn}  # fmt: skip
    return [turn, *(who | rated for rated in ratings)]


def _sorted(given: JsonObject, spoken: set[str]) -> tuple[JsonObject, Attributes, JsonObject]:
    """Fields of their own, what is left, and the usage: each attribute is looked at once."""
    fields: JsonObject = {"interaction_type": "ai_conversation", "captured_by": "otel"}
    ranks: dict[str, int] = {}
    parameters: JsonObject = {}
    usage: JsonObject = {}
    rest: JsonObject = {}
    for name, value in given.items():
        if name in spoken:
            continue
        if (field := FIELD_OF.get(name)) and (text := text_of(value)) is not None:
            if field not in ranks or RANK[name] < ranks[field]:
                fields[field], ranks[field] = cut(text), RANK[name]
        elif name.startswith(USAGE):
            usage[name.removeprefix(USAGE)] = value
        elif name in STREAMED and isinstance(value, bool):
            fields["streamed"] = value
        elif parameter := PARAMETERS.get(name) or _parameter(name):
            parameters[parameter] = structured(value)
        elif name == OLD_TOTAL:
            usage.setdefault("total_tokens", value)
        else:
            rest[name] = value
    if parameters:
        fields["parameters"] = parameters
    return fields, Attributes(rest), usage


def _parameter(name: str) -> str | None:
    if name.startswith(REQUEST):
        return name.removeprefix(REQUEST).replace(".", "_")
    return None


def _timed(span: Span, fields: JsonObject, attributes: Attributes) -> None:
    """How long it took, and how long to the first piece of a stream."""
    if (took := duration_ms(span)) is not None:
        fields["duration_ms"] = took
    seconds = attributes.rest.get(FIRST_CHUNK)
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < 1e9:
        attributes.take((FIRST_CHUNK,))
        fields["time_to_first_token_ms"] = seconds * 1000
        return
    if not span.events:
        return
    first = next((event.time_ns for event in span.events if event.name == CHUNK), 0)
    if first >= span.start_ns > 0:
        fields["time_to_first_token_ms"] = (first - span.start_ns) / 1e6


def _ended(span: Span, fields: JsonObject, attributes: Attributes, said: Told) -> None:
    """How it ended, and why."""
    reasons = attributes.rest.get(FINISH)
    reason = text_of(reasons[0] if isinstance(reasons, list) and reasons else reasons)
    if reasons == [] or (
        reason is not None and (not isinstance(reasons, list) or len(reasons) == 1)
    ):
        attributes.take((FINISH,))
    reason = reason or said.finish_reason
    made_up = reason == "error" and any(name in span.scope for name in INVENTORS)
    if reason and not made_up:
        fields["finish_reason"] = cut(reason)
    unread = fields.get("streamed") is True and not reason and "output_tokens" not in fields
    if span.status == ERROR or text_of(span.attributes.get("error.type")) is not None:
        fields["status"] = "failed"
    elif made_up or unread:
        fields["status"] = "abandoned"
    elif (reason or "").lower() in REFUSALS or any(map(_refuses, said.answered)):
        fields["status"] = "refused"
    else:
        fields["status"] = "completed"


def _refuses(message: JsonObject) -> bool:
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    return any(isinstance(part, dict) and part.get("type") == "refusal" for part in parts)


def _spoken(fields: JsonObject, said: Told) -> None:
    """What was said, and which tools the answer wants. An embedding is no message."""
    if str(fields.get("operation")).lower().startswith("embedding"):
        said.messages = [m for m in said.messages if m not in said.answered]
        said.answered = []
    if said.messages:
        fields["messages"] = said.messages
    calls: list[Any] = [call for message in said.answered for call in message.get("tool_calls", ())]
    if calls:
        fields["tool_call_count"] = len(calls)
        names = dict.fromkeys(name for call in calls if (name := text_of(call.get("name"))))
        fields["tools_used"] = [cut(name) for name in names][:100]


def _rating(span: Span, index: int, event: Event) -> JsonObject | None:
    """An evaluation as a rating of the turn; None for one that says neither helpful nor stars."""
    if event.name != EVALUATION:
        return None
    given = event.attributes
    name = (text_of(given.get("gen_ai.evaluation.name")) or "").lower()
    label = (text_of(given.get("gen_ai.evaluation.score.label")) or "").lower().replace(" ", "_")
    value = whole(given.get("gen_ai.evaluation.score.value"))
    rated: JsonObject = {}
    if label in UP | DOWN:
        rated["helpful"] = label in UP
    if name in STARS and value is not None and 1 <= value <= 5:
        rated["rating"] = value
    if not rated:
        return None
    rated |= {
        "interaction_type": "ai_rating",
        "interaction_id": f"{span.trace_id}:{span.span_id}:{index}",
        "timestamp": time_of(event.time_ns or span.start_ns),
        "trace_id": span.trace_id,
        "parent_interaction_id": our_id(span),
        "attributes": given,
    }
    if name and not name.startswith("user_"):  # else it is the person whose turn it is
        rated["rater_id"] = name[:LONGEST_NAME]
    if comment := text_of(given.get("gen_ai.evaluation.explanation")):
        rated["comment"] = comment[:32_768]
    return rated
