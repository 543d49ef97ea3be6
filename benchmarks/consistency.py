"""How often are two sentences related rightly, with the embedding model and without; and how fast?

accuracy   on the test part of the repository's pairs, which nothing was fitted to, beside the
           commonest label and the cosine alone
speed      pairs of sentences a second, all of them new to the model
"""

from __future__ import annotations

import time

from consistency_accuracy import Score, cosine_only, judged, majority, views_of
from consistency_pairs import LABELS, examples
from lakeward.confidence.consistency import embedding, lexical
from lakeward.confidence.consistency.models import Model
from lakeward.confidence.consistency.relation import relate
from measure import Report, table

MODELS: tuple[Model, ...] = (lexical(), embedding())


def cells(name: str, of: Score) -> list[str]:
    """One row."""
    return [name, f"{of.accuracy:.3f}", f"{of.macro_f1:.3f}", f"{of.f1('contradicts'):.3f}"]


def accuracy(report: Report) -> None:
    """All of them on the test part."""
    rows = [cells("commonest label", majority("test"))]
    rows += [cells(f"cosine alone, {m.name}", cosine_only("test", m)) for m in MODELS]
    scores = {model.name: judged("test", model) for model in MODELS}
    rows += [cells(name, of) for name, of in scores.items()]
    head = [f"{len(examples('test'))} pairs", "accuracy", "macro F1", "F1 of contradictions"]
    report.say(table(head, rows))
    report.figures["accuracy"] = {row[0]: row[1:] for row in rows}
    confusion = [
        [f"{name}: {wanted}", *(str(of.counts.get((wanted, got), 0)) for got in LABELS)]
        for name, of in scores.items()
        for wanted in LABELS
    ]
    report.say(table(["what they are, and what they were called", *LABELS], confusion))


def speed(report: Report) -> None:
    """Pairs a second, every sentence new to the model."""
    pairs = examples()
    rows = []
    for model in MODELS:
        start = time.perf_counter()
        for one, other in views_of(pairs, model):
            relate(one, other, model.coefficients, model.name)
        rows.append([model.name, f"{len(pairs) / (time.perf_counter() - start):,.0f}"])
    report.say(table(["model", "pairs a second"], rows))
    report.figures["speed"] = dict(rows)


def main() -> None:
    """Run both and print the tables."""
    report = Report("consistency")
    accuracy(report)
    speed(report)
    report.finish()


if __name__ == "__main__":
    main()
