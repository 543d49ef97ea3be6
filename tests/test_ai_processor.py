"""AI turns that OpenTelemetry's instrumentations see: the real SDKs, the real instrumentations, a
local server that speaks the providers' wire formats."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from openai import APIConnectionError, RateLimitError
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, set_span_in_context
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from ai_servers import (
    CACHED,
    PLAIN,
    REASONS,
    REFUSES,
    SPEAKS_AND_CALLS,
    WRITES,
    Answer,
)
from ai_traced import ASKED, CLAUDE, TOOLS, Run, traced
from conftest import wait_until
from lakeward.ai import AI
from lakeward.ai.active import ACTIVE
from lakeward.ai.processor import MOST_OPEN, TurnProcessor
from lakeward.capture.asgi import LakewardMiddleware
from lakeward.catalog.ai import TOKEN_BUCKETS
from lakeward.interaction import JsonObject
from lakeward.server.compat.otlp import recorded
from lakeward.testing import MemoryCollector
from lakeward.trace import Trace, caused_by

DIALECTS = [
    ("openai_v2", "span_only"),
    ("openai_v2", "event_only"),
    ("openai_v2", "true"),
    ("openllmetry", "attributes"),
]
"""Today's conventions, content in spans or in log records; the older ones; OpenLLMetry."""
SAID = [
    ("system", "Be brief."),
    ("user", "How do I price a retainer?"),
    ("assistant", "Start from the hours you expect."),
]


def buckets(turn: JsonObject) -> dict[str, int]:
    return {name: turn[name] for name in TOKEN_BUCKETS if turn.get(name)}


def said(turn: JsonObject) -> list[tuple[str, Any]]:
    return [(message["role"], message.get("content")) for message in turn["messages"]]


class Call:
    """A captured call, as a capture has it."""

    interaction_id = "0198a3c1-7d2e-7f40-9c3b-2f1d5e6a7b8c"
    trace = Trace("0198a3c17d2e7f409c3b2f1d5e6a7b8c")

    def person(self) -> dict[str, str]:
        return {"session_id": "s1", "user_id": "u1", "user_type": "client"}


class Turn:
    """A turn of `AI.conversation` that is under way."""

    interaction_id = "0198a3c1-7d2e-7f40-9c3b-2f1d5e6a7b8d"

    is_open = True

    def __init__(self) -> None:
        self.told: list[JsonObject] = []

    def heard(self, fields: JsonObject) -> None:
        self.told.append(fields)


@pytest.mark.parametrize(("kind", "content"), DIALECTS)
def test_a_chat_is_one_record_with_what_was_asked_and_answered(kind: str, content: str) -> None:
    with traced(kind, content) as run:
        run.chat(Answer(PLAIN))
        turn = run.turn()
    assert said(turn) == SAID
    assert turn["operation"] == "chat"
    assert turn["provider"] == "openai"
    assert turn["model_requested"] == "gpt-4o"
    assert turn["model_answered"] == "gpt-4o-2024-08-06"
    assert turn["response_id"] == "chatcmpl-1"
    assert turn["parameters"] == {"temperature": 0.2}
    assert turn["finish_reason"] == "stop"
    assert turn["status"] == "completed"
    assert turn["captured_by"] == "otel"
    assert turn["duration_ms"] > 0
    assert buckets(turn) == {"input_tokens": 86, "output_tokens": 188}
    assert turn["total_tokens"] == 274


@pytest.mark.parametrize(("kind", "content"), DIALECTS)
def test_a_stream_that_was_read_is_the_same_as_an_answer(kind: str, content: str) -> None:
    with traced(kind, content) as run:
        for _ in run.chat(Answer(PLAIN), stream=True, stream_options={"include_usage": True}):
            pass
        turn = run.turn()
    assert said(turn) == SAID
    assert turn["status"] == "completed"
    assert turn["finish_reason"] == "stop"
    assert buckets(turn) == {"input_tokens": 86, "output_tokens": 188}


@pytest.mark.parametrize(("kind", "content"), DIALECTS)
def test_a_stream_that_was_closed_is_abandoned_with_what_had_come(kind: str, content: str) -> None:
    with traced(kind, content) as run:
        stream = run.chat(Answer(PLAIN), stream=True)
        pieces = iter(stream)
        for _ in range(2):
            next(pieces)
        stream.close()
        del stream, pieces  # OpenLLMetry ends its span when nobody holds the stream any more
        gc.collect()
        turn = run.turn()
    assert said(turn)[-1] == ("assistant", "Start from ")
    assert turn["status"] == "abandoned"
    assert "finish_reason" not in turn
    assert turn["tokens_source"] == "none"


@pytest.mark.parametrize(("kind", "content"), DIALECTS)
def test_a_refused_request_is_failed_and_names_the_error(kind: str, content: str) -> None:
    with traced(kind, content) as run:
        with pytest.raises(RateLimitError):
            run.chat(Answer(status=429))
        turn = run.turn()
    assert turn["status"] == "failed"
    assert turn["error_type"] == "RateLimitError"
    assert said(turn) == SAID[:2]


@pytest.mark.parametrize(("kind", "content"), DIALECTS)
def test_tools_that_the_model_wants_are_named_and_counted(kind: str, content: str) -> None:
    with traced(kind, content) as run:
        run.chat(Answer(SPEAKS_AND_CALLS), tools=TOOLS)
        turn = run.turn()
    assert turn["tool_call_count"] == 1
    assert turn["tools_used"] == ["search"]
    assert turn["messages"][-1]["content"] == "Let me look."
    (call,) = turn["messages"][-1]["tool_calls"]
    assert call == {"id": "call_1", "name": "search", "arguments": {"q": "crm"}}


@pytest.mark.parametrize(("kind", "content"), DIALECTS[:3])
def test_a_stream_that_breaks_is_failed(kind: str, content: str) -> None:
    """OpenLLMetry's openai 0.62.4 ends such a span as fine: it is abandoned there."""
    with traced(kind, content) as run:
        with pytest.raises(APIConnectionError):
            for _ in run.chat(Answer(cut_after=3), stream=True):
                pass
        turn = run.turn()
    assert turn["status"] == "failed"
    assert turn["error_type"] == "APIConnectionError"
    assert said(turn)[-1] == ("assistant", "Start from the hours ")


def test_cached_tokens_are_counted_once_where_the_instrumentation_tells_them() -> None:
    with traced("openllmetry") as run:
        run.chat(Answer(CACHED))
        turn = run.turn()
    expected = {"input_tokens": 86, "cache_read_tokens": 17_817, "output_tokens": 188}
    assert buckets(turn) == expected
    assert turn["total_tokens"] == 18_091
    assert turn["tokens_source"] == "reported"


def test_an_instrumentation_that_leaves_out_the_cached_tokens_has_them_among_the_input() -> None:
    """opentelemetry-instrumentation-openai-v2 2.4b0 reads no `prompt_tokens_details` of a chat."""
    with traced("openai_v2", "span_only") as run:
        run.chat(Answer(CACHED))
        turn = run.turn()
    assert buckets(turn) == {"input_tokens": 17_903, "output_tokens": 188}


def test_reasoning_is_taken_out_of_the_output() -> None:
    with traced("openllmetry") as run:
        run.chat(Answer(REASONS))
        turn = run.turn()
    assert buckets(turn) == {"input_tokens": 86, "output_tokens": 20, "reasoning_tokens": 64}


def test_the_first_piece_of_a_stream_tells_the_time_to_it() -> None:
    with traced("openllmetry") as run:
        for _ in run.chat(Answer(PLAIN), stream=True):
            pass
        turn = run.turn()
    assert turn["streamed"] is True
    assert 0 < turn["time_to_first_token_ms"] <= turn["duration_ms"]
    assert "events" not in turn["properties"]


def test_a_refusal_is_told_from_an_answer() -> None:
    with traced("openllmetry") as run:
        run.chat(Answer(REFUSES))
        assert run.turn()["status"] == "refused"
        run.collector.clear()
        run.claude(Answer(REFUSES))
        assert run.turn()["status"] == "refused"


def test_responses_and_embeddings_are_turns_too() -> None:
    with traced("openllmetry") as run:
        run.openai().responses.create(model="gpt-4o", input="How do I price a retainer?")
        turn = run.turn()
        assert said(turn) == SAID[1:]
        assert buckets(turn) == {"input_tokens": 86, "output_tokens": 188}
        run.collector.clear()
        run.openai().embeddings.create(model="text-embedding-3-small", input="retainer")
        turn = run.turn()
    assert turn["operation"] == "embeddings"
    assert said(turn) == [("user", "retainer")]
    assert turn["input_tokens"] == 86


def test_an_embedding_is_no_message() -> None:
    with traced("openllmetry", "events") as run:
        run.openai().embeddings.create(model="text-embedding-3-small", input="retainer")
        assert said(run.turn()) == [("user", "retainer")]


def test_claudes_two_caches_stand_beside_its_input() -> None:
    with traced("openllmetry") as run:
        run.claude(Answer(WRITES))
        turn = run.turn()
    assert said(turn) == SAID
    assert turn["provider"] == "anthropic"
    assert buckets(turn) == {
        "input_tokens": 10,
        "cache_read_tokens": 100,
        "cache_write_tokens": 40,
        "output_tokens": 20,
    }


def test_a_stream_of_claude_is_a_record_with_its_caches() -> None:
    """OpenLLMetry's anthropic 0.62.4 adds the output of `message_start`, here 1, to the whole."""
    with traced("openllmetry") as run:
        for _ in run.claude(Answer(WRITES), stream=True):
            pass
        turn = run.turn()
    assert said(turn) == SAID
    assert turn["input_tokens"] == 10
    assert turn["cache_read_tokens"] == 100
    assert turn["cache_write_tokens"] == 40
    assert turn["output_tokens"] == 21


def test_claudes_tools_are_named() -> None:
    with traced("openllmetry") as run:
        run.claude(Answer(SPEAKS_AND_CALLS))
        turn = run.turn()
    assert turn["tools_used"] == ["search"]
    assert turn["messages"][-1]["tool_calls"][0]["arguments"] == {"q": "crm"}


@pytest.mark.parametrize(("kind", "content"), DIALECTS)
def test_coroutines_are_captured_as_calls_are(kind: str, content: str) -> None:
    async def ask(run: Run) -> None:
        async with run.async_openai() as client:
            stream = await client.chat.completions.create(
                model="gpt-4o", messages=ASKED, stream=True, temperature=0.2
            )
            async for _ in stream:
                pass

    with traced(kind, content) as run:
        asyncio.run(ask(run))
        assert said(run.turn()) == SAID


def test_coroutines_of_claude_are_captured() -> None:
    async def ask(run: Run) -> None:
        async with run.async_anthropic() as client:
            await client.messages.create(**CLAUDE)

    with traced("openllmetry") as run:
        asyncio.run(ask(run))
        assert said(run.turn()) == SAID


@pytest.mark.parametrize(("kind", "content"), DIALECTS)
def test_a_turn_joins_the_call_in_which_it_began(kind: str, content: str) -> None:
    with traced(kind, content) as run:
        with caused_by(Call()):
            stream = run.chat(Answer(PLAIN), stream=True)
        for _ in stream:  # read elsewhere, as a streaming response is
            pass
        turn = run.turn()
    assert turn["trace_id"] == Call.trace.trace_id
    assert turn["parent_interaction_id"] == Call.interaction_id
    assert turn["session_id"] == "s1"
    assert turn["user_id"] == "u1"
    assert len(turn["properties"]["otel_trace_id"]) == 32


def test_a_turn_outside_calls_has_the_trace_of_its_span() -> None:
    with traced("openllmetry") as run:
        tracer = run.tracers.get_tracer("app")
        with tracer.start_as_current_span("job") as job:
            run.chat(Answer(PLAIN))
        turn = run.turn()
    assert turn["trace_id"] == format(job.get_span_context().trace_id, "032x")
    assert turn["properties"]["parent_span_id"] == format(job.get_span_context().span_id, "016x")
    assert "otel_trace_id" not in turn["properties"]


@pytest.mark.parametrize(("kind", "content"), DIALECTS)
def test_a_turn_that_is_recorded_by_the_app_is_not_recorded_again(kind: str, content: str) -> None:
    under_way = Turn()
    with traced(kind, content) as run:
        token = ACTIVE.set(under_way)
        run.chat(Answer(PLAIN))
        ACTIVE.reset(token)
        assert run.collector.records == []
    (told,) = under_way.told
    assert told["input_tokens"] == 86
    assert told["output_tokens"] == 188


@pytest.mark.parametrize(("kind", "content"), DIALECTS)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_conversation_around_an_instrumented_sdk_is_one_record(
    kind: str, content: str, streamed: bool
) -> None:
    with traced(kind, content) as run:
        with AI(run.collector).conversation("c5", feature="coach") as turn:
            turn.ask(ASKED)
            if streamed:
                more = {"stream": True, "stream_options": {"include_usage": True}}
                for _ in turn.stream(run.chat(Answer(CACHED), **more)):
                    pass
            else:
                turn.answer(run.chat(Answer(CACHED)))
        told = run.turn()
    assert told["interaction_id"] == turn.interaction_id
    assert told["captured_by"] == "api"
    assert said(told) == SAID
    expected = {"input_tokens": 86, "cache_read_tokens": 17_817, "output_tokens": 188}
    assert buckets(told) == expected
    assert told["total_tokens"] == 18_091


@pytest.mark.parametrize(("kind", "content"), DIALECTS)
def test_an_async_stream_of_an_instrumented_sdk_is_followed(kind: str, content: str) -> None:
    async def ask(run: Run) -> None:
        async with run.async_openai() as client, AI(run.collector).conversation("c5") as turn:
            turn.ask(ASKED)
            stream = await client.chat.completions.create(
                model="gpt-4o", messages=ASKED, stream=True
            )
            async for _ in turn.stream(stream):
                pass

    with traced(kind, content) as run:
        asyncio.run(ask(run))
        assert said(run.turn()) == SAID


@pytest.mark.parametrize("waited_for", [False, True])
def test_streams_of_claude_are_followed_through_the_instrumentation(waited_for: bool) -> None:
    async def ask(run: Run) -> None:
        async with run.async_anthropic() as client, AI(run.collector).conversation("c5") as turn:
            turn.ask(ASKED)
            async for _ in turn.stream(await client.messages.create(**CLAUDE, stream=True)):
                pass

    with traced("openllmetry") as run:
        if waited_for:
            asyncio.run(ask(run))
        else:
            with AI(run.collector).conversation("c5") as turn:
                turn.ask(ASKED)
                for _ in turn.stream(run.claude(Answer(PLAIN), stream=True)):
                    pass
        told = run.turn()
    assert said(told) == SAID
    assert buckets(told) == {"input_tokens": 86, "output_tokens": 188}


def test_an_instrumentation_completes_a_conversation_that_is_told_nothing() -> None:
    with traced("openllmetry") as run:
        with AI(run.collector).conversation("c5", feature="coach"):
            run.chat(Answer(CACHED))
        told = run.turn()
    assert told["feature"] == "coach"
    assert told["conversation_id"] == "c5"
    assert told["model_answered"] == "gpt-4o-2024-08-06"
    assert told["cache_read_tokens"] == 17_817
    assert told["total_tokens"] == 18_091


def test_a_request_that_ends_after_the_turn_is_a_turn_of_its_own() -> None:
    with traced("openllmetry") as run:
        tracer = run.tracers.get_tracer("sdk")
        given = {"gen_ai.operation.name": "chat", "gen_ai.response.id": "late"}
        with AI(run.collector).conversation("c5"):
            inherited = contextvars.copy_context()  # as a task has it that the block starts
            within = tracer.start_span("chat", attributes=given)
        within.end()
        inherited.run(lambda: tracer.start_span("chat", attributes=given).end())
        ids = [r["ai_metadata"].get("response_id") for r in run.collector.records]
    assert ids == [None, "late", "late"]


def test_generators_that_take_turns_leave_no_turn_behind() -> None:
    with traced("openllmetry") as run:
        ai = AI(run.collector)

        def answers(name: str) -> Iterator[str]:
            with ai.conversation(name) as turn:
                yield from turn.stream(iter(["a", "b"]))

        one, other = answers("c1"), answers("c2")
        next(one), next(other)
        list(one), list(other)
        given = {"gen_ai.operation.name": "chat", "gen_ai.response.id": "own"}
        run.tracers.get_tracer("sdk").start_span("chat", attributes=given).end()
        found = [r.get("conversation_id") for r in run.collector.records]
    assert found == ["c1", "c2", None]


def test_a_request_that_fails_does_not_take_the_tokens_of_the_one_before() -> None:
    with traced("openllmetry") as run:
        with AI(run.collector).conversation("c5") as turn:
            turn.heard({"input_tokens": 100, "output_tokens": 5, "total_tokens": 105,
                        "tokens_source": "reported", "usage": {"input_tokens": 100}})  # fmt: skip
            turn.heard({"status": "failed", "error_type": "Timeout", "tokens_source": "none"})
        told = run.turn()
    assert (told["tokens_source"], told["total_tokens"], told["status"]) == (
        "reported", 105, "failed",
    )  # fmt: skip


@pytest.mark.parametrize("at_start", [True, False])
def test_a_span_that_wraps_another_of_its_kind_is_not_counted_beside_it(at_start: bool) -> None:
    with traced("openllmetry") as run:
        tracer = run.tracers.get_tracer("framework")
        given = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 86}
        with tracer.start_as_current_span("chat", attributes=given if at_start else {}) as span:
            run.chat(Answer(PLAIN))
            span.set_attributes(given)
        assert run.turn()["response_id"] == "chatcmpl-1"
        assert run.turns._open == {}


def test_a_chat_that_embeds_is_counted_beside_the_embedding() -> None:
    with traced("openllmetry") as run:
        tracer = run.tracers.get_tracer("framework")
        with tracer.start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat"}):
            run.openai().embeddings.create(model="text-embedding-3-small", input="retainer")
        operations = [r["ai_metadata"]["operation"] for r in run.collector.records]
    assert operations == ["embeddings", "chat"]


def test_other_spans_are_not_recorded() -> None:
    with traced("none") as run:
        tracer = run.tracers.get_tracer("app")
        for operation in ("execute_tool", "invoke_agent", None):
            given = {} if operation is None else {"gen_ai.operation.name": operation}
            with tracer.start_as_current_span("GET /", kind=SpanKind.SERVER, attributes=given):
                pass
        assert run.collector.records == []


def test_an_evaluation_becomes_a_rating_of_its_turn() -> None:
    with traced("none") as run, caused_by(Call()):
        tracer = run.tracers.get_tracer("app")
        with tracer.start_as_current_span(
            "chat", attributes={"gen_ai.operation.name": "chat"}
        ) as span:
            span.add_event(
                "gen_ai.evaluation.result",
                {"gen_ai.evaluation.name": "rating", "gen_ai.evaluation.score.value": 4},
            )
        turn, rating = run.collector.records
    assert rating["interaction_type"] == "ai_rating"
    assert rating["ai_metadata"]["rating"] == 4
    assert rating["parent_interaction_id"] == turn["interaction_id"]
    assert rating["user_id"] == "u1"


def test_a_span_has_the_same_id_here_and_over_otlp() -> None:
    """An app that does both has each turn once: the table merges by id."""
    from lakeward.ai.processor import _read
    from lakeward.interaction import foreign_id, parse_iso

    ended: list[Any] = []

    class Keep(TurnProcessor):
        def on_end(self, span: Any) -> None:
            ended.append(span)
            super().on_end(span)

    collector = MemoryCollector()
    tracers = TracerProvider()
    tracers.add_span_processor(Keep(collector))
    with tracers.get_tracer("app").start_as_current_span(
        "chat", attributes={"gen_ai.operation.name": "chat"}
    ):
        pass
    over_otlp = recorded(_read(ended[0], dict(ended[0].attributes or {}), [], {}))[0]
    assert isinstance(over_otlp, dict)
    sent = foreign_id("otlp", over_otlp["interaction_id"], parse_iso(over_otlp["timestamp"]))
    assert collector.records[0]["interaction_id"] == sent
    tracers.shutdown()


def test_spans_that_never_end_hold_a_bounded_memory() -> None:
    collector = MemoryCollector()
    processor = TurnProcessor(collector)
    tracers = TracerProvider()
    tracers.add_span_processor(processor)
    tracer = tracers.get_tracer("app")
    for _ in range(MOST_OPEN + 50):
        tracer.start_span("chat", attributes={"gen_ai.operation.name": "chat"})
    assert len(processor._open) == MOST_OPEN
    tracers.shutdown()
    assert processor._open == {}


def test_what_goes_wrong_is_counted_and_nothing_is_raised() -> None:
    collector = MemoryCollector()
    processor = TurnProcessor(collector)
    processor.on_start(object())
    processor.on_end(object())
    assert collector.stats()["reasons"] == {"unencodable": 2}


def test_a_forked_worker_records_what_it_asks(tmp_path: Any) -> None:
    collector = MemoryCollector()
    tracers = TracerProvider()
    tracers.add_span_processor(TurnProcessor(collector))
    tracer = tracers.get_tracer("app")
    begun = tracer.start_span("chat", attributes={"gen_ai.operation.name": "chat"})
    child = os.fork()
    if child == 0:
        with tracer.start_as_current_span(
            "chat",
            attributes={"gen_ai.operation.name": "chat"},
            context=set_span_in_context(begun),
        ):
            pass
        os._exit(0 if len(collector.records) == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    begun.end()
    assert len(collector.records) == 1
    tracers.shutdown()


def test_without_the_sdk_it_says_which_extra_is_missing() -> None:
    program = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "sys.modules['opentelemetry.sdk._logs'] = None\n"
        "from lakeward.errors import MissingExtra\n"
        "try:\n"
        "    import lakeward.ai.processor\n"
        "except MissingExtra as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == (
        "The processor of OpenTelemetry's spans needs an extra: pip install 'lakeward[ai]'\n"
    )


def test_click_call_and_turn_are_one_trace() -> None:
    """A page's click, the call that it makes, and a stream that is read while the answer goes out,
    in a worker thread."""
    click = "4bf92f3577b34da6a3ce929d0e0e4736"
    with traced("openllmetry") as run:

        def pieces() -> Iterator[str]:
            for chunk in run.chat(Answer(PLAIN), stream=True):
                if chunk.choices:
                    yield chunk.choices[0].delta.content or ""

        async def coach(request: Request) -> StreamingResponse:
            return StreamingResponse(pieces())

        app = LakewardMiddleware(Starlette(routes=[Route("/coach", coach)]), run.collector)
        with over_http(app) as url:
            headers = {"traceparent": f"00-{click}-00f067aa0ba902b7-01"}
            assert httpx.get(f"{url}/coach", headers=headers).text == SAID[-1][1]
        wait_until(lambda: len(run.collector.records) == 2)
        of = {record["interaction_type"]: record for record in run.collector.records}
    assert of["api_call"]["trace_id"] == of["ai_conversation"]["trace_id"] == click
    assert of["ai_conversation"]["parent_interaction_id"] == of["api_call"]["interaction_id"]
    assert of["ai_conversation"]["session_id"] == of["api_call"]["session_id"]


@contextmanager
def over_http(app: Any) -> Iterator[str]:
    """The app on a socket of its own."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(120)


@pytest.mark.parametrize(("kind", "content"), DIALECTS)
def test_without_content_no_word_of_it_is_kept(kind: str, content: str) -> None:
    with traced(kind, content, AI_CONTENT="none") as run:
        run.chat(Answer(SPEAKS_AND_CALLS), tools=TOOLS)
        for _ in run.chat(Answer(PLAIN), stream=True):
            pass
        with pytest.raises(RateLimitError):
            run.chat(Answer(status=429))
        records = run.collector.records
    assert [record["ai_metadata"]["content_mode"] for record in records] == ["none"] * 3
    for word in ("brief", "retainer", "hours", "Let me look", "crm", "refused by the stub"):
        assert word not in str(records), word
    assert records[0]["ai_metadata"]["tools_used"] == ["search"]
