"""Which word of one sentence answers which word of the other, and what stays over.

In: two `Reading`s and how near their words are in meaning (from the model). Out: `Pair`s and
`Marks`, the figures a relation is judged by. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from lakeward.confidence.consistency.lexicon import Kin, kin, listed
from lakeward.confidence.consistency.reading import Reading, Word

Nearness = Callable[[int, int], float]
"""How near the premise's word and the hypothesis' are in meaning, by their places: 0 to 1."""
WORTH: Final[dict[Kin, float]] = {
    "same": 1.0, "synonym": 0.97, "wider": 0.93, "stem": 0.85, "opposite": 0.6, "narrower": 0.4,
    "sibling": 0.2, "converse": 0.85, "none": 0.0,
}  # fmt: skip
CHOICE: Final[dict[Kin, float]] = {**WORTH, "opposite": 0.95}
"""Which of several answers is taken: an opposite before a wider word."""
ANSWERS: Final = frozenset({"same", "synonym", "wider", "stem", "opposite", "converse"})
AGENTS: Final = listed("crew staff team technician installer personnel workforce support service")
"""Who "they" and "we" are, where a company is spoken of."""
APART: Final[dict[Kin, float]] = {"narrower": 0.5, "sibling": 0.6}
"""What is known to be another thing stays strange, however near the two words are used."""
COVERED: Final = 0.8
"""A word is answered from this worth on."""
AREAS: Final = {
    place: area
    for area, places in (
        line.split(": ")
        for line in """at: in inside into within through on onto over above across
under: under below beneath underneath
behind: behind
front: in_front_of
near: beside near along
out: out_of outside away_from off
up: up
down: down
amid: between among amid
towards: towards toward""".splitlines()
    )
    for place in places.split()
}
"""Words of place; those of two areas exclude each other, "in the snow" and "on the snow" do not."""


class Pair(msgspec.Struct, frozen=True, gc=False):
    """A word of the hypothesis and the word of the premise that answers it best."""

    hypothesis: Word
    premise: Word | None
    kin: Kin
    worth: float
    near: float


class Marks(msgspec.Struct, frozen=True):
    """The figures of two aligned sentences."""

    covered: float
    """Share of the hypothesis' words, by weight, that the premise answers."""
    left: float
    """Weight of those it does not answer."""
    strange: float
    """The same, less what is near in meaning."""
    worst: float
    """Of the words not answered, how strange the strangest is."""
    turned: float
    """Share of the premise's words that the hypothesis answers."""
    broken: float
    """Share of neighbouring words that are no longer neighbours."""
    swapped: float
    """Share of words that change sides of the same verb: who does it to whom."""
    detached: float
    """Words that stand before another word than in the premise: "white hat", "white man"."""
    unverbed: float
    """What is done here was no deed there: "a runner is circling", "running in circles"."""
    moved: float
    """Words at a place that excludes the other place."""
    siblings: float
    narrower: float


def align(premise: Reading, hypothesis: Reading, near: Nearness) -> tuple[Pair, ...]:
    """The best answer to each word of the hypothesis."""
    pairs: list[Pair] = []
    taken = _taken(premise, hypothesis)
    last = -1
    for j, word in enumerate(hypothesis.words):
        best: tuple[float, float, int, Kin] | None = None
        for i, other in enumerate(premise.words):
            found = kin(other.token.lemmas, word.token.lemmas)
            if i in taken and found != "same" and not _compound(hypothesis, j, other, found):
                continue  # it answers its own word: "shutters" is not also "closing"
            # Of equal answers the one behind the last answer: "white" of the right "shirt".
            rank = (CHOICE[found], near(i, j) - 0.02 * abs(i - last - 1), i, found)
            if best is None or rank > best:
                best = rank
        if best is None:
            pairs.append(Pair(word, None, "none", 0.0, 0.0))
            continue
        i, found = best[2:]
        pair = _settled(premise, word, premise.words[i], found, near(i, j))
        pairs.append(pair)
        last = i if pair.worth >= COVERED else last
    return tuple(pairs)


def _settled(premise: Reading, word: Word, other: Word, found: Kin, near: float) -> Pair:
    """What an answer is worth where it stands."""
    if found == "opposite":
        if min(word.token.weight, other.token.weight) < 0.4:
            found = "none"  # "it took a week" is not the opposite of giving something
        elif other.denied != word.denied:
            found = "converse"
    if found not in ANSWERS and premise.pronoun and AGENTS.intersection(word.token.lemmas):
        return Pair(word, other, "stem", WORTH["stem"], WORTH["stem"])
    return Pair(word, other, found, WORTH[found], near)


def _compound(hypothesis: Reading, j: int, other: Word, found: Kin) -> bool:
    """A panda answers "panda bear": both words, since they stand side by side."""
    if found != "wider":
        return False
    return any(
        set(hypothesis.words[k].token.lemmas) & set(other.token.lemmas)
        for k in (j - 1, j + 1)
        if 0 <= k < len(hypothesis.words)
    )


def _taken(premise: Reading, hypothesis: Reading) -> frozenset[int]:
    """Words of the premise that the hypothesis has too."""
    theirs = {lemma for word in hypothesis.words for lemma in word.token.lemmas}
    return frozenset(
        i for i, word in enumerate(premise.words) if theirs.intersection(word.token.lemmas)
    )


def marks(pairs: Sequence[Pair], back: Sequence[Pair]) -> Marks:
    """The figures of an alignment and of the one in the other direction."""
    covered, left, strange, worst = _cover(pairs)
    missing = [pair for pair in pairs if pair.worth < COVERED]
    return Marks(
        covered=covered,
        left=left,
        strange=strange,
        worst=worst,
        turned=_cover(back)[0],
        broken=_broken(pairs),
        swapped=_swapped(pairs),
        detached=float(sum(1 for one, other in pairwise(pairs) if _detached(one, other))),
        unverbed=float(any(_unverbed(pair) for pair in pairs)),
        moved=float(sum(1 for pair in pairs if _moved(pair))),
        siblings=float(sum(1 for pair in missing if pair.kin == "sibling")),
        narrower=float(sum(1 for pair in missing if pair.kin == "narrower")),
    )


def _cover(pairs: Sequence[Pair]) -> tuple[float, float, float, float]:
    total = sum(pair.hypothesis.token.weight for pair in pairs)
    if not total:
        return 0.0, 0.0, 0.0, 0.0
    missing = [pair for pair in pairs if pair.worth < COVERED]
    left = sum(pair.hypothesis.token.weight for pair in missing)
    strange = [pair.hypothesis.token.weight * strangeness(pair) for pair in missing]
    return 1.0 - left / total, left, sum(strange), max(strange, default=0.0)


def strangeness(pair: Pair) -> float:
    """How far an answer is from the word: a dog is near a cat, and still another animal."""
    return max(1.0 - pair.near, APART.get(pair.kin, 0.0))


def _broken(pairs: Sequence[Pair]) -> float:
    ours = [pair for pair in pairs if pair.worth >= COVERED and pair.premise is not None]
    steps = list(pairwise(ours))
    if not steps:
        return 0.0
    apart = sum(
        1
        for one, other in steps
        if one.premise is not None
        and other.premise is not None
        and abs(other.premise.at - one.premise.at)
        > abs(other.hypothesis.at - one.hypothesis.at) + 3
    )
    return apart / len(steps)


def _swapped(pairs: Sequence[Pair]) -> float:
    """Counts only where both sentences have the same verb."""
    answered = [pair for pair in pairs if pair.worth >= COVERED and pair.premise is not None]
    same_verb = any(
        pair.hypothesis.side == "verb" and pair.premise is not None and pair.premise.side == "verb"
        for pair in answered
    )
    # Adverbs stand where they like: "always deliver", "deliver every time".
    others = [
        pair
        for pair in answered
        if pair.hypothesis.side != "verb" and pair.hypothesis.token.weight == 1.0
    ]
    if not same_verb or not others:
        return 0.0
    sides = [{p.premise.side, p.hypothesis.side} for p in others if p.premise is not None]
    swapped = sum(0.5 if side == {"left", "place"} else 1.0 for side in sides if len(side) == 2)
    return swapped / len(others)


def _detached(one: Pair, other: Pair) -> bool:
    """Two words side by side, of which the first stands before another word in the premise."""
    if one.worth < COVERED or other.worth < COVERED or not one.premise or not other.premise:
        return False
    if other.hypothesis.at != one.hypothesis.at + 1:
        return False
    head = one.premise.head
    return (
        head != one.premise.at
        and head != other.premise.at
        and not (one.premise.at < other.premise.at <= head)
    )


def _unverbed(pair: Pair) -> bool:
    # "Delivery took two days" says that they deliver; only one word in two roles is a warning.
    if pair.hypothesis.side != "verb" or pair.premise is None or pair.kin != "same":
        return False
    return pair.premise.side != "verb" and not pair.premise.deed


def _moved(pair: Pair) -> bool:
    if pair.premise is None or pair.worth < COVERED:
        return False
    one, other = AREAS.get(pair.premise.before), AREAS.get(pair.hypothesis.before)
    return one is not None and other is not None and one != other
