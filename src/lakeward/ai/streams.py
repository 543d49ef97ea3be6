"""Streams that are followed while the app reads them: nothing is read ahead, kept back or changed.

In: an iterator, an iterable or a context manager that yields one, sync or async. Out: the same to
all appearances, its attributes included. What the source raises is raised; nothing else fails.

How it ends decides the turn's status: read to its end, raised (failed), the task cancelled, or left
unread: closed early, its block left, or dropped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from inspect import isawaitable
from types import TracebackType
from typing import Any, Final

from lakeward.ai.following import Following
from lakeward.ai.reach import read, text

_FINALS: Final = frozenset(
    {
        "until_done", "get_final_message", "get_final_text", "get_final_response",
        "get_final_completion",
    }
)  # fmt: skip
"""Methods of the SDKs' streams that read the rest themselves: it is read here first."""


class Stream:
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


class SyncStream(Stream):
    """What a `for` reads."""

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


class AsyncStream(Stream):
    """What an `async for` reads."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            if self._iterator is None:
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

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        return self._resuming(found) if name in ("asend", "athrow") else found

    def _resuming(self, resume: Callable[..., Any]) -> Callable[..., Any]:
        """As the source's, an asynchronous generator."""

        async def resumed(*given: Any) -> Any:
            try:
                chunk = await resume(*given)
            except StopAsyncIteration:
                self._following.end(read_out=True)
                raise
            except BaseException as error:
                self._following.end(error)
                raise
            self._heard(chunk)
            return chunk

        return resumed

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
