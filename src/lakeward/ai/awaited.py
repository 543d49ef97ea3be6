"""Awaitables of a stream: a request that nobody has sent yet, a task, a future.

In: the awaitable, as the app would await it, hand it to `asyncio` or read it at once. Out: what it
gives, followed. Each way to drive it is the source's own: what the source raises is raised, and
what may be awaited once only may be so here.

    stream = await turn.stream(request())
    stream = await asyncio.wait_for(turn.stream(request()), 20)
    async for chunk in turn.stream(request()): …
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from lakeward.ai.following import Following
from lakeward.ai.streams import AsyncStream

Take = Callable[[object, Following], Any]


class Awaited(AsyncStream):
    """What can be awaited, and may be read without."""

    def __init__(self, source: Any, following: Following, take: Take) -> None:
        super().__init__(source, following)
        self._take = take
        self._found: Any = None
        self._is_found = False
        self._first: _Steps | None = None
        self._reads = hasattr(type(source), "__aiter__")
        """The source may be read without being awaited."""
        self._future = hasattr(type(source), "_asyncio_future_blocking")

    @property  # type: ignore[misc]  # as `Stream`'s
    def __class__(self) -> type:
        # asyncio takes what calls itself a future for one, and its result past us.
        return Awaited if self._future else type(self._source)

    def __getattr__(self, name: str) -> Any:
        if name == "result" and self._future:
            return lambda: self.taken(self._source.result())
        return super().__getattr__(name)

    def __del__(self) -> None:
        if not self.__dict__.get("_is_found"):  # else what was found is followed further
            super().__del__()

    def __await__(self) -> Any:
        return _Steps(self, self._source.__await__())

    def taken(self, found: object) -> Any:
        """What the source gave, followed; the same for all who await it."""
        if not self._is_found:
            self._found, self._is_found = self._take(found, self._following), True
        return self._found

    def broke(self, steps: _Steps, error: BaseException) -> None:
        """Awaiting raised; who awaits a second time breaks nothing."""
        if not self._is_found and steps is self._first:
            self._following.end(error)

    def begins(self, steps: _Steps) -> None:
        """It is awaited."""
        if self._first is None:
            self._first = steps

    async def __anext__(self) -> Any:
        if self._reads:
            return await super().__anext__()
        return await anext(self._found if self._is_found else await self)

    async def __aenter__(self) -> Any:
        if hasattr(type(self._source), "__aenter__"):
            return await super().__aenter__()
        return await (await self).__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        leave = self._found.__aexit__ if self._is_found else super().__aexit__
        done: bool | None = await leave(kind, error, trace)
        return done

    async def aclose(self) -> None:
        """As the stream's."""
        await (self._found.aclose() if self._is_found else super().aclose())


class Coroutine(Awaited):
    """A coroutine, which a task drives by its methods. A class of its own, for asyncio remembers
    by class what is one."""

    def send(self, value: Any) -> Any:
        """As the source's."""
        return self._driven().send(value)

    def throw(self, *error: Any) -> Any:
        """As the source's."""
        return self._driven().throw(*error)

    def close(self) -> Any:
        """As the source's, which is no coroutine."""
        try:
            self._source.close()
        finally:
            if not self._is_found:
                self._following.end()

    def _driven(self) -> _Steps:
        if self._first is None:
            self._first = _Steps(self, self._source)
        return self._first


class _Steps:
    """Who awaits: the steps of the source, up to what it gives."""

    def __init__(self, awaited: Awaited, steps: Any) -> None:
        self._awaited = awaited
        self._steps = steps

    def __iter__(self) -> _Steps:
        return self

    def __next__(self) -> Any:
        return self._step(self._steps.__next__)

    def send(self, value: Any) -> Any:
        """As a coroutine's."""
        return self._step(self._steps.send, value)

    def throw(self, *error: Any) -> Any:
        """As a coroutine's."""
        return self._step(self._steps.throw, *error)

    def close(self) -> None:
        """As a coroutine's."""
        close = getattr(self._steps, "close", None)
        if close is not None:
            close()
        self._awaited.broke(self, GeneratorExit())

    def _step(self, resume: Callable[..., Any], *given: Any) -> Any:
        self._awaited.begins(self)
        try:
            return resume(*given)
        except StopIteration as done:
            raise StopIteration(self._awaited.taken(done.value)) from None
        except BaseException as error:
            self._awaited.broke(self, error)
            raise
