"""Topics of a text: the phrases that it comes back to.

In: lines. Out: at most `MOST` phrases in lower case, the heaviest first. Nothing fails.

After RAKE (Rose et al., 2010): a run is what stands between stop words and punctuation, at most
three words; a word weighs its degree over its frequency, so that words of long runs count. Topics
are runs of several words, and what comes more than once within runs; one weighs the sum of its
words, times how often it comes. What stands within a heavier one is left out, or has it within. The
stop words are English: of another language only what comes often in short pieces is found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from math import log1p
from typing import Final

MOST: Final = 8
LONGEST: Final = 3
"""Words of a phrase."""
MOST_LETTERS: Final = 60
PIECE: Final = re.compile(r"[.!?;:,()\[\]{}\"\u201c\u201d|/\\<>\n\t]+|\s[-\u2013\u2014]+\s")
WORD: Final = re.compile(r"[^\W\d_][^\W_]*(?:['\u2019-][^\W_]+)*")
ENGLISH: Final = """
a about above across actually after again against all almost along already also always am among an
and another any anyone anything are aren't around as ask at away back be because been before behind
being below beside besides best better between beyond both but by can can't cannot come comes could
couldn't day despite did didn't do does doesn't doing don't done down during each easy either else
even ever every everybody everyone everything exactly except few find first for from further gave
get gets getting give gives go goes going gonna good got great had has hasn't have haven't having
he hello her here here's hers hey hi him himself his how however i i'd i'll i'm i've if in inside
instead into is isn't it it's its itself just keep kind know last least less let let's like little
look looks lot made make makes making many may maybe me mean might more most much must my myself
near need needs never new next no nobody none nor not nothing now of off often oh okay on once one
ones only onto or other others our ours ourselves out outside over own past people per perhaps
please plus put quite rather really regarding right said same say says see seen several shall she
should show since so some somebody someone something soon still such sure take takes than thank
thanks that that's the their theirs them themselves then there there's these they they're thing
things think this those though three through throughout to today together too toward towards tried
try two um under unless unlike until up upon us use used uses using usually versus very via want
wants was wasn't way we we'd we'll we're we've well went were weren't what what's when where
whereas whether which while who whole whom whose why will with within without won't work would
wouldn't yeah year years yes yet you you'd you'll you're you've your yours yourself
"""
STOP: Final = frozenset(ENGLISH.split())


def topics_of(lines: Iterable[str]) -> list[str]:
    """The heaviest phrases."""
    runs = Counter(run for line in lines for run in _runs(line))
    frequency: Counter[str] = Counter()
    degree: Counter[str] = Counter()
    phrases: Counter[tuple[str, ...]] = Counter()
    for run, times in runs.items():
        for word in run:
            frequency[word] += times
            degree[word] += times * len(run)
        for phrase in _within(run):
            phrases[phrase] += times
    weights = {
        phrase: sum(degree[word] / frequency[word] for word in phrase) * log1p(times) * times
        for phrase, times in phrases.items()
        if times > 1 or (len(phrase) > 1 and phrase in runs)
    }
    ordered = sorted(weights, key=lambda phrase: (-weights[phrase], phrase))
    return _apart(" ".join(phrase)[:MOST_LETTERS] for phrase in ordered)


def _within(run: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """It and all that stands in it."""
    for size in range(1, len(run) + 1):
        for start in range(len(run) - size + 1):
            yield run[start : start + size]


def _runs(line: str) -> Iterator[tuple[str, ...]]:
    for piece in PIECE.split(line.lower()):
        run: list[str] = []
        for word in WORD.findall(piece.replace("\u2019", "'")):
            if word in STOP or len(word) < 2:
                yield from _cut(run)
                run = []
            else:
                run.append(word)
        yield from _cut(run)


def _cut(words: list[str]) -> Iterator[tuple[str, ...]]:
    """A long run without a stop word, as of a list or a title, in pieces."""
    for start in range(0, len(words), LONGEST):
        yield tuple(words[start : start + LONGEST])


def _apart(ordered: Iterable[str]) -> list[str]:
    """Without what stands in a heavier one, or has one in it."""
    found: list[str] = []
    for phrase in ordered:
        if not any(
            f" {phrase} " in f" {other} " or f" {other} " in f" {phrase} " for other in found
        ):
            found.append(phrase)
        if len(found) == MOST:
            break
    return found
