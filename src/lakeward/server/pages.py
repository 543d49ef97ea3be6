"""What a server tells: the live page and its feed, the day, figures, health.

In: requests that the guard let in. Out: answers. All of it is read by people and machines of one's
own; pages of other origins get none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lakeward.capture.asgi import Receive, Scope, Send
from lakeward.server.acting import refuse_partners
from lakeward.server.answer import Headers, Refusal, reply, reply_json
from lakeward.server.assets import VIEWS
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, Handler
from lakeward.server.intake import Request
from lakeward.server.live import EVERYBODY, Reader
from lakeward.server.routes import Found, Part
from lakeward.server.status import Status

PARTS: tuple[Part, ...] = (
    Part("summary", "/v1/summary"),
    Part("live", "/v1/live", ("", "/changes", "/hour", "/record")),
    Part("metrics", "/metrics"),
    Part("health", "/health"),
    Part("page", "/", ("", "/static/{folder}/{file}", *(f"/{view}" for view in VIEWS))),
)


class Live(Protocol):
    """The live page and its feed."""

    paths: Mapping[str, str]
    """Where the server's parts are."""

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, reader: Reader = EVERYBODY
    ) -> None:
        """Serve one request for page, asset, stream or figures."""

    def stop(self) -> None:
        """End all streams."""


class Pages:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, status: Status, live: Live, guard: Guard) -> None:
        self._status = status
        self._live = live
        self._guard = guard

    def moved(self, paths: Mapping[str, str]) -> None:
        """Let the page know where everything is."""
        self._live.paths = paths

    def handlers(self) -> dict[str, Handler]:
        """By part."""
        return {
            "summary": Handler(GET, "read", self._summary),
            "live": Handler(GET, "read", self._live_feed),
            "metrics": Handler(GET, "read", self._metrics),
            "health": Handler(GET, None, self._health),
            "page": Handler(GET, None, self._watch),
        }

    async def _live_feed(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, "What happens live is of everybody together.")
        await self._watch(request, found, headers)

    async def _watch(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        # To the page, all is where it is by default.
        root = next(part.root for part in PARTS if part.name == found.part)
        path = root.rstrip("/") + found.below.format_map(found.steps)
        scope = {**request.scope, "path": path or "/", "root_path": request.prefix}
        await self._live(scope, request.receive, request.send, self._reader(request))

    def _reader(self, request: Request) -> Reader:
        passed = request.passed
        if passed is None:
            return EVERYBODY  # the page itself, which shows nothing of the lake

        async def holds() -> bool:
            """Whether the key or login of then would get in now, and see everything."""
            try:
                now = await self._guard.admit_reader(request.scope, request.headers, request.base)
            except Refusal as refusal:
                return refusal.status == 503  # a database that is away for a moment ends nothing
            return now.partner is None

        return Reader(holds, request.reader)

    async def _summary(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        partner = None if request.passed is None else request.passed.partner
        await reply_json(request.send, await self._status.summary(request.query, partner))

    async def _metrics(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, "These figures are of everybody together.")
        text = await self._status.metrics()
        await reply(request.send, 200, text.encode(), b"text/plain; version=0.0.4; charset=utf-8")

    async def _health(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        health = self._status.health()
        await reply_json(request.send, health, 200 if health["status"] == "ok" else 503)
