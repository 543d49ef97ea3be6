"""PostHog's AI events: exclusive buckets of tokens, messages of every provider, ratings, spans."""

from __future__ import annotations

from typing import Any

import pytest

from lakeward.catalog.placement import arrange
from lakeward.server.compat.posthog import DIALECT
from recorded_clients import call, events


def made(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    """The record of one event, as the catalogue arranges it."""
    content = {"event": name, "distinct_id": "u1", "uuid": "e1", "properties": properties}
    [record] = events(DIALECT, call("/batch/", {"batch": [content]}))
    return arrange(record.pop("interaction_type"), record)


def turn(**properties: Any) -> dict[str, Any]:
    """A generation with these `$ai_…`."""
    return made("$ai_generation", {f"$ai_{name}": value for name, value in properties.items()})


@pytest.mark.parametrize(("properties", "buckets"), [
    # Cached tokens among the input, reasoning among the output.
    ({"provider": "openai", "input_tokens": 17903, "output_tokens": 188,
      "cache_read_input_tokens": 17817, "reasoning_tokens": 40}, (86, 17817, None, 148, 40)),
    # Beside it.
    ({"provider": "anthropic", "input_tokens": 10, "output_tokens": 4,
      "cache_read_input_tokens": 8, "cache_creation_input_tokens": 7}, (10, 8, 7, 4, None)),
    ({"provider": "bedrock", "model": "eu.claude-sonnet-4", "input_tokens": 10,
      "cache_read_input_tokens": 8}, (10, 8, None, None, None)),
    # What is sent decides.
    ({"provider": "anthropic", "input_tokens": 10, "cache_read_input_tokens": 8,
      "cache_reporting_exclusive": False}, (2, 8, None, None, None)),
    ({"provider": "openai", "input_tokens": 10, "cache_read_input_tokens": 8,
      "cache_reporting_exclusive": True}, (10, 8, None, None, None)),
    # More than the whole: it cannot have been among it.
    ({"provider": "openai", "input_tokens": 10, "cache_read_input_tokens": 100},
     (10, 100, None, None, None)),
    ({"provider": "gemini", "input_tokens": 10, "output_tokens": 50, "reasoning_tokens": 20,
      "cache_read_input_tokens": 4}, (6, 4, None, 50, 20)),
])  # fmt: skip
def test_a_token_is_in_one_bucket(properties: Any, buckets: tuple[int | None, ...]) -> None:
    told = turn(**properties)["ai_metadata"]
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens",
             "reasoning_tokens")  # fmt: skip
    assert tuple(told.get(name) for name in names) == buckets
    assert told["total_tokens"] == sum(count for count in buckets if count)
    assert told["tokens_source"] == "reported"
    assert told["usage"]["input_tokens"] == properties["input_tokens"]


def test_without_tokens_it_says_so() -> None:
    assert turn(model="m")["ai_metadata"]["tokens_source"] == "none"


def test_seconds_become_ms_and_an_error_a_failed_turn() -> None:
    told = turn(latency=2.1407, time_to_first_token=0.31, is_error=True, error_type="RateLimit")
    assert told["ai_metadata"]["duration_ms"] == 2140.7
    assert told["ai_metadata"]["time_to_first_token_ms"] == 310
    assert told["ai_metadata"]["status"] == "failed"
    assert told["error_type"] == "RateLimit"
    assert told["ai_metadata"]["captured_by"] == "posthog"


def test_a_conversation_is_the_session_or_else_the_trace() -> None:
    assert turn(trace_id="t", session_id="s")["conversation_id"] == "s"
    assert turn(trace_id="t")["conversation_id"] == turn(trace_id="t")["trace_id"] == "t"


@pytest.mark.parametrize(("asked", "answered", "messages"), [
    ("hi", "hello", [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]),
    ([{"role": "system", "content": "be brief"}, "hi"], [],
     [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]),
    (None, [{"message": {"role": "assistant", "content": "hello"}, "index": 0}],
     [{"role": "assistant", "content": "hello"}]),
    ({"content": [{"type": "text", "text": "hi"}]}, None,
     [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]),
    ([{"role": 7, "content": 1, "tool_calls": "x", "tool_call_id": 5, "attachments": 3}], None,
     [{"role": "user", "content": 1, "tool_call_id": "5",
       "raw": {"tool_calls": "x", "attachments": 3}}]),
])  # fmt: skip
def test_messages_come_in_many_forms(asked: Any, answered: Any, messages: list[Any]) -> None:
    assert turn(input=asked, output_choices=answered)["messages"] == messages


def test_the_tools_that_the_answer_wants_are_counted() -> None:
    called = [
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "search"}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "name": "search", "input": {}},
                                          {"type": "function", "function": {"name": "book"}}]},
    ]  # fmt: skip
    told = turn(output_choices=called)["ai_metadata"]
    assert told["tool_call_count"] == 3
    assert told["tools_used"] == ["search", "book"]


def test_a_span_and_a_trace_are_spans() -> None:
    span = made("$ai_span", {"$ai_trace_id": "t", "$ai_span_id": "s", "$ai_parent_id": "p",
                             "$ai_span_name": "look up", "$ai_latency": 0.02, "$ai_is_error": True,
                             "$ai_input_state": {"q": 1}})  # fmt: skip
    assert span["trace_id"] == "t"
    assert span["properties"] == {
        "span_name": "look up", "kind": "internal", "status": "error", "duration_ms": 20.0,
        "span_id": "s", "parent_span_id": "p", "attributes": {"input_state": {"q": 1}},
    }  # fmt: skip
    assert made("$ai_trace", {})["properties"]["span_name"] == "trace"


@pytest.mark.parametrize(("name", "value", "rating"), [
    ("quality", "4", {"rating": 4}), ("Stars", 5, {"rating": 5}), ("thumbs", "good",
     {"helpful": True}), ("helpful", False, {"helpful": False}), ("quality", 0.8, None),
    ("faithfulness", 4, None), (None, None, None),
])  # fmt: skip
def test_a_metric_is_a_rating_where_its_scale_is_known(
    name: Any, value: Any, rating: dict[str, Any] | None
) -> None:
    content = {"event": "$ai_metric", "distinct_id": "u1", "properties": {
        "$ai_trace_id": "t", "$ai_metric_name": name, "$ai_metric_value": value}}  # fmt: skip
    [record] = events(DIALECT, call("/batch/", {"batch": [content]}))
    assert record["interaction_type"] == ("ai_metric" if rating is None else "ai_rating")
    assert {n: record[n] for n in ("rating", "helpful") if n in record} == (rating or {})
