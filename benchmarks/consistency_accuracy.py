"""How often a model is right on the pairs, beside two baselines that know nothing of language.

In: a part of the pairs. Out: `Score`s. The baselines are the commonest label, and the cosine of the
two sentences alone: two thresholds and what lies below, between and above them, whichever is best
on the train part.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import msgspec

from consistency_pairs import LABELS, Example, examples
from lakeward.confidence.consistency.models import Model
from lakeward.confidence.consistency.relation import Label, View, relate


class Score(msgspec.Struct, frozen=True):
    """Of many pairs, how many came out as what."""

    counts: dict[tuple[Label, Label], int]
    """By the label they have and the one they got."""

    @property
    def pairs(self) -> int:
        return sum(self.counts.values())

    @property
    def accuracy(self) -> float:
        return sum(self.counts.get((label, label), 0) for label in LABELS) / self.pairs

    def f1(self, label: Label) -> float:
        """Harmonic mean of precision and recall of one label."""
        right = self.counts.get((label, label), 0)
        given = sum(n for (_, got), n in self.counts.items() if got == label)
        there = sum(n for (wanted, _), n in self.counts.items() if wanted == label)
        return 2 * right / (given + there) if given + there else 0.0

    @property
    def macro_f1(self) -> float:
        return sum(self.f1(label) for label in LABELS) / len(LABELS)


def score(wanted: Sequence[Label], got: Sequence[Label]) -> Score:
    """Count."""
    return Score(dict(Counter(zip(wanted, got, strict=True))))


def views_of(pairs: Sequence[Example], model: Model) -> list[tuple[View, View]]:
    """Each pair as the model sees it."""
    seen = model.views([text for pair in pairs for text in (pair.premise, pair.hypothesis)])
    return list(zip(seen[::2], seen[1::2], strict=True))


def judged(part: str, model: Model) -> Score:
    """The model on one part."""
    pairs = examples(part)
    got = [
        relate(one, other, model.coefficients, model.name).label
        for one, other in views_of(pairs, model)
    ]
    return score([pair.label for pair in pairs], got)


def majority(part: str) -> Score:
    """The train part's commonest label for every pair."""
    commonest, _ = Counter(pair.label for pair in examples("train")).most_common(1)[0]
    pairs = examples(part)
    return score([pair.label for pair in pairs], [commonest] * len(pairs))


def cosine_only(part: str, model: Model) -> Score:
    """The similarity alone, with the thresholds that are best on the train part."""

    def cosines(pairs: Sequence[Example]) -> list[float]:
        return [one.similarity(other) for one, other in views_of(pairs, model)]

    train = examples("train")
    wanted = [pair.label for pair in train]
    seen = cosines(train)
    steps = [step / 40 for step in range(41)]
    bands = [
        (low, high, names)
        for low, high in itertools.combinations(steps, 2)
        for names in itertools.permutations(LABELS)
    ]
    best = max(bands, key=lambda band: score(wanted, [_band(x, *band) for x in seen]).accuracy)
    pairs = examples(part)
    return score([p.label for p in pairs], [_band(x, *best) for x in cosines(pairs)])


def _band(value: float, low: float, high: float, names: tuple[Label, ...]) -> Label:
    return names[0] if value < low else names[1] if value < high else names[2]
