"""What spans become: bodies of the real SDK's encoder, JSON by hand, and bytes of anybody."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from lakeward.ai.genai_messages import message_of
from lakeward.ai.spans import Span
from lakeward.interaction import foreign_id, parse_iso
from lakeward.server.compat import otlp
from lakeward.server.compat.dialect import Call, Outcome, Refused, Undecodable
from lakeward.server.compat.otlp import answer
from recorded_clients import Made, made

RECORDED = Path(__file__).parent / "data" / "otlp" / "shop.bin"
TRACE, SPAN, PARENT = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "eee19b7ec3c1b173"
START = 1_755_187_888_677_000_000
SECOND = 1_000_000_000


def call(body: bytes, content_type: bytes = b"") -> Call:
    return Call("POST", "/v1/traces", {}, {}, {b"content-type": content_type}, body, "http://h")


def parse(asked: Call) -> Made:
    return made(otlp.parse, asked)


def spans_of(asked: Call) -> list[Span]:
    return [*otlp.spans_of(asked)]


def attribute(name: str, value: Any) -> dict[str, Any]:
    return {"key": name, "value": any_value(value)}


def any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [attribute(*pair) for pair in value.items()]}}
    return {"stringValue": value}


def span(*, attributes: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE.upper(),
        "spanId": SPAN.upper(),
        "name": "work",
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + SECOND),
        "attributes": [attribute(*pair) for pair in (attributes or {}).items()],
    } | more


def request(*spans: dict[str, Any], **resource: Any) -> bytes:
    attributes = [attribute(name.replace("_", "."), value) for name, value in resource.items()]
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": attributes},
                    "scopeSpans": [{"scope": {"name": "my.library"}, "spans": spans}],
                }
            ]
        }
    ).encode()


def one(**fields: Any) -> Any:
    """The record of one span."""
    [record] = parse(call(request(span(**fields)))).events
    return record


def turn(attributes: dict[str, Any], **more: Any) -> Any:
    return one(attributes={"gen_ai.operation.name": "chat"} | attributes, **more)


def events(*given: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "timeUnixNano": str(START),
            "attributes": [attribute(*pair) for pair in attributes.items()],
        }
        for name, attributes in given
    ]


def test_the_spans_of_the_real_sdk_become_calls_turns_operations_and_ratings() -> None:
    records = parse(call(RECORDED.read_bytes())).events
    kinds = [record["interaction_type"] for record in records if isinstance(record, dict)]
    assert kinds == [
        "span", "ai_conversation", "span", "api_call", "ai_conversation", "span", "ai_rating",
    ]  # fmt: skip


def test_a_span_of_json_has_its_ids_times_scope_and_service() -> None:
    [record] = parse(
        call(
            request(
                span(
                    kind=1,
                    parentSpanId=PARENT,
                    status={"code": 1},
                    attributes={"my.span.attr": "some value"},
                ),
                service_name="my.service",
                team="growth",
                telemetry_sdk_name="x",
            )
        )
    ).events
    assert record == {
        "interaction_id": f"{TRACE}:{SPAN}",
        "timestamp": "2025-08-14T16:11:28.677Z",
        "trace_id": TRACE,
        "interaction_type": "span",
        "span_name": "work",
        "kind": "internal",
        "status": "ok",
        "duration_ms": 1000.0,
        "span_id": SPAN,
        "parent_span_id": PARENT,
        "scope": "my.library",
        "attributes": {"my.span.attr": "some value"},
        "metadata": {"service": "my.service", "resource": {"team": "growth"}},
    }


def test_the_json_of_protobuf_itself_is_known_too() -> None:
    record = one(
        traceId=b64encode(bytes.fromhex(TRACE)).decode(),
        spanId=b64encode(bytes.fromhex(SPAN)).decode(),
        startTimeUnixNano=START,
        kind="SPAN_KIND_PRODUCER",
        status={"code": "STATUS_CODE_ERROR", "message": "broken"},
        links=[{"traceId": TRACE, "spanId": PARENT}],
        somethingNew={"a": 1},
    )
    assert record["interaction_id"] == f"{TRACE}:{SPAN}"
    assert (record["kind"], record["status"]) == ("producer", "error")
    assert record["properties"] == {
        "status_message": "broken",
        "links": [{"trace_id": TRACE, "span_id": PARENT}],
    }


def test_values_of_every_kind_are_kept() -> None:
    values = {
        "text": "a", "yes": True, "no": False, "whole": 2**60, "part": 0.5,
        "list": ["a", 1, [True]], "map": {"deep": {"er": 1}}, "empty": "",
    }  # fmt: skip
    assert one(attributes=values)["attributes"] == values
    odd = [
        {"key": "nan", "value": {"doubleValue": "NaN"}},
        {"key": "inf", "value": {"doubleValue": "-Infinity"}},
        {"key": "bytes", "value": {"bytesValue": "AAEC"}},
        {"key": "nothing", "value": {}},
        {"key": "number", "value": {"intValue": 7}},
    ]
    assert parse(call(request(span() | {"attributes": odd}))).events[0]["attributes"] == {  # type: ignore[index]  # a dict
        "nan": "NaN", "inf": "-Infinity", "bytes": "AAEC", "nothing": None, "number": 7,
    }  # fmt: skip


def test_values_of_protobuf_are_those_of_json() -> None:
    message = trace_service_pb2.ExportTraceServiceRequest()
    made = message.resource_spans.add().scope_spans.add().spans.add()
    made.trace_id, made.span_id = bytes.fromhex(TRACE), bytes.fromhex(SPAN)
    made.start_time_unix_nano = START
    for name, (kind, value) in {
        "nan": ("double_value", float("nan")), "inf": ("double_value", float("inf")),
        "bytes": ("bytes_value", b"\0\1\2"), "whole": ("int_value", -(2**60)),
        "yes": ("bool_value", False), "text": ("string_value", ""),
    }.items():  # fmt: skip
        setattr(made.attributes.add(key=name).value, kind, value)
    made.attributes.add(key="nothing")
    nested = made.attributes.add(key="list").value.array_value.values
    nested.add().kvlist_value.values.add(key="a").value.int_value = 1
    nested.add()
    [record] = parse(call(message.SerializeToString())).events
    assert isinstance(record, dict)
    assert record["attributes"] == {
        "nan": "NaN", "inf": "Infinity", "bytes": "AAEC", "whole": -(2**60), "yes": False,
        "text": "", "nothing": None, "list": [{"a": 1}, None],
    }  # fmt: skip
    assert "duration_ms" not in record  # it has no end


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"traceId": "00" * 16}, "no trace id"),
        ({"traceId": "abc"}, "no trace id"),
        ({"spanId": None}, "no trace id"),
        ({"startTimeUnixNano": "0"}, "no start time"),
    ],
)
def test_a_span_without_ids_or_time_is_refused_alone(fields: dict[str, Any], reason: str) -> None:
    refused, kept = parse(call(request(span(**fields), span()))).events
    assert isinstance(refused, Refused)
    assert reason in refused.reason
    assert isinstance(kept, dict)


NEW = {
    "http.request.method": "GET",
    "url.path": "/a/b",
    "url.query": "q=1&tab=x&tab=y&empty=",
    "http.route": "/a/{id}",
    "http.response.status_code": 404,
    "client.address": "203.0.113.9",
    "network.peer.address": "10.0.0.1",
    "user_agent.original": "curl/8.8.0",
    "user.id": "u1",
    "enduser.pseudo.id": "a1",
    "session.id": "s1",
    "http.request.body.size": 12,
}
OLD = {
    "http.method": "GET",
    "http.target": "/a/b?q=1&tab=x&tab=y&empty=",
    "http.route": "/a/{id}",
    "http.status_code": 404,
    "http.client_ip": "203.0.113.9",
    "net.sock.peer.addr": "10.0.0.1",
    "http.user_agent": "curl/8.8.0",
    "enduser.id": "u1",
    "enduser.pseudo.id": "a1",
    "session.id": "s1",
    "http.request_content_length": 12,
}


@pytest.mark.parametrize("attributes", [NEW, OLD], ids=["stable", "old"])
def test_a_server_span_of_http_is_an_api_call(attributes: dict[str, Any]) -> None:
    record = one(kind=2, attributes=attributes | {"app.tier": "gold"}, parentSpanId=PARENT)
    assert record == {
        "interaction_id": f"{TRACE}:{SPAN}",
        "timestamp": "2025-08-14T16:11:28.677Z",
        "trace_id": TRACE,
        "interaction_type": "api_call",
        "method": "GET",
        "path": "/a/b",
        "route": "/a/{id}",
        "query_params": {"q": "1", "tab": ["x", "y"], "empty": ""},
        "response_status": 404,
        "response_time_ms": 1000.0,
        "user_agent": "curl/8.8.0",
        "request_bytes": 12,
        "user_id": "u1",
        "anonymous_id": "a1",
        "session_id": "s1",
        "properties": {
            "client_ip": "203.0.113.9",
            "name": "work",
            "span_id": SPAN,
            "parent_span_id": PARENT,
            "attributes": {"app.tier": "gold"},
        },
        "metadata": {"scope": "my.library"},
    }


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ({"http.url": "https://a.example/x/y?z=1#f"}, "/x/y", {"z": "1"}),
        ({"url.full": "https://a.example"}, "/r", None),
        ({"http.target": "//x?y"}, "//x", {"y": ""}),
        ({"http.url": "http://[broken?z=1"}, "/r", None),
        ({"url.path": "/p?token=1"}, "/p", None),
        ({}, "/r", None),
    ],
)
def test_the_path_is_found_wherever_it_stands(
    target: dict[str, Any], path: str, query: dict[str, str] | None
) -> None:
    record = one(kind=2, attributes={"http.method": "GET", "http.route": "/r"} | target)
    assert (record["path"], record.get("query_params")) == (path, query)


def test_a_call_without_an_agent_does_not_get_that_of_the_exporter() -> None:
    record = one(kind=2, attributes={"http.method": "GET", "url.path": "/", "http.status_code": 0})
    assert (record["user_agent"], record["response_status"]) == (None, None)


@pytest.mark.parametrize("fields", [{"kind": 3}, {"kind": 2, "attributes": {"rpc.method": "x"}}])
def test_any_other_span_is_a_span(fields: dict[str, Any]) -> None:
    fields = {"attributes": {"http.request.method": "GET", "url.path": "/"}} | fields
    assert one(**fields)["interaction_type"] == "span"


def test_a_long_name_is_cut_and_kept_whole_beside() -> None:
    record = one(name="SELECT " * 100)
    assert len(record["span_name"]) == 200
    assert record["properties"]["name"] == "SELECT " * 100


def test_a_failed_span_has_the_class_of_its_exception() -> None:
    raised = events(("exception", {"exception.type": "KeyError", "exception.message": "k"}))
    assert one(status={"code": 2}, events=raised)["error_type"] == "KeyError"
    assert "error_type" not in one(events=raised)  # caught, and the span went well
    assert one(attributes={"error.type": "timeout"})["error_type"] == "timeout"


USAGE = "gen_ai.usage."


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        (
            {"input_tokens": 17903, "cache_read.input_tokens": 17817, "output_tokens": 188},
            {"input": 86, "cache_read": 17817, "output": 188, "total": 18091},
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5},
            {"input": 10, "output": 5, "total": 15},
        ),
        (
            {
                "input_tokens": 100,
                "cache_read.input_tokens": 30,
                "cache_creation.input_tokens": 20,
                "output_tokens": 50,
                "reasoning.output_tokens": 40,
            },
            {
                "input": 50,
                "cache_read": 30,
                "cache_write": 20,
                "output": 10,
                "reasoning": 40,
                "total": 150,
            },
        ),
        # More cached than there is input: what was sent is exclusive already.
        (
            {"input_tokens": 86, "cache_read_input_tokens": 17817},
            {"input": 86, "cache_read": 17817, "total": 17903},
        ),
    ],
)
def test_token_buckets_are_exclusive(usage: dict[str, int], buckets: dict[str, int]) -> None:
    record = turn({USAGE + name: count for name, count in usage.items()})
    found = {
        name.removesuffix("_tokens"): record[name] for name in record if name.endswith("_tokens")
    }
    assert found == buckets
    assert record["tokens_source"] == "reported"
    assert record["usage"] == usage


def test_a_turn_without_usage_says_so() -> None:
    assert turn({})["tokens_source"] == "none"
    odd = turn({USAGE + "input_tokens": -1, USAGE + "output_tokens": "many"})
    assert odd["tokens_source"] == "none"
    assert odd["usage"] == {"input_tokens": -1, "output_tokens": "many"}


def test_what_was_asked_and_how_it_ended_is_in_the_turn() -> None:
    record = turn(
        {
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "m",
            "gen_ai.response.model": "m-1",
            "gen_ai.response.id": "r1",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.stop_sequences": ["a"],
            "gen_ai.request.choice.count": 2,
            "gen_ai.request.stream": True,
            "gen_ai.output.type": "json",
            "gen_ai.response.time_to_first_chunk": 0.31,
            "gen_ai.response.finish_reasons": ["stop", "length"],
            "gen_ai.conversation.id": "c1",
            "gen_ai.agent.name": "coach",
        }
    )
    wanted = {
        "operation": "chat",
        "provider": "openai",
        "model_requested": "m",
        "model_answered": "m-1",
        "response_id": "r1",
        "parameters": {
            "temperature": 0.5,
            "stop_sequences": ["a"],
            "choice_count": 2,
            "output_type": "json",
        },
        "streamed": True,
        "time_to_first_token_ms": 310.0,
        "finish_reason": "stop",
        "status": "completed",
        "duration_ms": 1000.0,
        "conversation_id": "c1",
        "captured_by": "otel",
    }
    assert {name: record.get(name) for name in wanted} == wanted
    assert record["properties"]["attributes"] == {
        "gen_ai.response.finish_reasons": ["stop", "length"],
        "gen_ai.agent.name": "coach",
    }


def test_a_failed_turn_is_failed() -> None:
    record = turn({"error.type": "rate_limit"})
    assert (record["status"], record["error_type"]) == ("failed", "rate_limit")
    assert turn({}, status={"code": 2})["status"] == "failed"


PARTS = [
    {"role": "user", "parts": [{"type": "text", "content": "How?"}]},
    {
        "role": "assistant",
        "parts": [
            {"type": "tool_call", "id": "c1", "name": "price", "arguments": {"hours": 10}},
        ],
    },
    {
        "role": "tool",
        "parts": [{"type": "tool_call_response", "id": "c1", "response": {"usd": 900}}],
    },
]
ANSWER = [
    {
        "role": "assistant",
        "parts": [{"type": "text", "content": "900 USD."}],
        "finish_reason": "stop",
    }
]
SAID = [
    {"role": "user", "content": "How?"},
    {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "name": "price", "arguments": {"hours": 10}}],
    },
    {"role": "tool", "content": {"usd": 900}, "tool_call_id": "c1"},
    {"role": "assistant", "content": "900 USD."},
]
OPENAI_CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "price", "arguments": '{"hours": 10}'},
}
FORMS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "structured": ({"gen_ai.input.messages": PARTS, "gen_ai.output.messages": ANSWER}, []),
    "text": (
        {
            "gen_ai.input.messages": json.dumps(PARTS),
            "gen_ai.output.messages": json.dumps(ANSWER),
        },
        [],
    ),
    "details": (
        {},
        events(
            (
                "gen_ai.client.inference.operation.details",
                {"gen_ai.input.messages": PARTS, "gen_ai.output.messages": ANSWER},
            )
        ),
    ),
    "events": (
        {},
        events(
            ("gen_ai.user.message", {"gen_ai.system": "openai", "content": "How?"}),
            ("gen_ai.assistant.message", {"tool_calls": json.dumps([OPENAI_CALL])}),
            ("gen_ai.tool.message", {"id": "c1", "content": '{"usd": 900}'}),
            (
                "gen_ai.choice",
                {"index": 0, "finish_reason": "stop", "message": '{"content": "900 USD."}'},
            ),
        ),
    ),
    "numbered": (
        {
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "How?",
            "gen_ai.prompt.1.role": "assistant",
            "gen_ai.prompt.1.tool_calls.0.id": "c1",
            "gen_ai.prompt.1.tool_calls.0.name": "price",
            "gen_ai.prompt.1.tool_calls.0.arguments": '{"hours": 10}',
            "gen_ai.prompt.2.role": "tool",
            "gen_ai.prompt.2.tool_call_id": "c1",
            "gen_ai.prompt.2.content": '{"usd": 900}',
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "900 USD.",
            "gen_ai.completion.0.finish_reason": "stop",
        },
        [],
    ),
    "prompt and completion": (
        {},
        events(
            (
                "gen_ai.content.prompt",
                {
                    "gen_ai.prompt": json.dumps(
                        [
                            {"role": "user", "content": "How?"},
                            {"role": "assistant", "content": None, "tool_calls": [OPENAI_CALL]},
                            {"role": "tool", "tool_call_id": "c1", "content": {"usd": 900}},
                        ]
                    )
                },
            ),
            (
                "gen_ai.content.completion",
                {
                    "gen_ai.completion": json.dumps(
                        [{"role": "assistant", "content": "900 USD.", "finish_reason": "stop"}]
                    )
                },
            ),
        ),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_messages_of_every_form_are_the_same_messages(form: str) -> None:
    attributes, given = FORMS[form]
    record = turn(attributes, events=given)
    assert record["messages"] == SAID
    assert record["finish_reason"] == "stop"
    assert set(record["properties"]) == {"name", "span_id"}  # nothing is there twice


def test_the_tools_that_an_answer_wants_are_named() -> None:
    answered = [{"role": "assistant", "parts": [*PARTS[1]["parts"], *PARTS[1]["parts"]]}]
    record = turn({"gen_ai.output.messages": answered})
    assert (record["tool_call_count"], record["tools_used"]) == (2, ["price"])


def test_instructions_are_the_first_message() -> None:
    instructions = [{"type": "text", "content": "Be brief."}]
    record = turn({"gen_ai.system_instructions": instructions, "gen_ai.input.messages": PARTS[:1]})
    assert record["messages"] == [{"role": "system", "content": "Be brief."}, SAID[0]]


def test_a_file_in_a_message_is_kept_by_reference() -> None:
    given = {
        "role": "user",
        "parts": [
            {"type": "text", "content": "a"},
            {"type": "blob", "mime_type": "image/png", "content": b64encode(b"png").decode()},
            {"type": "uri", "modality": "image", "uri": "https://a.example/b.png"},
            {"type": "reasoning", "content": "hm"},
        ],
    }
    [message] = message_of(given, "user")
    assert message["content"] == [
        {"type": "text", "content": "a"},
        {"type": "reasoning", "content": "hm"},
    ]
    blob, uri = message["attachments"]
    assert (blob["media_type"], blob["size_bytes"], len(blob["sha256"])) == ("image/png", 3, 64)
    assert uri == {"media_type": "image", "reference": "https://a.example/b.png"}


def test_messages_in_no_known_form_stay_where_they_are() -> None:
    record = turn({"gen_ai.input.messages": [1, "x"], "gen_ai.output.messages": "not { JSON"})
    assert "messages" not in record
    assert set(record["properties"]["attributes"]) == {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
    }


def evaluation(name: str, **score: Any) -> tuple[str, dict[str, Any]]:
    given = {f"gen_ai.evaluation.score.{key}": value for key, value in score.items()}
    return "gen_ai.evaluation.result", {"gen_ai.evaluation.name": name} | given


def test_evaluations_that_are_ratings_become_ratings_of_the_turn() -> None:
    given = events(
        evaluation("relevance", value=0.8, label="relevant"),
        evaluation("user_rating", value=4, label="thumbs up"),
        evaluation("judge", value=1, label="not_helpful"),
    )
    body = request(
        span(attributes={"gen_ai.operation.name": "chat", "enduser.id": "u1"}, events=given),
        span(spanId=PARENT),
    )
    record, other, first, second = parse(call(body)).events
    assert isinstance(record, dict)
    assert isinstance(other, dict)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    [kept] = record["properties"]["events"]
    assert kept["attributes"]["gen_ai.evaluation.name"] == "relevance"
    parent = foreign_id("otlp", record["interaction_id"], parse_iso(record["timestamp"]))
    assert {first["parent_interaction_id"], second["parent_interaction_id"]} == {parent}
    assert {first["user_id"], second["user_id"]} == {"u1"}
    assert (first["rating"], first["helpful"], first.get("rater_id")) == (4, True, None)
    # A score of 1 is the worst of five stars and the best of a share: only stars are stars.
    assert (second.get("rating"), second["helpful"], second["rater_id"]) == (None, False, "judge")


@pytest.mark.parametrize("operation", ["invoke_agent", "execute_tool", "create_agent", "retrieval"])
def test_operations_around_a_turn_are_spans_so_that_no_token_counts_twice(operation: str) -> None:
    record = one(attributes={"gen_ai.operation.name": operation, USAGE + "input_tokens": 5})
    assert record["interaction_type"] == "span"
    assert record["attributes"][USAGE + "input_tokens"] == 5


def test_json_is_told_by_its_first_byte_whatever_the_header_says() -> None:
    body = request(span())
    assert len(spans_of(call(body, b"application/x-protobuf"))) == 1
    assert len(spans_of(call(b"\n " + body, b"application/json"))) == 1
    assert spans_of(call(b"")) == []
    # Protobuf may begin with what JSON has for white space: a line feed is its first field.
    message = trace_service_pb2.ExportTraceServiceRequest()
    message.resource_spans.add().schema_url = "x" * 121
    assert message.SerializeToString()[:2] == b"\n{"
    assert spans_of(call(message.SerializeToString())) == []


def test_the_answer_speaks_the_encoding_of_the_request_and_counts_spans_alone() -> None:
    body = request(span(), span(traceId="0"))
    refused = Outcome(1, [(1, "No ids."), (2, "A rating was refused."), (1, "No ids.")])
    assert answer(call(body), Outcome(2, [])).body == b"{}"
    assert json.loads(answer(call(body), refused).body) == {
        "partialSuccess": {
            "rejectedSpans": "2",
            "errorMessage": "No ids. A rating was refused.",
        }
    }
    recorded = call(RECORDED.read_bytes())
    full = answer(recorded, Outcome(7, []))
    assert (full.body, full.kind) == (b"", b"application/x-protobuf")
    response = trace_service_pb2.ExportTraceServiceResponse()
    response.ParseFromString(answer(recorded, Outcome(6, [(0, "Too large.")])).body)
    assert response.partial_success.rejected_spans == 1
    assert response.partial_success.error_message == "Too large."


def test_without_the_package_protobuf_is_refused_in_one_sentence_and_json_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1", None)
    with pytest.raises(Undecodable, match=r"needs the package opentelemetry-proto"):
        parse(call(RECORDED.read_bytes()))
    assert len(parse(call(request(span()))).events) == 1


def parsed(body: bytes) -> None:
    """Either records or `Undecodable`, and the records are JSON."""
    try:
        events = parse(call(body)).events
    except Undecodable:
        return
    for event in events:
        json.dumps(event.event if isinstance(event, Refused) else event, allow_nan=False)


@given(st.binary(max_size=400))
def test_bytes_of_anybody_are_spans_or_undecodable(body: bytes) -> None:
    parsed(body)
    parsed(b"{" + body)


@given(st.data())
def test_a_body_that_was_damaged_is_spans_or_undecodable(data: st.DataObject) -> None:
    body = bytearray(RECORDED.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    parsed(bytes(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["role", "parts", "type", "content", "id"]), inner)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
        "gen_ai.prompt", "gen_ai.completion.0.content", "gen_ai.prompt.0.tool_calls.1.name",
        "gen_ai.usage.input_tokens", "gen_ai.usage.cache_read.input_tokens", "error.type",
        "gen_ai.response.finish_reasons", "gen_ai.request.stream", "gen_ai.request.model",
        "gen_ai.response.time_to_first_chunk", "http.method", "http.target", "url.full",
        "http.status_code", "enduser.id", "session.id", "content", "message", "tool_calls",
        "gen_ai.evaluation.score.value", "gen_ai.evaluation.name", "exception.type",
    ]
)  # fmt: skip
EVENTS = st.sampled_from(
    ["exception", "gen_ai.choice", "gen_ai.tool.message", "gen_ai.evaluation.result",
     "gen_ai.content.prompt", "gen_ai.client.inference.operation.details"]
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first example compiles strategies
@given(
    st.dictionaries(NAMES, JSON | JSON.map(json.dumps), max_size=8),
    st.lists(st.tuples(EVENTS, st.dictionaries(NAMES, JSON, max_size=4)), max_size=4),
    st.sampled_from(["chat", "embeddings", "execute_tool", ""]),
    st.integers(0, 7),
)
def test_attributes_of_any_shape_become_records(
    attributes: dict[str, Any], given_: list[Any], operation: str, kind: int
) -> None:
    attributes = attributes | {"gen_ai.operation.name": operation}
    parsed(request(span(attributes=attributes, events=events(*given_), kind=kind)))


@given(JSON, st.sampled_from(["resourceSpans", "x"]))
def test_json_of_any_shape_is_spans_or_undecodable(value: Any, name: str) -> None:
    parsed(json.dumps({name: value}).encode())
    parsed(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [value]}]}]}).encode())
