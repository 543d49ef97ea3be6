"""Asker: processes that answer questions, so that none of them slows what a worker takes in.

In: the kind of a question and the question as JSON, and who asks. Out: how it went and the answer
as JSON. Says no with 429 when too many wait, with 503 when it takes too long or its process dies.

A process is started by the first question and ends when nobody has asked for a while. Those who ask
take turns. Questions that are equal and under way are asked once, in the turn that comes first.
Nothing is shared between two processes but the lake.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from typing import Final

import msgspec

from lakeward.errors import LakewardError
from lakeward.server.answer import Refusal
from lakeward.server.turns import Turns
from lakeward.server.wire import LENGTH, Order, Word, framed
from lakeward.spawn import interpreter

PROCESSES: Final = 2
"""How many questions of one worker are answered at a time."""
MOST_WAITING: Final = 128
MOST_EACH: Final = 32
"""Of them of one key or person."""
IDLE_SECONDS: Final = 60.0
START_SECONDS: Final = 60.0
LARGEST: Final = 80 << 20
Answered = tuple[Word, bytes]


class _Process:
    """One process that answers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.last = asyncio.get_running_loop().time()

    @classmethod
    async def start(cls, environ: Mapping[str, str]) -> _Process:
        process = await asyncio.create_subprocess_exec(
            interpreter(), "-m", "lakeward.server.asking", str(os.getpid()),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, env=dict(environ), start_new_session=True,
        )  # fmt: skip
        made = cls(process)
        try:
            assert process.stdout is not None
            async with asyncio.timeout(START_SECONDS):
                await process.stdout.readexactly(LENGTH)  # it is ready: its start is not its time
        except BaseException:
            await made.end()
            raise
        return made

    @property
    def lives(self) -> bool:
        return self._process.returncode is None

    async def ask(self, order: bytes) -> Answered:
        """One question; raises what reading from a process raises that dies."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(framed(order))
        await self._process.stdin.drain()
        size = int.from_bytes(await self._process.stdout.readexactly(LENGTH), "big")
        if size > LARGEST:
            raise ValueError("an answer of this size is none")
        content = await self._process.stdout.readexactly(size)
        head, _, body = content.partition(b"\n")
        self.last = asyncio.get_running_loop().time()
        return msgspec.json.decode(head, type=Word), body

    async def end(self) -> None:
        """End it, whatever it does."""
        if self.lives:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(Exception):
            await self._process.wait()


class Asker:
    """The processes of one worker."""

    def __init__(
        self, environ: Mapping[str, str], *, seconds: float,
        processes: int = PROCESSES, idle_seconds: float = IDLE_SECONDS,
    ) -> None:  # fmt: skip
        self._environ = environ
        self._seconds = seconds
        self._idle_seconds = idle_seconds
        self._free: list[_Process] = []
        self._turns = Turns(processes, most=MOST_WAITING, each=MOST_EACH)
        self._under_way: dict[bytes, tuple[asyncio.Task[Answered], asyncio.Future[None]]] = {}
        self._sweeper: asyncio.Task[None] | None = None

    async def ask(self, order: Order, who: str) -> Answered:
        """The answer to a question of a reader; Refusal when there is none."""
        encoded = msgspec.json.encode(order)
        if encoded in self._under_way:
            task, place = self._under_way[encoded]
            self._turns.join(who, place)
        else:
            if not self._turns.admits(who):
                raise Refusal(
                    429, "too_many_questions", "Too many questions wait: ask again in a moment.",
                    retry_after=5,
                )  # fmt: skip
            place = self._turns.ask(who)
            task = asyncio.create_task(self._asked(encoded, who, place))
            self._under_way[encoded] = task, place
            task.add_done_callback(lambda _: self._under_way.pop(encoded, None))
        # Whoever leaves, leaves the question to those who asked the same.
        return await asyncio.shield(task)

    async def _asked(self, order: bytes, who: str, place: asyncio.Future[None]) -> Answered:
        try:
            await place
            return await self._answered(order)
        finally:
            self._turns.give(who, place)

    async def _answered(self, order: bytes) -> Answered:
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.create_task(self._sweep())
        try:
            process = await self._taken()
        except (OSError, EOFError, LakewardError):  # a timeout is an OSError, too
            raise Refusal(
                503, "not_started", "The process that answers questions did not start: see the "
                "server's log.", retry_after=5,
            ) from None  # fmt: skip
        try:
            async with asyncio.timeout(self._seconds):
                found = await process.ask(order)
        except TimeoutError:
            await process.end()
            raise Refusal(
                503, "too_slow", f"The question took longer than {self._seconds:g} seconds: ask "
                "for fewer days, or raise LAKEWARD_QUERY_SECONDS.",
            ) from None  # fmt: skip
        except (OSError, EOFError, ValueError, msgspec.DecodeError):
            await process.end()
            raise Refusal(
                503, "died", "The question's process died, most likely for want of memory: ask for "
                "fewer days, or raise LAKEWARD_QUERY_MEMORY.",
            ) from None  # fmt: skip
        except BaseException:
            await process.end()
            raise
        self._free.append(process)
        return found

    async def _taken(self) -> _Process:
        while self._free:
            process = self._free.pop()
            if process.lives:
                return process
            await process.end()
        return await _Process.start(self._environ)

    async def _sweep(self) -> None:
        """End processes that nobody has asked for a while; stop when there are none."""
        loop = asyncio.get_running_loop()
        while self._free or not self._turns.idle:
            await asyncio.sleep(self._idle_seconds / 4)
            oldest = loop.time() - self._idle_seconds
            for process in [each for each in self._free if each.last < oldest]:
                self._free.remove(process)
                await process.end()

    async def close(self) -> None:
        """End all of them."""
        tasks = [task for task, _ in self._under_way.values()]
        for task in (*tasks, *([self._sweeper] if self._sweeper else [])):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._free:
            await self._free.pop().end()
