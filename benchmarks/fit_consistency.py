"""Fits the coefficients by which `lakeward.confidence.consistency` weighs its figures.

In: the train part of `tests/data/consistency/pairs.tsv`. Out: `coefficients.py`. The other parts
are not read. Each coefficient keeps the sign that its figure must have: a word more that is not
answered never helps. How strongly they are held back is chosen by pairs left out in turn.

    python benchmarks/fit_consistency.py
"""

from __future__ import annotations

import pathlib
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from consistency_pairs import Example, examples
from lakeward.confidence.consistency.models import Lexical, Model, embedding
from lakeward.confidence.consistency.relation import (
    Facts,
    against_figures,
    facts,
    may_support,
    support_figures,
)

OUT = pathlib.Path(__file__).parent.parent / "src/lakeward/confidence/consistency/coefficients.py"
UP, DOWN, FREE = (0.0, None), (None, 0.0), (None, None)
SIGNS = {
    "covered": UP, "left": DOWN, "strange": DOWN, "worst": DOWN, "turned": UP, "similarity": UP,
    "topic": UP, "attribute": DOWN, "detached": DOWN, "unverbed": DOWN, "denied_left": DOWN,
    "broken": DOWN, "swapped": DOWN, "moved": DOWN, "siblings": DOWN, "narrower": DOWN,
    "negation": UP, "opposite": UP, "number": UP, "polarity": UP, "exception": UP,
    "denied_covered": UP, "denied_strange": DOWN, "rest_covered": UP, "bias": FREE,
}  # fmt: skip
STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0)
FOLDS = 8
STEPS = (7, 19, 31, 43, 67)
"""How far the other pairs of `strangers` lie."""
SHARED = 0.55
Figures = dict[str, float]


def fitted(figures: Sequence[Figures], wanted: Sequence[bool], strength: float) -> Figures:
    """Logistic regression, both answers weighing the same, signs kept."""
    names = [*figures[0], "bias"]
    x = np.array([[*row.values(), 1.0] for row in figures])
    y = np.array(wanted, dtype=float)
    each = np.where(y > 0, 0.5 / max(y.sum(), 1), 0.5 / max((1 - y).sum(), 1)) * len(y)
    held = np.array([0.0 if name == "bias" else strength for name in names])

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ w
        cost = each @ (np.logaddexp(0, z) - y * z) + 0.5 * held @ (w * w)
        return float(cost), x.T @ (each * (expit(z) - y)) + held * w

    best = minimize(
        loss, np.zeros(len(names)), jac=True, method="L-BFGS-B",
        bounds=[SIGNS[name] for name in names],
    )  # fmt: skip
    return {name: round(float(w), 3) + 0.0 for name, w in zip(names, best.x, strict=True)}


def seen(model: Model, part: str) -> list[tuple[Example, Facts]]:
    """Each pair of one part with its figures."""
    pairs = examples(part)
    views = model.views([text for e in pairs for text in (e.premise, e.hypothesis)])
    return [(example, facts(views[2 * at], views[2 * at + 1])) for at, example in enumerate(pairs)]


class Rows(NamedTuple):
    """Pairs of one kind: their figures, what they should come out as, and their premises."""

    figures: list[Figures]
    wanted: list[bool]
    premises: list[str]

    def some(self, keep: Sequence[bool]) -> Rows:
        """Those that are kept."""
        own = [at for at, kept in enumerate(keep) if kept]
        return Rows(
            [self.figures[at] for at in own],
            [self.wanted[at] for at in own],
            [self.premises[at] for at in own],
        )


def strangers(model: Model) -> list[tuple[Example, Facts]]:
    """Premises with hypotheses of other premises: companies are said many things about.

    All of these are of different matters, those aside that share most of their words.
    """
    pairs = [e for e in examples("train") if e.domain == "business"]
    views = model.views([text for e in pairs for text in (e.premise, e.hypothesis)])
    found = []
    for at, one in enumerate(pairs):
        for step in STEPS:
            there = (at + step) % len(pairs)
            other = pairs[there]
            if one.premise == other.premise:
                continue
            seen = facts(views[2 * at], views[2 * there + 1])
            if seen.marks.covered < SHARED and seen.similarity < SHARED:
                mixed = Example("train", "business", "not_addressed", one.premise, other.hypothesis)
                found.append((mixed, seen))
    return found


def spoken_against(rows: list[tuple[Example, Facts]]) -> Rows:
    """Pairs that something speaks against: do they contradict?"""
    own = [(e, f) for e, f in rows if f.evidence.reasons]
    return Rows([against_figures(f) for _, f in own], [e.label == "contradicts" for e, _ in own],
                [e.premise for e, _ in own])  # fmt: skip


def unopposed(rows: list[tuple[Example, Facts]]) -> Rows:
    """Pairs that nothing speaks against: do they support?"""
    own = [(e, f) for e, f in rows if not f.evidence.reasons and may_support(f)]
    return Rows([support_figures(f) for _, f in own], [e.label == "supports" for e, _ in own],
                [e.premise for e, _ in own])  # fmt: skip


def surprise(rows: Rows, weights: Figures) -> float:
    """How badly the coefficients foretell, as a sum of logarithms."""
    total = 0.0
    for figures, wanted in zip(rows.figures, rows.wanted, strict=True):
        score = weights["bias"] + sum(weights[name] * value for name, value in figures.items())
        total += float(np.logaddexp(0, -score if wanted else score))
    return total


def chosen(rows: Rows) -> Figures:
    """Held back as strongly as foretells best what was left out, premise by premise."""
    fold = [zlib.crc32(premise.encode()) % FOLDS for premise in rows.premises]

    def unseen(strength: float) -> float:
        total = 0.0
        for part in range(FOLDS):
            seen = rows.some([own != part for own in fold])
            weights = fitted(seen.figures, seen.wanted, strength)
            total += surprise(rows.some([own == part for own in fold]), weights)
        return total

    return fitted(rows.figures, rows.wanted, min(STRENGTHS, key=unseen))


def main() -> None:
    """Fit both models and write the module."""
    lines = [
        '"""What each figure weighs: written by `benchmarks/fit_consistency.py`, not by hand."""',
        "",
        "from __future__ import annotations",
        "",
        "from lakeward.confidence.consistency.relation import Coefficients",
    ]
    for name, model in (("LEXICAL", Lexical()), ("EMBEDDING", embedding())):
        rows, others = seen(model, "train"), strangers(model)
        against, support = chosen(spoken_against(rows + others)), chosen(unopposed(rows))
        lines += ["", f"{name} = Coefficients("]
        for part, table in (("against", against), ("support", support)):
            lines += [f"    {part}={{"]
            lines += [f'        "{key}": {value},' for key, value in table.items()]
            lines += ["    },"]
        lines += [")"]
    OUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
