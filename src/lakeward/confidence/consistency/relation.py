"""The relation of two sentences: one supports the other, contradicts it, or does not address it.

In: two views of sentences (words and vectors, from a model) and the model's coefficients. Out: a
`Relation` with its reasons. Pure.

    too unlike                        not_addressed
    something speaks against it       contradicts, or not_addressed when it may be of another matter
    all that it says is answered      supports
    else                              not_addressed

What speaks against is looked for first. Where anything does, `supports` can no longer come out,
whatever the coefficients say: that a denied look-alike never supports is a rule, not a figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from lakeward.confidence.consistency.alignment import COVERED, Marks, Pair, align, marks
from lakeward.confidence.consistency.evidence import Evidence, against
from lakeward.confidence.consistency.reading import Reading

Label = Literal["supports", "contradicts", "not_addressed"]
LEFT_OVER = 0.6
"""A word of the hypothesis this strange to the premise is something that it does not say."""
GATE = 0.12
"""Sentences less similar than this and without a common word are of different matters."""


class Reason(msgspec.Struct, frozen=True):
    """Why, in a sentence, with the words of both texts that led to it."""

    kind: Literal[
        "negation", "opposite", "number", "polarity", "exception", "answered", "left_over",
        "unlike", "unreadable", "cut",
    ]  # fmt: skip
    sentence: str
    premise: str = ""
    hypothesis: str = ""


class Relation(msgspec.Struct, frozen=True):
    """How the premise stands to the hypothesis."""

    label: Label
    similarity: float
    """How near the two are in meaning, whatever the label: 0 to 1."""
    reasons: tuple[Reason, ...]
    model: str
    """The model that was used, by its name."""
    certainty: float = 0.0
    """How far the figures are from the boundary: 0 on it, 1 far away."""


class View(Protocol):
    """A sentence as a model sees it."""

    @property
    def reading(self) -> Reading:
        """Its words."""

    def similarity(self, other: View) -> float:
        """How near the two sentences are: 0 to 1."""

    def near(self, at: int, other: View, there: int) -> float:
        """How near two of their words are: 0 to 1."""


class Coefficients(msgspec.Struct, frozen=True):
    """What each figure weighs; fitted to the pairs of the repository."""

    against: Mapping[str, float]
    support: Mapping[str, float]


class Facts(msgspec.Struct, frozen=True):
    """All that is known of a pair before it is judged."""

    similarity: float
    pairs: tuple[Pair, ...]
    marks: Marks
    evidence: Evidence
    shared: bool


def facts(premise: View, hypothesis: View) -> Facts:
    """Align both ways and look for what speaks against."""
    one, other = premise.reading, hypothesis.reading
    pairs = align(one, other, lambda i, j: premise.near(i, hypothesis, j))
    back = align(other, one, lambda i, j: hypothesis.near(i, premise, j))
    evidence = against(one, other, pairs, back)
    return Facts(
        similarity=min(1.0, max(0.0, premise.similarity(hypothesis))),
        pairs=pairs,
        # A denied sentence follows from a wider one: it is the premise that must be answered.
        marks=marks(back, pairs) if evidence.both_deny else marks(pairs, back),
        evidence=evidence,
        shared=any(pair.worth >= 0.8 or pair.kin == "opposite" for pair in pairs),
    )


def relate(premise: View, hypothesis: View, weights: Coefficients, model: str) -> Relation:
    """Judge one pair."""
    for reading, name in ((premise.reading, "first"), (hypothesis.reading, "second")):
        if reading.unreadable:
            why = Reason("unreadable", f"The {name} text cannot be compared: {reading.unreadable}.")
            return Relation("not_addressed", 0.0, (why,), model)
    found = facts(premise, hypothesis)
    label, certainty = _label(found, premise.reading, hypothesis.reading, weights)
    reasons = _reasons(found, label)
    if premise.reading.cut or hypothesis.reading.cut:
        reasons += (Reason("cut", "Only the beginning of a long text was compared."),)
    return Relation(label, found.similarity, reasons, model, certainty)


def _label(
    found: Facts, premise: Reading, hypothesis: Reading, weights: Coefficients
) -> tuple[Label, float]:
    if premise.text.split() == hypothesis.text.split():
        return "supports", 1.0
    if not found.shared and found.similarity < GATE:
        return "not_addressed", 1.0
    if found.evidence.reasons:
        score = _score(weights.against, against_figures(found))
        return ("contradicts" if score > 0 else "not_addressed"), _distance(score)
    if not may_support(found):
        return "not_addressed", 1.0
    score = _score(weights.support, support_figures(found))
    return ("supports" if score > 0 else "not_addressed"), _distance(score)


def may_support(found: Facts) -> bool:
    """Whether support may come out: no rule is against it, a word is answered and no plain one is
    left over. What is near in meaning alone may be the opposite: a fair price, expensive."""
    answered = any(pair.worth >= COVERED for pair in found.pairs)
    return found.evidence.may_support and answered and found.marks.worst < LEFT_OVER


def _distance(score: float) -> float:
    return math.tanh(abs(score) / 2)


def _score(weights: Mapping[str, float], figures: Mapping[str, float]) -> float:
    return weights["bias"] + sum(weights[name] * value for name, value in figures.items())


def support_figures(found: Facts) -> dict[str, float]:
    """The figures of a pair that nothing speaks against."""
    seen = found.marks
    return {
        "covered": seen.covered,
        "left": min(seen.left, 3.0),
        "strange": min(seen.strange, 3.0),
        "worst": seen.worst,
        "turned": seen.turned,
        "similarity": found.similarity,
        "broken": seen.broken,
        "swapped": seen.swapped,
        "detached": min(seen.detached, 2.0),
        "unverbed": seen.unverbed,
        "moved": min(seen.moved, 2.0),
        "siblings": min(seen.siblings, 2.0),
        "narrower": min(seen.narrower, 2.0),
    }


def against_figures(found: Facts) -> dict[str, float]:
    """The figures of a pair that something speaks against."""
    seen, evidence = found.marks, found.evidence
    topic = min(evidence.topic, 1.0)
    return {
        "negation": evidence.negation,
        "opposite": evidence.opposite,
        "attribute": evidence.attribute,
        "topic": evidence.topic,
        # These say nothing unless both texts are of one matter.
        "number": evidence.number * topic,
        "polarity": evidence.polarity * topic,
        "exception": evidence.exception * topic,
        "denied_covered": evidence.denied_covered,
        "denied_left": min(evidence.denied_left, 3.0),
        "denied_strange": min(evidence.denied_strange, 3.0),
        "rest_covered": evidence.rest_covered,
        "similarity": found.similarity,
        "covered": max(seen.covered, seen.turned),
        "siblings": min(seen.siblings, 2.0),
        "swapped": seen.swapped,
        "moved": min(seen.moved, 2.0),
    }


def _reasons(found: Facts, label: Label) -> tuple[Reason, ...]:
    given = tuple(
        Reason(kind, sentence, said, against_it)
        for kind, sentence, said, against_it in found.evidence.reasons
    )
    if label == "contradicts":
        return given
    missing = [pair for pair in found.pairs if pair.worth < 0.8 and pair.kin != "opposite"]
    if label == "supports":
        answered = [pair for pair in found.pairs if pair.worth >= 0.8 and pair.premise is not None]
        words = ", ".join(pair.hypothesis.token.text.replace("_", " ") for pair in answered)
        theirs = ", ".join(pair.premise.token.text for pair in answered if pair.premise is not None)
        return (Reason("answered", f"The first text says all of: {words}.", theirs, words),)
    if missing:
        words = ", ".join(pair.hypothesis.token.text.replace("_", " ") for pair in missing)
        return (*given, Reason("left_over", f"The first text does not say: {words}.", "", words))
    if given:
        return given
    return (Reason("unlike", "The two use some of the same words, and say different things."),)
