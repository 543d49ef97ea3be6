"""The published accuracy is true, and better than what knows nothing of language."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from consistency_accuracy import Score, cosine_only, judged, majority
from consistency_pairs import LABELS, examples
from lakeward.confidence.consistency import Model, embedding, lexical

DOCS = Path(__file__).parent.parent / "docs/consistency.md"
MARGIN = 0.10
ANOTHER_MACHINE = 0.02
"""Vectors differ in the last digits between processors, and so may a pair on the boundary."""


def published() -> dict[str, list[float]]:
    """The table of the page: accuracy, macro F1, F1 of contradictions by row."""
    page = DOCS.read_text(encoding="utf-8")
    found = re.search(r"<!-- accuracy: begin -->\n(.*?)<!-- accuracy: end -->", page, re.DOTALL)
    assert found is not None
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in found[1].splitlines()
    ]
    return {row[0]: [float(cell) for cell in row[1:]] for row in rows[2:]}


BUILT: Mapping[str, Model] = {model.name: model for model in (lexical(), embedding())}


@functools.cache
def whole(name: str) -> Score:
    """A model on the test part: that takes seconds, and always comes to the same."""
    return judged("test", BUILT[name])


@functools.cache
def alone(name: str) -> Score:
    """What the model's similarity says by itself."""
    return cosine_only("test", BUILT[name])


def figures(of: Score) -> list[float]:
    return [of.accuracy, of.macro_f1, of.f1("contradicts")]


@pytest.mark.parametrize(
    ("name", "tolerance"), [(lexical().name, 0.0006), (embedding().name, ANOTHER_MACHINE)]
)
def test_the_published_figures_are_what_comes_out(name: str, tolerance: float) -> None:
    table = published()
    assert figures(whole(name)) == pytest.approx(table[name], abs=tolerance)
    cosine = table[f"cosine alone, {name}"]
    assert figures(alone(name)) == pytest.approx(cosine, abs=tolerance)
    assert figures(majority("test")) == pytest.approx(table["commonest label"], abs=0.0006)


@pytest.mark.parametrize("name", BUILT)
def test_each_model_beats_the_commonest_label_and_every_cosine_by_ten_points(name: str) -> None:
    rivals = [majority("test"), *map(alone, BUILT)]
    assert whole(name).accuracy >= max(rival.accuracy for rival in rivals) + MARGIN


def test_the_parts_share_no_premise_and_hold_all_labels_evenly() -> None:
    parts = {part: {e.premise for e in examples(part)} for part in ("train", "dev", "test")}
    assert not parts["train"] & parts["test"]
    assert not parts["train"] & parts["dev"]
    assert not parts["dev"] & parts["test"]
    counts = Counter(example.label for example in examples("test"))
    assert min(counts[label] for label in LABELS) > 0.25 * counts.total()
    assert {example.domain for example in examples("test")} == {"business", "scene"}
