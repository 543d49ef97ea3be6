"""Bursts: many answers through open links within an hour, where few are usual.

In: answers. Out: flags. Only unverified ones are looked at: signed links go out in batches, and
a batch comes back as one; who got a link is known by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lakeward.confidence.score.evidence import PEOPLE, Answer
from lakeward.confidence.score.flag import ONE, Flag, flagged

WINDOW_MS: Final = 3_600_000
FEWEST: Final = 5
"""Different witnesses within the window."""
TIMES: Final = 5
"""So many times what the source's other unverified answers would bring in such a window."""


def bursts(answers: Sequence[Answer]) -> list[Flag]:
    """Each witness of a burst of m weighs 1/√m: a hundred fakes weigh as ten."""
    seen = []
    for source in PEOPLE:
        own = [answer for answer in answers if answer.source == source and not answer.verified]
        for burst in _crowded(sorted(own, key=lambda a: (a.at_ms, a.evidence_id))):
            keys = {(answer.source, answer.respondent_id) for answer in burst}
            factor = len(keys) ** -0.5
            sentence = (
                f"{len(keys)} {ONE[source]}s answered through open links within an hour or little "
                f"more, at least {TIMES} times as many as usual: each weighs {factor:.2f}."
            )
            evidence = [answer.evidence_id for answer in burst]
            seen.append(flagged("burst", keys, evidence, factor, sentence))
    return seen


def _crowded(own: Sequence[Answer]) -> list[list[Answer]]:
    """Answers, by time, that stand in a crowded window; windows that overlap are one burst."""
    spans: list[tuple[int, int]] = []
    end = 0
    for start, answer in enumerate(own):
        while end < len(own) and own[end].at_ms - answer.at_ms <= WINDOW_MS:
            end += 1
        if not _many(own, start, end):
            continue
        if spans and spans[-1][1] > start:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return [list(own[start:end]) for start, end in spans]


def _many(own: Sequence[Answer], start: int, end: int) -> bool:
    persons = len({answer.respondent_id for answer in own[start:end]})
    if persons < FEWEST:
        return False
    # What the rest of the time brings; a source without any other time is unusual as a whole.
    rest_ms = own[-1].at_ms - own[0].at_ms - WINDOW_MS
    usual = (len(own) - (end - start)) * WINDOW_MS / rest_ms if rest_ms > WINDOW_MS else 0.0
    return persons >= TIMES * usual
