"""The AI coach: a conversation through an OpenAI-compatible service, each turn recorded.

In: a question of a contractor who gave feedback, and later whether the answer helped. Out: the
answer as server-sent events, and one `ai_conversation` for the turn, however it ended. A service
that fails or is away gets the visitor one friendly sentence.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final

import httpx
import msgspec
from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from lakeward.ai import Turn
from lakeward.demo.answers import asked
from lakeward.demo.assistant import MODEL, Bundled
from lakeward.demo.platform import HEADERS, Platform, Problem, decoded
from lakeward.settings import Settings

PROMPT: Final = "coach"
PROMPT_VERSION: Final = "1"
SORRY: Final = "The coach cannot answer now. Please try again in a minute."
SECONDS: Final = 30.0


class Delta(msgspec.Struct, frozen=True):
    """What a chunk adds to the answer."""

    content: str | None = None


class Choice(msgspec.Struct, frozen=True):
    """One answer; there is one only."""

    delta: Delta = Delta()
    finish_reason: str | None = None


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a streamed chat completion, as far as it is looked at here."""

    choices: list[Choice] = []
    error: object = None


class Cut(Exception):
    """The answer stopped before its end."""


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
        begun = await run_in_threadpool(
            _begin, platform, service, visitor, conversation.strip(), text.strip()
        )
        return StreamingResponse(
            _told(service, *begun), media_type="text/event-stream", headers=HEADERS
        )

    @router.post("/coach/ratings")
    def rate(
        request: Request,
        turn: Annotated[str, Form(max_length=64)] = "",
        helpful: Annotated[str, Form(max_length=3)] = "",
    ) -> Response:
        visitor = _admitted(platform, request)
        if helpful not in ("yes", "no"):
            raise Problem(422, "Say whether the answer helped: yes or no.")
        _rated(platform, visitor, turn, helpful == "yes")
        return JSONResponse({"turn": turn, "helpful": helpful})

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

    async def stream(self, messages: list[dict[str, str]]) -> AsyncGenerator[dict[str, Any], None]:
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
                    yield msgspec.json.decode(line[5:], type=dict[str, Any])
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
    platform: Platform, service: Service, visitor: sqlite3.Row, conversation: str, text: str
) -> tuple[Turn, list[dict[str, str]]]:
    """The turn, with its number in the conversation, and what the service is asked; another's
    conversation is refused."""
    owner = visitor["contractor_id"]
    with platform.database.write() as connection:
        row = connection.execute(
            "INSERT INTO conversations VALUES (?, ?, 1) ON CONFLICT (conversation_id) "
            "DO UPDATE SET turns = turns + 1 RETURNING contractor_id, turns",
            (conversation, owner),
        ).fetchone()
        if row["contractor_id"] != owner:
            raise Problem(404, "There is no such conversation.")
        turn = platform.ai.conversation(
            conversation, turn=row["turns"] - 1, feature="coach", operation="chat",
            provider=service.provider, model=service.model, prompt_name=PROMPT,
            prompt_version=PROMPT_VERSION, user_id=owner, user_type="contractor",
        )  # fmt: skip
        connection.execute("INSERT INTO turns VALUES (?, ?)", (turn.interaction_id, owner))
    return turn, asked(decoded(visitor["focus"]), text)


async def _told(
    service: Service, turn: Turn, messages: list[dict[str, str]]
) -> AsyncIterator[bytes]:
    try:
        with turn:
            turn.ask(messages)
            async with aclosing(turn.stream(service.stream(messages))) as stream:
                async for chunk in stream:
                    if text := _heard(chunk):
                        yield _event({"text": text})
        yield _event({"done": True, "turn": turn.interaction_id})
    except (httpx.HTTPError, msgspec.MsgspecError, Cut):
        yield _event({"text": SORRY, "failed": True})


def _heard(chunk: dict[str, Any]) -> str:
    """What a chunk says; Cut when it is an error, msgspec's when it is no chunk."""
    known = msgspec.convert(chunk, Chunk)
    if known.error is not None:
        raise Cut
    return "".join(choice.delta.content or "" for choice in known.choices[:1])


def _rated(platform: Platform, visitor: sqlite3.Row, turn: str, helpful: bool) -> None:
    owner = visitor["contractor_id"]
    with platform.database.read() as connection:
        known = connection.execute(
            "SELECT 1 FROM turns WHERE interaction_id = ? AND contractor_id = ?", (turn, owner)
        ).fetchone()
    if known is None:
        raise Problem(404, "There is no such answer.")
    platform.ai.rate(turn, helpful=helpful, user_id=owner, user_type="contractor")


def _event(data: dict[str, object]) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"
