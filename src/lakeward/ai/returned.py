"""What a function of the app gave back: an answer, a stream of one, or something of its own.

In: any object at all: a response of another library, say, whose `content` would read a connection.
Out: what it is, and what it says, as texts, dicts and the SDKs' own models. Of other objects only
the type is looked at and what stands in `__dict__`, and not all of it where that is much: no
method and no property is called. Nothing fails.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from lakeward.ai.shapes import Heard, heard

_SDKS: Final = frozenset({"openai", "anthropic"})
_MODEL: Final = "__pydantic_fields__"
_SHAPES: Final = frozenset({"choices", "output", "content", "data", "message", "type"})
"""What an answer or a piece of one has."""
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_MOST, _DEEP, _ITEMS = 10_000, 16, 4096
"""Objects of one that are looked at, how deep they may lie, and items of each list."""


def is_answer(thing: object) -> bool:
    """Whether it is a whole answer by its kind: a text, a dict or a model."""
    kind = type(thing)
    return issubclass(kind, str | dict) or hasattr(kind, _MODEL)


def is_stream(thing: object) -> bool:
    """Whether it is read piece by piece, or awaited first; files and what can be read more than
    once are the app's own."""
    kind = type(thing)
    if hasattr(kind, "__next__"):
        return not issubclass(kind, io.IOBase)
    if hasattr(kind, "__anext__") or hasattr(kind, "__await__"):
        return True
    return kind.__name__.endswith("StreamManager") and _of_an_sdk(kind)


def returned(thing: object) -> Heard:
    """What it says, if it is an answer; nothing for everything else."""
    told = known(thing)
    return Heard({}, []) if told is None else heard(told)


def known(thing: object) -> object:
    """The thing as far as its shape may be an answer's or a piece's; else None."""
    kind = type(thing)
    if kind is str or (hasattr(kind, _MODEL) and _of_an_sdk(kind)):
        return thing
    try:
        if issubclass(kind, str):
            return str.__str__(thing)
        held = _held(thing, kind)
        if held is None or _SHAPES.isdisjoint(held):
            return None
        return _Data().of(held, _DEEP)
    except Exception:
        return None


def _of_an_sdk(kind: type) -> bool:
    return str(kind.__module__).partition(".")[0] in _SDKS


def _held(thing: Any, kind: type) -> dict[Any, Any] | None:
    if issubclass(kind, dict):
        return thing if kind is dict else dict(dict.items(thing))
    try:
        held = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        return None
    if type(held) is not dict:
        return None
    try:  # a model's fields that its class does not name
        extra = object.__getattribute__(thing, "__pydantic_extra__")
    except AttributeError:
        extra = None
    return {**held, **extra} if type(extra) is dict and extra else held


class _Data:
    """Objects as JSON has them, up to a number of them."""

    def __init__(self) -> None:
        self._left = _MOST

    def of(self, thing: Any, depth: int) -> Any:
        """The thing; None for what holds nothing, or lies too deep."""
        kind = type(thing)
        if kind in _SCALARS:
            return thing
        self._left -= 1
        if self._left < 0 or depth <= 0:
            return None
        if kind is list or kind is tuple:
            return self._list(thing, depth)
        if issubclass(kind, str):
            return str.__str__(thing)
        held = _held(thing, kind)
        if held is None:
            return None
        return {
            name: self.of(value, depth - 1)
            for name, value in held.items()
            if type(name) is str and name[:1] != "_"
        }

    def _list(self, items: Iterable[Any], depth: int) -> list[Any]:
        return [self.of(item, depth - 1) for item in islice(items, _ITEMS)]
