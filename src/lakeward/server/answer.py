"""Answers: JSON over bare ASGI, and the one form of every "no".

In: a status, a body, headers. Out: the two messages of an ASGI response. A handler says no by
raising `Refusal`; what a client sees of it is `{"code": …, "message": …}` with one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from lakeward.capture.asgi import Send

Headers = Iterable[tuple[bytes, bytes]]

JSON = b"application/json"
SAFE: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""On every answer, unless a handler says otherwise."""
SECURE = (b"strict-transport-security", b"max-age=31536000")
"""On every answer over https."""


class Refusal(Exception):
    """An answer that says no. `message` is for people and never quotes what could be a secret."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: int = 0,
        allow: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_after, self.allow = retry_after, allow

    def headers(self) -> list[tuple[bytes, bytes]]:
        """When to come again, how to prove who one is, and which methods there are."""
        headers = []
        if self.retry_after:
            headers.append((b"retry-after", b"%d" % self.retry_after))
        if self.status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="lakeward"'))
        if self.allow:
            headers.append((b"allow", ", ".join(self.allow).encode()))
        return headers


async def reply(
    send: Send, status: int, body: bytes, kind: bytes = JSON, headers: Headers = ()
) -> None:
    """A whole response."""
    own = {name for name, _ in headers}
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", kind),
                (b"content-length", b"%d" % len(body)),
                *headers,
                *(pair for pair in SAFE if pair[0] not in own),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def reply_json(send: Send, value: Any, status: int = 200, headers: Headers = ()) -> None:
    """A value as JSON."""
    await reply(send, status, msgspec.json.encode(value), headers=headers)


async def reply_refusal(send: Send, refusal: Refusal, headers: Headers = ()) -> None:
    """A refusal as JSON."""
    content = {"code": refusal.code, "message": refusal.message}
    await reply_json(send, content, refusal.status, [*refusal.headers(), *headers])
