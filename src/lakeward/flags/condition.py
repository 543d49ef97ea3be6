"""Conditions on attributes, in GrowthBook's dialect of MongoDB's queries.

In: a condition as JSON and the saved groups. Out: a function from attributes to yes or no, made
once when a definition is read, so that an evaluation compiles nothing. The function never raises
and looks at no more than `LONGEST` letters of a text by a regular expression. An operator that is
unknown, and an expression that is none, match nobody; `faults` names them for people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lakeward.flags.operators import OPERATORS, Groups, Test, faults_of, same

Attributes = Mapping[str, Any]
Matcher = Callable[[Attributes], bool]

DEEPEST: Final = 50
"""Conditions inside conditions; people write three."""


def always(_: Attributes) -> bool:
    """The empty condition."""
    return True


def never(_: object) -> bool:
    """What nobody meets."""
    return False


def compiled(condition: object, groups: Groups, depth: int = 0) -> Matcher:
    """The condition as a function."""
    if depth > DEEPEST or not isinstance(condition, Mapping):
        return never
    parts = [_part(str(key), wanted, groups, depth + 1) for key, wanted in condition.items()]
    if not parts:
        return always
    return parts[0] if len(parts) == 1 else lambda attributes: all(p(attributes) for p in parts)


def _part(key: str, wanted: object, groups: Groups, depth: int) -> Matcher:
    if key in ("$or", "$nor", "$and"):
        if not isinstance(wanted, Sequence) or isinstance(wanted, str):
            return never
        each = [compiled(one, groups, depth) for one in wanted]
        if key == "$and":
            return lambda attributes: all(one(attributes) for one in each)
        some: Matcher = lambda attributes: not each or any(one(attributes) for one in each)  # noqa: E731
        return some if key == "$or" else lambda attributes: not some(attributes)
    if key == "$not":
        inner = compiled(wanted, groups, depth)
        return lambda attributes: not inner(attributes)
    test = value_test(wanted, groups, depth)
    if "." not in key:
        return lambda attributes: test(attributes.get(key))
    path = key.split(".")
    return lambda attributes: test(_found(attributes, path))


def value_test(wanted: object, groups: Groups, depth: int = 0) -> Test:
    """What one attribute is held against: a value, or an object of operators."""
    if not _is_operators(wanted):
        return lambda value: same(value, wanted)
    if depth > DEEPEST:
        return never
    tests = [_operator(name, operand, groups, depth + 1) for name, operand in wanted.items()]  # type: ignore[attr-defined]  # it is a mapping
    return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)


def _operator(name: str, operand: object, groups: Groups, depth: int) -> Test:
    match name:
        case "$not":
            inner = value_test(operand, groups, depth)
            return lambda value: not inner(value)
        case "$elemMatch":
            return _some_element(operand, groups, depth)
        case "$size":
            size = value_test(operand, groups, depth)
            return lambda value: isinstance(value, list | tuple) and size(len(value))
        case "$all":
            return _all_elements(operand, groups, depth)
    make = OPERATORS.get(name)
    return never if make is None else make(operand, groups)


def _some_element(operand: object, groups: Groups, depth: int) -> Test:
    if _is_operators(operand):
        test: Callable[[Any], bool] = value_test(operand, groups, depth)
    else:
        matcher = compiled(operand, groups, depth)
        test = lambda item: isinstance(item, Mapping) and matcher(item)  # noqa: E731
    return lambda value: isinstance(value, list | tuple) and any(test(item) for item in value)


def _all_elements(operand: object, groups: Groups, depth: int) -> Test:
    if not isinstance(operand, list | tuple):
        return never
    tests = [value_test(one, groups, depth) for one in operand]
    return lambda value: (
        isinstance(value, list | tuple) and all(any(test(item) for item in value) for test in tests)
    )


def _is_operators(wanted: object) -> bool:
    return (
        isinstance(wanted, Mapping)
        and bool(wanted)
        and all(isinstance(name, str) and name.startswith("$") for name in wanted)
    )


def _found(attributes: object, path: Sequence[str]) -> object:
    for name in path:
        if not isinstance(attributes, Mapping):
            return None
        attributes = attributes.get(name)
    return attributes


def faults(condition: object, groups: Groups, depth: int = 0) -> list[str]:
    """What people should mend in it, a sentence each."""
    if depth > DEEPEST:
        return [f"it is nested deeper than {DEEPEST} levels"]
    if not isinstance(condition, Mapping):
        return ['a condition must be an object such as {"country": "NZ"}']
    found: list[str] = []
    for key, wanted in condition.items():
        if key in ("$or", "$nor", "$and"):
            if isinstance(wanted, list | tuple):
                found += [fault for one in wanted for fault in faults(one, groups, depth + 1)]
            else:
                found.append(f"{key} must be a list of conditions")
        elif key == "$not":
            found += faults(wanted, groups, depth + 1)
        else:
            found += _faults_of_value(wanted, groups, depth + 1)
    return found


def _faults_of_value(wanted: object, groups: Groups, depth: int) -> list[str]:
    if not isinstance(wanted, Mapping) or depth > DEEPEST:
        return []
    marked = [name for name in wanted if isinstance(name, str) and name.startswith("$")]
    if marked and len(marked) < len(wanted):
        return [
            f"{marked[0]} stands beside names that are no operators: it would be compared whole"
        ]
    found: list[str] = []
    for name in marked:
        operand = wanted[name]
        if name == "$elemMatch" and not _is_operators(operand):
            found += faults(operand, groups, depth)
        elif name in ("$not", "$elemMatch", "$size"):
            found += _faults_of_value(operand, groups, depth)
        elif name == "$all":
            if not isinstance(operand, list | tuple):
                found.append("$all must be a list")
        elif name not in OPERATORS:
            found.append(f"{name[:40]} is no operator: {', '.join(sorted(OPERATORS))}")
        else:
            found += faults_of(name, operand, groups)
    return found
