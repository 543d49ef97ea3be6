"""The AI coach: a conversation through an OpenAI-compatible service, each turn recorded.

In: a question of a contractor who gave feedback. Out: the answer as server-sent events, and one
`ai_conversation` for the turn, however it ended. A service that fails or is away gets the visitor
one friendly sentence.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Final, Literal

import httpx
import msgspec
from fastapi import APIRouter, Form, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from lakeward.demo.assistant import MODEL, Bundled
from lakeward.demo.partners import FOCUS_AREAS
from lakeward.demo.platform import HEADERS, Platform, Problem, decoded
from lakeward.settings import Settings

SYSTEM: Final = (
    "You coach contractors on this platform. Answer in a few sentences, from its partners only."
)
SORRY: Final = "The coach cannot answer now. Please try again in a minute."
SECONDS: Final = 30.0
Status = Literal["completed", "failed", "abandoned"]


class Delta(msgspec.Struct, frozen=True):
    """What a chunk adds to the answer."""

    content: str | None = None


class Choice(msgspec.Struct, frozen=True):
    """One answer; there is one only."""

    delta: Delta = Delta()
    finish_reason: str | None = None


class Usage(msgspec.Struct, frozen=True):
    """Tokens, as the service counts them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a streamed chat completion, as far as it is used here."""

    choices: list[Choice] = []
    model: str | None = None
    id: str | None = None
    usage: Usage | None = None
    error: object = None


class Cut(Exception):
    """The answer stopped before its end."""


class Turn(msgspec.Struct):
    """One question and what is known of its answer by now."""

    contractor: str
    conversation_id: str
    number: int
    messages: list[dict[str, str]]
    model: str
    started: float
    parts: list[str] = []
    first: float | None = None
    answered_by: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    status: Status = "abandoned"
    """Until the end is seen, as when the visitor goes."""
    error: str | None = None


def routes(platform: Platform, service: Service) -> APIRouter:
    """The coach's page, and its answers."""
    router = APIRouter()

    @router.get("/coach")
    def page(request: Request) -> Response:
        _admitted(platform, request)
        return platform.page(request, "coach", conversation=f"k-{secrets.token_hex(6)}")

    @router.post("/coach/messages")
    async def ask(
        request: Request,
        conversation: Annotated[str, Form(max_length=64)] = "",
        text: Annotated[str, Form(max_length=4000)] = "",
    ) -> Response:
        visitor = await run_in_threadpool(_admitted, platform, request)
        if not text.strip() or not conversation.strip():
            raise Problem(422, "Ask the coach something.")
        turn = await run_in_threadpool(
            _begin, platform, visitor, conversation.strip(), text.strip(), service.model
        )
        return StreamingResponse(
            _told(platform, service, turn), media_type="text/event-stream", headers=HEADERS
        )

    return router


class Service:
    """Where the coach gets its answers: the service of the settings, or the bundled one."""

    def __init__(self, settings: Settings) -> None:
        own = not settings.coach_url
        self.model = MODEL if own else settings.ai_model
        self.provider = "lakeward-demo" if own else "openai-compatible"
        headers = {"Authorization": f"Bearer {settings.coach_key}"} if settings.coach_key else {}
        self._client = httpx.AsyncClient(
            base_url="http://assistant.invalid/v1" if own else settings.coach_url,
            transport=Bundled() if own else None, headers=headers, timeout=SECONDS,
            trust_env=False,
        )  # fmt: skip

    async def stream(self, messages: list[dict[str, str]]) -> AsyncGenerator[Chunk, None]:
        """The chunks of an answer; httpx's errors, msgspec's for what is no chunk, Cut."""
        body = {
            "model": self.model, "messages": messages, "stream": True,
            "stream_options": {"include_usage": True},
        }  # fmt: skip
        async with self._client.stream("POST", "chat/completions", json=body) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if line == "data: [DONE]":
                    return
                if line.startswith("data:"):
                    yield _sound(msgspec.json.decode(line[5:], type=Chunk))
        raise Cut

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


def _admitted(platform: Platform, request: Request) -> sqlite3.Row:
    visitor = platform.verified(request)
    if visitor["feedback_at"] is None:
        raise Problem(403, "The coach opens with your feedback: tell us how we did first.")
    return visitor


def _begin(
    platform: Platform, visitor: sqlite3.Row, conversation: str, text: str, model: str
) -> Turn:  # fmt: skip
    """The turn, with its number in the conversation; another's conversation is refused."""
    with platform.database.write() as connection:
        row = connection.execute(
            "INSERT INTO conversations VALUES (?, ?, 1) ON CONFLICT (conversation_id) "
            "DO UPDATE SET turns = turns + 1 RETURNING contractor_id, turns",
            (conversation, visitor["contractor_id"]),
        ).fetchone()
        if row["contractor_id"] != visitor["contractor_id"]:
            raise Problem(404, "There is no such conversation.")
    focus = ", ".join(FOCUS_AREAS[area] for area in decoded(visitor["focus"]))
    system = f"{SYSTEM} The contractor cares for: {focus}." if focus else SYSTEM
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    return Turn(
        visitor["contractor_id"], conversation, row["turns"] - 1, messages, model,
        time.perf_counter(),
    )  # fmt: skip


async def _told(platform: Platform, service: Service, turn: Turn) -> AsyncIterator[bytes]:
    try:
        async with aclosing(service.stream(turn.messages)) as stream:
            async for chunk in stream:
                if text := _heard(turn, chunk):
                    yield _event({"text": text})
        turn.status = "completed"
        yield _event({"done": True})
    except (httpx.HTTPError, msgspec.MsgspecError, Cut) as error:
        turn.status, turn.error = "failed", type(error).__name__
        yield _event({"text": SORRY, "failed": True})
    finally:
        _record(platform, service, turn)


def _sound(chunk: Chunk) -> Chunk:
    if chunk.error is not None:
        raise Cut
    return chunk


def _heard(turn: Turn, chunk: Chunk) -> str:
    """What a chunk says; everything else in it is kept with the turn."""
    turn.answered_by = chunk.model or turn.answered_by
    turn.response_id = chunk.id or turn.response_id
    turn.usage = chunk.usage or turn.usage
    for choice in chunk.choices[:1]:
        turn.finish_reason = choice.finish_reason or turn.finish_reason
        if choice.delta.content:
            turn.first = turn.first or time.perf_counter()
            turn.parts.append(choice.delta.content)
            return choice.delta.content
    return ""


def _record(platform: Platform, service: Service, turn: Turn) -> None:
    usage, now = turn.usage or Usage(), time.perf_counter()
    said = [{"role": "assistant", "content": "".join(turn.parts)}] if turn.parts else []
    platform.collector.record(
        "ai_conversation", user_id=turn.contractor, user_type="contractor",
        conversation_id=turn.conversation_id, turn=turn.number, messages=[*turn.messages, *said],
        feature="coach", operation="chat", provider=service.provider, streamed=True,
        model_requested=turn.model, model_answered=turn.answered_by, status=turn.status,
        response_id=turn.response_id, finish_reason=turn.finish_reason, error_type=turn.error,
        duration_ms=_ms(now - turn.started), captured_by="api",
        time_to_first_token_ms=_ms(turn.first - turn.started) if turn.first else None,
        tokens_source="reported" if turn.usage else "none", input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens, total_tokens=usage.total_tokens,
    )  # fmt: skip


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _event(data: dict[str, object]) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"
