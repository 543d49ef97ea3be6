"""A real server process on a free port of the loopback: started, awaited, ended by its own pid.

A server that knows no lifespan of its app ends by its signal, without any `close()`: what it
recorded is in the lake once the keeper has taken its rings over, so tests wait for `settled`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import Lake, alive, wait_until
from lakeward.audit import Report

HERE = Path(__file__).parent
START_SECONDS, STOP_SECONDS = 120.0, 120.0


class Server:
    """A running server: where it listens, its process and its workers."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, output: Path) -> None:
        self.process = process
        self.port = port
        self.output = output
        self.url = f"http://127.0.0.1:{port}"

    def connect(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=120)

    def workers(self) -> list[int]:
        """Processes that the server started and that run."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def has_started(self, word: str, times: int) -> bool:
        """Whether it printed `word` so often and accepts; fails when the process has ended."""
        printed, ended = self.output.read_text(), self.process.poll()
        assert ended is None, f"the server ended with {ended}:\n{printed}"
        if printed.count(word) < times:
            return False
        try:
            self.connect().close()
        except OSError:
            return False
        return True

    def stop(self) -> str:
        """End it politely, then by force, with all its workers; returns what it printed."""
        workers = self.workers() if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in workers:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        return self.output.read_text()


@contextmanager
def uvicorn(
    app: str, env: dict[str, str], *options: str, workers: int = 1, folder: Path
) -> Iterator[Server]:
    """`uvicorn --factory app` with its output in `folder`; yields once every worker has started."""
    arguments = ["uvicorn", "--factory", app, "--port", "{port}", "--no-access-log"]
    arguments += ["--workers", str(workers), *options]
    with _running(arguments, env, folder, "Started server process", workers) as server:
        yield server


@contextmanager
def gunicorn(
    app: str, env: dict[str, str], *options: str, workers: int = 1, kind: str = "asgi", folder: Path
) -> Iterator[Server]:
    """`gunicorn app` with workers of a kind; yields once every worker listens.

    Before that, a worker would not hear of SIGTERM and the server would wait for it in vain.
    """
    arguments = ["gunicorn", app, "--bind", "127.0.0.1:{port}", "--no-control-socket"]
    arguments += ["--worker-class", kind, "--workers", str(workers), *options]
    started = "ASGI server listening" if kind == "asgi" else "Booting worker"
    with _running(arguments, env, folder, started, workers) as server:
        yield server


@contextmanager
def granian(
    app: str, env: dict[str, str], *options: str, workers: int = 1, kind: str, folder: Path
) -> Iterator[Server]:
    """`granian app` for ASGI or WSGI; yields once every worker has started."""
    arguments = ["granian", app, "--interface", kind, "--host", "127.0.0.1", "--port", "{port}"]
    arguments += ["--workers", str(workers), *options]
    with _running(arguments, env, folder, "Started worker-", workers) as server:
        yield server


@contextmanager
def _running(
    arguments: list[str], env: dict[str, str], folder: Path, started: str, workers: int
) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", *(part.replace("{port}", str(port)) for part in arguments)]
    output = folder / f"server-{port}.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=HERE, env=env, stdout=file, stderr=subprocess.STDOUT
        )
    server = Server(process, port, output)
    try:
        wait_until(lambda: server.has_started(started, workers), START_SECONDS, started)
        yield server
    finally:
        server.stop()


def settled(lake: Lake, offered: int) -> Report:
    """The audit once all that ended processes were offered is in its place."""
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        report = lake.settled()
        under_way = report.sum["waiting"] + report.sum["in_flight"]
        if (report.sum["offered"] == offered and not under_way) or time.monotonic() > deadline:
            return report
        time.sleep(0.05)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
