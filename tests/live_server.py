"""The live page on a real socket: uvicorn in a thread, stopped as a server is stopped."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import uvicorn

from conftest import Lake, wait_until
from lakeward.lake.summary import summarize_named
from lakeward.lakedir import LakeDir, open_lake
from lakeward.server.asking import Asking
from lakeward.server.assets import PAGES
from lakeward.server.feed import Feed
from lakeward.server.live import Live, Message, Receive, Scope, Send
from lakeward.server.wire import RECORD, Order
from lakeward.settings import load
from servers import free_port


class Served:
    """A server that can be stopped and started again on its port."""

    def __init__(self, lake: LakeDir, key: str = "", port: int = 0, **feed: Any) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._lake, self._key, self._feed = lake, key, feed
        self._start()

    def _start(self) -> None:
        self.live = Live(self._lake, feed=Feed(self._lake, **self._feed), keep_alive_seconds=0.5)
        config = uvicorn.Config(
            self._guarded,
            port=self.port,
            log_level="warning",
            lifespan="off",
            ws="none",
            interface="asgi3",
        )
        self._server = uvicorn.Server(config)
        listener = socket.create_server(("127.0.0.1", self.port))
        # Accepted sockets inherit it: a client that does not read is noticed soon.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 10)
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self._thread.start()
        wait_until(lambda: self._server.started, what="the server's start")

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What a real server has in front of the page: a summary, and a key when there is one."""
        wanted = f"Bearer {self._key}".encode()
        path = scope["path"]
        public = path in PAGES or path.startswith("/static/")
        if scope["path"] == "/v1/me":
            keyed = dict(scope["headers"]).get(b"authorization") == wanted
            who = ("key" if keyed else "nobody") if self._key else "anyone"
            await _json(send, 200, {"who": who})
        elif self._key and not public and dict(scope["headers"]).get(b"authorization") != wanted:
            await _json(send, 401, {"code": "key", "message": "this lake needs a read key"})
        elif scope["path"] == "/v1/summary":
            await _json(send, 200, summarize_named(self._lake, "today"))
        elif path.startswith(("/api/traces/", "/api/records/")):
            await _json(send, *await asyncio.to_thread(self._answered, *path.split("/")[2:]))
        else:
            await self.live(scope, receive, send)

    def _answered(self, part: str, wanted: str) -> tuple[int, Any]:
        """As the process that answers questions would."""
        settings = load({"LAKEWARD_LAKE_DIR": str(self._lake.root)}, self._lake.root.parent)
        asking = Asking(self._lake, settings)
        trace = part == "traces"
        content = msgspec.json.encode({"of": wanted} if trace else wanted)
        word, body = asking.answer(Order("trace" if trace else RECORD, msgspec.Raw(content)))
        asking.close()
        said = {"code": word.code, "message": word.message}
        return word.status, msgspec.Raw(body) if word.status == 200 else said

    def stop(self) -> None:
        """End every stream, then the server."""
        [server] = self._server.servers
        server.get_loop().call_soon_threadsafe(self.live.stop)
        self._server.should_exit = True
        self._thread.join(120)
        assert not self._thread.is_alive(), "streams kept the server from stopping"

    def restart(self) -> None:
        """The same address, a new process's memory."""
        self.stop()
        self._start()


async def _json(send: Send, status: int, content: Any) -> None:
    start: Message = {"type": "http.response.start", "status": status,
                      "headers": [(b"content-type", b"application/json")]}  # fmt: skip
    await send(start)
    await send({"type": "http.response.body", "body": msgspec.json.encode(content)})


@contextmanager
def served(lake: Lake, key: str = "", **feed: Any) -> Iterator[Served]:
    """A server of the lake, stopped at the end."""
    server = Served(open_lake(lake.root), key, **feed)
    try:
        yield server
    finally:
        server.stop()


class Silence(AssertionError):
    """Nothing came."""


class Events:
    """A client of the stream that reads when it is told to."""

    def __init__(self, url: str, query: str = "", last: str = "") -> None:
        headers = {"Last-Event-ID": last} if last else {}
        self._client = httpx.Client(timeout=120, verify=False)
        request = self._client.build_request("GET", f"{url}/v1/live{query}", headers=headers)
        self._answer = self._client.send(request, stream=True)
        assert self._answer.status_code == 200, self._answer.read()
        self._lines = self._answer.iter_lines()
        self.last = last
        self.comments = 0
        self.headers = self._answer.headers

    def next(self, seconds: float = 30) -> tuple[str, Any]:
        """The next event's name and data; StopIteration when the server ended the stream."""
        name, data = "", ""
        deadline = time.monotonic() + seconds
        for line in self._lines:
            if time.monotonic() > deadline:
                raise Silence(f"nothing but comments for {seconds:g} s")
            field, _, value = line.partition(": ")
            if not line and name:
                return name, json.loads(data)
            if field == "id":
                self.last = value
            elif field == "event":
                name = value
            elif field == "data":
                data = value
            elif line.startswith(":"):
                self.comments += 1
        raise StopIteration

    def until(self, wanted: str) -> Any:
        """The data of the next event of a name."""
        deadline = time.monotonic() + 120
        while (event := self.next())[0] != wanted:
            assert time.monotonic() < deadline, f"no {wanted} came within 120 s"
        return event[1]

    def rows(self, n: int) -> list[dict[str, Any]]:
        """The next `n` rows that are not from before."""
        found: list[dict[str, Any]] = []
        while len(found) < n:
            batch = self.until("batch")
            found += [] if batch["backlog"] else batch["rows"]
        return found

    def close(self) -> None:
        """Leave."""
        self._answer.close()
        self._client.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
