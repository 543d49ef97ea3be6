"""Whether a record is as a test expects it, and in which fields it is not.

In: a decoded record and expected fields. Out: a `Finding` for each value that was looked at; the
record matches when all of them do. A predicate that raises does not match; nothing here fails.

    partner_id="p1"              a field of the record, or of the type as `record()` takes it
    score=87.5                   … so this is found in the type's slot, here under `outcomes`
    outcomes__score=87.5         a path, one step for each `__`; a number counts in a list
    outcomes={"score": 87.5}     an object that must be contained: what else is there is ignored
    messages=[{"role": "user"}]  a list, of the same length, each item matching its place
    score=lambda n: n > 80       a predicate
    score=float                  a class that the value must be an instance of
    path=re.compile("^/api/")    an expression that must be found in the text
    session_id=ANY               anything, as long as it is there
    session_id=ABSENT            not there at all
    score=approx(87.5)           whatever is equal
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final, Literal

import msgspec

from lakeward.catalog import FIELD_SET, TYPES
from lakeward.interaction import JsonObject

Step = str | int
NUMBERS = (bool, int, float)


class _Anything:
    """Equal to whatever is there."""

    def __eq__(self, other: object) -> bool:
        return other is not ABSENT

    __hash__ = None  # type: ignore[assignment]  # it is equal to things of any hash

    def __repr__(self) -> str:
        return "ANY"


class _Absent:
    """Stands where a record has nothing."""

    def __repr__(self) -> str:
        return "ABSENT"


ANY: Final = _Anything()
"""Matches any value, null included, of a field that is there."""
ABSENT: Final = _Absent()
"""Matches a field that is not there."""


class Finding(msgspec.Struct, frozen=True):
    """One value of a record beside the one expected."""

    path: tuple[Step, ...]
    expected: Any
    actual: Any
    """ABSENT where the record has none."""
    matches: bool
    note: str = ""

    @property
    def likeness(self) -> float:
        """0 to 1: how near the value came."""
        if self.matches:
            return 1.0
        if self.actual is ABSENT or type(self.actual) is not type(self.expected):
            return 0.0
        return (
            0.5 * SequenceMatcher(None, repr(self.actual)[:200], repr(self.expected)[:200]).ratio()
        )


def findings(record: JsonObject, expected: Mapping[str, Any]) -> list[Finding]:
    """Every expected value beside the record's."""
    kind = str(record.get("interaction_type"))
    found: list[Finding] = []
    for name, value in expected.items():
        path = _path(kind, name)
        found += _compare(path, value, _at(record, path))
    return found


def likeness(found: Sequence[Finding]) -> float:
    """0 to 1: how much of what was expected a record has."""
    return sum(finding.likeness for finding in found) / len(found) if found else 1.0


def _path(kind: str, name: str) -> tuple[Step, ...]:
    """Where an expected name stands in a record of type `kind`."""
    first, *rest = name.split("__")
    steps: list[Step] = [int(step) if step.isdecimal() else step for step in rest]
    if first in FIELD_SET:
        return (first, *steps)
    spec = TYPES.get(kind)
    slot: Literal["properties"] | str = "properties"
    if spec is not None and spec.slot is not None and first in spec.own:
        slot = spec.slot
    return (slot, first, *steps)


def _at(value: Any, path: tuple[Step, ...]) -> Any:
    """What stands at a path, ABSENT where there is nothing."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(str(step), ABSENT)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return ABSENT
    return value


def _compare(path: tuple[Step, ...], expected: Any, actual: Any) -> Iterator[Finding]:
    """The findings of one expected value: one, or one for each value in it."""
    if isinstance(expected, Mapping) and expected and isinstance(actual, dict):
        for key, value in expected.items():
            yield from _compare((*path, key), value, actual.get(key, ABSENT))
    elif (
        isinstance(expected, list | tuple)
        and expected
        and isinstance(actual, list)
        and len(actual) == len(expected)
    ):
        for place, value in enumerate(expected):
            yield from _compare((*path, place), value, actual[place])
    else:
        matches, note = _matches(expected, actual)
        yield Finding(path, expected, actual, matches, note)


def _matches(expected: Any, actual: Any) -> tuple[bool, str]:
    """Whether one value is as expected, and a word on why not."""
    if expected is ABSENT or actual is ABSENT:
        return expected is actual, ""
    if isinstance(expected, re.Pattern):
        return isinstance(actual, str) and expected.search(actual) is not None, ""
    try:
        if isinstance(expected, type):
            return isinstance(actual, expected), ""
        if callable(expected):
            return bool(expected(actual)), ""
        if isinstance(expected, Mapping):
            return isinstance(actual, dict) and not expected, ""
        if isinstance(expected, list | tuple):
            return actual == list(expected), ""
        if type(expected) in NUMBERS and isinstance(expected, bool) != isinstance(actual, bool):
            return False, ""  # in JSON, true is no 1
        return bool(actual == expected), ""
    except Exception as error:
        return False, f"raised {type(error).__name__}"
