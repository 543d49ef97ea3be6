"""What IAM policies allow, decided as IAM decides: a denial wins, and without a grant it is no.

Only what our templates use is understood; an unknown operator is a mistake and raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Request(NamedTuple):
    """What somebody wants to do, to what, under which circumstances."""

    action: str
    resource: str
    context: Mapping[str, str] = {}


def allowed(documents: Iterable[Mapping[str, Any]], request: Request) -> bool:
    """Whether the policies allow it."""
    effects = [
        statement["Effect"]
        for document in documents
        for statement in _list(document["Statement"])
        if _applies(statement, request)
    ]
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    assert not {"NotAction", "NotResource"} & set(statement)
    return (
        any(_like(it.lower(), request.action.lower()) for it in _list(statement["Action"]))
        and any(_like(it, request.resource) for it in _list(statement.get("Resource", "*")))
        and all(
            _holds(operator, key, _list(wanted), request.context)
            for operator, pairs in statement.get("Condition", {}).items()
            for key, wanted in pairs.items()
        )
    )


def _holds(operator: str, key: str, wanted: list[Any], context: Mapping[str, str]) -> bool:
    found = context.get(key)
    if found is None:
        return False
    if operator in ("StringEquals", "ArnEquals", "Bool"):
        return any(str(one).lower() == found.lower() for one in wanted)
    if operator in ("StringLike", "ArnLike"):
        return any(_like(str(one), found) for one in wanted)
    if operator == "NumericLessThan":
        return any(float(found) < float(one) for one in wanted)
    raise AssertionError(f"the operator {operator} is not known here")


def _like(pattern: str, text: str) -> bool:
    words = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(words, text, re.DOTALL) is not None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
