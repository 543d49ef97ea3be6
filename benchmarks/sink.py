"""A loopback server that answers every POST with 200 and `{}`: where the SDKs under test send to.

It prints its port as JSON, answers any line on its input with how many posts and bytes came, and
ends when that input ends. It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import asyncio
import json
import sys

ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
    b"connection: keep-alive\r\n\r\n{}"
)


class Sink:
    """Counts what comes."""

    def __init__(self) -> None:
        self.posts = 0
        self.bytes = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it closes."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                self.bytes += await skip_body(head, reader)
                self.posts += 1
                writer.write(ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def skip_body(head: bytes, reader: asyncio.StreamReader) -> int:
    """Read a body of known length or in chunks; how many bytes it had."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return len(await reader.readexactly(int(value)))
        if name == b"transfer-encoding" and b"chunked" in value:
            total = 0
            while size := int((await reader.readline()).split(b";")[0], 16):
                total += len(await reader.readexactly(size + 2)) - 2
            await reader.readline()
            return total
    return 0


async def main() -> None:
    """Serve until the input ends."""
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=1 << 20)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps({"posts": sink.posts, "bytes": sink.bytes}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
