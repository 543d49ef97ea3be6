"""Functions that are turns: what they return or yield is the answer, and stays what it was."""

from __future__ import annotations

import asyncio
import gc
import inspect
import io
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pydantic
import pytest
from anthropic import Anthropic
from openai import AsyncOpenAI, OpenAI

from ai_servers import PLAIN, ModelServer, model_server
from lakeward.ai import AI
from lakeward.testing import MemoryCollector

ASKED: list[Any] = [{"role": "user", "content": "hi"}]
SAID = [{"role": "assistant", "content": PLAIN.text}]


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


def test_a_stream_of_the_sdk_that_is_returned_is_followed(
    ai: AI, collector: MemoryCollector, server: ModelServer
) -> None:
    with (
        OpenAI(base_url=server.openai, api_key="k") as client,
        Anthropic(base_url=server.url, api_key="k") as claude,
    ):

        @ai.turns(ask="question")
        def chat(question: str) -> Any:
            return client.chat.completions.create(model="m", messages=ASKED, stream=True)

        @ai.turns()
        def managed() -> Any:
            return claude.messages.stream(model="c", max_tokens=9, messages=ASKED)

        stream = chat("hi")
        assert isinstance(stream, openai.Stream)
        next(stream)
        assert collector.records == []
        list(stream)
        with managed() as events:
            assert "".join(events.text_stream) == PLAIN.text
    first, second = collector.records
    assert first["messages"] == [*ASKED, *SAID]
    assert second["messages"] == SAID
    for told in (first, second):
        assert told["ai_metadata"].items() >= {"status": "completed", "streamed": True}.items()


def test_generators_and_iterators_that_are_returned_are_followed(
    ai: AI, collector: MemoryCollector
) -> None:
    def pieces() -> Any:
        got = yield "a"
        yield got or "b"
        return "returned"

    async def more() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    @ai.turns()
    def returned(kind: str) -> Any:
        return {"generator": pieces, "sent": pieces, "iterator": lambda: iter(["a", "b"]),
                "async": more, "coroutine": later}[kind]()  # fmt: skip

    @ai.turns()
    async def later() -> Any:
        return more()

    async def read(stream: Any) -> list[str]:
        return [piece async for piece in stream]

    async def talk() -> None:
        assert await read(returned("async")) == ["a", "b"]
        assert await read(await later()) == ["a", "b"]

    stream = returned("generator")
    assert inspect.isgenerator(stream)
    assert [next(stream), next(stream)] == ["a", "b"]
    with pytest.raises(StopIteration, match="returned"):
        next(stream)
    stream = returned("sent")
    assert (next(stream), stream.send("b")) == ("a", "b")
    stream.close()
    assert list(returned("iterator")) == ["a", "b"]
    asyncio.run(talk())
    assert [r["messages"][0]["content"] for r in collector.records] == ["ab"] * 5
    assert [r["ai_metadata"]["status"] for r in collector.records] == [
        "completed", "abandoned", "completed", "completed", "completed"]  # fmt: skip


def test_a_plain_function_that_returns_a_coroutine_is_the_answer_of_it(
    ai: AI, collector: MemoryCollector, server: ModelServer
) -> None:
    async def talk() -> None:
        async with AsyncOpenAI(base_url=server.openai, api_key="k") as client:

            @ai.turns()
            def ask(stream: bool) -> Any:
                asked: Any = client.chat.completions.create
                return asked(model="m", messages=ASKED, stream=stream)

            answer = await asyncio.create_task(ask(False))
            assert type(answer) is openai.types.chat.ChatCompletion
            async for _ in await asyncio.wait_for(ask(True), 20):
                pass

    asyncio.run(talk())
    assert [r["messages"] for r in collector.records] == [SAID, SAID]
    assert [r["ai_metadata"]["streamed"] for r in collector.records] == [False, True]


def test_what_is_sent_thrown_and_closed_reaches_a_decorated_async_generator(
    ai: AI, collector: MemoryCollector
) -> None:
    closed: list[str] = []

    @ai.turns()
    async def echo() -> Any:
        try:
            got = yield "a"
            try:
                yield f"got {got}"
            except LookupError:
                yield " caught"
            yield "more"
        finally:
            await asyncio.sleep(0)
            closed.append("inner")

    async def talk() -> None:
        stream = echo()
        assert await anext(stream) == "a"
        assert await stream.asend("x") == "got x"
        assert await stream.athrow(LookupError()) == " caught"
        await stream.aclose()
        assert closed == ["inner"]
        assert [piece async for piece in echo()] == ["a", "got None", "more"]
        broken = echo()
        await anext(broken)
        with pytest.raises(ValueError, match="ours"):
            await broken.athrow(ValueError("ours"))

    assert inspect.isasyncgenfunction(echo)
    asyncio.run(talk())
    first, second, third = collector.records
    assert first["messages"][0]["content"] == "agot x caught"
    assert [r["ai_metadata"]["status"] for r in (first, second, third)] == [
        "abandoned", "completed", "failed"]  # fmt: skip


def test_a_decorated_generator_takes_what_is_thrown_and_gives_what_it_returns(
    ai: AI, collector: MemoryCollector
) -> None:
    @ai.turns()
    def echo() -> Any:
        try:
            yield "a"
        except LookupError:
            yield "caught"
        return "end"

    stream = echo()
    assert (next(stream), stream.throw(LookupError())) == ("a", "caught")
    with pytest.raises(StopIteration) as ended:
        next(stream)
    assert ended.value.value == "end"
    assert only(collector)["messages"][0]["content"] == "acaught"


class Touchy:
    """An object of the app whose every attribute costs something."""

    def __init__(self) -> None:
        object.__setattr__(self, "touched", [])

    def __getattribute__(self, name: str) -> Any:
        if name != "touched":
            object.__getattribute__(self, "touched").append(name)
        return object.__getattribute__(self, name)

    @property
    def content(self) -> str:
        return "read"

    data = message = choices = output = type = content


def test_no_property_of_an_object_that_is_returned_or_yielded_is_called(
    ai: AI, collector: MemoryCollector
) -> None:
    one, two, three = Touchy(), Touchy(), Touchy()

    @ai.turns()
    def plain() -> Any:
        return one

    @ai.turns()
    def yields() -> Any:
        yield two
        yield {"type": "x", "content": three, "message": three, "choices": [three]}

    assert plain() is one
    assert next(yields()) is two
    list(yields())
    gc.collect()
    for touchy in (one, two, three):
        assert touchy.touched == []
    assert all("read" not in str(told) for told in collector.records)


def test_a_response_of_httpx_and_an_open_file_are_not_read(
    ai: AI, collector: MemoryCollector, server: ModelServer
) -> None:
    read: list[bytes] = []

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            read.append(b"x")
            yield b"x"

    @ai.turns()
    def ask() -> Any:
        return httpx.Response(200, stream=Body())

    file = io.StringIO("a\nb\n")

    @ai.turns()
    def opened() -> Any:
        return file

    response = ask()
    assert type(response) is httpx.Response
    assert not response.is_stream_consumed
    assert read == []
    assert opened() is file
    assert len(collector.records) == 2


def test_answers_that_hold_their_data_are_heard_and_graphs_are_not_walked(
    ai: AI, collector: MemoryCollector
) -> None:
    class Node:
        def __init__(self) -> None:
            self.content: Any = [self] * 50
            self.parent = self

    class Answer(pydantic.BaseModel):
        role: str = "assistant"
        content: str = "Start."

    @ai.turns()
    def give(thing: Any) -> Any:
        return thing

    message = {"role": "assistant", "content": "Start."}
    held = SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(**message))])
    for thing in (held, message, Answer(), {"choices": [{"message": message}]}, "Start."):
        assert give(thing) is thing
    node = Node()
    assert give(node) is node
    *answers, graph = collector.records
    assert [told["messages"] for told in answers] == [[message]] * 5
    assert "messages" not in graph
