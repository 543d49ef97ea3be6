"""What sees sentences: an embedding model where its extra is installed, words alone elsewhere.

In: texts. Out: views of them. `default()` takes the embedding model when its libraries and files
are there, and `Lexical` otherwise; each says its name. The embedding model fails with one sentence
when its extra is missing, when a file is missing, and when a packaged file is not the one that was
reviewed.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from lakeward.confidence.consistency.coefficients import LEXICAL
from lakeward.confidence.consistency.embedding import Embedding, embedding, installed
from lakeward.confidence.consistency.lexicon import kin
from lakeward.confidence.consistency.reading import Reading, read
from lakeward.confidence.consistency.relation import Coefficients, View

NEAR: Final = {
    "same": 1.0, "synonym": 0.95, "wider": 0.8, "stem": 0.8, "narrower": 0.7, "opposite": 0.5,
    "sibling": 0.35, "converse": 0.8, "none": 0.0,
}  # fmt: skip


class Model(Protocol):
    """What `compare` and `report` ask of a model."""

    @property
    def name(self) -> str:
        """Its name, which every result carries."""

    @property
    def coefficients(self) -> Coefficients:
        """What each figure weighs with this model."""

    def views(self, texts: Sequence[str]) -> list[View]:
        """The sentences as it sees them, in order."""


class WordView:
    """A sentence as a bag of its base forms."""

    def __init__(self, text: str) -> None:
        self.reading: Reading = read(text)
        self._bag = Counter(word.token.lemmas[-1] for word in self.reading.words)

    def similarity(self, other: View) -> float:
        """Cosine of the two bags of words."""
        if not isinstance(other, WordView):
            raise TypeError("views of two models cannot be compared")
        common = sum(count * other._bag[word] for word, count in self._bag.items())
        size = _length(self._bag) * _length(other._bag)
        return common / size if size else 0.0

    def near(self, at: int, other: View, there: int) -> float:
        """By the table of words, and by common letters."""
        one, two = self.reading.words[at].token, other.reading.words[there].token
        return max(NEAR[kin(one.lemmas, two.lemmas)], _letters(one.text, two.text))


def _length(bag: Counter[str]) -> float:
    return float(sum(count * count for count in bag.values()) ** 0.5)


@functools.lru_cache(maxsize=32_768)
def _letters(one: str, other: str) -> float:
    """Share of common three-letter groups."""
    first, second = ({w[i : i + 3] for i in range(len(w) - 2)} for w in (one, other))
    return 0.7 * len(first & second) / len(first | second) if first and second else 0.0


class Lexical:
    """Compares words by tables alone: no model, no library."""

    name = "lexical-fallback"
    coefficients = LEXICAL

    def views(self, texts: Sequence[str]) -> list[View]:
        """Read each text."""
        return [WordView(text) for text in texts]


def lexical() -> Lexical:
    """The fallback, when it is wanted by name."""
    return Lexical()


def default(folder: Path | None = None) -> Model:
    """The best model that is here."""
    return embedding(folder) if installed(folder) else Lexical()


__all__ = ["Embedding", "Lexical", "Model", "default", "embedding", "lexical"]
