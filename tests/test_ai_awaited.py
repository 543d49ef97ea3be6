"""Awaitables of a stream: whoever drives them, the answer is heard, and they behave as they did."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from ai_servers import PLAIN, ModelServer, model_server
from lakeward.ai import AI
from lakeward.testing import MemoryCollector

ASKED: list[Any] = [{"role": "user", "content": "hi"}]


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


async def pieces() -> AsyncIterator[str]:
    yield "a"
    yield "b"


async def request() -> AsyncIterator[str]:
    await asyncio.sleep(0)
    return pieces()


async def by_task(stream: Any) -> Any:
    return await asyncio.create_task(stream)


async def by_gather(stream: Any) -> Any:
    [found, other] = await asyncio.gather(stream, asyncio.sleep(0, "other"))
    assert other == "other"
    return found


async def by_group(stream: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream)
    return task.result()


async def by_wait_for(stream: Any) -> Any:
    return await asyncio.wait_for(stream, 20)


async def by_shield(stream: Any) -> Any:
    return await asyncio.shield(stream)


async def by_ensured(stream: Any) -> Any:
    return await asyncio.ensure_future(stream)


async def by_await(stream: Any) -> Any:
    return await stream


async def by_hand(stream: Any) -> Any:
    class Handed:
        def __await__(self) -> Generator[Any, Any, Any]:
            return (yield from stream.__await__())

    return await Handed()


WAYS = [
    by_task, by_gather, by_group, by_wait_for, by_shield, by_ensured, by_await, by_hand
]  # fmt: skip


def test_a_request_of_the_sdk_is_heard_whoever_drives_it(
    ai: AI, collector: MemoryCollector, server: ModelServer
) -> None:
    async def talk() -> None:
        async with AsyncOpenAI(base_url=server.openai, api_key="k") as client:
            for way in WAYS:
                with ai.conversation(way.__name__) as turn:
                    create: Any = client.chat.completions.create
                    source = create(model="m", messages=ASKED, stream=True)
                    stream = await way(turn.stream(source))
                    assert isinstance(stream, openai.AsyncStream)
                    async for _ in stream:
                        pass

    asyncio.run(talk())
    assert [told["conversation_id"] for told in collector.records] == [w.__name__ for w in WAYS]
    for told in collector.records:
        assert told["messages"] == [{"role": "assistant", "content": PLAIN.text}], told
        assert told["ai_metadata"].items() >= {"status": "completed", "streamed": True}.items()


@pytest.mark.parametrize("way", [by_gather, by_wait_for, by_shield, by_ensured, by_await, by_hand])
@pytest.mark.parametrize("kind", ["task", "future", "awaitable"])
def test_tasks_futures_and_other_awaitables_are_heard_too(
    ai: AI, collector: MemoryCollector, way: Callable[[Any], Awaitable[Any]], kind: str
) -> None:
    class Lazy:
        def __await__(self) -> Generator[Any, Any, Any]:
            return (yield from request().__await__())

    async def talk() -> list[str]:
        source: Any = Lazy()
        if kind == "task":
            source = asyncio.create_task(request())
        elif kind == "future":
            source = asyncio.get_running_loop().create_future()
            source.set_result(pieces())
        with ai.conversation() as turn:
            return [piece async for piece in await way(turn.stream(source))]

    assert asyncio.run(talk()) == ["a", "b"]
    assert only(collector)["messages"] == [{"role": "assistant", "content": "ab"}]


def test_the_result_of_a_task_is_followed(ai: AI, collector: MemoryCollector) -> None:
    async def talk() -> list[str]:
        with ai.conversation() as turn:
            task = turn.stream(asyncio.create_task(request()))
            await asyncio.wait({task})
            return [piece async for piece in task.result()]

    assert asyncio.run(talk()) == ["a", "b"]
    assert only(collector)["messages"] == [{"role": "assistant", "content": "ab"}]


def test_what_may_be_awaited_is_what_could_be_before(ai: AI) -> None:
    async def look() -> None:
        with ai.conversation() as turn:
            coroutine = turn.stream(request())
            assert inspect.iscoroutine(coroutine)
            assert inspect.isawaitable(coroutine)
            assert asyncio.iscoroutine(coroutine)
            future = turn.stream(asyncio.ensure_future(request()))
            assert inspect.isawaitable(future)
            assert not asyncio.iscoroutine(future)
            found: Any
            for found in (await coroutine, await future, turn.stream(pieces())):
                assert not inspect.isawaitable(found)
                assert not asyncio.iscoroutine(found)
                assert inspect.isasyncgen(found)

    asyncio.run(look())


def test_awaiting_a_second_time_fails_as_the_source_does_and_breaks_nothing(
    ai: AI, collector: MemoryCollector
) -> None:
    async def talk() -> None:
        with ai.conversation() as turn:
            once = turn.stream(request())
            stream = await once
            with pytest.raises(RuntimeError, match="already awaited"):
                await once
            with pytest.raises(RuntimeError, match="already awaited"):
                await asyncio.create_task(once)
            assert [piece async for piece in stream] == ["a", "b"]
            often = turn.stream(asyncio.ensure_future(request()))
            assert await often is await often
            async for _ in await often:
                pass

    asyncio.run(talk())
    told = only(collector)
    assert told["status"] == "completed"
    assert [m["content"] for m in told["messages"]] == ["ab", "ab"]


def test_a_request_that_fails_or_is_cancelled_or_closed_says_so(
    ai: AI, collector: MemoryCollector
) -> None:
    async def broken() -> Any:
        raise LookupError

    async def cancel(stream: Any) -> None:
        task = asyncio.create_task(stream)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def talk() -> None:
        with ai.conversation("failed") as turn, pytest.raises(LookupError):
            await asyncio.create_task(turn.stream(broken()))
        with ai.conversation("cancelled") as turn:
            await cancel(turn.stream(request()))
        with ai.conversation("closed") as turn:
            turn.stream(request()).close()
        with ai.conversation("thrown") as turn, pytest.raises(LookupError):
            turn.stream(request()).throw(LookupError())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(talk())
        gc.collect()
    told = {r["conversation_id"]: r["ai_metadata"]["status"] for r in collector.records}
    assert told == {
        "failed": "failed", "cancelled": "cancelled", "closed": "abandoned", "thrown": "failed"
    }  # fmt: skip


def test_an_awaitable_of_a_whole_answer_gives_the_answer(
    ai: AI, collector: MemoryCollector, server: ModelServer
) -> None:
    async def talk() -> None:
        async with (
            AsyncOpenAI(base_url=server.openai, api_key="k") as client,
            ai.conversation() as turn,
        ):
            source: Any = client.chat.completions.create(model="m", messages=ASKED)
            answer = await turn.stream(source)
            assert type(answer) is openai.types.chat.ChatCompletion

    asyncio.run(talk())
    told = only(collector)
    assert (told["status"], told["streamed"]) == ("completed", False)
    assert told["messages"] == [{"role": "assistant", "content": PLAIN.text}]


def test_a_request_that_nobody_awaited_is_entered_and_read(
    ai: AI, collector: MemoryCollector, server: ModelServer
) -> None:
    async def talk() -> None:
        async with (
            AsyncOpenAI(base_url=server.openai, api_key="k") as client,
            ai.conversation() as turn,
        ):
            source: Any = client.chat.completions.create(model="m", messages=ASKED, stream=True)
            async with turn.stream(source) as stream:
                assert len([chunk async for chunk in stream]) > 3

    asyncio.run(talk())
    assert only(collector)["status"] == "completed"


def test_what_is_sent_and_thrown_into_an_async_generator_arrives_and_is_heard(
    ai: AI, collector: MemoryCollector
) -> None:
    async def echo() -> Any:
        got = yield "a"
        try:
            yield f"got {got}"
        except LookupError:
            yield " caught"

    async def talk() -> None:
        with ai.conversation() as turn:
            stream: Any = turn.stream(echo())
            assert await stream.asend(None) == "a"
            assert await stream.asend("x") == "got x"
            assert await stream.athrow(LookupError()) == " caught"
            with pytest.raises(StopAsyncIteration):
                await stream.asend(None)

    asyncio.run(talk())
    told = only(collector)
    assert (told["status"], told["messages"][0]["content"]) == ("completed", "agot x caught")
