"""Streams of an answer: passed on as they come, and recorded however they end."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI

from ai_servers import PLAIN, Answer, ModelServer, model_server
from conftest import Lake
from lakeward.ai import AI
from lakeward.testing import MemoryCollector

ASKED: list[Any] = [{"role": "user", "content": "hi"}]
WAYS = ["chat", "responses", "messages"]


@pytest.fixture
def collector() -> MemoryCollector:
    return MemoryCollector()


@pytest.fixture
def ai(collector: MemoryCollector) -> AI:
    return AI(collector)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as running:
        yield running


def only(collector: MemoryCollector) -> dict[str, Any]:
    assert collector.quarantined == []
    [record] = collector.records
    return {**record, **record.pop("ai_metadata")}


class Sdks:
    """The real SDKs, asking a local server."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server
        self.claude = Anthropic(base_url=server.url, api_key="k", max_retries=0)
        self.openai = OpenAI(base_url=server.openai, api_key="k", max_retries=0)

    def begun(self, way: str) -> Any:
        """A stream that has begun."""
        if way == "messages":
            return self.claude.messages.create(model="c", max_tokens=9, messages=ASKED, stream=True)
        if way == "responses":
            return self.openai.responses.create(model="m", input="hi", stream=True)
        return self.openai.chat.completions.create(
            model="m", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )

    @asynccontextmanager
    async def begun_async(self, way: str) -> AsyncIterator[Any]:
        """The same of the asynchronous clients."""
        given = {"api_key": "k", "max_retries": 0}
        async with (
            AsyncAnthropic(base_url=self.server.url, **given) as claude,  # type: ignore[arg-type]
            AsyncOpenAI(base_url=self.server.openai, **given) as client,  # type: ignore[arg-type]
        ):
            if way == "messages":
                yield await claude.messages.create(
                    model="c", max_tokens=9, messages=ASKED, stream=True
                )
            elif way == "responses":
                yield await client.responses.create(model="m", input="hi", stream=True)
            else:
                yield await client.chat.completions.create(model="m", messages=ASKED, stream=True)

    def close(self) -> None:
        self.claude.close()
        self.openai.close()


@pytest.fixture
def sdks(server: ModelServer) -> Iterator[Sdks]:
    made = Sdks(server)
    yield made
    made.close()


PIECES_AT = {"chat": 3, "responses": 5, "messages": 5}
"""Events until two pieces of the answer were sent."""
TWO = "Start from the hours "


@pytest.mark.parametrize("way", WAYS)
def test_chunks_are_the_sources_own_and_come_one_by_one(
    ai: AI, collector: MemoryCollector, server: ModelServer, sdks: Sdks, way: str
) -> None:
    plain = list(sdks.begun(way))
    server.plan.append(Answer(hold_after=PIECES_AT[way]))
    with ai.conversation() as turn:
        stream = turn.stream(sdks.begun(way))
        first = [next(stream) for _ in range(PIECES_AT[way] - (way == "messages"))]
        server.released.set()
        rest = list(stream)
    assert [c.model_dump() for c in first + rest] == [c.model_dump() for c in plain]
    told = only(collector)
    assert (told["status"], told["streamed"]) == ("completed", True)
    assert told["messages"] == [{"role": "assistant", "content": PLAIN.text}]
    assert 0 < told["time_to_first_token_ms"] <= told["duration_ms"]
    assert (told["input_tokens"], told["output_tokens"]) == (86, 188)


@pytest.mark.parametrize("way", WAYS)
def test_the_sdks_stream_is_still_the_sdks(
    ai: AI, collector: MemoryCollector, server: ModelServer, sdks: Sdks, way: str
) -> None:
    source = sdks.begun(way)
    with ai.conversation() as turn, turn.stream(source) as stream:
        kind = anthropic.Stream if way == "messages" else openai.Stream
        assert isinstance(stream, kind)
        assert stream.response is source.response
        assert stream.response.status_code == 200
        assert len(list(stream)) > 3
    assert source.response.is_closed
    assert only(collector)["status"] == "completed"


@pytest.mark.parametrize("how", ["break", "close", "with", "drop", "raise"])
@pytest.mark.parametrize("way", WAYS)
def test_a_stream_left_unread_keeps_what_came(
    ai: AI, collector: MemoryCollector, server: ModelServer, sdks: Sdks, way: str, how: str
) -> None:
    class Ours(Exception):
        pass

    source = sdks.begun(way)
    with suppress(Ours), ai.conversation() as turn:
        stream = turn.stream(source)
        for _ in range(PIECES_AT[way] - (way == "messages")):
            next(stream)
        if how == "raise":
            raise Ours
        if how == "close":
            stream.close()
        elif how == "with":
            with stream:
                pass
        elif how == "break":
            for _ in stream:
                break
        del stream
        gc.collect()
    told = only(collector)
    assert told["status"] == ("failed" if how == "raise" else "abandoned")
    assert told.get("error_type") == ("Ours" if how == "raise" else None)
    said = told["messages"][0]["content"]
    assert said == (PLAIN.text if how == "break" else TWO)
    source.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_cut_in_mid_stream_is_a_failure_with_what_came(
    ai: AI, collector: MemoryCollector, server: ModelServer, sdks: Sdks, way: str
) -> None:
    server.plan.append(Answer(cut_after=PIECES_AT[way]))
    with pytest.raises(Exception) as raised, ai.conversation() as turn:  # noqa: PT011 - any
        turn.ask(ASKED)
        for _ in turn.stream(sdks.begun(way)):
            pass
    told = only(collector)
    assert (told["status"], told["error_type"]) == ("failed", type(raised.value).__name__)
    assert told["messages"][1]["content"] == TWO


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_that_says_that_it_failed_has_failed(
    ai: AI, collector: MemoryCollector, server: ModelServer, sdks: Sdks, way: str
) -> None:
    server.plan.append(Answer(error_after=PIECES_AT[way]))
    failed = (openai.APIError, anthropic.APIError)
    with pytest.raises(failed) as raised, ai.conversation() as turn:
        list(turn.stream(sdks.begun(way)))
    told = only(collector)
    assert (told["status"], told["error_type"]) == ("failed", type(raised.value).__name__)


@pytest.mark.parametrize("way", WAYS)
def test_a_cancelled_task_leaves_a_cancelled_turn(
    ai: AI, collector: MemoryCollector, server: ModelServer, sdks: Sdks, way: str
) -> None:
    server.plan.append(Answer(hold_after=PIECES_AT[way]))
    heard: list[object] = []

    async def talk() -> None:
        async with sdks.begun_async(way) as source, ai.conversation() as turn:
            async for event in turn.stream(source):
                heard.append(event)

    async def cancel() -> None:
        task = asyncio.create_task(talk())
        while len(heard) < PIECES_AT[way] - (way == "messages"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.released.set()

    asyncio.run(cancel())
    told = only(collector)
    assert (told["status"], told["error_type"]) == ("cancelled", "CancelledError")
    assert told["messages"][0]["content"] == TWO


@pytest.mark.parametrize("way", WAYS)
def test_an_async_stream_read_to_its_end(
    ai: AI, collector: MemoryCollector, server: ModelServer, sdks: Sdks, way: str
) -> None:
    async def talk() -> None:
        async with (
            sdks.begun_async(way) as source,
            ai.conversation() as turn,
            turn.stream(source) as stream,
        ):
            assert isinstance(stream, openai.AsyncStream | anthropic.AsyncStream)
            assert len([chunk async for chunk in stream]) > 3

    asyncio.run(talk())
    told = only(collector)
    assert told["messages"][0]["content"] == PLAIN.text
    assert told["tokens_source"] == ("none" if way == "chat" else "reported")


def test_a_generator_that_outlives_the_block_records_at_its_end(
    ai: AI, collector: MemoryCollector, sdks: Sdks
) -> None:
    def answer() -> Iterator[Any]:
        with ai.conversation() as turn:
            turn.flag(action_taken=True)
            return turn.stream(sdks.begun("chat"))

    stream = answer()
    next(stream)
    assert collector.records == []
    list(stream)
    told = only(collector)
    assert told["messages"][0]["content"] == PLAIN.text
    assert told["action_taken"] is True


def test_a_flag_after_the_stream_but_within_the_block_counts(
    ai: AI, collector: MemoryCollector
) -> None:
    with ai.conversation() as turn:
        list(turn.stream(iter(["a"])))
        assert collector.records == []
        turn.flag(follow_up_needed=True)
    assert only(collector)["follow_up_needed"] is True


def test_usage_in_every_chunk_is_cumulative_and_not_summed(
    ai: AI, collector: MemoryCollector
) -> None:
    def chunks() -> Iterator[Any]:
        for number, piece in enumerate(("a", "b", "c"), 1):
            yield {"choices": [{"delta": {"content": piece}}],
                   "usage": {"prompt_tokens": 10, "completion_tokens": number}}  # fmt: skip
        yield {"choices": [{"delta": {}, "finish_reason": "stop"}]}

    with ai.conversation() as turn:
        list(turn.stream(chunks()))
    told = only(collector)
    assert (told["input_tokens"], told["output_tokens"], told["total_tokens"]) == (10, 3, 13)


def test_a_stream_that_ends_without_saying_so_is_incomplete(
    ai: AI, collector: MemoryCollector
) -> None:
    with ai.conversation() as turn:
        list(turn.stream(iter([{"choices": [{"delta": {"content": "Start"}}]}])))
    told = only(collector)
    assert (told["status"], told["error_type"]) == ("failed", "IncompleteStream")
    assert told["messages"][0]["content"] == "Start"


def test_who_stops_reading_behind_the_end_read_all(ai: AI, collector: MemoryCollector) -> None:
    chunks = [{"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}, {"choices": []}]
    with ai.conversation() as turn:
        for _ in turn.stream(iter(chunks)):
            break
    assert only(collector)["status"] == "completed"


def test_a_stream_of_texts_and_one_of_what_nobody_knows(ai: AI, collector: MemoryCollector) -> None:
    with ai.conversation() as turn:
        assert list(turn.stream(["a", "b"])) == ["a", "b"]
    with ai.conversation() as turn:
        assert list(turn.stream(iter([b"a", 5]))) == [b"a", 5]
    first, second = collector.records
    assert first["messages"] == [{"role": "assistant", "content": "ab"}]
    assert "messages" not in second
    assert second["ai_metadata"]["status"] == "completed"


def test_a_coroutine_that_nobody_awaited_yet_may_be_handed_over(
    ai: AI, collector: MemoryCollector, server: ModelServer
) -> None:
    async def request(client: AsyncOpenAI) -> Any:
        return await client.chat.completions.create(model="m", messages=ASKED, stream=True)

    async def talk() -> None:
        async with (
            AsyncOpenAI(base_url=server.openai, api_key="k") as client,
            ai.conversation() as turn,
        ):
            stream: Any = turn.stream(request(client))
            async for _ in stream:
                pass
            stream = await turn.stream(request(client))
            async for _ in stream:
                pass

    asyncio.run(talk())
    assert only(collector)["messages"] == [{"role": "assistant", "content": PLAIN.text}] * 2


def test_what_the_source_raises_is_raised_unchanged(ai: AI, collector: MemoryCollector) -> None:
    error = ValueError("a secret")

    def broken() -> Iterator[str]:
        yield "a"
        raise error

    with pytest.raises(ValueError) as raised, ai.conversation() as turn:  # noqa: PT011
        list(turn.stream(broken()))
    assert raised.value is error
    told = only(collector)
    assert (told["status"], told["error_type"]) == ("failed", "ValueError")
    assert b"secret" not in collector._ring.lines[0]


def test_an_error_in_a_stream_that_the_app_bears_does_not_stop_the_turn(
    ai: AI, collector: MemoryCollector
) -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise ValueError

    with ai.conversation() as turn:
        with suppress(ValueError):
            list(turn.stream(broken()))
        list(turn.stream([{"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}]}]))
    told = only(collector)
    assert told["status"] == "completed"
    assert "error_type" not in told


def test_an_async_generator_dropped_by_its_reader_was_abandoned(
    ai: AI, collector: MemoryCollector
) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    async def talk() -> None:
        async with ai.conversation() as turn:
            stream = turn.stream(pieces())
            async for _ in stream:
                break
            await stream.aclose()  # type: ignore[attr-defined]  # a generator

    asyncio.run(talk())
    told = only(collector)
    assert (told["status"], told["messages"][0]["content"]) == ("abandoned", "a")


def test_a_stream_read_by_another_thread_ends_the_turn_there(
    ai: AI, collector: MemoryCollector
) -> None:
    with ai.conversation() as turn:
        stream = turn.stream(iter(["a", "b"]))
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    reader.join()
    assert only(collector)["messages"] == [{"role": "assistant", "content": "ab"}]


def test_a_turn_without_a_block_waits_for_its_end_beyond_its_first_stream(
    ai: AI, collector: MemoryCollector
) -> None:
    turn = ai.conversation("c5")
    turn.ask("hi")
    assert list(turn.stream(iter(["a"]))) == ["a"]
    assert list(turn.stream(iter(["b"]))) == ["b"]
    turn.answer("c")
    turn.flag(action_taken=True)
    assert collector.records == []
    assert turn.is_open
    last = turn.stream(iter(["d"]))
    turn.end()
    assert collector.records == []
    assert list(last) == ["d"]
    told = only(collector)
    assert [m["content"] for m in told["messages"]] == ["hi", "a", "b", "c", "d"]
    assert (told["action_taken"], told["status"]) == (True, "completed")


@pytest.mark.parametrize(("what", "status"), [
    ("asked", "abandoned"), ("answered", "completed"), ("streamed", "completed"),
    ("left", "abandoned"), ("used", "completed"), ("flagged", None),
])  # fmt: skip
def test_a_turn_that_nobody_ends_is_recorded_when_it_is_forgotten(
    ai: AI, collector: MemoryCollector, what: str, status: str | None
) -> None:
    turn = ai.conversation("c5")
    if what == "asked":
        turn.ask("hi")
    elif what == "answered":
        turn.answer("Start.")
    elif what == "streamed":
        list(turn.stream(iter(["a"])))
    elif what == "left":
        next(iter(turn.stream(iter(["a", "b"]))))
    elif what == "used":
        turn.ask("hi")
        turn.usage({"prompt_tokens": 1, "completion_tokens": 1})
    else:
        turn.flag(action_taken=True)
    assert collector.records == []
    del turn
    gc.collect()
    assert [r["ai_metadata"]["status"] for r in collector.records] == ([status] if status else [])
    assert not ai._open


def test_turns_that_are_forgotten_leave_nothing_behind(ai: AI, collector: MemoryCollector) -> None:
    for _ in range(2_000):
        turn = ai.conversation()
        list(turn.stream(iter(["a"])))
    del turn
    gc.collect()
    assert len(collector.records) == 2_000
    assert not ai._open
    assert not ai.drafts._open


PROGRAM = """
from lakeward.ai import AI
from lakeward.collector import Collector

ai = AI(Collector.from_env())
with ai.conversation("c5") as turn:
    kept = turn.stream(iter(["a", "b"]))
    next(kept)
"""


FORKED = """
import os

before = ai.conversation("other")
next(before.stream(iter(["x", "y"])))
if child := os.fork():
    os.waitpid(child, 0)
    os._exit(0)
"""


WITHOUT_A_BLOCK = """
kept = ai.conversation("c5")
kept.answer("a")
"""


@pytest.mark.parametrize("how", ["alone", "forked", "without a block"])
def test_what_is_open_when_the_process_ends_is_recorded(lake: Lake, how: str) -> None:
    first, rest = PROGRAM.split("with", 1)
    program = f"{first}{FORKED}with{rest}" if how == "forked" else PROGRAM
    if how == "without a block":
        program = first + WITHOUT_A_BLOCK
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=lake.process_env(), cwd=lake.root.parent, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    [record] = [row for row in lake.rows() if row["conversation_id"] == "c5"]
    status = "completed" if how == "without a block" else "abandoned"
    assert record["ai_metadata"]["status"] == status
    assert record["messages"] == [{"role": "assistant", "content": "a"}]
