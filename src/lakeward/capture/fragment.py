"""Fragments: pieces of a record's line that many calls share, kept as finished JSON text.

In: what a piece is made of, as it came over the wire. Out: its scrubbed JSON. A piece is made once
and then found; the store is bounded in count and in the length of what it remembers, so that no
stranger can fill the memory with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from lakeward.interaction import JsonValue

MOST = 4096
LONGEST = 512

_Key = TypeVar("_Key", bound=bytes | str)


class Fragments(dict[_Key, str], Generic[_Key]):
    """JSON text by its raw material; what is missing is made. Safe to share between threads."""

    def __init__(self, make: Callable[[_Key], str]) -> None:
        super().__init__()
        self._make: Callable[[_Key], str] = make

    def __missing__(self, raw: _Key) -> str:
        made = self._make(raw)
        if len(raw) <= LONGEST:
            if len(self) >= MOST:
                self.clear()
            self[raw] = made
        return made


def quoted(value: JsonValue) -> str:
    """A scrubbed value as JSON text."""
    return msgspec.json.encode(value).decode()
