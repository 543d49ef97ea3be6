"""The live page for benchmarks and pictures: its server as a process, and Chromium to look at it.

Run as a script it serves the lake of the environment: prints the port as JSON, ends when its input
ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, sync_playwright

from lakeward.lakedir import open_lake
from lakeward.server.live import Live

CHROMIUM = os.environ.get("LAKEWARD_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


async def serve() -> None:
    """Serve the page until the input ends."""
    live = Live(open_lake(Path(os.environ["LAKEWARD_LAKE_DIR"])))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(live, log_level="error", lifespan="off", interface="asgi3")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    live.stop()
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(serve())
