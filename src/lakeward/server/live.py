"""The dashboard and its feed, as one ASGI callable.

    GET /, /live, /funnels …   the page, one for all `VIEWS`
    GET /static/…              its scripts, styles and icon, compressed where that is understood
    GET /v1/live               server-sent events (`stream`), filtered by its query (`sieve`)
    GET /v1/live/changes       server-sent events that tell when there is something new (`changes`)
    GET /v1/live/hour          the last hour as JSON, of `type` and `route` if given
    GET /v1/live/record?at=…   one whole record, formatted

In: a lake's folder. Out: answers; anything else is a 4xx with `code` and `message`. Who may ask is
decided in front of this: a 401 makes the page ask for a key, which it sends as `Authorization:
Bearer`. The page needs nothing from outside and no inline code, and says so in the strictest
Content-Security-Policy that it can live with. HEAD is answered as GET without a body.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

import msgspec

from lakeward.errors import LakewardError, Rejected
from lakeward.lakedir import LakeDir
from lakeward.log import Position
from lakeward.server.answer import Refusal, reply_refusal
from lakeward.server.assets import KINDS, PAGES, File, placed, read_static
from lakeward.server.changes import Changes
from lakeward.server.feed import Feed
from lakeward.server.sieve import Sieve, parse_sieve
from lakeward.server.stream import KEEP_ALIVE_SECONDS, Stream
from lakeward.server.tail import Tail, parse_position
from lakeward.server.whole import look_up

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Query = dict[str, list[str]]

MOST_STREAMS = 64
MOST_EACH = 16
"""Of them of one key or person: a browser has three at most."""
WHOLE_HOUR_SECONDS = 10.0
FAREWELL_SECONDS = 1.0

CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src "
    b"'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
FEED: Final = frozenset({"/v1/live", "/v1/live/changes", "/v1/live/hour", "/v1/live/record"})
HOLD_SECONDS = 1.0
"""How often a stream looks whether its reader may still read."""
PAGE_HEADERS: Headers = [
    (b"content-security-policy", CSP),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
JSON_HEADERS: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


class Reader(msgspec.Struct, frozen=True):
    """Who reads, let in by what stands in front of this."""

    holds: Callable[[], Awaitable[bool]] | None = None
    """Whether he may read on; None: he may."""
    name: str = ""
    """Key or person, who has a share of the streams; empty: of this machine."""


EVERYBODY = Reader()


class Written(Protocol):
    """What writes a stream."""

    async def run(self) -> None:
        """Write until cancelled."""


class Live:
    """Answers for one lake; `stop` ends all streams at once."""

    def __init__(
        self, lake: LakeDir, *, feed: Feed | None = None,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS, internal: Collection[str] = (),
    ) -> None:  # fmt: skip
        self.feed = feed or Feed(lake, internal=internal)
        self._lake = lake
        self.paths: Mapping[str, str] = {"page": "/"}
        self._keep_alive = keep_alive_seconds
        self._stopping = asyncio.Event()
        self._streams: Counter[str] = Counter()
        self._files: dict[str, File] | None = None

    def stop(self) -> None:
        """End every stream; call it on the event loop (`loop.call_soon_threadsafe(live.stop)`)."""
        self._stopping.set()
        self.feed.stop()

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, reader: Reader = EVERYBODY
    ) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"the live page speaks HTTP, not {scope['type']}")
        try:
            await self._answer(scope, receive, send, reader)
        except Refusal as refusal:
            await reply_refusal(send, refusal)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, reader: Reader) -> None:
        path = scope["path"]
        known = path in PAGES or path in FEED
        if not known and not path.startswith("/static/"):
            raise Refusal(404, "not_found", "There is nothing here.")
        if scope["method"] not in {"GET", "HEAD"}:
            raise Refusal(405, "wrong_method", "Only GET and HEAD.", allow=("GET", "HEAD"))
        if path in ("/v1/live", "/v1/live/changes"):
            await self._stream(scope, receive, send, reader)
        elif path == "/v1/live/hour":
            await _respond(scope, send, 200, JSON_HEADERS, await self._hour(_query(scope)))
        elif path == "/v1/live/record":
            await _respond(scope, send, 200, JSON_HEADERS, await self._record(_query(scope)))
        else:
            await self._file(scope, send, path)

    async def _file(self, scope: Scope, send: Send, path: str) -> None:
        if self._files is None:
            self._files = await asyncio.to_thread(read_static)
        name = "index.html" if path in PAGES else path.removeprefix("/static/")
        file = self._files.get(name)
        if file is None:
            raise Refusal(404, "not_found", "There is no such file.")
        # Names carry a hash of the content, save the page's own.
        page = name == "index.html"
        age = b"no-cache" if page else b"public, max-age=31536000, immutable"
        kind = KINDS.get(Path(name).suffix, b"application/octet-stream")
        headers = [(b"content-type", kind), (b"cache-control", age), *PAGE_HEADERS]
        if page:
            content = placed(file.content, scope.get("root_path", ""), self.paths)
        elif file.packed:
            headers.append((b"vary", b"accept-encoding"))
            packed = "gzip" in _header(scope, b"accept-encoding")
            content = file.packed if packed else file.content
            headers += [(b"content-encoding", b"gzip")] if packed else []
        else:
            content = file.content
        await _respond(scope, send, 200, headers, content)

    async def _hour(self, query: Query) -> bytes:
        feed, sieve = self.feed, _sieve(query)
        await feed.ready()
        await feed.whole(WHOLE_HOUR_SECONDS)
        hour = feed.hour.snapshot(feed.now_ms, sieve.types, sieve.route)
        found = {
            "hour": hour,
            "online": feed.online.snapshot(feed.now_ms),
            "lit": feed.lights.snapshot(),
            "loading": feed.loading,
            "cut": feed.cut,
            "trouble": feed.trouble,
        }
        return msgspec.json.encode(found)

    async def _record(self, query: Query) -> bytes:
        feed = self.feed
        at = parse_position(query.get("at", [""])[-1])
        if at is None:
            raise Refusal(400, "at", "`at` is a position such as 1-3-52110.")
        await feed.ready()
        try:
            found = await asyncio.to_thread(look_up, feed.tail, at, feed.head)
        except (OSError, LakewardError):
            raise Refusal(503, "log", "The log cannot be read: try again in a moment.") from None
        return msgspec.json.encode(found)

    async def _stream(self, scope: Scope, receive: Receive, send: Send, reader: Reader) -> None:
        sieve, after = _sieve(_query(scope)), _header(scope, b"last-event-id")
        if reader.name and self._streams[reader.name] >= MOST_EACH:
            message = f"{MOST_EACH} windows watch with this key or login: close one of them."
            raise Refusal(429, "too_many_streams", message, retry_after=5)
        if self._streams.total() >= MOST_STREAMS or self._stopping.is_set():
            message = "Too many watch already: try again in a moment."
            raise Refusal(503, "busy", message, retry_after=5)
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return

        async def write(content: bytes) -> None:
            await send({"type": "http.response.body", "body": content, "more_body": True})

        stream: Written
        if scope["path"] == "/v1/live/changes":
            end = Tail(self._lake).end
            stream = Changes(end, after, write, keep_alive_seconds=self._keep_alive)
        else:
            # A position that makes no sense is one that cannot be gone on from.
            position = (parse_position(after) or Position(-1)) if after else None
            stream = Stream(self.feed, sieve, position, write, self._keep_alive)
        self._streams[reader.name] += 1
        try:
            if await self._until_gone(stream, receive, reader):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FAREWELL_SECONDS):
                        await send({"type": "http.response.body"})
        finally:
            self._streams -= Counter({reader.name: 1})

    async def _until_gone(self, stream: Written, receive: Receive, reader: Reader) -> bool:
        """Run the stream until the client leaves (False), or this server stops or the reader may
        read no more (True)."""
        running = asyncio.create_task(stream.run())
        gone = asyncio.create_task(_disconnect(receive))
        stopping = asyncio.create_task(self._stopping.wait())
        shut = asyncio.create_task(_shut_out(reader))
        tasks = {running, gone, stopping, shut}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError, OSError, LakewardError):
            running.result()  # a disk that fails ends the stream, and the client comes again
        return gone not in done


async def _shut_out(reader: Reader) -> None:
    """Return once the reader may read no more."""
    if reader.holds is None:
        await asyncio.Event().wait()
        return
    while await reader.holds():
        await asyncio.sleep(HOLD_SECONDS)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _query(scope: Scope) -> Query:
    try:
        return parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=40)
    except ValueError:
        raise Refusal(400, "query", "The query has more than 40 parameters.") from None


def _sieve(query: Query) -> Sieve:
    try:
        return parse_sieve(query)
    except Rejected as error:
        raise Refusal(400, "filter", f"{error}.") from None


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""
