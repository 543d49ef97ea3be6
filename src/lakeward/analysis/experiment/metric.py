"""How a metric is written, and what it is then.

In: a line. Out: a `Metric`. Fails with `Rejected` naming the part that cannot be read.

    demo_booking                             share of units with one
    count:page_view                          how many, per unit
    sum:deal_closed.value,currency=EUR       a field added up, per unit
    mean:feedback_submission.nps             the field's sum by how often it was told
    ratio:count:demo_held/count:demo_booking one measure by another, over all units
    p90:api_call.response_time_ms            a quantile of a field over all its values
    lower:p90:…                              the same, and less of it is better

In a CSV the names are those of its columns: `revenue`, `ratio:revenue/orders`, `p90:seconds`.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from lakeward.catalog import TYPES
from lakeward.errors import Rejected

Kind = Literal["share", "mean", "ratio", "quantile"]
Verb = Literal["did", "count", "sum", "told"]
"""Happened or not; how often; a field added up; how often the field was told."""

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.$-]{0,199}")
FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}(\.[A-Za-z_][A-Za-z0-9_]{0,99}){0,4}")
QUANTILE: Final = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,3})?):(.*)", re.DOTALL)
MOST_FILTERS: Final = 5
LONGEST: Final = 500


class Measure(msgspec.Struct, frozen=True):
    """Something that is counted or added up for each unit."""

    verb: Verb
    type: str
    field: str | None = None
    filters: tuple[tuple[str, str], ...] = ()


class Metric(msgspec.Struct, frozen=True):
    """What is compared between arms."""

    text: str
    kind: Kind
    measures: tuple[str, ...]
    """One as it was written; of a ratio two."""
    lower: bool = False
    quantile: float | None = None

    @property
    def name(self) -> str:
        """As it was written, without the direction."""
        return self.text.removeprefix("lower:")


def metric(text: str, plain: Kind = "share") -> Metric:
    """A metric as somebody writes it; `plain`: what a name alone is."""
    if len(text) > LONGEST:
        raise Rejected(f"a metric has at most {LONGEST} letters: {text[:40]!r} has {len(text)}.")
    lower = text.startswith("lower:")
    rest = text.removeprefix("lower:")
    if found := QUANTILE.fullmatch(rest):
        share = float(found[1]) / 100
        if not 0 < share < 1:
            raise Rejected(f"{text[:60]!r}: a quantile is p1 to p99, or finer, such as p99.9.")
        return Metric(text, "quantile", (_named(found[2], text),), lower, share)
    verb, colon, of = rest.partition(":")
    if colon and verb == "ratio":
        one, slash, other = of.partition("/")
        if not slash:
            raise Rejected(f"{text[:60]!r}: a ratio is of two, such as ratio:revenue/orders.")
        return Metric(text, "ratio", (_named(one, text), _named(other, text)), lower)
    if colon and verb == "mean":
        name = _named(of, text)
        return Metric(text, "ratio", (f"sum:{name}", f"told:{name}"), lower)
    if colon and verb in ("count", "sum"):
        _named(of, text)
        return Metric(text, "mean", (rest,), lower)
    return Metric(text, plain, (_named(rest, text),), lower)


def _named(text: str, whole: str) -> str:
    if not text:
        raise Rejected(f"{whole[:60]!r}: a name is missing.")
    return text


def measure(text: str, verb: Verb = "did") -> Measure:
    """A measure of the lake: `[count:|sum:]TYPE[.FIELD][,FIELD=VALUE]…`; `verb`: of a bare one."""
    said, colon, rest = text.partition(":")
    if colon:
        verbs: dict[str, Verb] = {"count": "count", "sum": "sum", "told": "told"}
        if said not in verbs:
            raise Rejected(f"{text[:60]!r}: take count:, sum:, mean:, ratio:, p90: or a type.")
        verb = verbs[said]
    named, *conditions = (rest if colon else text).split(",")
    name, field = _parted(named, verb)
    if not NAME.fullmatch(name) or (field and not FIELD.fullmatch(field)):
        raise Rejected(f"{text[:60]!r} names no type and field such as deal_closed.value.")
    if verb in ("sum", "told") and not field:
        raise Rejected(f"{text[:60]!r}: which field? Such as sum:deal_closed.value.")
    if verb == "did" and field:
        raise Rejected(f"{text[:60]!r}: sum:, mean: or a quantile of that field?")
    return Measure(verb, name, field or None, _filters(conditions, text))


def _parted(named: str, verb: Verb) -> tuple[str, str]:
    """Type and field; a custom type may have points in its name, and its field none."""
    type_, _, field = named.partition(".")
    if type_ in TYPES or type_ == "demo_held":
        return type_, field
    if verb in ("sum", "told"):
        type_, _, field = named.rpartition(".")
        return type_, field
    return named, ""


def _filters(conditions: list[str], text: str) -> tuple[tuple[str, str], ...]:
    if len(conditions) > MOST_FILTERS:
        raise Rejected(f"{text[:60]!r} has more than {MOST_FILTERS} conditions.")
    found = []
    for condition in conditions:
        field, equals, value = condition.partition("=")
        if not equals or not FIELD.fullmatch(field):
            raise Rejected(f"{condition[:60]!r} is no condition such as currency=EUR.")
        found.append((field, value))
    return tuple(found)
