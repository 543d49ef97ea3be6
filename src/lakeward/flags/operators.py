"""The operators of conditions that hold one attribute against one operand.

In: the operand, when a definition is read. Out: a test of a value. A missing attribute is None, as
in GrowthBook's SDKs; types are told apart (`"3"` is not `3`, `true` is not `1`), except where two
texts or numbers are ordered. Tests never raise.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from lakeward.flags.version_order import sortable

Test = Callable[[Any], bool]
Groups = Mapping[str, list[Any]]
Make = Callable[[Any, Groups], Test]

LONGEST: Final = 2_000
"""Letters of an attribute that an expression looks at: attributes come from visitors."""
TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "string": str, "number": (int, float), "boolean": bool, "object": Mapping,
    "array": (list, tuple), "null": type(None), "undefined": type(None),
}  # fmt: skip


def same(value: object, wanted: object) -> bool:
    """Equality as JSON has it."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(wanted, list | tuple):
        return (
            isinstance(value, list | tuple)
            and len(value) == len(wanted)
            and all(map(same, value, wanted))
        )
    if isinstance(wanted, Mapping):
        return (
            isinstance(value, Mapping)
            and value.keys() == wanted.keys()
            and all(same(value[name], one) for name, one in wanted.items())
        )
    return bool(value == wanted)


def _key(value: Any) -> Any:
    """A value as a member of a set in which true is not 1."""
    return ("", value) if type(value) is bool else value


def _in(operand: Any, _: Groups) -> Test:
    if not isinstance(operand, list | tuple):
        return lambda value: False
    members = {_key(one) for one in operand if isinstance(one, str | int | float | None)}

    def test(value: Any) -> bool:
        if isinstance(value, list | tuple):
            return any(_is_member(one, members) for one in value)
        return _is_member(value, members)

    return test


def _is_member(value: Any, members: set[Any]) -> bool:
    return isinstance(value, str | int | float | None) and _key(value) in members


def _folded(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_folded(one) for one in value]
    return value.lower() if isinstance(value, str) else value


def _in_any_case(operand: Any, groups: Groups) -> Test:
    test = _in(_folded(operand), groups)
    return lambda value: test(_folded(value))


def _all_in_any_case(operand: Any, _: Groups) -> Test:
    if not isinstance(operand, list | tuple):
        return lambda value: False
    wanted = _folded(operand)

    def test(value: Any) -> bool:
        if not isinstance(value, list | tuple):
            return False
        folded = _folded(value)
        return all(any(same(item, one) for item in folded) for one in wanted)

    return test


def _in_group(operand: Any, groups: Groups) -> Test:
    return _in(groups.get(operand, []) if isinstance(operand, str) else [], groups)


def _not(make: Make, wanted: type | tuple[type, ...] = object) -> Make:
    """The opposite; an operand of a wrong type matches nobody, here as there."""

    def made(operand: Any, groups: Groups) -> Test:
        test = make(operand, groups)
        return lambda value: isinstance(operand, wanted) and not test(value)

    return made


def _ordered(compare: Callable[[Any, Any], bool]) -> Make:
    def made(operand: Any, _: Groups) -> Test:
        def test(value: Any) -> bool:
            left, right = _comparable(value, operand)
            return left is not None and compare(left, right)

        return test

    return made


def _comparable(value: Any, operand: Any) -> tuple[Any, Any]:
    """Two texts stay texts; with a number beside it a text counts as one, and none is zero."""
    if isinstance(value, str) and isinstance(operand, str):
        return value, operand
    left, right = _number(value), _number(operand)
    return (None, None) if left is None or right is None else (left, right)


def _number(value: Any) -> float | None:
    if value is None:
        return 0
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and len(value) < 100:
        try:
            return float(value) if value.strip() else 0
        except ValueError:
            return None
    return None


def _of_versions(compare: Callable[[str, str], bool]) -> Make:
    def made(operand: Any, _: Groups) -> Test:
        wanted = sortable(operand)
        return lambda value: compare(sortable(value), wanted)

    return made


def _expression(flags: int, wanted: bool) -> Make:
    def made(operand: Any, _: Groups) -> Test:
        pattern = pattern_of(operand, flags)
        if pattern is None:
            return lambda value: False
        search = pattern.search
        return lambda value: (search(_text(value)) is not None) is wanted

    return made


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value[:LONGEST]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value)[:LONGEST] if is_number else ""


def pattern_of(expression: object, flags: int = 0) -> re.Pattern[str] | None:
    """A regular expression; None when it is none."""
    try:
        return re.compile(expression, flags) if isinstance(expression, str) else None
    except (re.error, OverflowError, RecursionError, Warning):  # a warning where it is an error
        return None


def _of_type(operand: Any, _: Groups) -> Test:
    wanted = TYPES.get(operand) if isinstance(operand, str) else None
    if wanted is None:
        return lambda value: False
    is_bool = operand == "boolean"
    return lambda value: isinstance(value, wanted) and isinstance(value, bool) is is_bool


def _exists(operand: Any, _: Groups) -> Test:
    wanted = bool(operand)
    return lambda value: (value is not None) is wanted


_LISTS = (list, tuple)
OPERATORS: Final[dict[str, Make]] = {
    "$eq": lambda operand, _: lambda value: same(value, operand),
    "$ne": lambda operand, _: lambda value: not same(value, operand),
    "$lt": _ordered(operator.lt), "$lte": _ordered(operator.le),
    "$gt": _ordered(operator.gt), "$gte": _ordered(operator.ge),
    "$in": _in, "$nin": _not(_in, _LISTS),
    "$ini": _in_any_case, "$nini": _not(_in_any_case, _LISTS), "$alli": _all_in_any_case,
    "$inGroup": _in_group, "$notInGroup": _not(_in_group),
    "$regex": _expression(0, True), "$regexi": _expression(re.IGNORECASE, True),
    "$notRegex": _expression(0, False), "$notRegexi": _expression(re.IGNORECASE, False),
    "$exists": _exists, "$type": _of_type,
    "$veq": _of_versions(operator.eq), "$vne": _of_versions(operator.ne),
    "$vgt": _of_versions(operator.gt), "$vgte": _of_versions(operator.ge),
    "$vlt": _of_versions(operator.lt), "$vlte": _of_versions(operator.le),
}  # fmt: skip
"""Beside `$not`, `$elemMatch`, `$size` and `$all`, which hold a condition inside."""


_NESTED: Final = re.compile(r"(?<!\\)[+*}]\)+[+*{]")


def faults_of(name: str, operand: Any, groups: Groups) -> list[str]:
    """What is wrong with an operand, a sentence each."""
    if name in ("$in", "$nin", "$ini", "$nini", "$alli") and not isinstance(operand, _LISTS):
        return [f"{name} must be a list"]
    if "egex" in name and pattern_of(operand) is None:
        return [f"{name} is no regular expression that Python can read"]
    if "egex" in name and _NESTED.search(operand):
        return [
            f"{name} repeats what repeats itself: a visitor's text could hold it up for minutes"
        ]
    if name == "$type" and not (isinstance(operand, str) and operand in TYPES):
        return [f"$type must be one of {', '.join(TYPES)}"]
    is_group = isinstance(operand, str) and operand in groups
    if name in ("$inGroup", "$notInGroup") and not is_group:
        return [f"{name} names a group that `savedGroups` does not have"]
    if name in ("$gt", "$gte", "$lt", "$lte") and not isinstance(operand, int | float | str):
        return [f"{name} must be a number or a text"]
    return []
