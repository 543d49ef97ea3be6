"""Functions as Lambda runs them: the package of `make lambda`, and AWS's own runtime client.

`built` and `client` go to a package index, as whoever makes package and image does. `Runtime`
speaks the part of Lambda's Runtime API (2018-06-01) that a client needs; `Container` is one process
of the client beside it: it is asked one thing after the other, and a deadline or a kill ends it.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

REPO = Path(__file__).resolve().parent.parent
BUILDER = REPO / "deploy" / "package_lambda.py"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:of-a-test"
INVOCATION = "/2018-06-01/runtime/invocation/"


def built(folder: Path) -> Path:
    """The package that takes interactions, as `make lambda` makes it."""
    done = subprocess.run(
        [sys.executable, str(BUILDER), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    return folder / "lakeward-ingest.zip"


def unpacked(package: Path, folder: Path) -> Path:
    """The package in an empty folder, as Lambda has it in /var/task."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return folder


def client(folder: Path) -> Path:
    """AWS's runtime client, of the very version that the image has."""
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-compile", "--require-hashes", "--target", str(folder), "--requirement",
         str(REPO / "requirements" / "lambda-client.txt")],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


class Answer(NamedTuple):
    """What became of an invocation: `response` is the handler's, `failed` says that it raised."""

    content: Any
    failed: bool


class Gone(Exception):
    """The process ended before it answered."""


class Runtime:
    """Lambda's side of the Runtime API, for one container."""

    def __init__(self) -> None:
        self.asked: queue.Queue[tuple[str, bytes, int]] = queue.Queue()
        self.answers: queue.Queue[Answer] = queue.Queue()
        self.polled = threading.Event()
        """Whether the client has asked for work: the handler is loaded."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.runtime = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def address(self) -> str:
        """As AWS_LAMBDA_RUNTIME_API has it."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """End the server."""
        self._server.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    runtime: Runtime

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.stopping = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or the second packet of an answer waits for 40 ms
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        assert self.path == f"{INVOCATION}next"
        runtime = self.server.runtime
        runtime.polled.set()
        while not self.server.stopping.is_set():
            try:
                name, body, deadline = runtime.asked.get(timeout=0.05)
            except queue.Empty:
                continue
            headers = {
                "Lambda-Runtime-Aws-Request-Id": name,
                "Lambda-Runtime-Deadline-Ms": str(deadline),
                "Lambda-Runtime-Invoked-Function-Arn": ARN,
                "Content-Type": "application/json",
            }
            self._say(200, body, headers)
            return
        self.close_connection = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        runtime = self.server.runtime
        if self.path.endswith("/init/error"):
            runtime.answers.put(Answer(json.loads(body), True))
        else:
            runtime.answers.put(Answer(json.loads(body), self.path.endswith("/error")))
        self._say(202, b'{"status":"OK"}', {"Content-Type": "application/json"})

    def _say(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Container:
    """One process of the client; `paths` are what Lambda has in /var/task and /var/runtime."""

    def __init__(
        self, handler: str, paths: list[Path], environ: Mapping[str, str], log: Path, *,
        seconds: float = 29.0, cwd: Path | None = None, prefix: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.runtime = Runtime()
        self._seconds = seconds
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-S", "-m", "awslambdaric", handler],
                env={
                    "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(map(str, paths)),
                    "AWS_LAMBDA_RUNTIME_API": self.runtime.address,
                    "AWS_LAMBDA_FUNCTION_NAME": "of-a-test",
                    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", **environ,
                },
                cwd=cwd or paths[0], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    def invoke(self, event: object, seconds: float | None = None) -> Answer:
        """What the handler says; it is killed at its deadline, as Lambda does."""
        self.ask(event, seconds)
        return self.wait(seconds or self._seconds)

    def wait(self, seconds: float) -> Answer:
        """The next answer; after so long the process is killed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                return self.runtime.answers.get(timeout=0.05)
            except queue.Empty:
                if self.process.poll() is not None:
                    raise Gone(self.process.returncode) from None
        self.kill()
        raise Gone("the deadline")

    def ask(self, event: object, seconds: float | None = None) -> None:
        """Begin an invocation."""
        name = str(uuid.uuid4())
        deadline = round((time.time() + (seconds or self._seconds)) * 1000)
        self.runtime.asked.put((name, json.dumps(event).encode(), deadline))

    def kill(self) -> None:
        """End the process as a machine that goes."""
        self.process.kill()
        self.process.wait(60)

    def close(self) -> None:
        """End both."""
        if self.process.poll() is None:
            self.kill()
        self.runtime.close()


@contextmanager
def container(*arguments: Any, **named: Any) -> Iterator[Container]:
    """A container that ends with the block."""
    made = Container(*arguments, **named)
    try:
        yield made
    finally:
        made.close()
