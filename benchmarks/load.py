"""The client of the benchmarks under uvicorn: a process of its own with keep-alive connections.

Each line on its input is an order, a JSON object; it answers each with one line and ends when its
input ends.

    {"port": 5000, "requests": 4000, "connections": 8}    as fast as the answers come
    {"port": 5000, "requests": 800, "rate": 400}          one at a time, 400 a second
    {…, "path": "/library"}                               always the same page
"""

from __future__ import annotations

import gc
import json
import socket
import sys
import time
from itertools import cycle
from typing import Any

from traffic import wire

REQUESTS = cycle(wire(2000))
LINKS: dict[int, list[socket.socket]] = {}


def links(port: int, count: int) -> list[socket.socket]:
    """`count` open connections to `port`, kept for the next order."""
    found = LINKS.setdefault(port, [])
    while len(found) < count:
        link = socket.create_connection(("127.0.0.1", port), 30)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found.append(link)
    return found[:count]


def more(link: socket.socket) -> bytes:
    """What came next; a server that hangs up has failed."""
    data = link.recv(65_536)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def read_answer(link: socket.socket) -> None:
    """Read one answer to its last byte; it must be a 200."""
    data = more(link)
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += more(link)
    head = data[:end].lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(data) < end + 4 + length:
        data += more(link)
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(head.decode("latin-1"))


def press(port: int, requests: int, connections: int) -> dict[str, Any]:
    """As many requests as connections at a time."""
    held = links(port, connections)
    began = time.perf_counter()
    for _ in range(requests // connections):
        for link in held:
            link.sendall(next(REQUESTS))
        for link in held:
            read_answer(link)
    made = requests // connections * connections
    return {"requests": made, "seconds": time.perf_counter() - began}


def stroll(port: int, requests: int, rate: float, path: str = "") -> dict[str, Any]:
    """One request at a time at a steady rate: the milliseconds of each, in order of size."""
    link = links(port, 1)[0]
    times = []
    asked = cycle([f"GET {path} HTTP/1.1\r\nHost: demo\r\n\r\n".encode()]) if path else REQUESTS
    start = time.perf_counter()
    for n in range(requests):
        ahead = start + n / rate - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
        request = next(asked)
        began = time.perf_counter()
        link.sendall(request)
        read_answer(link)
        times.append((time.perf_counter() - began) * 1e3)
    return {"times": sorted(times), "seconds": time.perf_counter() - start}


def main() -> None:
    """Carry out orders."""
    gc.disable()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        answer = stroll(**order) if "rate" in order else press(**order)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
