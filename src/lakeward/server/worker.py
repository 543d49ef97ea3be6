"""One worker: the server's application under uvicorn, on a socket that its supervisor opened.

In: settings from the environment, a listening socket, a pipe of the supervisor. Out: a process that
answers until SIGTERM, or until the pipe's other end is gone. It records into a ring as every app
does and keeps nothing: the supervisor is the keeper.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
from functools import partial
from types import FrameType
from typing import cast

import msgspec
import uvicorn

from lakeward.collector import Collector
from lakeward.errors import LakewardError
from lakeward.lake.summary import summarize_named
from lakeward.lake.turns import Turns
from lakeward.lakedir import open_lake
from lakeward.ringdir import known_folders, ring_folder
from lakeward.server.app import Server
from lakeward.server.asker import Asker
from lakeward.server.connection import Connection
from lakeward.server.gauges import Gauges
from lakeward.server.guard import Guard
from lakeward.server.intake import intake_of
from lakeward.server.keyring import CachedKeyring
from lakeward.server.live import Live
from lakeward.server.login import LoginRoom
from lakeward.server.logins import CachedLogins
from lakeward.server.oidc import Oidc, provider_of
from lakeward.server.order import Order
from lakeward.server.pages import Pages
from lakeward.server.rates import Rates
from lakeward.server.rooms import Room, Site, rooms
from lakeward.server.status import Status
from lakeward.server.unread import Unread
from lakeward.settings import MIB, Settings, load
from lakeward.store.database import open_database
from lakeward.store.entrance import Entrance
from lakeward.store.password import Passwords

GRACE_SECONDS = 3
KEEP_ALIVE_SECONDS = 75
GARBAGE = 50_000, 20, 20
"""Thresholds of the garbage collector: a batch is thousands of dicts and none of them a cycle."""
FRAME_BYTES, RING_BYTES = 8 * MIB, 48 * MIB
"""What a worker's ring holds at least: two of the largest batches, with what is added to each."""


class Process(uvicorn.Server):
    """uvicorn, ending the live streams as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, live: Live, asker: Asker, pipe: int) -> None:
        super().__init__(config)
        self._live = live
        self._asker = asker
        self._pipe = pipe
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGINT."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._live.stop)
        super().handle_exit(sig, frame)

    async def main_loop(self) -> None:
        """As uvicorn's, watching the supervisor."""
        loop = self._loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe, self._orphaned)
        await super().main_loop()
        loop.remove_reader(self._pipe)
        self._live.stop()
        await self._asker.close()

    def _orphaned(self) -> None:
        if not os.read(self._pipe, 64):
            self.handle_exit(signal.SIGTERM, None)


def worker_settings(settings: Settings) -> Settings:
    """The server's settings as its workers have them: kept by the supervisor, with a large ring."""
    return msgspec.structs.replace(
        settings,
        keeper="external",
        collect=True,
        frame_bytes=max(settings.frame_bytes, FRAME_BYTES),
        ring_bytes=max(settings.ring_bytes, RING_BYTES),
    )


def serve(settings: Settings, order: Order) -> None:
    """Answer until told to stop."""
    lake = open_lake(settings.lake_dir, create=False)
    ring_dir = ring_folder(lake, settings.ring_dir)
    collector = Collector(worker_settings(settings))
    gauges = Gauges(ring_dir / "answers.gauges", order.number, order.workers)
    database = open_database(settings)
    keyring = CachedKeyring(settings, database)
    logins = CachedLogins(database, keyring)
    live = Live(lake, internal=settings.internal)
    folders = known_folders(lake, settings.ring_dir)
    summarize = partial(
        summarize_named, ring_dir=settings.ring_dir, turns=Turns(settings.ai_prices)
    )
    status = Status(lake, folders, collector, gauges, summarize)
    guard = Guard(
        keyring, loopback=order.loopback, hosts=order.hosts, logins=logins,
        public_url=settings.public_url,
    )  # fmt: skip
    rates = Rates(ring_dir / "rates", collector.lasting_salt())
    intake = intake_of(collector, guard, rates, gauges)
    entrance = Entrance(database, Passwords(), login_seconds=settings.login_seconds)
    provider = provider_of(settings)
    oidc = None if provider is None else Oidc(
        provider, settings.public_url, entrance=entrance, logins=logins, guard=guard, intake=intake
    )  # fmt: skip
    way_in = LoginRoom(entrance, logins, guard, intake, elsewhere=oidc)
    environ = {**os.environ, "LAKEWARD_LAKE_DIR": str(lake.root.absolute())}
    asker = Asker(environ, seconds=settings.query_seconds)
    site = Site(settings, lake, collector, database, guard, intake, asker, status)
    own: list[Room] = [Pages(status, live, guard), way_in]
    application = Server(collector, guard, intake, gauges, [*own, *rooms(site)])
    connection = cast(type[Connection], partial(Connection, unread=Unread(gauges.cut)))
    config = uvicorn.Config(
        application, loop="auto", http=connection, log_level="error", access_log=False,
        server_header=False, lifespan="on", timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS, proxy_headers=False, ws="none",
    )  # fmt: skip
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    with keyring.refreshed(), socket.socket(fileno=order.socket) as listener:
        Process(config, live, asker, order.pipe).run(sockets=[listener])


def main() -> int:
    """Entry of the process: the order is its one argument."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is a descriptor
    try:
        serve(load(), msgspec.json.decode(sys.argv[1], type=Order))
    except (LakewardError, OSError) as error:
        logging.getLogger("lakeward.server").error("%s", error)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":  # in the supervisor's folder: `.env` and `alerts.toml` are beside it
    sys.exit(main())
