"""PostHog's AI events: generations, embeddings, spans, and what people said of an answer.

In: an `Event`. Out: its record. Pure; nothing fails.

PostHog passes on the provider's counts. Most providers count cached tokens among the input and
reasoning among the output; buckets of ours are exclusive:

    $ai_input_tokens 17,903   cache read 17,817   ->  input 86, cache_read 17,817
    Anthropic, Claude         10, cache read 100  ->  input 10, cache_read 100
    Gemini: reasoning stands beside the output already

`$ai_cache_reporting_exclusive` decides where it is sent; parts that exceed the whole stand beside
it in any case.
"""

from __future__ import annotations

from typing import Any

from lakeward.ai.genai_messages import call_of
from lakeward.interaction import JsonObject
from lakeward.plain import text_of
from lakeward.server.compat.dialect import object_of
from lakeward.server.compat.posthog_event import (
    LONGEST_ID,
    LONGEST_NAME,
    LONGEST_TEXT,
    Event,
    list_of,
    names,
    number,
    record,
    whole,
)

NAMED = {"provider": "$ai_provider", "model_requested": "$ai_model",
         "finish_reason": "$ai_stop_reason", "prompt_name": "$ai_prompt_name",
         "prompt_version": "$ai_prompt_version"}  # fmt: skip
TIMES = {"duration_ms": "$ai_latency", "time_to_first_token_ms": "$ai_time_to_first_token"}
COSTS = {"cost_usd": "$ai_total_cost_usd", "input_cost_usd": "$ai_input_cost_usd",
         "output_cost_usd": "$ai_output_cost_usd"}  # fmt: skip
COUNTS = {"input": "$ai_input_tokens", "output": "$ai_output_tokens",
          "cache_read": "$ai_cache_read_input_tokens",
          "cache_write": "$ai_cache_creation_input_tokens",
          "reasoning": "$ai_reasoning_tokens"}  # fmt: skip
MORE_USAGE = ("$ai_total_tokens", "$ai_usage", "$ai_cache_reporting_exclusive",
              "$ai_cache_creation_5m_input_tokens",
              "$ai_cache_creation_1h_input_tokens")  # fmt: skip
REFUSALS = frozenset({"refusal", "content_filter", "safety", "prohibited_content"})
CALLS = frozenset({"function", "tool_use", "tool-call", "tool_call"})
UP = frozenset({"true", "good", "positive", "helpful", "thumbs_up", "thumbsup", "up", "yes"})
DOWN = frozenset({"false", "bad", "negative", "unhelpful", "thumbs_down", "thumbsdown", "down",
                  "no"})  # fmt: skip
VERDICTS = frozenset({"helpful", "thumbs", "thumb", "feedback", "user_feedback", "sentiment"})
STARS = frozenset({"rating", "stars", "user_rating", "star_rating", "quality"})
"""Metrics that a person gives from 1 to 5; of any other nobody knows the scale."""


def ai_conversation(event: Event) -> list[JsonObject]:
    """`$ai_generation` or `$ai_embedding` as a turn."""
    given = event.properties
    own = _joined(given) | names(given, NAMED) | _times(given, TIMES)
    own |= names(given, {"response_id": "$ai_response_id"}, LONGEST_ID)
    own["operation"] = "embeddings" if event.name == "$ai_embedding" else "chat"
    own["captured_by"] = "posthog"
    own |= _error(given) | _asked(given)
    costs = {field: cost for field, name in COSTS.items()
             if (cost := number(given.get(name))) is not None}  # fmt: skip
    if costs:
        own |= costs | {"price_source": "posthog"}
    own |= _spoken(given) | tokens(given)
    own["status"] = _ended(given, own)
    used = _JOINED | {*NAMED.values(), *TIMES.values(), *COSTS.values(), *COUNTS.values(),
                      *MORE_USAGE, "$ai_response_id", "$ai_is_error", "$ai_stream",
                      "$ai_model_parameters", "$ai_input", "$ai_output_choices",
                      "$ai_error_type", "$ai_tools", "$ai_instructions"}  # fmt: skip
    return [record(event, "ai_conversation", own, frozenset(used))]


_JOINED = frozenset({"$ai_trace_id", "$ai_session_id"})


def _joined(given: JsonObject) -> JsonObject:
    """The trace, and the conversation that it belongs to or is."""
    trace = text_of(given.get("$ai_trace_id"))
    conversation = text_of(given.get("$ai_session_id")) or trace
    found = {"trace_id": trace, "conversation_id": conversation}
    return {field: text[:LONGEST_ID] for field, text in found.items() if text is not None}


def _times(given: JsonObject, wanted: dict[str, str]) -> JsonObject:
    """Seconds as ms."""
    return {field: round(seconds * 1000, 3) for field, name in wanted.items()
            if (seconds := number(given.get(name))) is not None}  # fmt: skip


def _error(given: JsonObject) -> JsonObject:
    """The class of an error, or the status that the provider answered with."""
    kind = text_of(given.get("$ai_error_type"))
    if kind is None and given.get("$ai_is_error") is True and given.get("$ai_http_status"):
        kind = text_of(given["$ai_http_status"])
    return {} if kind is None else {"error_type": kind[:LONGEST_NAME]}


def _asked(given: JsonObject) -> JsonObject:
    """The parameters of the request; the SDK has `stream` among them."""
    found: JsonObject = {}
    parameters = object_of(given.get("$ai_model_parameters"))
    for streamed in (given.get("$ai_stream"), parameters.get("stream")):
        if isinstance(streamed, bool):
            found["streamed"] = streamed
            break
    if given.get("$ai_tools"):
        parameters = parameters | {"tools": given["$ai_tools"]}
    return found | ({"parameters": parameters} if parameters else {})


def _ended(given: JsonObject, own: JsonObject) -> str:
    """How it ended. Of a stream that was closed, the SDK (7.91) sends what came, as if it were all:
    no reason to stop and no tokens tell it from an answer."""
    if given.get("$ai_is_error") is True:
        return "cancelled" if given.get("$ai_error") == "cancelled" else "failed"
    reason = str(own.get("finish_reason", "")).lower()
    if reason in REFUSALS:
        return "refused"
    unread = own.get("streamed") is True and not reason and "output_tokens" not in own
    return "abandoned" if unread else "completed"


def tokens(given: JsonObject) -> JsonObject:
    """Exclusive buckets, their sum, and the usage as it came."""
    sent = [name for name in (*COUNTS.values(), *MORE_USAGE) if given.get(name) is not None]
    usage = {name.removeprefix("$ai_"): given[name] for name in sent}
    found = {part: count for part, name in COUNTS.items()
             if (count := whole(given.get(name))) is not None}  # fmt: skip
    if not found:
        return {"tokens_source": "none"} | ({"usage": usage} if usage else {})
    who = f"{given.get('$ai_provider')} {given.get('$ai_model')}".lower()
    beside = given.get("$ai_cache_reporting_exclusive")
    if not isinstance(beside, bool):
        beside = "anthropic" in who or "claude" in who
    cached = found.get("cache_read", 0) + found.get("cache_write", 0)
    thought = 0 if "gemini" in who or "google" in who else found.get("reasoning", 0)
    buckets = {f"{part}_tokens": count for part, count in found.items()}
    if "input" in found and not beside:
        buckets["input_tokens"] = _without(found["input"], cached)
    if "output" in found:
        buckets["output_tokens"] = _without(found["output"], thought)
    total = sum(buckets.values())
    return buckets | {"total_tokens": total, "tokens_source": "reported", "usage": usage}


def _without(count: int, parts: int) -> int:
    return count - parts if count >= parts else count


def _spoken(given: JsonObject) -> JsonObject:
    """What was said, and which tools the answer wants."""
    asked = [_message(m, "user") for m in _listed(given.get("$ai_input"))]
    if given.get("$ai_instructions") and all(m["role"] != "system" for m in asked):
        asked.insert(0, _message(given["$ai_instructions"], "system"))
    answered = [_as_one(_message(m, "assistant")) for m in _listed(given.get("$ai_output_choices"))]
    found: JsonObject = {"messages": asked + answered} if asked or answered else {}
    calls = [call for message in answered for call in _calls(message)]
    if calls:
        found["tool_call_count"] = len(calls)
        wanted = dict.fromkeys(name for call in calls if (name := _called(call)) is not None)
        found["tools_used"] = [name[:LONGEST_NAME] for name in wanted][:100]
    return found


def _listed(value: Any) -> list[Any]:
    """Messages come as a list, or as one text or object."""
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def _message(value: Any, role: str) -> JsonObject:
    """One message as our type takes it; what does not fit its keys moves under `raw`."""
    if not isinstance(value, dict):
        return {"role": role, "content": value}
    told = object_of(value.get("message")) or value
    message = dict(told)
    said = message.get("role")
    message["role"] = said[:LONGEST_NAME] if isinstance(said, str) and said else role
    calls = message.get("tool_calls")
    odd = [name for name, fits in (
        ("tool_calls", calls is None or (isinstance(calls, list)
                                         and all(isinstance(call, dict) for call in calls))),
        ("tool_call_id", text_of(message.get("tool_call_id")) is not None),
        ("attachments", False), ("content_hash", False),
    ) if name in message and not fits]  # fmt: skip
    if odd:
        message["raw"] = {name: message.pop(name) for name in odd}
    if "tool_call_id" in message:
        message["tool_call_id"] = text_of(message["tool_call_id"])
    return message


def _as_one(message: JsonObject) -> JsonObject:
    """The SDK puts an answer's text and its calls into parts: as a text, and calls beside it.
    Parts of other kinds stay as they are, all of them."""
    parts = message.get("content")
    if not isinstance(parts, list) or "tool_calls" in message:
        return message
    kinds = [part.get("type") if isinstance(part, dict) else None for part in parts]
    if not parts or set(kinds) - {"text", "function"} or kinds.count("text") > 1:
        return message
    made = {name: value for name, value in message.items() if name != "content"}
    for kind, part in zip(kinds, parts, strict=True):
        if kind == "text":
            made["content"] = part.get("text")
        else:
            made.setdefault("tool_calls", []).append(call_of(part))
    return made


def _calls(message: JsonObject) -> list[JsonObject]:
    """The calls of a message, wherever its provider puts them."""
    parts = [object_of(part) for part in list_of(message.get("content"))]
    calls = [part for part in parts if text_of(part.get("type")) in CALLS]
    return [*list_of(message.get("tool_calls")), *calls]


def _called(call: JsonObject) -> str | None:
    return (text_of(object_of(call.get("function")).get("name")) or text_of(call.get("name"))
            or text_of(call.get("toolName")))  # fmt: skip


def span(event: Event) -> list[JsonObject]:
    """`$ai_span`, or `$ai_trace`, which is the outermost."""
    given = event.properties
    own = _joined(given) | _times(given, {"duration_ms": "$ai_latency"}) | _error(given)
    name = text_of(given.get("$ai_span_name")) or text_of(given.get("$ai_trace_name"))
    own["span_name"] = (name or event.name.removeprefix("$ai_"))[:LONGEST_NAME]
    own["kind"] = "internal"
    own["status"] = "error" if given.get("$ai_is_error") is True else "ok"
    wanted = {"span_id": "$ai_span_id", "parent_span_id": "$ai_parent_id"}
    own |= names(given, wanted, LONGEST_ID)
    states = {name.removeprefix("$ai_"): given[name] for name in ("$ai_input_state",
              "$ai_output_state") if given.get(name) is not None}  # fmt: skip
    if states:
        own["attributes"] = states
    used = _JOINED | {*wanted.values(), "$ai_span_name", "$ai_trace_name", "$ai_latency",
                      "$ai_is_error", "$ai_error_type", "$ai_input_state",
                      "$ai_output_state"}  # fmt: skip
    return [record(event, "span", own, frozenset(used))]


def feedback(event: Event) -> list[JsonObject]:
    """`$ai_feedback`: what somebody wrote of an answer."""
    own = _joined(event.properties)
    own |= names(event.properties, {"comment": "$ai_feedback_text"}, LONGEST_TEXT)
    return [record(event, "ai_rating", own, _JOINED | {"$ai_feedback_text"})]


def metric(event: Event) -> list[JsonObject]:
    """`$ai_metric`: a rating, where it says helpful or stars; else a type of its own."""
    given = event.properties
    name = (text_of(given.get("$ai_metric_name")) or "").strip().lower().replace(" ", "_")
    value = given.get("$ai_metric_value")
    said = str(value).strip().lower().replace(" ", "_")
    own = _joined(given)
    if name in STARS and said in {"1", "2", "3", "4", "5", "1.0", "2.0", "3.0", "4.0", "5.0"}:
        own["rating"] = int(said[0])
    elif name in VERDICTS and said in UP | DOWN:
        own["helpful"] = said in UP
    else:
        return [record(event, "ai_metric", own, _JOINED)]
    return [record(event, "ai_rating", own, _JOINED | {"$ai_metric_name", "$ai_metric_value"})]
