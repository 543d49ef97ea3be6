"""The real SDKs of OpenAI and Anthropic against local servers: one record, the same either way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI

import ai_wire
from ai_servers import (
    CACHED,
    CUT_SHORT,
    PLAIN,
    REASONS,
    REFUSES,
    SPEAKS_AND_CALLS,
    TOOLS,
    WRITES,
    Answer,
    ModelServer,
    model_server,
)
from ai_wire import Said
from conftest import Lake
from lakeward.ai import AI
from lakeward.testing import MemoryCollector

ASKED: list[Any] = [{"role": "user", "content": "How do I price a retainer?"}]
WAYS = ["chat", "responses", "messages"]
SAID = {
    "plain": PLAIN, "cached": CACHED, "tools": TOOLS, "both": SPEAKS_AND_CALLS,
    "reasons": REASONS, "refuses": REFUSES, "cut": CUT_SHORT, "writes": WRITES,
}  # fmt: skip
KEPT = ("status", "finish_reason", "model_answered", "response_id", "input_tokens",
        "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
        "total_tokens", "tool_call_count", "tools_used", "operation", "messages")  # fmt: skip


class Talk:
    """Both SDKs, a server and what is recorded."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server
        self.collector = MemoryCollector()
        self.ai = AI(self.collector)
        self.openai = OpenAI(base_url=server.openai, api_key="k", max_retries=0)
        self.claude = Anthropic(base_url=server.url, api_key="k", max_retries=0)

    def request(self, way: str, claude: Any = None, client: Any = None, **more: Any) -> Any:
        """One request; of the asynchronous clients something to await."""
        claude, client = claude or self.claude, client or self.openai
        if way == "messages":
            return claude.messages.create(model="c", max_tokens=9, messages=ASKED, **more)
        if way == "responses":
            return client.responses.create(model="m", input=ASKED, **more)
        if more.get("stream"):
            more["stream_options"] = {"include_usage": True}
        return client.chat.completions.create(model="m", messages=ASKED, **more)

    def told(self) -> dict[str, Any]:
        """The one record since the last look."""
        assert self.collector.quarantined == []
        [record] = self.collector.records
        self.collector.clear()
        return {**record, **record.pop("ai_metadata")}


@pytest.fixture
def talk() -> Iterator[Talk]:
    with model_server() as server:
        made = Talk(server)
        yield made
        made.openai.close()
        made.claude.close()


def plain_turn(talk: Talk, way: str) -> dict[str, Any]:
    with talk.ai.conversation("c5") as turn:
        turn.ask(ASKED)
        turn.answer(talk.request(way))
    return talk.told()


def streamed_turn(talk: Talk, way: str) -> dict[str, Any]:
    with talk.ai.conversation("c5") as turn:
        turn.ask(ASKED)
        for _ in turn.stream(talk.request(way, stream=True)):
            pass
    return talk.told()


def expected_tokens(said: Said, way: str) -> dict[str, int]:
    found = {
        "input_tokens": said.fresh, "cache_read_tokens": said.read, "output_tokens": said.spoken,
        "cache_write_tokens": said.written if way == "messages" else 0,
        "reasoning_tokens": said.reasoned if way != "messages" else 0,
    }  # fmt: skip
    return {name: count for name, count in found.items() if count}


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("way", WAYS)
def test_a_streamed_answer_is_recorded_as_the_whole_one(talk: Talk, way: str, name: str) -> None:
    talk.server.default = Answer(SAID[name])
    plain, streamed = plain_turn(talk, way), streamed_turn(talk, way)
    assert {key: plain.get(key) for key in KEPT} == {key: streamed.get(key) for key in KEPT}
    assert (plain["streamed"], streamed["streamed"]) == (False, True)
    said, tokens = SAID[name], expected_tokens(SAID[name], way)
    assert {key: plain[key] for key in tokens} == tokens
    assert plain["total_tokens"] == sum(tokens.values())
    assert plain["messages"][0] == ASKED[0]
    assert plain["status"] == ("refused" if said.refuses else "completed")
    assert plain.get("tools_used") == ([tool[1] for tool in said.tools] or None)
    if said.tools:
        calls = plain["messages"][1]["tool_calls"]
        assert [call["id"] for call in calls] == [tool[0] for tool in said.tools]


@pytest.mark.parametrize("way", WAYS)
def test_the_public_vector_comes_through_the_sdk(talk: Talk, way: str) -> None:
    talk.server.default = Answer(CACHED)
    told = streamed_turn(talk, way)
    assert (told["input_tokens"], told["cache_read_tokens"], told["output_tokens"]) == (
        86, 17_817, 188)  # fmt: skip
    assert told["total_tokens"] == 18_091


@pytest.mark.parametrize(("name", "words"), [
    ("chat", ["stop", "tool_calls", "length"]),
    ("messages", ["end_turn", "tool_use", "max_tokens"]),
    ("responses", ["completed", "completed", "max_output_tokens"]),
])  # fmt: skip
def test_why_it_stopped_is_the_providers_word(talk: Talk, name: str, words: list[str]) -> None:
    found = []
    for said in (PLAIN, TOOLS, CUT_SHORT):
        talk.server.default = Answer(said)
        found.append(plain_turn(talk, name)["finish_reason"])
    assert found == words


@pytest.mark.parametrize(("status", "kind"), [
    (401, "AuthenticationError"), (429, "RateLimitError"), (500, "InternalServerError"),
])  # fmt: skip
@pytest.mark.parametrize("way", WAYS)
def test_a_request_that_is_refused_is_a_failed_turn(
    talk: Talk, way: str, status: int, kind: str
) -> None:
    talk.server.default = Answer(status=status)
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)):
        plain_turn(talk, way)
    told = talk.told()
    assert (told["status"], told["error_type"]) == ("failed", kind)
    assert told["messages"] == ASKED
    assert told["tokens_source"] == "none"


@pytest.mark.parametrize("way", WAYS)
def test_the_asynchronous_clients_are_the_same(talk: Talk, way: str) -> None:
    talk.server.default = Answer(SPEAKS_AND_CALLS)

    async def both() -> None:
        url, key = talk.server.openai, "k"
        async with (
            AsyncOpenAI(base_url=url, api_key=key) as client,
            AsyncAnthropic(base_url=talk.server.url, api_key=key) as claude,
        ):
            async with talk.ai.conversation("c5") as turn:
                turn.ask(ASKED)
                turn.answer(await talk.request(way, claude, client))
            async with talk.ai.conversation("c5") as turn:
                turn.ask(ASKED)
                stream = await talk.request(way, claude, client, stream=True)
                async for _ in turn.stream(stream):
                    pass

    asyncio.run(both())
    records = [{**r, **r.pop("ai_metadata")} for r in talk.collector.records]
    talk.collector.clear()
    whole = plain_turn(talk, way)
    for record in records:
        assert {key: record.get(key) for key in KEPT} == {key: whole.get(key) for key in KEPT}


@pytest.mark.parametrize("said", [PLAIN, REASONS, TOOLS])
def test_anthropics_helper_is_followed_whichever_way_it_is_read(talk: Talk, said: Said) -> None:
    talk.server.default = Answer(said)
    whole = plain_turn(talk, "messages")
    for read in ("events", "text_stream", "get_final_message", "until_done", "get_final_text"):
        if read == "get_final_text" and not said.pieces:
            continue
        with talk.ai.conversation("c5") as turn:
            turn.ask(ASKED)
            helper = talk.claude.messages.stream(model="c", max_tokens=9, messages=ASKED)
            with turn.stream(helper) as opened:
                stream: Any = opened
                if read == "events":
                    assert len(list(stream)) > 5
                elif read == "text_stream":
                    assert "".join(stream.text_stream) == said.text
                else:
                    getattr(stream, read)()
                assert stream.current_message_snapshot.stop_reason
        told = talk.told()
        assert {key: told.get(key) for key in KEPT} == {key: whole.get(key) for key in KEPT}


def test_anthropics_asynchronous_helper_too(talk: Talk) -> None:
    async def read() -> str:
        async with AsyncAnthropic(base_url=talk.server.url, api_key="k") as claude:
            async with talk.ai.conversation() as turn:
                helper = claude.messages.stream(model="c", max_tokens=9, messages=ASKED)
                async with turn.stream(helper) as opened:
                    stream: Any = opened
                    said = "".join([text async for text in stream.text_stream])
                    assert (await stream.get_final_message()).stop_reason == "end_turn"
            return said

    assert asyncio.run(read()) == PLAIN.text
    told = talk.told()
    assert (told["status"], told["messages"][0]["content"]) == ("completed", PLAIN.text)


def test_openais_helpers_are_followed(talk: Talk) -> None:
    talk.server.default = Answer(SPEAKS_AND_CALLS)
    responses = talk.openai.responses.stream(model="m", input=ASKED)
    with talk.ai.conversation() as turn, turn.stream(responses) as opened:
        stream: Any = opened
        assert stream.get_final_response().status == "completed"
    told = talk.told()
    assert told["messages"][0]["content"] == SPEAKS_AND_CALLS.text
    assert told["tools_used"] == ["search"]
    helper = talk.openai.chat.completions.stream(model="m", messages=ASKED)
    with talk.ai.conversation() as turn, turn.stream(helper) as opened_chat:
        chat: Any = opened_chat
        assert chat.get_final_completion().choices[0].finish_reason == "tool_calls"
    told = talk.told()
    assert told["messages"][0]["content"] == SPEAKS_AND_CALLS.text
    assert told["tools_used"] == ["search"]


def test_a_helper_left_early_keeps_what_came(talk: Talk) -> None:
    with talk.ai.conversation() as turn:
        helper = talk.claude.messages.stream(model="c", max_tokens=9, messages=ASKED)
        with turn.stream(helper) as opened:
            stream: Any = opened
            for text in stream.text_stream:
                assert text == PLAIN.pieces[0]
                break
    told = talk.told()
    assert (told["status"], told["messages"][0]["content"]) == ("abandoned", PLAIN.pieces[0])


def test_embeddings_are_counted_and_not_kept(talk: Talk) -> None:
    with talk.ai.conversation(feature="search") as turn:
        turn.ask(["crm", "hiring"])
        turn.answer(
            talk.openai.embeddings.create(
                model="e", input=["crm", "hiring"], encoding_format="float"
            )
        )
    told = talk.told()
    assert (told["operation"], told["input_tokens"], told["total_tokens"]) == ("embeddings", 86, 86)
    assert [message["content"] for message in told["messages"]] == ["crm", "hiring"]
    assert told["model_answered"] == "text-embedding-3-small"


def test_the_old_completions_are_the_same(talk: Talk) -> None:
    for stream in (False, True):
        with talk.ai.conversation() as turn:
            turn.ask("Say")
            if stream:
                given: Any = {"stream": True, "stream_options": {"include_usage": True}}
                for _ in turn.stream(
                    talk.openai.completions.create(model="m", prompt="Say", **given)
                ):
                    pass
            else:
                turn.answer(talk.openai.completions.create(model="m", prompt="Say"))
        told = talk.told()
        assert told["messages"] == [
            {"role": "user", "content": "Say"}, {"role": "assistant", "content": PLAIN.text}
        ]  # fmt: skip
        assert (told["operation"], told["total_tokens"]) == ("text_completion", 274)


def test_what_the_sdk_answered_goes_back_into_what_is_asked(talk: Talk) -> None:
    talk.server.default = Answer(SPEAKS_AND_CALLS)
    for way in WAYS:
        with talk.ai.conversation() as turn:
            answer = talk.request(way)
            if way == "messages":
                turn.ask([{"role": "assistant", "content": answer.content}])
            else:
                turn.ask(answer.output if way == "responses" else [answer.choices[0].message])
        [message] = talk.told()["messages"]
        assert message["content"] == "Let me look."
        assert [call["name"] for call in message["tool_calls"]] == ["search"]


def test_a_turn_of_the_real_sdk_is_durable_in_the_lake(lake: Lake) -> None:
    collector = lake.collector()
    ai = AI(collector)
    with model_server(Answer(CACHED), Answer(CACHED)) as server:
        client = OpenAI(base_url=server.openai, api_key="k")
        with ai.conversation("c5", feature="coach", model="gpt-4o") as turn:
            turn.ask(ASKED)
            stream = client.chat.completions.create(model="gpt-4o", messages=ASKED, stream=True)
            for _ in turn.stream(stream):
                pass
        rating = ai.rate(turn.interaction_id, helpful=True, user_id="u1")
        client.close()
    collector.commit()
    first, second = lake.rows()
    assert first["interaction_id"] == turn.interaction_id == second["parent_interaction_id"]
    assert second["interaction_id"] == rating
    assert first["messages"][1]["content"] == CACHED.text
    assert first["ai_metadata"]["model_answered"] == ai_wire.CHAT_MODEL
    assert lake.audit().ok
