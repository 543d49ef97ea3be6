"""What a function of the app gave back: an answer, a stream of one, or something of its own.

In: any object at all: a response of another library, say, whose `content` would read a connection.
Out: what it is, and what it says. Only its type and what stands in its `__dict__` are looked at;
none of its methods and properties is called. Nothing fails.
"""

from __future__ import annotations

import io
from typing import Any, Final

from lakeward.ai.reach import exact
from lakeward.ai.shapes import Heard, heard

_SDKS: Final = frozenset({"openai", "anthropic"})
_MANAGERS: Final = ("StreamManager",)
_MODEL: Final = "__pydantic_fields__"
_ANSWERS: Final = frozenset({"choices", "output", "content", "data", "message"})
_NOTHING: Final[dict[str, Any]] = {}


def is_answer(thing: object) -> bool:
    """Whether it is a whole answer by its kind: a text, a dict or a model of an SDK."""
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
    return kind.__name__.endswith(_MANAGERS) and kind.__module__.partition(".")[0] in _SDKS


def returned(thing: object) -> Heard:
    """What it says, if it is an answer; nothing for everything else."""
    if is_answer(thing):
        return heard(thing)
    try:
        held = object.__getattribute__(thing, "__dict__")
    except Exception:
        held = _NOTHING
    if type(held) is dict and not _ANSWERS.isdisjoint(held):
        return heard(exact(held))
    return Heard({}, [])
