"""What is told of a new score: the fields of `powerconfidence_update` in the catalog.

In: the score, the one before, what started the computation. Out: fields; `partner_id` is the
record's own and is added by whoever tells it. No respondent is in it.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from lakeward.confidence.score.evidence import PEOPLE
from lakeward.confidence.score.flag import ONE
from lakeward.confidence.score.result import Score

Trigger = Literal["evidence", "schedule", "correction", "erasure"]
DIGITS = 6
"""Of points: what is below is rounding, and noise to a reader."""


class _Change(TypedDict, total=False):
    previous_score: float
    change: float


class Fields(_Change):
    """Of a `powerconfidence_update`, `partner_id` left out."""

    new_score: float
    reason: str
    data_points: int
    confidence: float
    interval_low: float
    interval_high: float
    provisional: bool
    effective_n: float
    contributions: dict[str, float]
    trigger: Trigger
    formula_version: str


def fields_of(score: Score, previous: Score | None, trigger: Trigger) -> Fields:
    """The fields; `confidence` is the part of the score that stands on evidence.

    `contributions` are the points of each source's witnesses, and of all priors as `prior`.
    """
    contributions: dict[str, float] = {p.source: _round(p.points) for p in score.sources}
    fields = Fields(
        new_score=_round(score.value), reason=_reason(score, previous, trigger),
        data_points=score.data_points, confidence=_round(min(score.evidence_share, 1.0)),
        interval_low=_round(score.low), interval_high=_round(score.high),
        provisional=score.provisional, effective_n=_round(score.effective_n),
        contributions={
            **contributions, "prior": _round(sum(part.prior_points for part in score.sources))
        },
        trigger=trigger, formula_version=score.formula_version,
    )  # fmt: skip
    if previous is not None:
        fields["previous_score"] = _round(previous.value)
        fields["change"] = _round(score.value - previous.value)
    return fields


def _round(number: float) -> float:
    return round(number, DIGITS)


def _reason(score: Score, previous: Score | None, trigger: Trigger) -> str:
    """What is different, in counts."""
    if previous is None:
        return f"First score, of {score.data_points} pieces of evidence."
    before = {part.source: part.respondents_n for part in previous.sources}
    parts = []
    for part in score.sources:
        if part.source in PEOPLE and (more := part.respondents_n - before.get(part.source, 0)):
            named = f"{ONE[part.source]}{'s' if abs(more) > 1 else ''}"
            parts.append(f"{abs(more)} {'more' if more > 0 else 'fewer'} {named}")
    if score.formula_version != previous.formula_version:
        parts.append(f"formula {previous.formula_version} became {score.formula_version}")
    if len(score.flags) != len(previous.flags):
        plural = "" if len(score.flags) == 1 else "s"
        parts.append(f"{len(score.flags)} flag{plural} instead of {len(previous.flags)}")
    if not parts:
        same = trigger == "schedule" and score.data_points == previous.data_points
        parts.append("the same evidence, older" if same else "evidence of known witnesses changed")
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}."
