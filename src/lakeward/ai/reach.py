"""Reading of foreign objects: dicts and objects of any library, none of which may raise into us.

In: whatever an app or a provider's SDK holds. Out: a value of the type that was asked for, else
None. Nothing fails, save what ends the process. The SDKs are never imported: shapes decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from lakeward.interaction import JsonObject

NAME_MOST: Final = 200
ID_MOST: Final = 512
_NESTED: Final = 5
_DEEP: Final = 16
_ITEMS: Final = 4096
_WAITING: Final = ("__anext__", "__aiter__", "__aenter__", "__await__")
_HELD: Final = ("__wrapped__", "stream")
"""Where wrapt and OpenTelemetry's openai-v2 keep the stream."""


def view(thing: object) -> Callable[[str], Any]:
    """What reads `thing` by name, for several looks at it."""
    if type(thing) is dict:
        return thing.get
    held = _model(thing)
    return partial(_read, thing) if held is None else held.get


def _model(thing: object) -> JsonObject | None:
    """What a model of the SDKs holds: it stands in its `__dict__`, and its own way to say that a
    field is not there is an exception each time. None for everything else."""
    try:
        held = thing.__dict__
        extra = thing.__pydantic_extra__  # type: ignore[attr-defined]  # a model's, or it raises
        if type(held) is dict and (extra is None or type(extra) is dict):
            return {**held, **extra} if extra else held
    except Exception:  # noqa: S110 - no model
        pass
    return None


def _read(thing: object, name: str) -> Any:
    try:
        if isinstance(thing, Mapping):
            return thing.get(name)
        return getattr(thing, name, None)
    except Exception:
        return None


def read(thing: object, name: str) -> Any:
    """A key of a mapping or an attribute of anything else; None when there is none."""
    return view(thing)(name)


def string(found: object, most: int | None = None) -> str | None:
    """`found` if it is a text that says something, not longer than `most`."""
    if type(found) is str:
        return (found if most is None or len(found) <= most else found[:most]) or None
    try:
        return string(str.__str__(found), most) if isinstance(found, str) else None
    except Exception:
        return None


def text(thing: object, name: str) -> str | None:
    """A text that says something."""
    return string(view(thing)(name))


def name(thing: object, key: str, most: int = NAME_MOST) -> str | None:
    """A text that may be a name: no longer than our types allow."""
    return string(view(thing)(key), most)


def items(thing: object, key: str) -> list[Any]:
    """A list; empty for everything else."""
    return listed(read(thing, key))


def listed(found: object) -> list[Any]:
    """`found` when it is a list or a tuple, else nothing."""
    if type(found) is list:
        return found
    try:
        return list(found) if isinstance(found, list | tuple) else []
    except Exception:
        return []


def plain(thing: object, depth: int = _NESTED) -> Any:
    """A small object as JSON, without what it does not say: the provider's `usage`, say.

    What a library's model holds stands in its `__dict__`; no method of it is called.
    """
    kind = type(thing)
    if thing is None or kind is str or kind is int or kind is float or kind is bool:
        return thing
    if depth <= 0:
        return None
    try:
        if kind is list or kind is tuple:
            return [plain(item, depth - 1) for item in thing[:64]]  # type: ignore[index]  # by kind
        held = thing if kind is dict else _held(thing)
        return {
            key: found
            for key, value in held.items()  # type: ignore[attr-defined]  # a mapping by now
            if value is not None
            and type(key) is str
            and (found := value if type(value) is int else plain(value, depth - 1)) is not None
        }
    except Exception:
        return None


def exact(thing: object, depth: int = _DEEP) -> Any:
    """An object as JSON, nulls and long lists included: what a tool is called with."""
    kind = type(thing)
    if thing is None or kind is str or kind is int or kind is float or kind is bool:
        return thing
    if depth <= 0:
        return None
    try:
        if kind is list or kind is tuple:
            return [exact(item, depth - 1) for item in thing[:_ITEMS]]  # type: ignore[index]  # by kind
        held = thing if kind is dict else _held(thing)
        return {
            key: exact(value, depth - 1)
            for key, value in held.items()  # type: ignore[attr-defined]  # a mapping by now
            if type(key) is str
        }
    except Exception:
        return None


def _held(thing: object) -> Mapping[Any, Any]:
    if isinstance(thing, dict):
        return dict(thing)
    held = _model(thing)
    if held is not None:
        return held
    if isinstance(thing, Mapping):
        return dict(thing)
    held = object.__getattribute__(thing, "__dict__")
    return {key: value for key, value in held.items() if key[:1] != "_"}


def mapping(thing: object) -> JsonObject | None:
    """As `plain`, when that is an object."""
    found = plain(thing)
    return found if type(found) is dict and found else None


def waits(source: object) -> bool:
    """Whether coroutines read it."""
    kind = type(source)
    if not hasattr(kind, "__next__"):
        return any(hasattr(kind, name) for name in _WAITING)
    if not hasattr(kind, "__anext__"):
        return False
    # An instrumentation's wrapper, which has the methods of both: what it holds has one's.
    held = (getattr(source, name, None) for name in _HELD)
    return any(hasattr(one, "__anext__") and not hasattr(one, "__next__") for one in held)
