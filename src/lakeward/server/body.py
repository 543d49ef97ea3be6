"""Request bodies: read whole, within limits, and inflated without trusting what is in them; or, as
files are, handed on in pieces as they come.

In: the messages of one request. Out: its bytes. Says no with 413 for a body over the limit, 400 for
one that does not inflate, 408 for a client that stops in the middle, 503 when the bodies that are
being read take all the memory that there is for them.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from lakeward.capture.asgi import Receive
from lakeward.server.answer import Refusal

GZIP = b"\x1f\x8b"
GZIP_OR_ZLIB = 47
"""For zlib: the largest window, and the format told by the header."""
RAW = -15
PIECE = 4096
SECONDS = 30.0
MOST_MEMBERS = 1000
"""Parts of one gzip body, each a file of its own: more only cost time."""


class Shelf:
    """Memory for the bodies that one worker is reading or working on. No client may hold more than
    half of it: bodies are read before their key is known, and slow ones would keep all others
    out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._clients: dict[str, int] = {}
        """What each client holds that holds anything."""
        self.taken = 0

    @contextmanager
    def lent(self, client: str | None = None) -> Iterator[Lent]:
        """Room for one request of a client, given back at its end; None: of this machine."""
        lent = Lent(self, client)
        try:
            yield lent
        finally:
            self._take(client, -lent.size)

    def grow(self, client: str | None, size: int) -> bool:
        """Take more for a client; whether there was so much."""
        if self.taken + size > self._most:
            return False
        if client is not None and self._clients.get(client, 0) + size > self._most // 2:
            return False
        self._take(client, size)
        return True

    def _take(self, client: str | None, size: int) -> None:
        self.taken += size
        if client is not None:
            held = self._clients.pop(client, 0) + size
            if held:
                self._clients[client] = held


class Lent:
    """What one request holds of the shelf."""

    def __init__(self, shelf: Shelf, client: str | None) -> None:
        self._shelf = shelf
        self._client = client
        self.size = 0

    def grow(self, size: int) -> None:
        """Take more; Refusal when there is none."""
        if not self._shelf.grow(self._client, size):
            raise Refusal(503, "busy", "Too many large requests at once: try again.",
                          retry_after=1)  # fmt: skip
        self.size += size


async def read(receive: Receive, headers: dict[bytes, bytes], most: int, lent: Lent) -> bytes:
    """The body, inflated when it is gzip or zlib by its first bytes, whatever the headers say; raw
    deflate has no first bytes, so there the header is believed."""
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:18]) > most:
        raise too_large(most)
    try:
        async with asyncio.timeout(SECONDS):
            raw = await _received(receive, most, lent)
    except TimeoutError:
        raise Refusal(408, "timeout", f"The body did not arrive within {SECONDS:g} s.") from None
    if raw[:2] == GZIP or _is_zlib(raw):
        content = inflated(raw, most, GZIP_OR_ZLIB)
    elif headers.get(b"content-encoding", b"").strip().lower() == b"deflate":
        content = inflated(raw, most, RAW)
    else:
        return raw
    lent.grow(len(content))
    return content


async def _received(receive: Receive, most: int, lent: Lent) -> bytes:
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
        lent.grow(len(part))
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def pieces(receive: Receive, most: int) -> AsyncIterator[bytes]:
    """A body that is too large to be held, as it comes and as it is; each piece within `SECONDS`.
    Refusal when it has more than `most` bytes, and when the client leaves or stops in the middle:
    what came before that has been handed on."""
    size = 0
    while True:
        try:
            async with asyncio.timeout(SECONDS):
                message = await receive()
        except TimeoutError:
            raise Refusal(408, "timeout", f"Nothing arrived for {SECONDS:g} s.") from None
        if message["type"] == "http.disconnect":
            raise Refusal(400, "disconnected", "The client left before its body ended.")
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise Refusal(413, "too_large", "The body has more bytes than were announced.")
        if piece:
            yield piece
        if not message.get("more_body"):
            return


def _is_zlib(raw: bytes) -> bool:
    """By RFC 1950: deflate with a window of 32 KiB, and a head that 31 divides. No text that we
    take begins with `x`, and no protobuf of ours."""
    return raw[:1] == b"x" and len(raw) > 1 and int.from_bytes(raw[:2]) % 31 == 0


def inflated(raw: bytes, most: int, window: int = GZIP_OR_ZLIB) -> bytes:
    """`raw` without its compression; never more than `most` bytes come to life."""
    parts: list[bytes] = []
    left, at, view = most, 0, memoryview(raw)
    for _ in range(MOST_MEMBERS):
        inflater = zlib.decompressobj(window)
        while not inflater.eof:
            # In pieces: each member of a file copies what is left of what it was given.
            piece = view[at : at + PIECE]
            if not piece:
                raise Refusal(400, "bad_gzip", "The body is compressed and was cut short.")
            try:
                part = inflater.decompress(piece, left + 1)
            except zlib.error:
                raise Refusal(400, "bad_gzip", "The body looks compressed and is not.") from None
            left -= len(part)
            if left < 0 or inflater.unconsumed_tail:
                raise too_large(most)
            at += len(piece) - len(inflater.unused_data)
            parts.append(part)
        if at == len(view):
            return b"".join(parts)
    raise Refusal(400, "bad_gzip", f"The body has more than {MOST_MEMBERS} compressed parts.")


def too_large(most: int) -> Refusal:
    """413, naming the limit."""
    return Refusal(413, "too_large", f"The body is larger than {most} bytes: send smaller batches.")
