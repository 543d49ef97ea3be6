"""The application under uvicorn (uvloop, httptools) on a free port of 127.0.0.1.

It prints its port as JSON, answers any line on its input with the CPU time that it has used, and
shuts down when that input ends. `delayed` waits a planted millisecond in each call: what a
benchmark of latency must notice. The variants `demo-…` are the same of the demo's platform.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
import threading
import time

import uvicorn

from traffic import App, Receive, Scope, Send, application

PLANTED = 0.001


def delayed(app: App) -> App:
    """Each call a millisecond later."""

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(PLANTED)
        await app(scope, receive, send)

    return late


def platform(name: str) -> App:
    """The demo's platform; collection is on in `demo-on` alone."""
    if name != "demo-on":
        os.environ["ENABLE_DATA_COLLECTION"] = "false"
    os.environ["DEMO_DATABASE"] = tempfile.mkdtemp() + "/demo.db"
    from lakeward.demo.app import create

    app: App = create()
    return delayed(app) if name == "demo-delayed" else app


def variant(name: str) -> App:
    """The application that is to be served."""
    if name.startswith("demo-"):
        return platform(name)
    if name == "on":
        from lakeward.capture.asgi import LakewardMiddleware

        middleware: App = LakewardMiddleware(application())
        return middleware
    return delayed(application()) if name == "delayed" else application()


def answer(server: uvicorn.Server) -> None:
    """Say how much CPU was used whenever asked; stop the server at the end of input."""
    while sys.stdin.readline():
        print(json.dumps({"cpu": time.process_time()}), flush=True)
    server.should_exit = True


def main() -> None:
    """Serve the variant that the argument names."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    config = uvicorn.Config(
        variant(sys.argv[1]), loop="uvloop", http="httptools", log_level="error", access_log=False,
        timeout_keep_alive=3600,
    )  # fmt: skip
    server = uvicorn.Server(config)
    threading.Thread(target=answer, args=(server,), daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
