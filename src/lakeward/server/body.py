"""Request bodies: read whole, within a limit, and inflated without trusting what is in them.

In: the messages of one request. Out: its bytes. Says no with 413 for a body over the limit, 400 for
one that does not inflate, 408 for a client that stops in the middle.
"""

from __future__ import annotations

import asyncio
import zlib

from lakeward.capture.asgi import Receive
from lakeward.server.answer import Refusal

GZIP = b"\x1f\x8b"
GZIP_OR_ZLIB = 47
"""For zlib: the largest window, and the format told by the header."""
SECONDS = 30.0


async def read(receive: Receive, headers: dict[bytes, bytes], most: int) -> bytes:
    """The body, inflated when it is gzip by its first bytes, whatever the headers say."""
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:18]) > most:
        raise too_large(most)
    try:
        async with asyncio.timeout(SECONDS):
            raw = await _received(receive, most)
    except TimeoutError:
        raise Refusal(408, "timeout", f"The body did not arrive within {SECONDS:g} s.") from None
    return inflated(raw, most) if raw[:2] == GZIP else raw


async def _received(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "disconnected", "The client left before its body ended.")
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise too_large(most)
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def inflated(raw: bytes, most: int) -> bytes:
    """`raw` without its compression; never more than `most` bytes come to life."""
    inflater = zlib.decompressobj(GZIP_OR_ZLIB)
    try:
        content = inflater.decompress(raw, most + 1)
    except zlib.error:
        raise Refusal(400, "bad_gzip", "The body begins like gzip and is not.") from None
    if len(content) > most or inflater.unconsumed_tail:
        raise too_large(most)
    if not inflater.eof:
        raise Refusal(400, "bad_gzip", "The body is gzip that was cut short.")
    return content


def too_large(most: int) -> Refusal:
    """413, naming the limit."""
    return Refusal(413, "too_large", f"The body is larger than {most} bytes: send smaller batches.")
