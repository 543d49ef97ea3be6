"""Requests of an API Gateway (HTTP API, payload 2.0) for an ASGI application.

In: an event of Lambda. Out: the answer as the gateway takes it. Nothing fails but for an event that
is none: `Terminal`. One request at a time, as Lambda has it.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from lakeward.errors import Terminal

Message = MutableMapping[str, Any]
App = Callable[[Any, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
               Awaitable[None]]  # fmt: skip


async def answered(app: App, event: Mapping[str, Any]) -> dict[str, Any]:
    """What the application answers to an event."""
    scope, body = _request(event)
    said: list[Message] = []
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    await app(scope, receive, send)
    return _answer(said)


def _request(event: Mapping[str, Any]) -> tuple[Message, bytes]:
    try:
        http = event["requestContext"]["http"]
        path, method, address = event["rawPath"], http["method"], http["sourceIp"]
    except (KeyError, TypeError):
        raise Terminal("the event is no request of an HTTP API with payload 2.0") from None
    stage = event["requestContext"].get("stage", "$default")
    if stage != "$default":
        path = path.removeprefix(f"/{stage}") or "/"
    headers = [
        (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in (event.get("headers") or {}).items()
    ]
    if cookies := event.get("cookies"):
        headers.append((b"cookie", "; ".join(cookies).encode("latin-1", "replace")))
    text = event.get("body") or ""
    body = base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "https", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": (event.get("rawQueryString") or "").encode(), "headers": headers,
        "client": (address, 0), "server": None,
    }  # fmt: skip
    return scope, body


def _answer(said: list[Message]) -> dict[str, Any]:
    start = next((one for one in said if one["type"] == "http.response.start"), None)
    if start is None:
        return {"statusCode": 500, "body": ""}
    content = b"".join(one.get("body", b"") for one in said if one["type"] == "http.response.body")
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for raw, value in start.get("headers", ()):
        name, text = raw.decode("latin-1"), value.decode("latin-1")
        if name == "set-cookie":
            cookies.append(text)
        else:
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
    answer: dict[str, Any] = {"statusCode": start["status"], "headers": headers}
    if cookies:
        answer["cookies"] = cookies
    try:
        return answer | {"body": content.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return answer | {"body": base64.b64encode(content).decode(), "isBase64Encoded": True}
