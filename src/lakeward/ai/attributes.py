"""Attributes of a span, of which some become fields of a record and the rest stays as it came.

In: a mapping of names to JSON values. Out: what is asked for, taken out. Nothing fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lakeward.interaction import JsonObject
from lakeward.plain import text_of


class Attributes:
    """The attributes of one span, of which some are taken."""

    def __init__(self, given: JsonObject) -> None:
        self.rest = dict(given)

    def take(self, names: Iterable[str]) -> Any:
        """The first that is there; all of them are taken, as they say the same."""
        rest, found = self.rest, None
        for name in names if rest else ():
            if name in rest:
                value = rest.pop(name)
                if found is None:
                    found = value
        return found

    def text(self, names: Iterable[str]) -> str | None:
        """The same, where it is text or a number; any other stays."""
        rest, found = self.rest, None
        for name in names if rest else ():
            if name in rest and (text := text_of(rest[name])) is not None:
                del rest[name]
                if found is None:
                    found = text
        return found

    def whole(self, names: Iterable[str], least: int = 0, most: int = 2**53 - 1) -> int | None:
        """The same, where it is a whole number in range."""
        for name in names:
            number = whole(self.rest.get(name))
            if number is not None and least <= number <= most:
                self.take(names)
                return number
        return None


def whole(value: object) -> int | None:
    """A whole number, also written as text or as a double."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= 16 and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) else None
