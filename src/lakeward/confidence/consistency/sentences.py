"""Texts as sentences, with their places.

In: any text. Out: `Sentence`s in order, at most `most` of them. Never fails; one pass over the
text. A full stop ends a sentence only where white space follows and no abbreviation precedes:
"www.a.com", "e.g. here", "2.5 hours" and "24/7" stay whole. A line break and a bullet end one too.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from lakeward.confidence.consistency.lexicon import listed

ABBREVIATIONS: Final = listed(
    "e.g i.e etc mr mrs ms dr prof st vs approx no nos inc ltd co corp dept est fig jr sr p.a "
    "a.m p.m u.s u.k min max incl excl tel ext gmbh ca resp cf al"
)
NEVER_LAST: Final = listed("e.g i.e mr mrs ms dr prof vs approx incl excl cf ca resp")
"""Abbreviations that no sentence ends with; behind the others a capital starts a new one."""
END: Final = re.compile(r"[.!?\u2026\u3002]+[\"'\u201d\u2019)\]]*(?=\s|$)|\r\n|[\n\r\u2028\u2029;]")
BULLET: Final = re.compile(
    r"^(?:[-*\u2022\u2013\u2014\u25cf\u25aa\u00b7]+|\(?\d{1,2}[.)]|[a-z]\))\s+"
)
LAST_WORD: Final = re.compile(r"([^\s(\"']{1,40})$")


class Sentence(msgspec.Struct, frozen=True):
    """One sentence and where it stands in its text."""

    text: str
    start: int
    end: int


def sentences(text: str, most: int = 10_000) -> tuple[Sentence, ...]:
    """The sentences of a text, without bullets and the space around them."""
    found: list[Sentence] = []
    start = 0
    for match in END.finditer(text):
        if match[0].startswith(".") and _goes_on(text, match.start(), match.end()):
            continue
        if (sentence := _trimmed(text, start, match.end())) is not None:
            found.append(sentence)
            if len(found) >= most:
                return tuple(found)
        start = match.end()
    if (sentence := _trimmed(text, start, len(text))) is not None:
        found.append(sentence)
    return tuple(found)


def _goes_on(text: str, dot: int, end: int) -> bool:
    """Whether the stop belongs to an abbreviation inside a sentence."""
    if end - dot > 1:
        return False
    last = LAST_WORD.search(text, max(0, dot - 40), dot)
    word = last[1].lower() if last else ""
    if word.isdigit() and len(word) < 3:
        # "2. Another offer" is an item of a list, "We have 12. They know" is not.
        _, line, before = text[max(0, dot - 8) : dot - len(word)].rpartition("\n")
        if not before.strip() and (line or dot <= 8):
            return True
    following = text[end : end + 8].lstrip()[:1]
    if following.islower():
        # A name in small letters may start a sentence; after an abbreviation it does not.
        return word in ABBREVIATIONS or len(word) == 1
    if len(word) == 1 and word.isalpha() and word not in ("i", "a"):
        return bool(following)
    return word in NEVER_LAST


def _trimmed(text: str, start: int, end: int) -> Sentence | None:
    whole = text[start:end]
    start += len(whole) - len(whole.lstrip())
    whole = whole.strip()
    if bullet := BULLET.match(whole):
        start += bullet.end()
        whole = whole[bullet.end() :].strip()
    whole = whole.rstrip(";").rstrip()
    if not any(character.isalnum() for character in whole):
        return None
    return Sentence(whole, start, start + len(whole))
