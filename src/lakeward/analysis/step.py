"""Steps: the kinds of interactions that funnels, retention and paths are made of.

In: a type, a filter, a name; or the words that a person writes. Out: a frozen `Step`. Fails with
`Rejected` naming the word.

    demo_booking                         interactions of this type; * is every one
    page_view[path=/pricing]             … of which this holds
    click[properties.id=buy,path~/shop]  … of which all of these hold
    paid:=deal_closed[outcomes.value>0]  … under a name of its own
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

from lakeward.analysis.events import ANY, check_event, looked
from lakeward.analysis.filters import Filter, Op, Term, both, check_size, condition
from lakeward.analysis.question import says
from lakeward.analysis.values import Values
from lakeward.errors import Rejected

WORD: Final = re.compile(
    r"(?:(?P<name>[^\[\]=]{1,200}):=)?(?P<event>[^\[\]\s]+)(?:\[(?P<where>.*)\])?"
)
CONDITION: Final = re.compile(
    r"(?P<field>[\w.$-]+?)(?P<op>!=|>=|<=|!~|\^=|\$=|=|~|>|<)(?P<value>.*)"
)
OPS: Final[dict[str, Op]] = {
    "=": "is", "!=": "is_not", "~": "contains", "!~": "contains_not", "^=": "starts",
    "$=": "ends", ">": "above", ">=": "at_least", "<": "below", "<=": "at_most",
}  # fmt: skip
ORDERED: Final = ("above", "at_least", "below", "at_most")


class Step(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One kind of interaction."""

    event: Annotated[str, says("The interaction type; `*` for every one.")] = ANY
    where: Annotated[Filter | None, says("What must hold of it.")] = None
    label: Annotated[str, says("What it is called; else its type.")] = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check_event("event", self.event)
        check_size(self.where)
        condition(self.where, looked, Values())

    @property
    def name(self) -> str:
        """What a legend says."""
        return self.label or self.event


def step_of(word: str) -> Step:
    """The step that a person wrote."""
    found = WORD.fullmatch(word)
    if found is None:
        raise Rejected(
            f"{word[:80]!r} is no step: write a type such as demo_booking, page_view[path=/pricing]"
            " or paid:=deal_closed[outcomes.value>0]."
        )
    where = found["where"]
    return Step(
        event=found["event"],
        where=None if where is None else filter_of(split(where)),
        label=found["name"] or (word if where else ""),
    )


def split(words: str) -> list[str]:
    """Conditions between commas; `\\,` is a comma that belongs to a value."""
    return [part.replace("\\,", ",") for part in re.split(r"(?<!\\),", words)]


def filter_of(words: list[str]) -> Filter | None:
    """The filter that conditions mean, all of them; of one field several `=` are any of them."""
    filters: list[Filter] = []
    equal: dict[str, tuple[Term, ...]] = {}
    for word in words:
        if word.lstrip().startswith("{"):
            filters.append(_json(word))
            continue
        found = CONDITION.fullmatch(word.strip())
        if found is None:
            raise Rejected(
                f"{word[:80]!r} is no condition: write a field, one of {' '.join(OPS)}, and a "
                "value, such as path=/pricing."
            )
        field, op, value = found["field"], OPS[found["op"]], found["value"]
        if op == "is":
            equal[field] = (*equal.get(field, ()), _term(field, value))
        else:
            term = _number(field, value) if op in ORDERED else _term(field, value, op)
            filters.append(Filter(field=field, op=op, values=(term,)))
    filters += [Filter(field=field, values=values) for field, values in equal.items()]
    return both(*filters)


def _json(word: str) -> Filter:
    try:
        return msgspec.json.decode(word, type=Filter)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Rejected(f"{word[:80]!r} is no filter: {error}.") from None


def _term(field: str, value: str, op: Op = "is") -> Term:
    """A word as a value of its field's kind."""
    if op not in ("is", "is_not"):
        return value
    kind = looked(field).kind
    if kind in ("integer", "number"):
        return _number(field, value)
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def _number(field: str, value: str) -> float | int:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        found = float(value)
    except ValueError:
        raise Rejected(
            f"`{field}` is compared with a number, and {value[:40]!r} is none."
        ) from None
    if found != found or abs(found) == float("inf"):
        raise Rejected(f"`{field}` is compared with a number, and {value[:40]!r} is none.")
    return found
