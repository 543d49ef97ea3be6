"""Functions of the app whose calls are turns: what they give back, or yield, is the answer.

In: a function, a coroutine, a generator or an asynchronous generator. Out: the same kind of thing,
each call of which is a turn. Streams that are returned are followed and given back as what they
are; of any other object nothing is touched. What the function raises is raised; nothing else fails.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from typing import Any, Final

from lakeward.ai.returned import is_stream
from lakeward.ai.turn import Turn
from lakeward.interaction import JsonObject

Begun = Callable[[], Turn]

_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class _Calls:
    """The calls of one decorated function, as turns."""

    def __init__(self, begun: Begun, function: Callable[..., Any], ask: str | None) -> None:
        self._begun = begun
        self._ask = ask
        self._signature = inspect.signature(function)
        wanted = self._signature.parameters.get("turn")
        self._wants_turn = wanted is not None and wanted.kind in _BY_NAME

    def _has_turn(self, given: tuple[Any, ...], named: JsonObject) -> bool:
        """Whether the caller gives a `turn` of its own."""
        try:
            return "turn" in self._signature.bind_partial(*given, **named).arguments
        except TypeError:  # the call itself will say it
            return True

    def begin(self, given: tuple[Any, ...], named: JsonObject) -> Turn:
        """The turn of one call; it may get into `named`."""
        turn = self._begun()
        if self._wants_turn and not self._has_turn(given, named):
            named["turn"] = turn
        if self._ask is not None:
            try:
                bound = self._signature.bind(*given, **named).arguments
            except TypeError:  # the call itself will say it
                return turn
            if self._ask in bound:
                turn.ask(bound[self._ask])
        return turn


def decorated(begun: Begun, function: Callable[..., Any], ask: str | None) -> Callable[..., Any]:
    """`function` with a turn, which `begun` makes, for each call."""
    calls = _Calls(begun, function, ask)

    async def coroutine(*given: Any, **named: Any) -> Any:
        with calls.begin(given, named) as turn:
            return _returned(turn, await function(*given, **named))

    def generator(*given: Any, **named: Any) -> Generator[Any, Any, Any]:
        with calls.begin(given, named) as turn:
            return (yield from turn.yielded(function(*given, **named)))

    async def async_generator(*given: Any, **named: Any) -> AsyncGenerator[Any, Any]:
        with calls.begin(given, named) as turn:
            source = turn.yielded(function(*given, **named))
            try:
                with suppress(StopAsyncIteration):
                    step = anext(source)
                    while True:
                        piece = await step
                        try:
                            sent = yield piece
                        except GeneratorExit:
                            raise
                        except BaseException as error:
                            step = source.athrow(error)
                        else:
                            step = anext(source) if sent is None else source.asend(sent)
            finally:
                await source.aclose()

    def plain(*given: Any, **named: Any) -> Any:
        with calls.begin(given, named) as turn:
            return _returned(turn, function(*given, **named))

    if inspect.isasyncgenfunction(function):
        made: Callable[..., Any] = async_generator
    elif inspect.isgeneratorfunction(function):
        made = generator
    else:
        made = coroutine if inspect.iscoroutinefunction(function) else plain
    return functools.wraps(function)(made)


def _returned(turn: Turn, result: Any) -> Any:
    """What a function returned is the answer, or a stream of it, if none was handed over."""
    if turn.handed:
        return result
    if is_stream(result):
        return turn.yielded(result)
    turn.returned(result)
    return result
