"""A source of an answer, of whichever kind, followed by an object of the same kind.

In: what an SDK or the app gives: an iterator, an iterable, a context manager that yields one, sync
or async, or an awaitable of it. Out: the same to all appearances, which tells a `Following`. What
the source raises is raised; nothing else fails.
"""

from __future__ import annotations

from typing import Any

from lakeward.ai.awaited import Awaited, Coroutine
from lakeward.ai.following import Following
from lakeward.ai.reach import waits
from lakeward.ai.streams import AsyncStream, SyncStream


def follow(source: object, following: Following) -> Any:
    """`source` with somebody who listens."""
    if not waits(source):
        return SyncStream(source, following)
    kind = type(source)
    if not hasattr(kind, "__await__"):
        return AsyncStream(source, following)
    return (Coroutine if hasattr(kind, "send") else Awaited)(source, following, _taken)


def _taken(found: object, following: Following) -> Any:
    """What was awaited: a stream, which is followed, or a whole answer."""
    if following.reads_on(found):
        return follow(found, following)
    following.answered(found)
    return found
