"""The bundled assistant: what an OpenAI-compatible service would answer, without one.

In: the body of a `/chat/completions` request. Out: the same bytes that such a service streams. The
answer is put together from the demo's partners, the same for the same question, and says that it is
a demo. No model is asked and nothing leaves the process.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import msgspec

from lakeward.demo.answers import answer, tokens

MODEL: Final = "lakeward-demo-1"


class Bundled(httpx.AsyncBaseTransport):
    """Takes the requests that would go to a service."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as `/chat/completions` does."""
        body = msgspec.json.decode(await request.aread())
        if not request.url.path.endswith("/chat/completions"):
            return httpx.Response(404, json={"error": {"message": "no such path"}})
        return httpx.Response(
            200, headers={"content-type": "text/event-stream"}, stream=_Stream(chunks(body))
        )


class _Stream(httpx.AsyncByteStream):
    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


def chunks(body: dict[str, Any]) -> list[bytes]:
    """The server-sent events of an answer, with the usage at the end where it was asked for."""
    messages = body["messages"]
    text = answer(str(messages[-1]["content"]))
    head = {"id": "chatcmpl-demo", "object": "chat.completion.chunk", "model": MODEL}
    parts: list[dict[str, Any]] = [
        head | {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
        for word in re.findall(r"\S+\s*", text)
    ]
    parts.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if body.get("stream_options", {}).get("include_usage"):
        prompt = sum(tokens(str(message["content"])) for message in messages)
        spoken = tokens(text)
        usage = {
            "prompt_tokens": prompt, "completion_tokens": spoken, "total_tokens": prompt + spoken,
        }  # fmt: skip
        parts.append(head | {"choices": [], "usage": usage})
    events = [b"data: " + msgspec.json.encode(part) + b"\n\n" for part in parts]
    return [*events, b"data: [DONE]\n\n"]
