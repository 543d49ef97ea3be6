"""What taking interactions over HTTP costs, beside FastAPI with pydantic and fastify with ajv.

The same batches of page views go to three servers in turn. Lakeward checks, scrubs and commits
them, and answers when they are durable; the others check them and write the same lines to a file
that nobody syncs. What counts is the CPU of all processes of a server, Lakeward's keeper included;
the client is a process of its own and counts for nobody. The rivals are asked for their own form of
the check: a pydantic model, a JSON schema.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from load import read_answer
from measure import HERE, Report, cpu_seconds, disk, interleaved, scratch, spread, table

BATCHES = {1: 600, 10: 300, 100: 120, 1000: 24}
"""Batch size → requests in a block."""
ROUNDS, CONNECTIONS = 9, 4
EVENT_US, OF_FASTAPI, OF_FASTIFY = 6.0, 0.55, 1.05
ALONE = {"LAKEWARD_COMPACT": "false", "LAKEWARD_INDIVIDUAL_FILES": "off"}
"""What follows the log comes later, at its own pace, and has benchmarks of its own."""
FASTIFY = HERE / "fastify"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/139.0.0.0 Safari/537.36"


def event(n: int) -> dict[str, Any]:
    """The n-th page view: 300 people, 997 pages, 20 numbers of a list."""
    return {
        "interaction_type": "page_view",
        "timestamp": f"2026-11-25T20:{n // 60 % 60:02d}:{n % 60:02d}.{n % 1000:03d}Z",
        "user_id": f"u-{n % 300}",
        "anonymous_id": f"0198a3c1-7d2e-8f40-9c3b-{n % 300:012d}",
        "session_id": f"0198a3c1-7d2e-8f40-9c3b-{n % 900:012d}",
        "url": f"https://app.example.com/partners/{n * 7 % 997}?page={n % 20}",
        "referrer": "https://www.example.org/",
        "title": "Partners near you",
        "properties": {"variant": "b", "scroll": n % 100, "locale": "en-US"},
    }


def requests(size: int) -> list[bytes]:
    """Requests as bytes for a socket, different ones in turn."""
    made = []
    for first in range(0, 6000, max(size, 100)):
        body = msgspec.json.encode([event(first + n) for n in range(size)])
        head = (
            f"POST /v1/interactions HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {AGENT}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


def ask() -> None:
    """The client, as a process of its own: carries out orders, one a line."""
    ready = {size: requests(size) for size in BATCHES}
    print("{}", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        size, address = order["size"], ("127.0.0.1", order["port"])
        with contextlib.ExitStack() as held:
            links = [
                held.enter_context(socket.create_connection(address, 60))
                for _ in range(CONNECTIONS)
            ]
            for n in range(0, order["count"], CONNECTIONS):
                for k, link in enumerate(links):
                    link.sendall(ready[size][(n + k) % len(ready[size])])
                for link in links:
                    read_answer(link)
        print("{}", flush=True)


class Running:
    """A server: its port and its processes."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def cpu(self) -> float:
        """CPU seconds of the process and its children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return sum(map(cpu_seconds, [self.process.pid, *map(int, children.split())]))


@contextlib.contextmanager
def rival(command: list[str], folder: Path) -> Iterator[Running]:
    """A server that prints its port as JSON and ends when its input ends."""
    process = subprocess.Popen(
        [*command, str(folder / "lines.jsonl")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Running(process, json.loads(process.stdout.readline())["port"])
    finally:
        process.stdin.close()
        process.wait(15)


@contextlib.contextmanager
def lakeward(environ: dict[str, str]) -> Iterator[Running]:
    """`lakeward serve` with one worker."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lakeward.cli", "serve", "--port", "0"],
        env={**os.environ, **environ, **ALONE}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Running(process, _port(process.stderr))
    finally:
        process.terminate()
        process.wait(20)


def _port(said: IO[str] | None) -> int:
    assert said is not None
    found = re.search(r"http://\S+:(\d+)/", said.readline())
    assert found
    return int(found[1])


def node_server() -> list[str] | None:
    """The command of the rival in Node, its packages installed; None without Node."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    if not (FASTIFY / "node_modules").is_dir():
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=FASTIFY, check=True
        )
    return ["node", str(FASTIFY / "server.js")]


def measure(rounds: int) -> dict[str, list[float]]:
    """CPU µs of each event, by server and batch size."""
    found: dict[str, list[float]] = {}
    folder = Path(tempfile.mkdtemp(prefix="lakeward-bench-", dir=disk()))
    client = subprocess.Popen([sys.executable, str(HERE / "ingest.py"), "--ask"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert client.stdin is not None
    assert client.stdout is not None
    with contextlib.ExitStack() as held:
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        held.callback(client.wait, 15)
        held.callback(client.stdin.close)
        servers = {"lakeward": held.enter_context(lakeward(held.enter_context(scratch())))}
        python = [sys.executable, str(HERE / "pydantic_app.py")]
        servers["fastapi"] = held.enter_context(rival(python, folder))
        node = node_server()
        if node is not None:
            servers["fastify"] = held.enter_context(rival(node, folder))
        client.stdout.readline()
        names = [f"{server}/{size}" for size in BATCHES for server in servers]
        for number, name in interleaved(names, rounds + 1):
            server, size = name.split("/")
            count = BATCHES[int(size)]
            before = servers[server].cpu()
            order = {"port": servers[server].port, "size": int(size), "count": count}
            client.stdin.write(json.dumps(order) + "\n")
            client.stdin.flush()
            assert client.stdout.readline(), "the client failed"
            if number:
                used = servers[server].cpu() - before
                found.setdefault(name, []).append(used / count / int(size) * 1e6)
    return found


def main() -> None:
    """Measure and report."""
    report = Report("ingest")
    found = measure(report.rounds(ROUNDS))
    report.figures = found
    servers = list(dict.fromkeys(name.split("/")[0] for name in found))
    rows = [
        [f"{size:,}", *(spread(found[f"{server}/{size}"]).text(1) for server in servers)]
        for size in BATCHES
    ]
    report.say("CPU of each event, µs, all processes of a server: median (least…most).")
    report.say(table(["batch", *servers], rows))
    if "fastify" not in servers:
        report.say("fastify is left out: there is no Node here.")
    mine = found["lakeward/100"]
    report.goal("lakeward: CPU per event, batches of 100", spread(mine).median, EVENT_US, "µs")
    for server, limit in (("fastapi", OF_FASTAPI), ("fastify", OF_FASTIFY)):
        if server in servers:
            pairs = zip(mine, found[f"{server}/100"], strict=True)
            ratio = spread([a / b for a, b in pairs]).median
            report.goal(f"lakeward ÷ {server}, batches of 100", ratio, limit, "")
    report.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ask"]:
        ask()
    else:
        main()
