"""AI turns of spans: OpenTelemetry's conventions for GenAI, of today and before.

In: a span. Out: an `ai_conversation` and the ratings that were given on it. Pure; nothing fails.

The conventions count cached tokens among the input and reasoning among the output; buckets of ours
are exclusive. Where the parts exceed the whole, the sender's buckets were exclusive already.

    input_tokens 17,903   cache_read 17,817      ->  input 86, cache_read 17,817
    output_tokens   188   reasoning      40      ->  output 148, reasoning 40
"""

from __future__ import annotations

from typing import Any

from lakeward.ai.attributes import Attributes, whole
from lakeward.ai.genai_messages import Told, structured, told
from lakeward.ai.spans import ERROR, LONGEST_NAME, Event, Span, completed, cut, duration_ms, time_of
from lakeward.interaction import JsonObject, clamp, foreign_id
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
USAGE = "gen_ai.usage."
OUTPUT_TYPE = "gen_ai.output.type"
WHOLES: dict[str, tuple[str, ...]] = {
    "input": ("input_tokens", "prompt_tokens"),
    "output": ("output_tokens", "completion_tokens"),
    "cache_read": ("cache_read.input_tokens", "cache_read_input_tokens", "input_tokens.cached"),
    "cache_write": (
        "cache_creation.input_tokens", "cache_write.input_tokens", "cache_creation_input_tokens",
        "input_tokens.cache_write",
    ),
    "reasoning": ("reasoning.output_tokens", "reasoning_tokens", "output_tokens.reasoning"),
}  # fmt: skip
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
    attributes = Attributes({n: v for n, v in given.items() if n not in said.attributes})
    fields: JsonObject = {"interaction_type": "ai_conversation", "captured_by": "otel"}
    for name, names in (
        ("operation", OPERATION),
        ("provider", PROVIDER),
        ("model_requested", ("gen_ai.request.model",)),
        ("model_answered", ("gen_ai.response.model",)),
        ("response_id", ("gen_ai.response.id",)),
        ("prompt_name", ("gen_ai.prompt.name",)),
    ):
        if (value := attributes.text(names)) is not None:
            fields[name] = cut(value)
    _ended(span, fields, attributes, said)
    _spoken(fields, said)
    _asked(fields, attributes)
    fields |= tokens(attributes)
    ratings, kept = [], []
    for index, event in enumerate(span.events):
        rated = _rating(span, index, event)
        if rated is not None:
            ratings.append(rated)
        elif index not in said.events and event.name != DETAILS:
            kept.append(index)
    turn = completed(span, fields, attributes, kept, named=True)
    # A rating is of the person whose turn it is.
    who = {name: turn[name] for name in ("user_id", "session_id", "conversation_id")
           if name in turn}  # fmt: skip
    return [turn, *(who | rated for rated in ratings)]


def _ended(span: Span, fields: JsonObject, attributes: Attributes, said: Told) -> None:
    """How it ended, when, and why."""
    failed = span.status == ERROR or text_of(span.attributes.get("error.type")) is not None
    fields["status"] = "failed" if failed else "completed"
    if (took := duration_ms(span)) is not None:
        fields["duration_ms"] = took
    reasons = attributes.rest.get("gen_ai.response.finish_reasons")
    reason = text_of(reasons[0] if isinstance(reasons, list) and reasons else reasons)
    if reason is not None and (not isinstance(reasons, list) or len(reasons) == 1):
        attributes.take(("gen_ai.response.finish_reasons",))
    if reason := reason or said.finish_reason:
        fields["finish_reason"] = cut(reason)
    seconds = attributes.rest.get("gen_ai.response.time_to_first_chunk")
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < 1e9:
        attributes.take(("gen_ai.response.time_to_first_chunk",))
        fields["time_to_first_token_ms"] = seconds * 1000


def _spoken(fields: JsonObject, said: Told) -> None:
    """What was said, and which tools the answer wants."""
    if said.messages:
        fields["messages"] = said.messages
    calls: list[Any] = [call for message in said.answered for call in message.get("tool_calls", ())]
    if calls:
        fields["tool_call_count"] = len(calls)
        names = dict.fromkeys(name for call in calls if (name := text_of(call.get("name"))))
        fields["tools_used"] = [cut(name) for name in names][:100]


def _asked(fields: JsonObject, attributes: Attributes) -> None:
    """The parameters of the request."""
    streamed = attributes.rest.get("gen_ai.request.stream")
    if isinstance(streamed, bool):
        fields["streamed"] = attributes.take(("gen_ai.request.stream",))
    parameters = {
        name.removeprefix(REQUEST).replace(".", "_"): structured(attributes.take((name,)))
        for name in [name for name in attributes.rest if name.startswith(REQUEST)]
    }
    if (kind := attributes.text((OUTPUT_TYPE,))) is not None:
        parameters["output_type"] = kind
    if parameters:
        fields["parameters"] = parameters


def tokens(attributes: Attributes) -> JsonObject:
    """Exclusive buckets, their sum, and the usage as it came."""
    usage = {
        name.removeprefix(USAGE): attributes.take((name,))
        for name in [name for name in attributes.rest if name.startswith(USAGE)]
    }
    found: dict[str, int] = {}
    for part, names in WHOLES.items():
        counts = (whole(usage.get(name)) for name in names)
        count = next((c for c in counts if c is not None and 0 <= c < 2**48), None)
        if count is not None:
            found[part] = count
    if not found:
        return {"tokens_source": "none"} | ({"usage": usage} if usage else {})
    read, written = found.get("cache_read", 0), found.get("cache_write", 0)
    buckets: JsonObject = {
        "input_tokens": _without(found.get("input", 0), read + written),
        "output_tokens": _without(found.get("output", 0), found.get("reasoning", 0)),
    }
    buckets |= {f"{part}_tokens": found[part] for part in ("cache_read", "cache_write", "reasoning")
                if part in found}  # fmt: skip
    total = sum(buckets.values())
    return buckets | {"total_tokens": total, "tokens_source": "reported", "usage": usage}


def _without(count: int, parts: int) -> int:
    return count - parts if count >= parts else count


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
    ours = f"{span.trace_id}:{span.span_id}"
    rated |= {
        "interaction_type": "ai_rating",
        "interaction_id": f"{ours}:{index}",
        "timestamp": time_of(event.time_ns or span.start_ns),
        "trace_id": span.trace_id,
        "parent_interaction_id": foreign_id("otlp", ours, clamp(span.start_ns // 1_000_000)),
        "attributes": given,
    }
    if name and not name.startswith("user_"):  # else it is the person whose turn it is
        rated["rater_id"] = name[:LONGEST_NAME]
    if comment := text_of(given.get("gen_ai.evaluation.explanation")):
        rated["comment"] = comment[:32_768]
    return rated
