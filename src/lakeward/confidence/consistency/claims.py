"""What a text claims: its sentences, each with its kind and its numbers.

In: any text. Out: `Claim`s in order. Never fails; a text longer than `LONGEST_TEXT` is read to
there, and of more than `MOST_CLAIMS` sentences the first are taken.
"""

from __future__ import annotations

import math
import re
from typing import Final, Literal

import msgspec

from lakeward.confidence.consistency.lexicon import listed
from lakeward.confidence.consistency.quantities import Quantity, quantities
from lakeward.confidence.consistency.sentences import Sentence, sentences
from lakeward.confidence.consistency.wording import Token, tokens

Kind = Literal["offer", "number", "promise", "superlative", "statement"]
LONGEST_TEXT: Final = 100_000
MOST_CLAIMS: Final = 500
UNITS: Final = {"hours": "hours", "money": "money", "percent": "%", "year": "year"}
PROMISING: Final = listed(
    "will shall guarantee guaranteed promise pledge assure ensure commit committed always "
    "never 24/7 refund within invariably"
)
SUPERLATIVE: Final = listed(
    "best finest top leading foremost unique unmatched unrivalled unbeatable most least only "
    "first leader number_one unparalleled perfect"
)
OFFERING: Final = listed(
    "offer provide deliver sell supply include give build install repair design develop make "
    "train support free service help specialise specialize consult advise maintain"
)
EST: Final = re.compile(r"^[a-z]{2,}(?:[^aeiou]|i|l)est$")
NOT_SUPERLATIVE: Final = listed(
    "interest request invest forest honest modest latest guest suggest contest protest "
    "harvest digest west rest test almost earnest arrest quest nearest"
)


class Figure(msgspec.Struct, frozen=True):
    """A number of a claim: the range that it allows; `high` is None where there is no end."""

    text: str
    low: float
    high: float | None
    unit: str


class Claim(msgspec.Struct, frozen=True):
    """One sentence that claims something."""

    quote: str
    start: int
    end: int
    kind: Kind
    numbers: tuple[Figure, ...] = ()


def claims(text: str) -> list[Claim]:
    """The sentences of a text that claim something; questions claim nothing."""
    found = []
    for sentence in sentences(text[:LONGEST_TEXT], MOST_CLAIMS):
        words = tokens(sentence.text)
        if any(word.role == "content" for word in words) and not sentence.text.endswith("?"):
            found.append(_claim(sentence, words))
    return found


def _claim(sentence: Sentence, words: tuple[Token, ...]) -> Claim:
    counted = quantities(words)
    numbers = tuple(_figure(quantity) for quantity in counted if not math.isnan(quantity.low))
    return Claim(sentence.text, sentence.start, sentence.end, _kind(words, counted), numbers)


def _figure(quantity: Quantity) -> Figure:
    high = None if math.isinf(quantity.high) else quantity.high
    unit = UNITS.get(quantity.dimension, quantity.of[0] if quantity.of else "")
    return Figure(quantity.said.replace("_", " "), quantity.low, high, unit)


def _kind(words: tuple[Token, ...], counted: tuple[Quantity, ...]) -> Kind:
    texts = {word.text for word in words}
    bases = {word.lemmas[0] for word in words}
    if any(_superlative(word, at, words) for at, word in enumerate(words)):
        return "superlative"
    if (texts | bases) & PROMISING:
        return "promise"
    if counted:
        return "number"
    if bases & OFFERING:
        return "offer"
    return "statement"


def _superlative(word: Token, at: int, words: tuple[Token, ...]) -> bool:
    text = word.text
    if text in ("most", "least", "only", "first"):
        # "at least two", "we only sell", "first we listen" praise nothing.
        before = words[at - 1].text if at else ""
        return before in ("the", "our", "your") or (text == "most" and _describes(words, at + 1))
    if text in SUPERLATIVE:
        return True
    return bool(EST.match(text)) and text not in NOT_SUPERLATIVE and len(text) > 5


def _describes(words: tuple[Token, ...], at: int) -> bool:
    return at < len(words) and words[at].weight == 0.85
