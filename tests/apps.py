"""Small applications that tests serve, and a stage to call them on without a server.

`uvicorn --factory apps:shop` and the like take the lake from the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import httpx
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response, StreamingResponse

from conftest import Lake
from lakeward.capture.asgi import App, LakewardMiddleware, Message, Receive, Scope, Send, install


class Stage:
    """Applications behind the middleware in this process, and what the lake got of their calls."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.collector = lake.collector()

    def set(self, **settings: str) -> Stage:
        """The same lake under other settings."""
        self.collector.close()
        self.collector = self.lake.collector(**settings)
        return self

    def rows(self) -> list[dict[str, Any]]:
        """Everything recorded, once it is durable."""
        self.collector.commit()
        return self.lake.rows()

    def row(self) -> dict[str, Any]:
        """The one record there is."""
        (row,) = self.rows()
        return row

    def reasons(self) -> dict[str, int]:
        """What was counted instead of recorded."""
        counted: dict[str, int] = self.collector.stats()["reasons"]
        return counted

    def stored(self) -> bytes:
        """Every byte in the lake's files and in its rings."""
        folders = (self.lake.root, self.lake.ring_dir)
        paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        found = []
        for path in paths:
            with contextlib.suppress(FileNotFoundError):  # replaced by the keeper meanwhile
                found.append(path.read_bytes())
        return b"".join(found)

    def wrap(self, app: App, **rules: Any) -> LakewardMiddleware:
        """An application behind the middleware."""
        return LakewardMiddleware(app, self.collector, **rules)

    def installed(self, app: Any, **rules: Any) -> Any:
        """A Starlette or FastAPI application with the middleware installed."""
        install(app, self.collector, **rules)
        return app


def ask(
    app: Any,
    path: str = "/",
    method: str = "GET",
    client: tuple[str, int] = ("203.0.113.7", 4711),
    raises: bool = True,
    **request: Any,
) -> httpx.Response:
    """The application's answer to one request that never leaves this process."""

    async def exchange() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=raises, client=client)
        async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as caller:
            return await caller.request(method, path, **request)

    return asyncio.run(exchange())


def http_scope(path: str = "/", method: str = "GET", **more: Any) -> Scope:
    """What a server hands to an application for one request."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"app.test")],
        "client": ("203.0.113.7", 4711),
        "server": ("127.0.0.1", 80),
    }
    scope.update(more)
    return scope


def websocket_scope(path: str = "/", **more: Any) -> Scope:
    """What a server hands to an application for one WebSocket."""
    scope = http_scope(path, type="websocket", subprotocols=[], **more)
    del scope["method"]
    return scope


def playing(app: App, scope: Scope, *messages: Message) -> Awaitable[list[Message]]:
    """Let the server's side say `messages`, then nothing more; what the application said."""

    async def play() -> list[Message]:
        said: list[Message] = []
        waiting = iter(messages)

        async def receive() -> Message:
            for message in waiting:
                return message
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            said.append(message)

        await app(scope, receive, send)
        return said

    return play()


def play(app: App, scope: Scope, *messages: Message) -> list[Message]:
    """As `playing`, in a loop of its own."""

    async def main() -> list[Message]:
        return await playing(app, scope, *(messages or ({"type": "http.request"},)))

    return asyncio.run(main())


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers everything with two bytes."""
    if scope["type"] == "http":
        await answer(send)


async def answer(send: Send, body: bytes = b"ok", status: int = 200) -> None:
    """One whole response."""
    length = str(len(body)).encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def names_its_process(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers everything with the id of the process that served it; knows no lifespan."""
    assert scope["type"] == "http"
    await answer(send, str(os.getpid()).encode())


def plain() -> App:
    """A plain ASGI application behind the middleware."""
    return LakewardMiddleware(names_its_process)


class Partner(BaseModel):
    """A body that FastAPI validates."""

    name: str
    level: int


def shop() -> FastAPI:
    """A FastAPI application with the middleware installed."""
    app = FastAPI(openapi_url=None)
    routes(app)
    install(app)
    return app


def routes(app: FastAPI) -> None:
    """One route for each way in which a call can end."""

    @app.get("/api/partners/{partner_id}")
    async def partner(partner_id: int) -> dict[str, int]:
        return {"id": partner_id, "pid": os.getpid()}

    @app.post("/api/partners", status_code=201)
    async def add_partner(partner: Partner) -> Partner:
        return partner

    @app.get("/health")
    async def health() -> str:
        return "ok"

    @app.get("/boom")
    async def boom() -> None:
        raise LookupError("token=hunter2secret")

    @app.get("/events")
    async def events() -> Response:
        return StreamingResponse(endless(), media_type="text/event-stream")

    @app.get("/later")
    async def later() -> Response:
        return JSONResponse({}, background=BackgroundTask(asyncio.sleep, 600))

    @app.websocket("/echo/{room}")
    async def echo(websocket: WebSocket, room: str) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(f"{room}: {text}")

    @app.websocket("/closed")
    async def closed(websocket: WebSocket) -> None:
        await websocket.close()


async def endless() -> AsyncIterator[bytes]:
    """Server-sent events until the client goes away."""
    n = 0
    while True:
        yield b"data: %d\n\n" % n
        n += 1
        await asyncio.sleep(0.01)


def counted(app: App) -> App:
    """Says of each call that it reached the application."""

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            print("the app was called", flush=True)
        await app(scope, receive, send)

    return counting


def counted_plain() -> App:
    """Any path, any method; reads the body and answers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while scope["type"] == "http" and (await receive()).get("more_body"):
            pass
        await ok(scope, receive, send)

    return counted(LakewardMiddleware(app))


def counted_fastapi() -> App:
    """One route of a FastAPI application takes every path."""
    app = FastAPI()

    @app.api_route("/{rest:path}", methods=["GET", "OPTIONS", "TRACE", "PROPFIND"])
    async def any_path(rest: str) -> dict[str, str]:
        return {"rest": rest}

    install(app)
    return counted(app)
