"""How a metric of an experiment is written, and what it is then.

In: words. Out: a `Metric`: what kind of figure it is, and the measures it is made of, each a step
and perhaps a field. Fails with `Rejected` naming the part that cannot be read.

    demo_booking                                 share of units with one
    count:page_view[path=/pricing]               how many, per unit
    sum:outcomes.value:deal_closed[outcomes.currency=EUR]
                                                 a field added up, per unit
    mean:feedback.nps:feedback_submission        the field's sum by how often it was told
    ratio:count:demo_held/count:demo_booking     one measure by another, over all units
    p90:response_time_ms:api_call                a quantile of a field over all its values
    lower:p90:…                                  the same, and less of it is better

In a CSV the names are those of its columns: `revenue`, `ratio:revenue/orders`, `p90:seconds`.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

from lakeward.analysis.events import looked
from lakeward.analysis.question import says
from lakeward.analysis.step import Step, step_of
from lakeward.errors import Rejected

Kind = Literal["share", "mean", "ratio", "quantile"]
Verb = Literal["did", "count", "sum", "told"]
"""Happened or not; how often; a field added up; how often the field was told."""

QUANTILE: Final = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,3})?)")
BRACKETS: Final = re.compile(r"\[.*?\](?=/|$)")
LONGEST: Final = 2000
MEASURES: Final[dict[Kind, int]] = {"share": 1, "mean": 1, "ratio": 2, "quantile": 1}


class Measure(Step, frozen=True, kw_only=True):
    """What is counted or added up for each unit: a step, and perhaps a field of it."""

    verb: Annotated[Verb, says("What is made of a unit's interactions.")] = "did"
    field: Annotated[str | None, says("The field that is added up.")] = None

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        super().__post_init__()
        if (self.verb in ("sum", "told")) != (self.field is not None):
            raise Rejected(
                f"{self.event[:80]}: `field` goes with `sum` and `told`, and only there."
            )
        if self.field is not None:
            looked(self.field)


class Metric(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What is compared between arms."""

    kind: Annotated[Kind, says("What figure it is.")]
    measures: Annotated[tuple[Measure, ...], says("One; of a ratio two.")]
    lower: Annotated[bool, says("Whether less of it is better.")] = False
    quantile: Annotated[float | None, says("Which one, 0 to 1.")] = None
    label: Annotated[str, says("What it is called.")] = ""

    def __post_init__(self) -> None:
        """Refuse what is no figure."""
        if len(self.measures) != MEASURES[self.kind]:
            raise Rejected(f"a {self.kind} is of {MEASURES[self.kind]} measures.")
        if (self.kind == "quantile") != (self.quantile is not None):
            raise Rejected("`quantile` goes with the kind quantile, and only there.")
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise Rejected("`quantile` must be above 0 and below 1.")
        if self.kind == "quantile" and self.measures[0].verb != "sum":
            raise Rejected("a quantile is of a field: its measure's `verb` is sum.")
        if self.kind == "share" and self.measures[0].verb != "did":
            raise Rejected("a share is of units that did something: its measure's `verb` is did.")

    @property
    def name(self) -> str:
        """What a report says."""
        return self.label or "/".join(measure.name for measure in self.measures)


class Written(msgspec.Struct, frozen=True):
    """The words of a metric taken apart; what its parts mean is another's to say."""

    kind: Kind
    parts: tuple[str, ...]
    lower: bool
    quantile: float | None
    label: str


def written(text: str) -> Written:
    """Take the words of a metric apart; a bare word is a share."""
    if len(text) > LONGEST:
        raise Rejected(f"a metric has at most {LONGEST} letters: {text[:40]!r} has {len(text)}.")
    label = text.removeprefix("lower:")
    lower = label != text
    verb, colon, of = label.partition(":")
    quantile, kind, parts = None, "share", [label]
    if colon and (found := QUANTILE.fullmatch(verb)):
        quantile, kind, parts = float(found[1]) / 100, "quantile", [of]
        if not 0 < quantile < 1:
            raise Rejected(f"{text[:60]!r}: a quantile is p1 to p99, or finer, such as p99.9.")
    elif colon and verb == "ratio":
        kind, parts = "ratio", _halves(of, text)
    elif colon and verb == "mean":
        kind, parts = "ratio", [f"sum:{of}", f"told:{of}"]
    elif colon and verb in ("count", "sum"):
        kind = "mean"
    if not all(part.rpartition(":")[2] for part in parts):
        raise Rejected(f"{text[:60]!r}: a name is missing.")
    return Written(kind, tuple(parts), lower, quantile, label)  # type: ignore[arg-type]  # of Kind


def _halves(of: str, text: str) -> list[str]:
    """The two sides of the first slash that is not part of a condition."""
    masked = BRACKETS.sub(lambda found: "x" * len(found[0]), of)
    place = masked.find("/")
    if place < 0:
        raise Rejected(f"{text[:60]!r}: a ratio is of two, such as ratio:revenue/orders.")
    return [of[:place], of[place + 1 :]]


def metric(text: str) -> Metric:
    """A metric of the lake, as somebody writes it."""
    found = written(text)
    bare: Verb = "count" if found.kind == "ratio" else "did"
    parts = found.parts if found.kind != "quantile" else (f"sum:{found.parts[0]}",)
    return Metric(
        kind=found.kind, measures=tuple(measure(part, bare) for part in parts),
        lower=found.lower, quantile=found.quantile, label=found.label,
    )  # fmt: skip


def measure(text: str, bare: Verb = "did") -> Measure:
    """`STEP`, `count:STEP` or `sum:FIELD:STEP`; `bare`: the verb of a step alone."""
    verb, colon, rest = text.partition(":")
    field: str | None = None
    if not colon or rest.startswith("="):  # `name:=type` is a step
        said: Verb = bare
        rest = text
    elif verb == "count":
        said = "count"
    elif verb in ("sum", "told"):
        said = "sum" if verb == "sum" else "told"
        field, colon, rest = rest.partition(":")
        if not colon:
            raise Rejected(
                f"{text[:60]!r}: name a field and a type, such as sum:outcomes.value:deal_closed."
            )
    else:
        raise Rejected(f"{text[:60]!r}: take a type, or count:, sum:, mean:, ratio: or p90: first.")
    step = step_of(rest)
    return Measure(event=step.event, where=step.where, label=step.label, verb=said, field=field)
