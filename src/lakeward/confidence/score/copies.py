"""Texts of different witnesses that are one text, punctuation, case and small edits aside.

In: answers. Out: flags. A text is the set of its runs of five letters or digits (Broder 1997);
two texts are copies when these sets are mostly the same, or the shorter one is mostly within the
longer one. Short texts are never copies: everybody writes "great work, on time".
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from lakeward.confidence.score.evidence import PEOPLE, Answer
from lakeward.confidence.score.flag import Flag, Key, counted, flagged
from lakeward.confidence.score.groups import groups

RUN: Final = 5
SHORTEST: Final = 60
"""Characters of a text that may be a copy; the first of the LONGEST are compared."""
LONGEST: Final = 4_000
ALIKE: Final = 0.6
"""Share of the runs of both texts that both have (Jaccard), from which on they are copies."""
WITHIN: Final = 0.8
"""Share of the shorter text's runs that the longer one has, from which on it was taken over."""
SAMPLE: Final = 8
"""One run in so many is compared first."""


class _Text:
    def __init__(self, answer: Answer, plain: str) -> None:
        self.answer = answer
        self.key: Key = (answer.source, answer.respondent_id)
        runs = (plain[n : n + RUN] for n in range(len(plain) - RUN + 1))
        self.runs = frozenset(zlib.crc32(run.encode()) for run in runs)
        self.sample = frozenset(run for run in self.runs if run % SAMPLE == 0)


def copies(answers: Sequence[Answer]) -> list[Flag]:
    """A text counts as one witness: the first author is left alone, each copy weighs 1/m.

    The first is, so that nobody lowers an honest witness by copying what is quoted in public.
    """
    texts = list(_texts(answers))
    links = [[a.key, b.key] for a, b in combinations(texts, 2) if a.key != b.key and _alike(a, b)]
    seen = []
    for keys in groups(links):
        own = [text for text in texts if text.key in keys]
        first = min(own, key=lambda text: (text.answer.at_ms, text.key)).key
        factor = 1 / len(keys)
        copied = sorted(keys - {first})
        sentence = (
            f"{counted(sorted(keys))} wrote nearly the same text: the first keeps its weight, "
            f"each other weighs {factor:.2f}."
        )
        evidence = [text.answer.evidence_id for text in own]
        seen.append(flagged("near_duplicate_text", copied, evidence, factor, sentence))
    return seen


def _texts(answers: Sequence[Answer]) -> Iterator[_Text]:
    for answer in answers:
        plain = normal(answer.text)
        if answer.source in PEOPLE and len(plain) >= SHORTEST:
            yield _Text(answer, plain)


def normal(text: str) -> str:
    """Letters and digits in one case, words one space apart."""
    folded = unicodedata.normalize("NFKC", text[:LONGEST]).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def _alike(a: _Text, b: _Text) -> bool:
    shorter = min(len(a.sample), len(b.sample))
    # A copy shares about 4 of 5 runs of the sample, and a quarter of them by the worst of luck.
    if shorter >= SAMPLE and len(a.sample & b.sample) < shorter / 4:
        return False
    common = len(a.runs & b.runs)
    return (
        common >= WITHIN * min(len(a.runs), len(b.runs))
        or common >= ALIKE * (len(a.runs) + len(b.runs) - common)
    )  # fmt: skip
