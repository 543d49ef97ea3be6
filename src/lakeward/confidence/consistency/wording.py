"""Sentences as words: cleaned, split, joined into phrases, with their base forms.

In: any text. Out: `Token`s. Never fails and never takes long: whatever is longer than `LONGEST`
characters is cut, and characters that carry no meaning (control, direction marks, zero width) go.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Final, Literal

import msgspec

from lakeward.confidence.consistency.lexicon import lexicon, listed

LONGEST: Final = 1_000
"""Characters of one text that are compared."""
MOST_WORDS: Final = 160
"""Words of one text that are compared."""
APOSTROPHES: Final = dict.fromkeys(map(ord, "\u2019\u2018\u02bc\u2032\u00b4`\uff07\u201b"), "'")
SHORT: Final = {
    "can't": "can not", "cannot": "can not", "won't": "will not", "shan't": "shall not",
    "ain't": "is not", "let's": "let us", "it's": "it is", "that's": "that is",
    "there's": "there is", "he's": "he is", "she's": "she is", "what's": "what is",
    "who's": "who is", "dont": "do not", "doesnt": "does not", "didnt": "did not",
    "isnt": "is not", "arent": "are not", "wasnt": "was not", "werent": "were not",
    "cant": "can not", "wont": "will not", "wouldnt": "would not", "couldnt": "could not",
    "shouldnt": "should not", "hasnt": "has not", "havent": "have not", "hadnt": "had not",
}  # fmt: skip
ENDINGS: Final = (("n't", " not"), ("'re", " are"), ("'ll", " will"), ("'ve", " have"),
                  ("'m", " am"), ("'d", " would"), ("'s", ""), ("'", ""))  # fmt: skip
WORD: Final = re.compile(
    r"24\s?/\s?7|\d+-\d+(?![\d-])|[$€£]|\d+(?:[.,]\d+)*|%|[a-z]+(?:[-_][a-z0-9]+)*(?:'[a-z]*)?|[,;:.!?()]"
)
FUNCTION: Final = listed(
    "a an the this that these those some any there here it its they them their theirs we us "
    "our ours you your yours i me my mine he him his she her hers one's who whom whose which "
    "what be is are was were been being am do does did done doing have has had having will "
    "would shall should can could may might must to of and or but so then than as if for by "
    "with at from into onto about also too very really quite just even still already yet "
    "again such own both either each other another lot many much several various certain get "
    "let go us's themselves himself herself itself oneself ourselves yourself while when "
    "where because since though although however only else one thing something anything up "
    "per within least most more less over under around nearly almost approximately roughly "
    "exactly"
)
PLACES: Final = listed(
    "in on under over above below beside near behind in_front_of inside outside between "
    "through up across along into onto out_of away_from off down against without with towards "
    "toward beneath underneath within beyond among amid past"
)
"""Words that say where: they are compared, but alone they are no content."""
LIGHT: Final = listed(
    "area together make use take made top edge piece clothes clothing air place side kind way "
    "thing someone somebody people anyone everyone everybody anybody customer client employee "
    "company business person team colored coloured regularly currently receive exist go come "
    "request enquiry inquiry question message query thing every all each any always usually "
    "normally mostly typically"
)
"""Words that add little to what is said."""
STOPS: Final = frozenset(",;:.!?()")
Role = Literal["content", "function", "place", "number", "stop"]


class Token(msgspec.Struct, frozen=True, gc=False):
    """One word or joined phrase."""

    text: str
    lemmas: tuple[str, ...]
    role: Role
    weight: float = 1.0


def cleaned(text: str) -> str:
    """Lower case, plain apostrophes, no invisible characters, one space between words."""
    text = unicodedata.normalize("NFKC", text[: 4 * LONGEST])
    text = text.translate(APOSTROPHES)
    text = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return " ".join(text.lower().split())[:LONGEST]


def tokens(text: str) -> tuple[Token, ...]:
    """The words of a text, contractions written out, phrases joined."""
    raw: list[str] = []
    for word in WORD.findall(cleaned(text)):
        if len(raw) >= MOST_WORDS:
            break
        raw.extend(_written_out(word))
    return tuple(_token(word) for word in _joined(raw))


def _written_out(word: str) -> list[str]:
    if word.startswith("24") and word.endswith("7") and "/" in word:
        return ["24/7"]
    if word in SHORT:
        return SHORT[word].split()
    for ending, meant in ENDINGS:
        if word.endswith(ending) and len(word) > len(ending):
            return (word.removesuffix(ending) + meant).split()
    return [word]


def _joined(words: list[str]) -> list[str]:
    """Phrases as one word; they are recognised in any form of their words."""
    phrases = lexicon().phrases
    forms = [(word, *lemmas(word)) for word in words]
    joined: list[str] = []
    at = 0
    while at < len(words):
        for phrase, meant in (p for form in forms[at] for p in phrases.get(form, ())):
            there = forms[at : at + len(phrase)]
            if len(there) == len(phrase) and all(
                word in form for word, form in zip(phrase, there, strict=True)
            ):
                joined.append(meant)
                at += len(phrase)
                break
        else:
            joined.append(words[at])
            at += 1
    return joined


@functools.lru_cache(maxsize=16_384)
def _token(word: str) -> Token:
    if word in STOPS:
        return Token(word, (word,), "stop")
    if word[0].isdigit() or word in "$€£%" or word in NUMBER_WORDS:
        return Token(word, (word,), "number")
    if word in PLACES:
        return Token(word, (word,), "place", 0.4)
    forms = lemmas(word)
    if word in FUNCTION or forms[0] in FUNCTION:
        return Token(word, forms, "function", 0.0)
    parts = lexicon().parts.get(forms[0], frozenset())
    # How it is done weighs less than what is done to what.
    if forms[0] in LIGHT or word in LIGHT:
        return Token(word, forms, "content", 0.35)
    if forms[0] in ("wear", "dress", "give", "offer", "provide"):
        return Token(word, forms, "content", 0.5)  # "in white" is "wearing white"
    weight = 0.7 if word.endswith("ly") or parts == {"r"} else 0.85 if parts == {"a"} else 1.0
    return Token(word, forms, "content", weight)


NUMBER_WORDS: Final = {
    "zero": 0.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0,
    "eight": 8.0, "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "fifteen": 15.0,
    "twenty": 20.0, "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0,
    "eighty": 80.0, "ninety": 90.0, "hundred": 100.0, "thousand": 1000.0, "million": 1e6,
    "dozen": 12.0, "half": 0.5, "twice": 2.0, "once": 1.0,
}  # fmt: skip
SUFFIXES: Final = (
    ("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("zes", "z"),
    ("oes", "o"), ("ied", "y"), ("s", ""), ("ing", ""), ("ing", "e"), ("ed", ""), ("ed", "e"),
    ("er", ""), ("er", "e"), ("est", ""), ("est", "e"), ("ily", "y"), ("ly", ""),
)  # fmt: skip


@functools.lru_cache(maxsize=16_384)
def lemmas(word: str) -> tuple[str, ...]:
    """The base forms a word may have; the likeliest first, the word itself when it is one."""
    known = lexicon().parts
    found: list[str] = []
    base = lexicon().irregular.get(word)
    if base:
        found.append(base)
    elif len(word) > 3:
        for suffix, instead in SUFFIXES:
            if not word.endswith(suffix) or word.endswith("ss"):
                continue
            stem = word.removesuffix(suffix)
            for form in (stem + instead, _undoubled(stem) if not instead else ""):
                if len(form) > 2 and form in known and form not in found:
                    found.append(form)
        if not found and word.endswith("s") and not word.endswith(("ss", "us", "is")):
            found.append(word.removesuffix("s"))
    # A plural or -ing form is no word of its own here, unless nothing else is known.
    own = word in known and not word.endswith(("s", "ing", "ed"))
    if not found or (own and not base):
        found.insert(0, word)
    elif own or (word.endswith("ed") and "a" in known.get(word, "")):
        found.append(word)  # "saw", "crowded" and "wooded" are also words of their own
    return tuple(found)


def _undoubled(stem: str) -> str:
    return stem[:-1] if len(stem) > 2 and stem[-1] == stem[-2] else ""
