"""Fits the coefficients by which `lakeward.confidence.consistency` weighs its figures.

In: the train part of `tests/data/consistency/pairs.tsv`; the dev part chooses how strongly the
coefficients are held back. Out: `coefficients.py`. The test part is not read. Each coefficient
keeps the sign that its figure must have: a word more that is not answered never helps.

    python -m tests.fit_consistency
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from lakeward.confidence.consistency.models import Lexical, Model, embedding
from lakeward.confidence.consistency.relation import (
    Facts,
    against_figures,
    facts,
    support_figures,
)
from tests.consistency_pairs import Example, examples

OUT = (
    pathlib.Path(__file__).parent.parent
    / "src/lakeward/confidence/consistency/coefficients.py"
)
UP, DOWN, FREE = (0.0, None), (None, 0.0), (None, None)
SIGNS = {
    "covered": UP, "left": DOWN, "strange": DOWN, "worst": DOWN, "turned": UP, "similarity": UP,
    "detached": DOWN, "unverbed": DOWN, "unmatched": DOWN, "denied_left": DOWN,
    "broken": DOWN, "swapped": DOWN, "moved": DOWN, "siblings": DOWN, "narrower": DOWN,
    "negation": UP, "opposite": UP, "number": UP, "polarity": UP, "exception": UP,
    "denied_covered": UP, "denied_strange": DOWN, "rest_covered": UP, "bias": FREE,
}  # fmt: skip
STRENGTHS = (0.1, 0.3, 1.0, 3.0)
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
    return [
        (example, facts(views[2 * at], views[2 * at + 1])) for at, example in enumerate(pairs)
    ]


def both(rows: list[tuple[Example, Facts]], strength: float) -> tuple[Figures, Figures]:
    """Coefficients for pairs that something speaks against, and for those that nothing does."""
    spoken = [(e, f) for e, f in rows if f.evidence.reasons]
    silent = [(e, f) for e, f in rows if not f.evidence.reasons and f.evidence.may_support]
    return (
        fitted([against_figures(f) for _, f in spoken],
               [e.label == "contradicts" for e, _ in spoken], strength),
        fitted([support_figures(f) for _, f in silent],
               [e.label == "supports" for e, _ in silent], strength),
    )  # fmt: skip


def right(rows: list[tuple[Example, Facts]], weights: tuple[Figures, Figures]) -> int:
    """How many of the pairs come out as they should."""
    count = 0
    for example, found in rows:
        figures = against_figures(found) if found.evidence.reasons else support_figures(found)
        chosen = weights[0] if found.evidence.reasons else weights[1]
        score = chosen["bias"] + sum(chosen[name] * value for name, value in figures.items())
        yes = "contradicts" if found.evidence.reasons else "supports"
        may = bool(found.evidence.reasons) or found.evidence.may_support
        count += example.label == (yes if score > 0 and may else "not_addressed")
    return count


def chosen(model: Model) -> tuple[Figures, Figures]:
    """The coefficients that do best on the dev part."""
    rows, held_out = seen(model, "train"), seen(model, "dev")
    tried = [both(rows, strength) for strength in STRENGTHS]
    print([right(held_out, w) for w in tried])
    return max(tried, key=lambda weights: right(held_out, weights))


def main() -> None:
    """Fit both models and write the module."""
    lines = [
        '"""What each figure weighs, by model: written by `tests.fit_consistency`, not by hand."""',
        "",
        "from __future__ import annotations",
        "",
        "from lakeward.confidence.consistency.relation import Coefficients",
    ]
    for name, model in (("LEXICAL", Lexical()), ("EMBEDDING", embedding())):
        against, support = chosen(model)
        lines += ["", f"{name} = Coefficients("]
        for part, table in (("against", against), ("support", support)):
            lines += [f"    {part}={{"]
            lines += [f'        "{key}": {value},' for key, value in table.items()]
            lines += ["    },"]
        lines += [")"]
    OUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
