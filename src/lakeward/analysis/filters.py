"""Filters: which interactions a question is about, as typed conditions that nest.

In: a `Filter`, as Python or JSON, and the fields that may be named. Out: a SQL condition whose
values are parameters. Fails with `Rejected` naming the field, the condition or the limit.

    {"field": "route", "values": ["/api/match"]}
    {"all": [{"field": "response_status", "op": "at_least", "values": [500]},
             {"none": [{"field": "properties.plan", "op": "starts", "values": ["trial"]}]}]}

Every condition is true or false: a field that is not there is none of the values, and contains
nothing. Text is compared as it stands, save `contains`, which does not look at the case of letters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Final, Literal

import msgspec

from lakeward.analysis.question import says
from lakeward.analysis.scope import Dimension
from lakeward.analysis.values import Values
from lakeward.errors import Rejected

Op = Literal[
    "is", "is_not", "contains", "contains_not", "starts", "ends", "above", "at_least", "below",
    "at_most", "known", "unknown",
]  # fmt: skip
Term = str | int | float | bool
Look = Callable[[str], Dimension]
"""The SQL of a field by its name; raises `Rejected` for a name that is none."""

DEEPEST: Final = 8
MOST_CONDITIONS: Final = 200
MOST_VALUES: Final = 1000
ORDERED: Final = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}
NUMBERS: Final = frozenset({"integer", "number"})
GROUPS: Final = ("all", "any", "none")


class Filter(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A condition on one field, or a group of filters; exactly one of them."""

    field: Annotated[str | None, says("The field that is looked at.")] = None
    op: Annotated[Op, says("How its value is compared.")] = "is"
    values: Annotated[
        tuple[Term, ...], says("What it is compared with; one of them is enough.")
    ] = ()
    all: Annotated[tuple[Filter, ...], says("Filters that must all hold.")] = ()
    any: Annotated[tuple[Filter, ...], says("Filters of which one must hold.")] = ()
    none: Annotated[tuple[Filter, ...], says("Filters of which none may hold.")] = ()

    def __post_init__(self) -> None:
        """Refuse what says nothing, or two things."""
        said = [name for name in ("field", *GROUPS) if getattr(self, name)]
        if len(said) != 1:
            raise Rejected("A filter has a `field`, or `all`, `any` or `none`: one of the four.")
        if self.field is not None:
            self._check_values()
        elif self.op != "is" or self.values:
            raise Rejected(f"A filter with `{said[0]}` takes no `op` and no `values`.")

    def _check_values(self) -> None:
        if self.op in ("known", "unknown"):
            if self.values:
                raise Rejected(f"`{self.field}`: {self.op!r} takes no values.")
            return
        if not 1 <= len(self.values) <= MOST_VALUES:
            raise Rejected(f"`{self.field}`: {self.op!r} takes 1 to {MOST_VALUES} values.")
        if self.op in ORDERED:
            if len(self.values) > 1 or type(self.values[0]) in (str, bool):
                raise Rejected(f"`{self.field}`: {self.op!r} takes one number.")
        elif self.op not in ("is", "is_not") and not all_texts(self.values):
            raise Rejected(f"`{self.field}`: {self.op!r} takes texts.")


def all_texts(values: Sequence[Term]) -> bool:
    """Whether each is a text that says something."""
    return all(type(value) is str and value for value in values)


def both(*filters: Filter | None) -> Filter | None:
    """What must hold of all of them."""
    told = tuple(each for each in filters if each is not None)
    return Filter(all=told) if len(told) > 1 else next(iter(told), None)


def fields_of(where: Filter | None) -> Iterator[str]:
    """The fields that a filter names."""
    if where is None:
        return
    if where.field is not None:
        yield where.field
    for inner in (*where.all, *where.any, *where.none):
        yield from fields_of(inner)


def check_size(where: Filter | None) -> None:
    """Refuse a filter that is too deep or too large."""
    if where is not None and sum(1 for _ in _conditions(where, 1)) > MOST_CONDITIONS:
        raise Rejected(f"A filter has at most {MOST_CONDITIONS} conditions.")


def _conditions(where: Filter, depth: int) -> Iterator[Filter]:
    if depth > DEEPEST:
        raise Rejected(f"Filters nest at most {DEEPEST} deep.")
    if where.field is not None:
        yield where
    for inner in (*where.all, *where.any, *where.none):
        yield from _conditions(inner, depth + 1)


def condition(where: Filter | None, look: Look, values: Values) -> str:
    """The filter as SQL; TRUE for none."""
    if where is None:
        return "TRUE"
    if where.field is not None:
        return _compared(where, look(where.field), values)
    if where.all:
        return _joined(" AND ", where.all, look, values)
    if where.any:
        return _joined(" OR ", where.any, look, values)
    return f"NOT {_joined(' OR ', where.none, look, values)}"


def _joined(word: str, filters: tuple[Filter, ...], look: Look, values: Values) -> str:
    return "(" + word.join(condition(each, look, values) for each in filters) + ")"


def _compared(where: Filter, field: Dimension, values: Values) -> str:
    """One condition; never NULL."""
    sql, op = field.sql, where.op
    if op == "known":
        return f"({sql} IS NOT NULL)"
    if op == "unknown":
        return f"({sql} IS NULL)"
    if op in ORDERED:
        number = sql if field.kind in NUMBERS else f"TRY_CAST({sql} AS DOUBLE)"
        return f"coalesce({number} {ORDERED[op]} {values(float(where.values[0]))}, FALSE)"
    if op == "is":
        return f"coalesce({_among(where, field, values)}, FALSE)"
    if op == "is_not":
        return f"NOT coalesce({_among(where, field, values)}, FALSE)"
    text = sql if field.kind == "text" else f"CAST({sql} AS VARCHAR)"
    each = {
        "contains": "strpos(lower({0}), lower({1})) > 0",
        "contains_not": "strpos(lower({0}), lower({1})) > 0",
        "starts": "starts_with({0}, {1})",
        "ends": "right({0}, length({1})) = {1}",
    }[op]
    found = " OR ".join(each.format(text, values(str(value))) for value in where.values)
    found = f"coalesce({found}, FALSE)"
    return f"NOT {found}" if op == "contains_not" else found


def _among(where: Filter, field: Dimension, values: Values) -> str:
    if field.kind in NUMBERS:
        if any(type(value) in (str, bool) for value in where.values):
            raise Rejected(f"`{where.field}` is a number, and is compared with numbers.")
        return f"{field.sql} IN ({values.list(where.values)})"
    if field.kind == "boolean":
        if any(type(value) is not bool for value in where.values):
            raise Rejected(f"`{where.field}` is true or false.")
        return f"{field.sql} IN ({values.list(where.values)})"
    texts = tuple(_text(value) for value in where.values)
    sql = field.sql if field.kind == "text" else f"CAST({field.sql} AS VARCHAR)"
    return f"{sql} IN ({values.list(texts)})"


def _text(value: Term) -> str:
    """A value as JSON text has it: `true`, `3`, `2.5`."""
    if type(value) is str:
        return value
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return msgspec.json.encode(value).decode()
