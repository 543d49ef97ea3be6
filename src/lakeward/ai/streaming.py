"""Streams that are followed while the app reads them: nothing is read ahead, kept back or changed.

In: what an SDK or the app gives: an iterator, an iterable, a context manager that yields one, sync
or async, or an awaitable of it. Out: the same to all appearances, its attributes included. What
the source raises is raised; nothing else fails.

How it ends decides the turn's status: read to its end, raised (failed), the task cancelled, or left
unread: closed early, its block left, or dropped.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from inspect import isawaitable
from types import TracebackType
from typing import Any, Final, Protocol

from lakeward.ai.pieces import Pieces
from lakeward.ai.reach import read, text, waits
from lakeward.ai.shapes import Heard

_FINALS: Final = frozenset(
    {
        "until_done", "get_final_message", "get_final_text", "get_final_response",
        "get_final_completion",
    }
)  # fmt: skip
"""Methods of the SDKs' streams that read the rest themselves: it is read here first."""


class Follower(Protocol):
    """The turn, which hears how its stream goes on."""

    def piece(self, added: str, first: Heard) -> None:
        """The first text of the answer, before the app has it, and what else is known."""

    @property
    def writer(self) -> Callable[[str], object] | None:
        """What takes the texts after the first, each before the app has it; None: nobody does."""

    def over(self, following: Following, found: Heard, error: BaseException | None) -> None:
        """The stream ended; called once."""

    @property
    def handed(self) -> bool:
        """Whether the app handed an answer or a stream over itself."""


class Following:
    """One stream under way: what came of it, and whether it ended."""

    def __init__(self, turn: Follower) -> None:
        self._turn = turn
        self._pieces = Pieces()
        self._hear = self._pieces.hear
        self._first = True
        self._write: Callable[[str], object] | None = None
        self._open = [True]
        self.ended_ns = 0

    def heard(self, chunk: object) -> None:
        """A chunk, on its way to the app."""
        added = self._hear(chunk)
        if added is None:
            return
        if self._write is not None:
            self._write(added)
        elif self._first:
            self._first = False
            self._turn.piece(added, self._pieces.begun())
            self._write = self._turn.writer

    def end(self, error: BaseException | None = None, *, read_out: bool = False) -> None:
        """The stream is over: read to its end, broken, or else left. What comes first counts."""
        try:
            self._open.pop()
        except IndexError:
            return
        self.ended_ns = time.perf_counter_ns()
        if isinstance(error, GeneratorExit):
            error = None
        found = self._pieces.told()
        fields = found.fields
        if error is None and fields.get("status") != "failed":
            if not read_out and not self._pieces.over:
                fields["status"] = "abandoned"
            elif read_out and self._pieces.says_its_end and not self._pieces.over:
                fields["status"], fields["error_type"] = "failed", "IncompleteStream"
        self._turn.over(self, found, error)


class Yields(Following):
    """What a decorated generator yields, which is the answer if it hands none over itself."""

    def heard(self, chunk: object) -> None:
        """A piece, on its way to whoever reads the generator."""
        if not self._turn.handed:
            super().heard(chunk)


def follow(source: object, following: Following) -> Any:
    """`source` with somebody who listens."""
    return (_AsyncStream if waits(source) else _SyncStream)(source, following)


class _Stream:
    """What both kinds share: everything that is not reading goes to the source."""

    def __init__(self, source: Any, following: Following) -> None:
        self._source = source
        self._following = following
        self._heard = following.heard
        self._iterator: Any = None

    @property  # type: ignore[misc]  # `isinstance` sees the source's class, as wrapt does it
    def __class__(self) -> type:
        return type(self._source)

    def __getattr__(self, name: str) -> Any:
        if name in _FINALS:
            return self._final(getattr(self._source, name))
        found = getattr(self._source, name)
        return self._words() if name == "text_stream" else found

    def __repr__(self) -> str:
        return repr(self._source)

    def __del__(self) -> None:
        try:  # noqa: SIM105 - contextlib may be gone when the interpreter ends
            self._following.end()
        except Exception:  # noqa: S110
            pass

    def _final(self, method: Callable[..., Any]) -> Callable[..., Any]:
        raise NotImplementedError

    def _words(self) -> Any:
        raise NotImplementedError


class _SyncStream(_Stream):
    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            if self._iterator is None:
                self._iterator = iter(self._source)
            chunk = next(self._iterator)
        except StopIteration:
            self._following.end(read_out=True)
            raise
        except BaseException as error:
            self._following.end(error)
            raise
        self._heard(chunk)
        return chunk

    def send(self, value: Any) -> Any:
        """As a generator's."""
        if self._iterator is None and value is None:
            return next(self)
        return self._resumed(lambda: self._source.send(value))

    def throw(self, *error: Any) -> Any:
        """As a generator's."""
        return self._resumed(lambda: self._source.throw(*error))

    def _resumed(self, resume: Callable[[], Any]) -> Any:
        try:
            chunk = resume()
        except StopIteration:
            self._following.end(read_out=True)
            raise
        except BaseException as error:
            self._following.end(error)
            raise
        self._heard(chunk)
        return chunk

    def __enter__(self) -> Any:
        enter = getattr(self._source, "__enter__", None)
        if enter is not None:
            self._entered, self._source = self._source, enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._following.end(error)
        leave = getattr(self.__dict__.get("_entered", self._source), "__exit__", None)
        done: bool | None = leave(kind, error, trace) if leave is not None else None
        return done

    def close(self) -> None:
        """As the source's."""
        self._following.end()
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

    def _final(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def final(*given: Any, **named: Any) -> Any:
            for _ in self:
                pass
            return method(*given, **named)

        return final

    def _words(self) -> Iterator[str]:
        for chunk in self:
            if (word := _word(chunk)) is not None:
                yield word


class _AsyncStream(_Stream):
    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            if self._iterator is None:
                if not hasattr(self._source, "__aiter__") and hasattr(self._source, "__await__"):
                    self._source = await self._source
                self._iterator = aiter(self._source)
            chunk = await anext(self._iterator)
        except StopAsyncIteration:
            self._following.end(read_out=True)
            raise
        except BaseException as error:
            self._following.end(error)
            raise
        self._heard(chunk)
        return chunk

    def __await__(self) -> Any:
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        try:
            self._source = await self._source
        except BaseException as error:
            self._following.end(error)
            raise
        return self

    async def __aenter__(self) -> Any:
        enter = getattr(self._source, "__aenter__", None)
        if enter is not None:
            self._entered, self._source = self._source, await enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._following.end(error)
        leave = getattr(self.__dict__.get("_entered", self._source), "__aexit__", None)
        done: bool | None = await leave(kind, error, trace) if leave is not None else None
        return done

    async def close(self) -> None:
        """As the source's."""
        await self._closed("close", "aclose")

    async def aclose(self) -> None:
        """As the source's."""
        await self._closed("aclose", "close")

    async def _closed(self, *names: str) -> None:
        self._following.end()
        for name in names:
            close = getattr(self._source, name, None)
            if close is not None:
                closed = close()
                if isawaitable(closed):  # openai-v2's wrapper of an async stream has a plain close
                    await closed
                return

    def _final(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def final(*given: Any, **named: Any) -> Any:
            async for _ in self:
                pass
            return await method(*given, **named)

        return final

    async def _words(self) -> AsyncIterator[str]:
        async for chunk in self:
            if (word := _word(chunk)) is not None:
                yield word


def _word(chunk: object) -> str | None:
    """The text in an event of Anthropic's helper, as its own `text_stream` has it."""
    if text(chunk, "type") != "content_block_delta":
        return None
    delta = read(chunk, "delta")
    return text(delta, "text") if text(delta, "type") == "text_delta" else None
