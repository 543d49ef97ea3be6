"""The server's way in, mounted inside the host's own ASGI application.

    app.mount("/_lakeward", mounted(collector))

In: the app's collector. Out: an ASGI application that takes what browsers and SDKs send, under the
host's own origin: no second port, no CORS, no name that ad-blockers know. It records into the same
ring as the app does; reading (dashboard, metrics) stays with `lakeward serve`. Fails at the first
request, with a 503 and one sentence in the log, when the lake or the app database cannot be opened.

Pages of the same origin need no key (`own_pages`): they may send what a write key may by default.
Everybody else needs one.
"""

from __future__ import annotations

import asyncio
import logging
import time

from lakeward.capture.asgi import Receive, Scope, Send
from lakeward.collector import Collector
from lakeward.errors import LakewardError
from lakeward.lakedir import open_lake
from lakeward.ringdir import ring_folder
from lakeward.server.answer import Refusal, reply_refusal
from lakeward.server.app import Server
from lakeward.server.gauges import Gauges
from lakeward.server.guard import Guard
from lakeward.server.intake import intake_of
from lakeward.server.keyring import CachedKeyring
from lakeward.server.rates import Rates

logger = logging.getLogger("lakeward.server")


class Mounted:
    """The application; what it needs is opened by the first request, in the process that serves
    it, so that it may be made before a server forks."""

    def __init__(self, collector: Collector, *, own_pages: bool = True) -> None:
        self._collector = collector
        self._own_pages = own_pages
        self._server: Server | None = None
        self._opening: asyncio.Task[Server] | None = None
        self._complained = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; the host's lifespan is the host's."""
        if scope["type"] == "lifespan":
            await _idle(receive, send)
            return
        try:
            server = self._server or await self._opened()
        except (LakewardError, OSError) as error:
            self._complain(error)
            refusal = Refusal(503, "not_open", "The lake cannot be opened: try again later.",
                              retry_after=5)  # fmt: skip
            if scope["type"] == "http":
                await reply_refusal(send, refusal)
            return
        await server(scope, receive, send)

    def _complain(self, error: Exception) -> None:
        """Once a minute: every request tries again."""
        now = time.monotonic()
        if now >= self._complained:
            self._complained = now + 60.0
            logger.error("lakeward cannot take what browsers send: %s", error)

    async def _opened(self) -> Server:
        """The server; of many first requests one opens it and the others wait."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        opening = self._opening
        try:
            self._server = await asyncio.shield(opening)
        finally:
            if opening.done():
                self._opening = None
        return self._server

    def _open(self) -> Server:
        collector, settings = self._collector, self._collector.settings
        lake = open_lake(settings.lake_dir)
        rates = Rates(ring_folder(lake, settings.ring_dir) / "rates", collector.lasting_salt())
        gauges = Gauges(None, 0, 1)
        keyring = CachedKeyring(settings)
        guard = Guard(
            keyring, loopback=False, hosts=settings.allowed_hosts, own_pages=self._own_pages
        )
        try:
            server = Server(collector, guard, intake_of(collector, guard, rates, gauges), gauges)
        except BaseException:
            keyring.close()
            raise
        # Last of all: its thread lives as long as the process, and every request tries again.
        keyring.start()
        return server


def mounted(collector: Collector, *, own_pages: bool = True) -> Mounted:
    """An ASGI application that takes interactions into the collector's lake, to be mounted in the
    host's; with `own_pages` its pages need no key."""
    return Mounted(collector, own_pages=own_pages)


async def _idle(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
