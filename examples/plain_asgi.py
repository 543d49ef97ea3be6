"""A plain ASGI application with Lakeward: no framework, the middleware wraps the callable.

    python examples/plain_asgi.py [PORT]
    curl localhost:8000/anything

Needs uvicorn to serve it: `pip install '.[demo]'`.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from lakeward import Collector
from lakeward.capture.asgi import LakewardMiddleware

Message = MutableMapping[str, Any]


async def hello(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer every request; a server may ask for a lifespan too, and is told that there is none."""
    if scope["type"] != "http":
        raise RuntimeError(f"this application knows no {scope['type']}")
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": f"hello from {scope['path']}\n".encode()})


app = LakewardMiddleware(hello, Collector.from_env())


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
