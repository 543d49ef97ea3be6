"""A turn by the app's own code: whatever it is handed, one record, and nothing raised."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ai_wire
from ai_servers import CACHED, PLAIN, REFUSES, TOOLS
from lakeward.ai import AI
from lakeward.ai.active import ACTIVE
from lakeward.capture.job import job
from lakeward.interaction import id_ms, iso
from lakeward.testing import MemoryCollector

PIXEL = base64.b64encode(b"\x89PNG not really").decode()
PIXEL_HASH = hashlib.sha256(b"\x89PNG not really").hexdigest()


@pytest.fixture
def collector() -> MemoryCollector:
    return MemoryCollector()


@pytest.fixture
def ai(collector: MemoryCollector) -> AI:
    return AI(collector)


def only(collector: MemoryCollector) -> dict[str, Any]:
    """The one record, its own fields beside the record's."""
    assert collector.quarantined == []
    [record] = collector.records
    assert record["interaction_type"] == "ai_conversation"
    return {**record, **record.pop("ai_metadata")}


def test_a_turn_is_one_record_with_all_that_was_told(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation(
        "c5", feature="coach", provider="openai", model="gpt-4o", prompt_name="coach",
        prompt_version="3", turn=0, user_id="u1", consent=True, parameters={"temperature": 0.2},
    ) as turn:  # fmt: skip
        turn.ask([{"role": "user", "content": "How do I price a retainer?"}])
        answer = ai_wire.chat(CACHED)
        assert turn.answer(answer) is answer
        turn.flag(question_answered=True)
        turn.set(partner_id="p1", campaign="spring")
    told = only(collector)
    assert told["interaction_id"] == turn.interaction_id
    assert told.items() >= {
        "conversation_id": "c5", "feature": "coach", "provider": "openai", "user_id": "u1",
        "model_requested": "gpt-4o", "model_answered": ai_wire.CHAT_MODEL, "turn": 0,
        "prompt_name": "coach", "prompt_version": "3", "content_consent": True,
        "parameters": {"temperature": 0.2}, "status": "completed", "finish_reason": "stop",
        "response_id": "chatcmpl-1", "operation": "chat", "captured_by": "api",
        "streamed": False, "question_answered": True, "partner_id": "p1",
        "properties": {"campaign": "spring"}, "input_tokens": 86, "cache_read_tokens": 17_817,
        "output_tokens": 188, "total_tokens": 18_091, "tokens_source": "reported",
    }.items()  # fmt: skip
    assert told["messages"] == [
        {"role": "user", "content": "How do I price a retainer?"},
        {"role": "assistant", "content": CACHED.text},
    ]
    assert told["duration_ms"] >= 0
    assert told["usage"]["prompt_tokens_details"] == {"cached_tokens": 17_817, "audio_tokens": 0}


def test_the_time_is_when_the_turn_began(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation() as turn:
        during = collector.record("anything")
    inner, told = collector.records
    assert inner["interaction_id"] == during
    assert told["interaction_id"] == turn.interaction_id
    assert told["timestamp"] == iso(id_ms(turn.interaction_id)) <= inner["timestamp"]


@pytest.mark.parametrize("answer", [
    "Start.", {"role": "assistant", "content": "Start."},
    {"choices": [{"message": {"role": "assistant", "content": "Start."}}]},
    {"choices": [{"text": "Start."}]}, {"message": {"role": "assistant", "content": "Start."}},
    {"type": "message", "content": [{"type": "text", "text": "Start."}]},
    {"object": "response", "output": [
        {"type": "message", "content": [{"type": "output_text", "text": "Start."}]}]},
    SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content="Start."))]),
])  # fmt: skip
def test_an_answer_is_known_by_its_shape(
    ai: AI, collector: MemoryCollector, answer: object
) -> None:
    with ai.conversation() as turn:
        turn.answer(answer)
    assert only(collector)["messages"] == [{"role": "assistant", "content": "Start."}]


def test_two_requests_of_one_turn_add_up(ai: AI, collector: MemoryCollector) -> None:
    history: list[Any] = [{"role": "user", "content": "Find a crm"}]
    with ai.conversation() as turn:
        turn.ask(history)
        first = turn.answer(ai_wire.chat(TOOLS))
        history += [first["choices"][0]["message"],
                    {"role": "tool", "tool_call_id": "call_1", "content": "3 found"}]  # fmt: skip
        turn.ask(history)
        turn.answer(ai_wire.chat(PLAIN))
    told = only(collector)
    assert [message["role"] for message in told["messages"]] == [
        "user", "assistant", "tool", "assistant"]  # fmt: skip
    assert told["messages"][1]["tool_calls"] == [
        {"id": "call_1", "name": "search", "arguments": '{"q": "crm"}'},
        {"id": "call_2", "name": "book", "arguments": '{"day": 3}'},
    ]
    assert told["messages"][2]["tool_call_id"] == "call_1"
    assert (told["tool_call_count"], told["tools_used"]) == (2, ["search", "book"])
    assert (told["input_tokens"], told["output_tokens"]) == (172, 376)
    assert len(told["usage"]["requests"]) == 2


@pytest.mark.parametrize("part", [
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
    {"type": "file", "file": {"file_data": f"data:image/png;base64,{PIXEL}", "filename": "a.png"}},
    {"type": "input_file", "file_data": f"data:image/png;base64,{PIXEL}"},
])  # fmt: skip
def test_the_bytes_of_a_file_are_never_stored(
    ai: AI, collector: MemoryCollector, part: dict[str, Any]
) -> None:
    with ai.conversation() as turn:
        turn.ask([{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}])
    [message] = only(collector)["messages"]
    assert message["content"] == [{"type": "text", "text": "What is it?"}, {"type": part["type"]}]
    assert message["attachments"] == [
        {"media_type": "image/png", "sha256": PIXEL_HASH, "size_bytes": 15}
    ]
    assert PIXEL.encode() not in b"".join(collector._ring.lines)


def test_sound_a_picture_elsewhere_and_one_in_a_text(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation() as turn:
        turn.ask([
            {"role": "user", "content": [
                {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "document", "source": {"type": "file", "file_id": "file_12"}},
            ]},
            {"role": "user", "content": f"Look ![x](data:image/png;base64,{PIXEL}) here"},
        ])  # fmt: skip
    first, second = only(collector)["messages"]
    assert first["attachments"] == [
        {"media_type": "audio/wav", "sha256": PIXEL_HASH, "size_bytes": 15},
        {"reference": "https://example.org/a.png"}, {"reference": "file_12"},
    ]  # fmt: skip
    assert second["content"] == f"Look ![x](data:image/png;sha256,{PIXEL_HASH}) here"
    assert second["attachments"][0]["sha256"] == PIXEL_HASH
    assert PIXEL.encode() not in b"".join(collector._ring.lines)


def test_anthropics_messages_become_ours(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation() as turn:
        turn.ask(
            [
                {"role": "user", "content": "Find a crm"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "A search.", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "ZGF0YQ=="},
                    {"type": "tool_use", "id": "t1", "name": "search", "input": {"q": "crm"}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "3 found"},
                    {"type": "text", "text": "Which is best?"}]},
            ],
            system=[{"type": "text", "text": "You coach."}],
        )  # fmt: skip
    assert only(collector)["messages"] == [
        {"role": "system", "content": "You coach."},
        {"role": "user", "content": "Find a crm"},
        {"role": "assistant",
         "content": [{"type": "reasoning", "text": "A search."},
                     {"type": "reasoning", "redacted": True}],
         "tool_calls": [{"id": "t1", "name": "search", "arguments": {"q": "crm"}}]},
        {"role": "tool", "tool_call_id": "t1", "content": "3 found"},
        {"role": "user", "content": "Which is best?"},
    ]  # fmt: skip


def test_items_of_responses_become_messages(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation() as turn:
        turn.ask([
            {"role": "user", "content": [{"type": "input_text", "text": "Find a crm"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "A search."}]},
            {"type": "function_call", "call_id": "c1", "name": "search", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "3 found"},
        ])  # fmt: skip
    assert only(collector)["messages"] == [
        {"role": "user", "content": "Find a crm"},
        {"role": "assistant", "content": [{"type": "reasoning", "text": "A search."}],
         "tool_calls": [{"id": "c1", "name": "search", "arguments": "{}"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "3 found"},
    ]  # fmt: skip


def test_what_is_asked_may_be_changed_afterwards(ai: AI, collector: MemoryCollector) -> None:
    history = [{"role": "user", "content": "first"}]
    with ai.conversation() as turn:
        turn.ask(history)
        history[0]["content"] = "other"
        history.clear()
    assert only(collector)["messages"] == [{"role": "user", "content": "first"}]


def test_a_refusal_is_a_status(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation() as turn:
        turn.answer(ai_wire.chat(REFUSES))
    told = only(collector)
    assert told["status"] == "refused"
    assert told["messages"][0]["content"] == [{"type": "refusal", "text": REFUSES.text}]


@pytest.mark.parametrize(("error", "status"), [
    (ValueError("a secret"), "failed"), (asyncio.CancelledError(), "cancelled"),
    (KeyboardInterrupt(), "cancelled"), (GeneratorExit(), "abandoned"),
])  # fmt: skip
def test_what_the_block_raises_is_recorded_and_goes_on(
    ai: AI, collector: MemoryCollector, error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)) as raised, ai.conversation() as turn:
        turn.ask("hi")
        raise error
    assert raised.value is error
    told = only(collector)
    assert told["status"] == status
    assert told.get("error_type") == (None if status == "abandoned" else type(error).__name__)
    assert b"secret" not in b"".join(collector._ring.lines)


def test_a_turn_joins_the_job_in_which_it_began(ai: AI, collector: MemoryCollector) -> None:
    with job("nightly", collector=collector):
        late = ai.conversation("c5")
    with late:
        pass
    run, turn = collector.records
    assert turn["parent_interaction_id"] == run["interaction_id"]
    assert turn["trace_id"] == run["trace_id"]


def test_the_turn_under_way_is_known_within_its_block(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation() as turn:
        active = ACTIVE.get()
        assert active is turn
        active.heard({"input_tokens": 5, "total_tokens": 5, "tokens_source": "reported",
                      "status": "refused", "model_answered": "m", "provider": "p"})  # fmt: skip
        turn.answer("Start.")
    assert ACTIVE.get() is None
    told = only(collector)
    assert (told["input_tokens"], told["tokens_source"]) == (5, "reported")
    assert (told["model_answered"], told["provider"], told["status"]) == ("m", "p", "refused")


def test_two_requests_that_only_an_instrumentation_saw_add_up(
    ai: AI, collector: MemoryCollector
) -> None:
    seen = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7, "tokens_source": "reported"}
    with ai.conversation() as turn:
        turn.heard({**seen, "finish_reason": "tool_calls"})
        turn.heard({**seen, "finish_reason": "stop"})
    told = only(collector)
    assert (told["input_tokens"], told["total_tokens"], told["finish_reason"]) == (10, 14, "stop")


def test_what_only_an_instrumentation_saw_fail_has_failed(
    ai: AI, collector: MemoryCollector
) -> None:
    with ai.conversation() as turn:
        turn.heard({"status": "failed", "error_type": "RateLimitError", "captured_by": "otel"})
    first = only(collector)
    assert (first["status"], first["error_type"]) == ("failed", "RateLimitError")
    assert first["captured_by"] == "api"
    collector.clear()
    with ai.conversation() as turn:
        turn.heard({"status": "failed", "error_type": "RateLimitError"})
        turn.heard({"status": "completed", "streamed": True})
    again = only(collector)
    assert (again["status"], again["streamed"]) == ("completed", True)
    assert "error_type" not in again


def test_what_the_app_heard_itself_wins(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation() as turn:
        turn.heard({"cache_read_tokens": 5, "input_tokens": 90, "tokens_source": "reported",
                    "total_tokens": 95})  # fmt: skip
        turn.answer(ai_wire.chat(PLAIN))
    told = only(collector)
    assert told["total_tokens"] == 274
    assert "cache_read_tokens" not in told


def test_usage_of_any_other_code(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation(provider="bedrock") as turn:
        turn.usage({"inputTokens": 10, "outputTokens": 4, "cacheReadInputTokens": 6}, "bedrock")
        turn.answer("Start.")
    assert only(collector)["total_tokens"] == 20


def test_without_usage_the_source_is_none(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation() as turn:
        turn.answer("Start.")
    assert only(collector)["tokens_source"] == "none"


def test_a_turn_without_a_block_ends_when_it_is_told(ai: AI, collector: MemoryCollector) -> None:
    turn = ai.conversation()
    turn.answer("Start.")
    assert collector.records == []
    turn.end()
    turn.end()
    assert only(collector)["messages"] == [{"role": "assistant", "content": "Start."}]


class Hostile:
    """An object that raises wherever it is touched."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("a secret")


def recursive() -> Any:
    loop: dict[str, Any] = {"role": "user"}
    loop["content"] = [loop, {"type": "odd", "inner": loop}]
    return loop


BROKEN = [
    Hostile(), MagicMock(), recursive(), {"choices": Hostile()}, {"choices": [Hostile()]},
    {"choices": [{"message": Hostile()}]}, {"choices": [{"message": recursive()}]},
    {"choices": [None, 5]}, {"output": [Hostile()], "object": "response"}, float("nan"),
    {"type": "message", "content": [Hostile(), 5, None, {"type": 7}]}, b"bytes", 10**400,
    {"choices": [{"message": {"content": "x" * 100}, "finish_reason": float("nan")}],
     "model": 5, "id": ["x"], "usage": {"prompt_tokens": float("inf"), "completion_tokens": "7"}},
    {"choices": [{"message": {"role": "r" * 5000, "content": "hi"}, "finish_reason": "f" * 5000}],
     "model": "m" * 5000, "id": "i" * 5000},
    {"choices": [{"message": {"content": "\ud800 half", "tool_calls": [5, {"id": 7}]}}]},
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_broken_object_costs_no_turn(ai: AI, collector: MemoryCollector, number: int) -> None:
    broken = BROKEN[number]
    with ai.conversation("c5") as turn:
        turn.ask(broken)
        turn.ask([broken], system=broken)
        assert turn.answer(broken) is broken
        turn.usage(broken)
        for piece in turn.stream(iter([broken, broken])):
            assert piece is broken
    assert only(collector)["conversation_id"] == "c5"
    assert b"a secret" not in b"".join(collector._ring.lines)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["role", "content", "choices", "message", "type", "text", "tool_calls",
                         "function", "usage", "delta", "index", "output", "id", "input", "source",
                         "image_url", "name", "arguments"]),
        inner | st.sampled_from(["message", "text", "tool_use", "image", "response", "assistant"]),
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=200)
@given(JSON, JSON)
def test_whatever_is_said_there_is_one_valid_record(asked: Any, answered: Any) -> None:
    collector = MemoryCollector()
    with AI(collector).conversation("c5") as turn:
        turn.ask(asked)
        turn.answer(answered)
        list(turn.stream(iter([answered, answered])))
    only(collector)


def test_more_than_a_thousand_messages_leave_the_last(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation() as turn:
        turn.ask([{"role": "user", "content": str(number)} for number in range(1200)])
        turn.answer("Start.")
    told = only(collector)
    assert told["messages"][0]["content"] == "200"
    assert told["messages"][-1] == {"role": "assistant", "content": "Start."}
    assert told["properties"] == {"messages_left_out": 200}


@pytest.mark.parametrize("length", [16_384, 100_000, 900_000, 1_040_000, 1_100_000, 5_000_000])
def test_long_content_is_kept_up_to_the_limit_and_then_its_hash(
    ai: AI, collector: MemoryCollector, length: int
) -> None:
    long = "word " * (length // 5)
    with ai.conversation() as turn:
        turn.ask([{"role": "user", "content": long}, {"role": "user", "content": "short"}])
        turn.answer("Start.")
    first, second, third = only(collector)["messages"]
    assert (second["content"], third["content"]) == ("short", "Start.")
    assert len(collector._ring.lines[0]) <= collector.settings.ai_event_bytes
    if length < 1_000_000:
        assert first["content"] == long
    elif length > 1_048_576:
        assert first == {
            "role": "user", "content_hash": hashlib.sha256(long.encode()).hexdigest()
        }  # fmt: skip


def test_threads_share_it(ai: AI, collector: MemoryCollector) -> None:
    def talk(number: int) -> None:
        for turn_number in range(50):
            with ai.conversation(f"c{number}", turn=turn_number) as turn:
                turn.ask("hi")
                list(turn.stream(iter(["a", "b"])))

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({record["interaction_id"] for record in collector.records}) == 400
    assert all(len(record["messages"]) == 2 for record in collector.records)


def test_tasks_keep_their_turns_apart(ai: AI, collector: MemoryCollector) -> None:
    async def talk(number: int) -> None:
        async with ai.conversation(f"c{number}") as turn:
            turn.ask(str(number))
            await asyncio.sleep(0)
            assert ACTIVE.get() is turn
            turn.answer(str(number))

    async def all_of_them() -> None:
        await asyncio.gather(*(talk(number) for number in range(50)))

    asyncio.run(all_of_them())
    for record in collector.records:
        said = {message["content"] for message in record["messages"]}
        assert said == {record["conversation_id"][1:]}


def test_a_child_leaves_the_turn_of_its_parent_alone(ai: AI, collector: MemoryCollector) -> None:
    source = iter(["a", "b"])
    with ai.conversation() as turn:
        stream = turn.stream(source)
        next(stream)
        child = os.fork()
        if child == 0:
            del stream
            turn.end()
            os._exit(len(collector.records))
        assert os.waitpid(child, 0)[1] == 0
        list(stream)
    assert only(collector)["messages"] == [{"role": "assistant", "content": "ab"}]


def test_collection_that_is_off_changes_nothing() -> None:
    collector = MemoryCollector({"ENABLE_DATA_COLLECTION": "false"})
    source = iter(["a"])
    with AI(collector).conversation("c5") as turn:
        turn.ask("hi")
        assert turn.stream(source) is source
        assert turn.answer("x") == "x"
    assert turn.interaction_id
    assert collector.records == []


def test_a_function_is_a_turn(ai: AI, collector: MemoryCollector) -> None:
    @ai.turns(feature="coach", ask="question")
    def coach(question: str, *, turn: Any = None) -> str:
        turn.set(conversation_id="c5")
        return f"About {question}"

    assert coach("retainers") == "About retainers"
    told = only(collector)
    assert (told["feature"], told["conversation_id"]) == ("coach", "c5")
    assert told["messages"] == [{"role": "user", "content": "retainers"},
                                {"role": "assistant", "content": "About retainers"}]  # fmt: skip


def test_a_turn_that_the_caller_gives_is_the_callers(ai: AI, collector: MemoryCollector) -> None:
    @ai.turns()
    def reply(text: str, turn: int) -> str:
        return f"{text} {turn}"

    @ai.turns()
    def only_by_place(turn: int, /) -> str:
        return str(turn)

    assert (reply("hi", 3), reply("hi", turn=4), only_by_place(5)) == ("hi 3", "hi 4", "5")
    assert len(collector.records) == 3


def test_a_tool_is_called_with_what_it_is_called_with(ai: AI, collector: MemoryCollector) -> None:
    given = {"ids": list(range(100)), "none": None, "deep": {"a": {"b": {"c": {"d": [1]}}}}}
    call = {"type": "tool_use", "id": "t1", "name": "find", "input": given}
    with ai.conversation() as turn:
        turn.answer({"type": "message", "role": "assistant", "content": [call]})
    (message,) = only(collector)["messages"]
    arguments = message["tool_calls"][0]["arguments"]
    assert (arguments if isinstance(arguments, dict) else json.loads(arguments)) == given


def test_a_coroutine_a_generator_and_an_async_generator_are_turns(
    ai: AI, collector: MemoryCollector
) -> None:
    @ai.turns(feature="one")
    async def one() -> str:
        return "ab"

    @ai.turns(feature="two")
    def two() -> Iterator[str]:
        yield "a"
        yield "b"

    @ai.turns(feature="three")
    async def three() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    async def both() -> list[str]:
        assert await one() == "ab"
        return [piece async for piece in three()]

    assert list(two()) == asyncio.run(both()) == ["a", "b"]
    for record in collector.records:
        assert record["messages"] == [{"role": "assistant", "content": "ab"}]
        assert record["ai_metadata"]["status"] == "completed"
    assert [r["ai_metadata"]["streamed"] for r in collector.records] == [True, False, True]


def test_a_generator_that_hands_its_stream_over_is_heard_once(
    ai: AI, collector: MemoryCollector
) -> None:
    @ai.turns()
    def told(turn: Any = None) -> Iterator[str]:
        for piece in turn.stream(iter(["a", "b"])):
            yield f"data: {piece}\n\n"

    assert list(told()) == ["data: a\n\n", "data: b\n\n"]
    assert only(collector)["messages"] == [{"role": "assistant", "content": "ab"}]


def test_a_generator_that_is_closed_early_was_abandoned(ai: AI, collector: MemoryCollector) -> None:
    closed: list[str] = []

    @ai.turns()
    def told() -> Iterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            closed.append("inner")

    pieces = told()
    assert next(pieces) == "a"
    pieces.close()  # type: ignore[attr-defined]  # a generator
    assert closed == ["inner"]
    record = only(collector)
    assert (record["status"], record["messages"][0]["content"]) == ("abandoned", "a")


def test_what_is_sent_into_a_generator_arrives(ai: AI, collector: MemoryCollector) -> None:
    @ai.turns()
    def echo() -> Any:
        got = yield "a"
        yield f"got {got}"

    pieces = echo()
    assert next(pieces) == "a"
    assert pieces.send("x") == "got x"
    pieces.close()
    assert only(collector)["messages"][0]["content"] == "agot x"


def test_a_function_that_raises_is_a_failed_turn(ai: AI, collector: MemoryCollector) -> None:
    @ai.turns(ask="question")
    def broken(question: str) -> str:
        raise LookupError(question)

    with pytest.raises(LookupError):
        broken("x")
    with pytest.raises(TypeError):
        broken()  # type: ignore[call-arg]  # what is tested
    assert [r["ai_metadata"]["status"] for r in collector.records] == ["failed", "failed"]
    assert collector.records[0]["error_type"] == "LookupError"


def test_a_rating_names_its_turn(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation("c5", turn=0) as turn:
        turn.answer("Start.")
    rated = ai.rate(
        turn.interaction_id, helpful=True, rating=5, reason="clear", comment="Thanks", user_id="u1"
    )
    again = ai.rate(conversation_id="c5", turn=0, helpful=False, user_id="u2")
    first, second = collector.records[1:]
    assert (first["interaction_id"], second["interaction_id"]) == (rated, again)
    assert first["parent_interaction_id"] == turn.interaction_id
    assert first["ai_metadata"].items() >= {
        "helpful": True, "rating": 5, "reason": "clear", "comment": "Thanks"
    }.items()  # fmt: skip
    assert (second["conversation_id"], second["ai_metadata"]["turn"]) == ("c5", 0)


def test_a_rating_that_is_none_is_set_aside_and_raises_nothing(
    ai: AI, collector: MemoryCollector
) -> None:
    assert ai.rate("x", rating=9, user_id="u1") is None
    assert len(collector.quarantined) == 1


def test_objects_of_msgspec_and_slots_are_read(ai: AI, collector: MemoryCollector) -> None:
    class Message(msgspec.Struct):
        role: str
        content: str

    with ai.conversation() as turn:
        turn.ask([Message("user", "hi")])
        turn.answer({"choices": [{"message": Message("assistant", "Start.")}]})
    assert [m["content"] for m in only(collector)["messages"]] == ["hi", "Start."]


def test_it_imports_no_sdk_and_needs_no_extra() -> None:
    program = (
        "import sys, lakeward.ai\n"
        "foreign = {'openai', 'anthropic', 'genai_prices', 'rs_bpe', 'opentelemetry', 'pydantic',"
        " 'httpx'}\n"
        "assert foreign.isdisjoint(sys.modules), foreign & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_generator_closed_behind_its_last_piece_was_complete(
    ai: AI, collector: MemoryCollector
) -> None:
    def answer() -> Iterator[Any]:
        with ai.conversation() as turn:
            yield from turn.stream(
                iter([{"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}])
            )

    pieces = answer()
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]  # a generator
    assert only(collector)["status"] == "completed"


def test_id_and_time_of_a_turn_are_its_own(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation() as turn:
        turn.set(interaction_id="other", timestamp="2001-01-01T00:00:00Z")
    assert only(collector)["interaction_id"] == turn.interaction_id
