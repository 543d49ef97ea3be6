"""The calls that the benchmarks make: an application with one JSON route, and requests to it.

Requests look like a browser's: ten headers, a path with an id, a query on every fourth, a few
hundred people with their own address, agent and session.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PEOPLE = 300
PARTNERS = 997
AGENTS = (
    b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/139.0.0.0 Safari/537.36",
    b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    b"Version/18.5 Safari/605.1.15",
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:141.0) Gecko/20100101 Firefox/141.0",
    b"curl/8.8.0",
)


async def partner(request: Request) -> JSONResponse:
    """The one route: a partner by its id."""
    number = int(request.path_params["partner_id"])
    return JSONResponse({"id": number, "name": f"Partner {number}", "confidence": 87})


def application() -> Starlette:
    """A bare application."""
    return Starlette(routes=[Route("/api/partners/{partner_id}", partner)])


def headers(person: int) -> list[tuple[bytes, bytes]]:
    """Ten headers as one person's browser sends them."""
    return [
        (b"host", b"app.example.com"),
        (b"connection", b"keep-alive"),
        (b"user-agent", AGENTS[person % len(AGENTS)]),
        (b"accept", b"application/json, text/plain, */*"),
        (b"accept-language", b"en-US,en;q=0.9"),
        (b"accept-encoding", b"gzip, deflate, br"),
        (b"referer", b"https://app.example.com/partners?page=%d" % (person % 20)),
        (b"authorization", b"Bearer 3f9c1c0e5a9b4d1f8e7a%012d" % person),
        (b"cookie", b"theme=dark; session=5d41402abc4b2a76b9719d91%08d; lang=en" % person),
        (b"sec-fetch-mode", b"cors"),
    ]


def address(person: int) -> str:
    """One person's address."""
    return f"203.0.113.{person % 250 + 1}"


def call(n: int) -> tuple[str, bytes, int]:
    """Path, query and person of the n-th request."""
    path = f"/api/partners/{n * 7 % PARTNERS}"
    return path, b"page=2&sort=name" if n % 4 == 0 else b"", n * 11 % PEOPLE


def scopes(count: int) -> list[Scope]:
    """ASGI scopes as a server would make them; copy one for each call."""
    made: list[Scope] = []
    for n in range(count):
        path, query, person = call(n)
        made.append(
            {
                "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"},
                "http_version": "1.1", "method": "GET", "scheme": "http", "root_path": "",
                "path": path, "raw_path": path.encode(), "query_string": query,
                "headers": headers(person), "client": (address(person), 52_000 + n % 1000),
                "server": ("127.0.0.1", 8000), "state": {},
            }
        )  # fmt: skip
    return made


def wire(count: int) -> list[bytes]:
    """The same requests as bytes for a socket."""
    made = []
    for n in range(count):
        path, query, person = call(n)
        target = path.encode() + (b"?" + query if query else b"")
        lines = [b"GET " + target + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in headers(person)]
        made.append(b"\r\n".join(lines) + b"\r\n\r\n")
    return made


def fields(n: int) -> dict[str, Any]:
    """The default fields of the n-th call, as `Collector.record("api_call", …)` takes them."""
    path, _, person = call(n)
    return {
        "method": "GET",
        "path": path,
        "response_status": 200,
        "response_time_ms": 8.214,
        "ip_address": address(person),
        "user_agent": AGENTS[person % len(AGENTS)].decode(),
        "session_id": f"0198a3c1-7d2e-8f40-9c3b-{person:012d}",
    }


def many(count: int) -> Iterator[dict[str, Any]]:
    """Fields of `count` different calls."""
    return (fields(n) for n in range(count))


async def receive() -> Message:
    """A request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Message) -> None:
    """A server that takes everything."""
