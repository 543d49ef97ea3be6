"""`lakeward serve` as a process on a free port of the loopback, ended by its own id."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from conftest import Lake, alive, wait_until
from lakeward.settings import load
from lakeward.store.database import open_database

ADDRESS = re.compile(r"serving (http://\S+:(\d+)/)")


class Serving:
    """A running server: its address, its process, its workers, and a client."""

    def __init__(
        self, process: subprocess.Popen[bytes], output: Path, health: str = "/health"
    ) -> None:
        self._health = health
        self.process = process
        self.output = output
        self.url = ""
        self.port = 0

    def has_started(self) -> bool:
        """Whether it answers; fails when the process has ended."""
        printed, ended = self.output.read_text(), self.process.poll()
        assert ended is None, f"the server ended with {ended}:\n{printed}"
        found = ADDRESS.search(printed)
        if found is None:
            return False
        self.url, self.port = found[1].rstrip("/"), int(found[2])
        try:
            return httpx.get(self.url + self._health, verify=False, timeout=120).status_code == 200
        except httpx.TransportError:
            return False

    def workers(self) -> list[int]:
        """Processes that the server started and that run."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [pid for pid in map(int, path.read_text().split()) if alive(pid)]

    def client(self, **options: object) -> httpx.Client:
        """An HTTP client for it. Without certificates, which nothing on the loopback has: to load
        them takes as long as fifty requests."""
        options = {"base_url": self.url, "timeout": 20, "verify": False, **options}
        return httpx.Client(**options)  # type: ignore[arg-type]  # passed on

    def stop(self) -> int:
        """End it politely; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextmanager
def serving(lake: Lake, *options: str, health: str = "/health", **env: str) -> Iterator[Serving]:
    """`lakeward serve` on `lake`; yields once it answers. It finds the lake's database made, which
    is quicker here than in a process that loads alembic for it."""
    if "LAKEWARD_DATABASE_URL" not in env:
        open_database(load(lake.env, lake.root.parent)).close()
    with first_serving(lake, *options, health=health, **env) as server:
        yield server


@contextmanager
def first_serving(
    lake: Lake, *options: str, health: str = "/health", **env: str
) -> Iterator[Serving]:
    """The same on a lake that is not there yet."""
    output = lake.root.parent / "serve.log"
    command = [sys.executable, "-m", "lakeward.cli", "serve", "--port", "0", *options]
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=lake.root.parent, env=lake.process_env(**env), stdout=file,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    server = Serving(process, output, health)
    try:
        wait_until(server.has_started, what="the server's first answer")
        yield server
    finally:
        server.stop()
