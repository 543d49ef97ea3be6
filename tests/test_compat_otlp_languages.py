"""GenAI spans of other languages' SDKs, in the forms in which their exporters write OTLP/JSON.

Made by hand after their exporters and the conventions: JavaScript writes int64 as a number, Java as
a text; JavaScript leaves out what is empty, Java's has flags and schema addresses.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakeward.catalog.ai import TOKEN_BUCKETS
from lakeward.catalog.placement import arrange
from test_compat_otlp import call, parse

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
ASKED = '[{"role":"user","parts":[{"type":"text","content":"How do I price a retainer?"}]}]'
ANSWERED = (
    '[{"role":"assistant","parts":[{"type":"text","content":"Start from the hours."}],'
    '"finish_reason":"stop"}]'
)


def text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def number(key: str, value: int | str) -> dict[str, Any]:
    return {"key": key, "value": {"intValue": value}}


def attributes(provider: str, whole: type[int] | type[str]) -> list[dict[str, Any]]:
    return [
        text("gen_ai.operation.name", "chat"),
        text(provider, "openai"),
        text("gen_ai.request.model", "gpt-4o"),
        text("gen_ai.response.model", "gpt-4o-2024-08-06"),
        text("gen_ai.response.id", "chatcmpl-1"),
        text("gen_ai.conversation.id", "c5"),
        text("session.id", "s1"),
        text("enduser.id", "u1"),
        {"key": "gen_ai.response.finish_reasons",
         "value": {"arrayValue": {"values": [{"stringValue": "stop"}]}}},
        {"key": "gen_ai.request.temperature", "value": {"doubleValue": 0.2}},
        number("gen_ai.request.max_tokens", whole(100)),
        number("gen_ai.usage.input_tokens", whole(17903)),
        number("gen_ai.usage.output_tokens", whole(188)),
        number("gen_ai.usage.cache_read.input_tokens", whole(17817)),
        text("gen_ai.input.messages", ASKED),
        text("gen_ai.output.messages", ANSWERED),
    ]  # fmt: skip


JAVASCRIPT = {
    "resourceSpans": [{
        "resource": {
            "attributes": [text("service.name", "shop"), text("telemetry.sdk.language", "nodejs")],
            "droppedAttributesCount": 0,
        },
        "scopeSpans": [{
            "scope": {"name": "@opentelemetry/instrumentation-openai", "version": "0.7.0"},
            "spans": [{
                "traceId": TRACE, "spanId": SPAN, "name": "chat gpt-4o", "kind": 3,
                "startTimeUnixNano": "1755187888677000000",
                "endTimeUnixNano": "1755187890817700000",
                "attributes": attributes("gen_ai.system", int), "droppedAttributesCount": 0,
                "events": [], "droppedEventsCount": 0, "status": {"code": 0}, "links": [],
                "droppedLinksCount": 0, "flags": 257,
            }],
        }],
    }],
}  # fmt: skip
JAVA = {
    "resourceSpans": [{
        "resource": {
            "attributes": [text("service.name", "shop"), text("telemetry.sdk.language", "java"),
                           number("process.pid", "42")],
        },
        "scopeSpans": [{
            "scope": {"name": "io.opentelemetry.openai-java-1.1", "version": "2.31.0-alpha",
                      "attributes": []},
            "spans": [{
                "traceId": TRACE, "spanId": SPAN, "parentSpanId": "eee19b7ec3c1b173",
                "name": "chat gpt-4o", "kind": 3, "flags": 257,
                "startTimeUnixNano": "1755187888677000000",
                "endTimeUnixNano": "1755187890817700000",
                "attributes": attributes("gen_ai.provider.name", str),
                "events": [], "links": [], "status": {},
            }],
            "schemaUrl": "https://opentelemetry.io/schemas/1.37.0",
        }],
    }],
}  # fmt: skip


@pytest.mark.parametrize("body", [JAVASCRIPT, JAVA], ids=["javascript", "java"])
def test_a_span_of_another_language_is_the_same_turn(body: dict[str, Any]) -> None:
    [record] = parse(call(json.dumps(body).encode(), b"application/json")).events
    assert isinstance(record, dict)
    turn = arrange(record.pop("interaction_type"), record)
    told = turn["ai_metadata"]
    assert {name: told[name] for name in TOKEN_BUCKETS if name in told} == {
        "input_tokens": 86, "cache_read_tokens": 17_817, "output_tokens": 188
    }  # fmt: skip
    assert told["total_tokens"] == 18_091
    assert told["provider"] == "openai"
    assert told["model_answered"] == "gpt-4o-2024-08-06"
    assert told["finish_reason"] == "stop"
    assert told["parameters"] == {"temperature": 0.2, "max_tokens": 100}
    assert told["duration_ms"] == 2140.7
    assert turn["messages"] == [
        {"role": "user", "content": "How do I price a retainer?"},
        {"role": "assistant", "content": "Start from the hours."},
    ]
    assert (turn["conversation_id"], turn["session_id"], turn["user_id"]) == ("c5", "s1", "u1")
    assert turn["trace_id"] == TRACE
