"""Straight lines: forms that were clicked through and not read.

In: answers. Out: flags. Happy customers give 10 in every category, so that the same rating
everywhere says nothing by itself: it does where it was quick, or where a form is long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lakeward.confidence.score.evidence import PEOPLE, Answer
from lakeward.confidence.score.flag import Flag, Key, counted, flagged

FEWEST: Final = 4
"""Categories that a line needs; shorter forms show none."""
MANY: Final = 8
"""Categories from which on the same rating in all is a line, however long it took."""
QUICK: Final = 2.0
"""Seconds for each category within which a line was not thought about."""
HURRIED: Final = 1.0
"""Seconds for each category within which nothing can have been read, whatever was rated."""
CLICKED: Final = 0.5
LONG: Final = 0.8


def straight_lines(answers: Sequence[Answer]) -> list[Flag]:
    """Witnesses most of whose answers are lines; one in a hurry once is let be."""
    said: dict[Key, list[Answer]] = {}
    for answer in answers:
        if answer.source in PEOPLE:
            said.setdefault((answer.source, answer.respondent_id), []).append(answer)
    by: dict[float, dict[Key, list[str]]] = {}
    for key, own in said.items():
        marked = [(factor, answer) for answer in own if (factor := _factor(answer)) < 1]
        if 2 * len(marked) > len(own):
            factor = min(factor for factor, _ in marked)
            by.setdefault(factor, {})[key] = [answer.evidence_id for _, answer in marked]
    return [
        flagged("straight_lining", [key], evidence, factor, _sentence(key, factor))
        for factor, keys in by.items()
        for key, evidence in keys.items()
    ]


def _factor(answer: Answer) -> float:
    n = len(answer.ratings)
    if n < FEWEST:
        return 1.0
    same = _one(answer)
    each = None if answer.seconds is None else answer.seconds / n
    if each is not None and each < (QUICK if same else HURRIED):
        return CLICKED
    return LONG if same and n >= MANY else 1.0


def _one(answer: Answer) -> bool:
    """One rating everywhere: by its figure, or by its place on scales that differ."""
    ratings = answer.ratings.values()
    return 1 in (
        len({rating.value for rating in ratings}),
        len({rating.share for rating in ratings}),
    )


def _sentence(key: Key, factor: float) -> str:
    who = counted([key])
    if factor == LONG:
        return f"{who} gave one rating in all of {MANY} or more categories: weighs {factor:.2f}."
    return f"{who} answered quicker than the form can be read: weighs {factor:.2f}."
