"""Sends one event of every kind that posthog-python has: `HOST KEY [v0|v1]`."""

import sys
from datetime import UTC, datetime

from posthog import Posthog, identify_context, new_context, set_context_session

host, key, mode = sys.argv[1], sys.argv[2], (sys.argv[3:] or ["v0"])[0]
client = Posthog(
    key,
    host=host,
    flush_interval=0.1,
    gzip=mode == "v0",
    max_retries=2,
    capture_mode=mode,
    capture_compression="gzip" if mode == "v1" else None,
)

client.capture(
    "Order Completed",
    distinct_id="u1",
    properties={"total": 12.5, "currency": "EUR"},
    groups={"company": "g4"},
    timestamp=datetime(2025, 8, 14, 16, 11, 28, 677000, UTC),
)
client.capture(
    "$pageview",
    distinct_id="u1",
    properties={
        "$current_url": "https://example.com/a?utm_source=podcast",
        "$referrer": "https://example.org/",
    },
)
client.capture("$screen", distinct_id="u1", properties={"$screen_name": "Partner list"})
client.capture("nobody")
client.set(distinct_id="u1", properties={"plan": "pro"})
client.set_once(distinct_id="u1", properties={"first_seen": "2025-08-14"})
client.group_identify("company", "g4", {"industry": "roofing"}, distinct_id="u1")
client.alias("lead-812", "u1")
with new_context():
    identify_context("u2")
    set_context_session("0198a9c4-0f1a-7cc2-8f00-0123456789ab")
    client.capture("in a context", properties={"step": 1})
try:
    raise ValueError("no such partner")
except ValueError as error:
    client.capture_exception(error, distinct_id="u1")
client.capture(
    "$ai_generation",
    distinct_id="u1",
    properties={
        "$ai_trace_id": "trace-1",
        "$ai_span_id": "span-1",
        "$ai_parent_id": "span-0",
        "$ai_session_id": "chat-5",
        "$ai_provider": "openai",
        "$ai_model": "gpt-4o",
        "$ai_input": [{"role": "user", "content": "How do I price a retainer?"}],
        "$ai_output_choices": [{"role": "assistant", "content": "Start from the hours."}],
        "$ai_input_tokens": 17903,
        "$ai_output_tokens": 188,
        "$ai_cache_read_input_tokens": 17817,
        "$ai_reasoning_tokens": 20,
        "$ai_latency": 2.1407,
        "$ai_time_to_first_token": 0.31,
        "$ai_http_status": 200,
        "$ai_base_url": "https://api.openai.com/v1",
        "$ai_stream": True,
        "$ai_model_parameters": {"temperature": 0.2},
        "$ai_stop_reason": "stop",
    },
)
client.capture_ai(
    "$ai_generation",
    distinct_id="u1",
    properties={
        "$ai_trace_id": "trace-2",
        "$ai_provider": "anthropic",
        "$ai_model": "claude-sonnet-4",
        "$ai_input": [{"role": "user", "content": "Hello"}],
        "$ai_output_choices": [],
        "$ai_input_tokens": 10,
        "$ai_output_tokens": 0,
        "$ai_cache_read_input_tokens": 100,
        "$ai_cache_creation_input_tokens": 7,
        "$ai_is_error": True,
        "$ai_error": "overloaded",
        "$ai_latency": 0.5,
    },
)
client.capture(
    "$ai_embedding",
    distinct_id="u1",
    properties={
        "$ai_trace_id": "trace-1",
        "$ai_provider": "openai",
        "$ai_model": "text-embedding-3-small",
        "$ai_input": "a retainer",
        "$ai_input_tokens": 3,
        "$ai_latency": 0.1,
    },
)
client.capture(
    "$ai_span",
    distinct_id="u1",
    properties={
        "$ai_trace_id": "trace-1",
        "$ai_span_id": "span-2",
        "$ai_parent_id": "span-0",
        "$ai_span_name": "look up",
        "$ai_input_state": {"q": "retainer"},
        "$ai_output_state": {"hits": 3},
        "$ai_latency": 0.02,
        "$ai_is_error": False,
    },
)
client.capture(
    "$ai_trace",
    distinct_id="u1",
    properties={"$ai_trace_id": "trace-1", "$ai_span_name": "coach", "$ai_latency": 2.3},
)
client.capture(
    "$ai_feedback",
    distinct_id="u1",
    properties={"$ai_trace_id": "trace-1", "$ai_feedback_text": "just right"},
)
client.capture(
    "$ai_metric",
    distinct_id="u1",
    properties={"$ai_trace_id": "trace-1", "$ai_metric_name": "quality", "$ai_metric_value": "4"},
)
client.feature_enabled("new-match-page", "u1")
client.shutdown()
