"""What speaks against a sentence in another: denial, opposites, numbers, judgement, exceptions.

In: two readings and their alignment both ways. Out: `Evidence`: a figure for each kind, and a
sentence for each finding that names the words of both. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from lakeward.confidence.consistency.alignment import COVERED, Pair, strangeness
from lakeward.confidence.consistency.lexicon import listed
from lakeward.confidence.consistency.quantities import Quantity, apart, comparable, within
from lakeward.confidence.consistency.reading import Reading

Kind = Literal["negation", "opposite", "number", "polarity", "exception"]
Finding = tuple[Kind, str, str, str]
"""Kind, sentence, words of the premise, words of the hypothesis."""


class Evidence(msgspec.Struct, frozen=True):
    """All that speaks against."""

    reasons: tuple[Finding, ...]
    negation: float
    """Share of the denied words that the other sentence affirms."""
    denied_covered: float
    """Share of the denying clause that the other sentence answers."""
    denied_left: float
    """Weight of what it does not answer."""
    denied_strange: float
    """The same, less what is near in meaning."""
    opposite: float
    topic: float
    """Weight of the words that both have, what speaks against aside: is it of one matter?"""
    attribute: float
    """Opposites that only describe something else than the sentence is about, in any scene."""
    rest_covered: float
    """Share of the hypothesis that is answered, opposites aside."""
    number: float
    polarity: float
    exception: float
    unmatched: float
    """Numbers of the hypothesis that the premise does not give: they can never follow."""
    both_deny: bool
    may_support: bool
    """No word is denied in one text alone, and no number of the hypothesis is left open."""


def against(
    premise: Reading, hypothesis: Reading, pairs: Sequence[Pair], back: Sequence[Pair]
) -> Evidence:
    """Look for everything that speaks against the hypothesis in the premise."""
    denied, (share, covered, left, strange) = _denials(pairs, back)
    opposites = _opposites(pairs)
    numbers, unmatched = _numbers(premise, hypothesis)
    judged = _judged(premise, hypothesis, pairs)
    excepted = _excepted(premise, hypothesis)
    reasons = (*denied, *opposites, *numbers, *judged, *excepted)
    both = any(p.hypothesis.denied for p in pairs) and any(p.hypothesis.denied for p in back)
    return Evidence(
        reasons=reasons,
        negation=share,
        denied_covered=covered,
        denied_left=left,
        denied_strange=strange,
        opposite=float(min(len(opposites), 2)),
        topic=_topic(pairs),
        attribute=_attributes(pairs) if _anybody(premise) and _anybody(hypothesis) else 0.0,
        rest_covered=_rest(pairs, back),
        number=float(bool(numbers)),
        polarity=float(bool(judged)),
        exception=float(bool(excepted)),
        unmatched=float(unmatched),
        both_deny=both,
        may_support=not (reasons or unmatched or _overstated(premise, hypothesis))
        and _same_denials(premise, hypothesis, pairs, back),
    )


def _flipped(pair: Pair) -> bool:
    return (
        pair.premise is not None
        and pair.worth >= COVERED
        and pair.kin != "converse"
        and pair.premise.denied != pair.hypothesis.denied
    )


def _denials(
    pairs: Sequence[Pair], back: Sequence[Pair]
) -> tuple[list[Finding], tuple[float, float, float, float]]:
    """Words denied on one side only, seen from the side that denies."""
    findings: list[Finding] = []
    best = (0.0, 0.0, 0.0, 0.0)
    for side, turned in ((pairs, False), (back, True)):
        denied = [pair for pair in side if pair.hypothesis.denied]
        flipped = [pair for pair in denied if _flipped(pair)]
        if not flipped:
            continue
        share = _weight(flipped) / max(_weight(denied), 1e-9)
        # Only the clause that denies: "the office is bright, and the phone is never answered".
        inside = {pair.hypothesis.clause for pair in flipped}
        clause = [pair for pair in side if pair.hypothesis.clause in inside]
        missing = [pair for pair in clause if pair.worth < COVERED]
        covered = 1.0 - _weight(missing) / max(_weight(clause), 1e-9)
        strange = sum(pair.hypothesis.token.weight * strangeness(pair) for pair in missing)
        best = max(best, (share, covered, _weight(missing), strange))
        theirs = ", ".join(pair.premise.token.text for pair in flipped if pair.premise is not None)
        ours = ", ".join(pair.hypothesis.token.text for pair in flipped)
        said, against_it = (ours, theirs) if turned else (theirs, ours)
        who = "first" if turned else "second"
        findings.append(
            ("negation", f"Only the {who} text denies it: {_plain(ours)}.", said, against_it)
        )
    return findings, best


def _weight(pairs: Sequence[Pair]) -> float:
    return sum(pair.hypothesis.token.weight for pair in pairs)


def _plain(words: str) -> str:
    return words.replace("_", " ")


def _opposites(pairs: Sequence[Pair]) -> list[Finding]:
    found: list[Finding] = []
    for pair in pairs:
        if pair.kin == "opposite" and pair.premise is not None:
            one, other = pair.premise, pair.hypothesis
            if one.denied == other.denied:
                words = one.token.text, other.token.text
                sentence = f"Opposites: {_plain(words[0])} and {_plain(words[1])}."
                found.append(("opposite", sentence, *words))
        elif _facing(pair) and pair.premise is not None:
            words = pair.premise.before, pair.hypothesis.before
            sentence = f"Opposite places: {words[0]} and {words[1]}."
            found.append(("opposite", sentence, *words))
    return found


DEFINITE: Final = listed("the this that these those my your our their his her its we they i you")


def _anybody(reading: Reading) -> bool:
    """Of whoever it is: "a young woman", not "the young woman" or "our staff"."""
    return reading.scene and bool(reading.tokens) and reading.tokens[0].text not in DEFINITE


def _attributes(pairs: Sequence[Pair]) -> float:
    return float(any(p.kin == "opposite" and p.hypothesis.head != p.hypothesis.at for p in pairs))


UNRELATED: Final = 0.2
"""A denied word that is answered no better than this is of another matter."""
FACING: Final = ({"up", "down"}, {"inside", "outside"}, {"in", "outside"}, {"into", "out_of"})


def _facing(pair: Pair) -> bool:
    if (
        pair.premise is None
        or pair.worth < COVERED
        or pair.premise.denied != pair.hypothesis.denied
    ):
        return False
    return {pair.premise.before, pair.hypothesis.before} in FACING


def _topic(pairs: Sequence[Pair]) -> float:
    rest = [p for p in pairs if p.hypothesis.token.weight > 0.4 and p.kin != "opposite"]
    if not rest:
        return 1.0  # "they are late": nothing else is said
    return min(_weight([pair for pair in rest if pair.worth >= COVERED]), 2.0)


def _rest(pairs: Sequence[Pair], back: Sequence[Pair]) -> float:
    shares = []
    for side in (pairs, back):
        rest = [pair for pair in side if pair.kin != "opposite"]
        answered = [pair for pair in rest if pair.worth >= COVERED]
        shares.append(_weight(answered) / _weight(rest) if rest else 0.5)
    return max(shares)


def _numbers(premise: Reading, hypothesis: Reading) -> tuple[list[Finding], int]:
    """Numbers of one kind that cannot both be true; and those of the hypothesis not answered."""
    found: list[Finding] = []
    unmatched = 0
    for wanted in hypothesis.quantities:
        given = [q for q in premise.quantities if comparable(q, wanted)]
        if any(within(q, wanted) for q in given):
            continue
        unmatched += 1
        clash = next((q for q in given if apart(q, wanted)), None)
        if clash is None or len([q for q in given if apart(q, wanted)]) < len(given):
            continue
        if not _scenery(premise, hypothesis, clash, wanted):
            sentence = f"Numbers differ: {_plain(clash.said)} and {_plain(wanted.said)}."
            found.append(("number", sentence, clash.said, wanted.said))
    return found, unmatched


def _scenery(premise: Reading, hypothesis: Reading, one: Quantity, other: Quantity) -> bool:
    """Two dogs here and three dogs there may be other dogs; 40 and 12 employees may not."""
    counted = one.dimension == other.dimension == "count"
    return counted and one.spelled and other.spelled and premise.scene and hypothesis.scene


def _judged(premise: Reading, hypothesis: Reading, pairs: Sequence[Pair]) -> list[Finding]:
    """Praise against blame of the same thing."""
    if premise.judged * hypothesis.judged >= 0:
        return []
    common = [p.hypothesis.token.text for p in pairs if p.worth >= COVERED]
    if not common:
        return []
    one, other = ("praises", "blames") if premise.judged > 0 else ("blames", "praises")
    what = _plain(", ".join(common[:3]))
    sentence = f"The first text {one} and the second {other}: {what}."
    return [("polarity", sentence, what, what)]


def _excepted(premise: Reading, hypothesis: Reading) -> list[Finding]:
    """What is always so on one side and has exceptions on the other."""
    found: list[Finding] = []
    for one, other, turned in ((premise, hypothesis, False), (hypothesis, premise, True)):
        if one.always and other.exceptions and not other.always and not one.exceptions:
            every, some = one.always[0], other.exceptions[0]
            words = (some, every) if turned else (every, some)
            sentence = f"One text knows exceptions: {_plain(every)} and {_plain(some)}."
            found.append(("exception", sentence, *words))
    return found


def _overstated(premise: Reading, hypothesis: Reading) -> bool:
    """Whether all are claimed where most or some are known."""
    return bool(hypothesis.always) and premise.partial and not premise.always


def _same_denials(
    premise: Reading, hypothesis: Reading, pairs: Sequence[Pair], back: Sequence[Pair]
) -> bool:
    """Whether what the one text denies is not what the other says without denying it.

    A word affirmed in one and denied in the other is evidence already; this is about words that
    only one of the texts has.
    """
    if premise.loose or hypothesis.loose:
        return premise.loose == hypothesis.loose
    ours = [p for p in pairs if p.hypothesis.denied and p.kin != "converse"]
    theirs = [p for p in back if p.hypothesis.denied and p.kin != "converse"]
    if ours and not theirs:
        return False
    # The premise may deny something else than what the hypothesis says: fast, and never rude.
    return bool(ours) or not any(p.worth > UNRELATED for p in theirs)
