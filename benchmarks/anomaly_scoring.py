"""How good alarms are, and the detector that everybody has already.

In: a labelled series, and for each row a score and whether it is called anomalous. Out: true and
false alarms, and found windows. Rows called anomalous within an hour (twelve rows) of each other
are one alarm, as a person would be told once. An alarm is true if it begins inside a window, or in
the two hours after it, when what was wrong goes back; a window is found if a called row is in it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from anomaly_series import Labelled

TOGETHER = 12
AFTERWARDS = 24


class Score(msgspec.Struct):
    """What was called, over one series or many."""

    true: int = 0
    false: int = 0
    found: int = 0
    windows: int = 0
    weeks: float = 0.0

    @property
    def precision(self) -> float:
        """Share of the alarms that are true."""
        return self.true / (self.true + self.false) if self.true + self.false else 1.0

    @property
    def recall(self) -> float:
        """Share of the windows that are found."""
        return self.found / self.windows if self.windows else 1.0

    @property
    def weekly(self) -> float:
        """False alarms a week."""
        return self.false / self.weeks if self.weeks else 0.0

    def add(self, other: Score) -> None:
        """Count another series in."""
        self.true += other.true
        self.false += other.false
        self.found += other.found
        self.windows += other.windows
        self.weeks += other.weeks


def alarms(called: Sequence[bool], together: int = TOGETHER) -> Iterator[int]:
    """Where each alarm begins."""
    last = -together - 1
    for i, anomalous in enumerate(called):
        if anomalous:
            if i - last > together:
                yield i
            last = i


def score(series: Labelled, called: Sequence[bool], first: int = 0) -> Score:
    """The score of one series; rows before `first` are for learning and count nowhere."""
    found = Score(weeks=(len(called) - first) * series.step / 604_800)
    windows = [(start, end) for start, end in series.windows if end >= first]
    for i in alarms(called):
        if i < first:
            continue
        if any(start <= i <= end + AFTERWARDS for start, end in windows):
            found.true += 1
        else:
            found.false += 1
    found.windows = len(windows)
    found.found = sum(any(called[start : end + 1]) for start, end in windows)
    return found


def inside(series: Labelled) -> list[bool]:
    """For each row whether it is in a window."""
    marks = [False] * len(series.values)
    for start, end in series.windows:
        marks[start : end + 1] = [True] * (end + 1 - start)
    return marks


def average_precision(scores: Sequence[float], truth: Sequence[bool]) -> float:
    """Area under precision over recall, row by row; equal scores are taken together."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    positive, hits, area, i = sum(truth), 0, 0.0, 0
    if not positive:
        return math.nan
    while i < len(order):
        j, before = i, hits
        while j < len(order) and scores[order[j]] == scores[order[i]]:
            hits += truth[order[j]]
            j += 1
        area += (hits - before) / positive * hits / j
        i = j
    return area


def best_f1(scores: Sequence[float], truth: Sequence[bool]) -> float:
    """The best F1 of any one threshold, row by row."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    positive, hits, best = sum(truth), 0, 0.0
    for n, i in enumerate(order, 1):
        hits += truth[i]
        if n == len(order) or scores[order[n]] != scores[i]:
            best = max(best, 2 * hits / (n + positive))
    return best


def z_scores(values: Sequence[float], window: int = 288) -> Iterator[float]:
    """The baseline: deviations from the mean of the last day, in its standard deviations."""
    past: deque[float] = deque()
    total = squares = 0.0
    for value in values:
        n = len(past)
        z = 0.0
        if n >= 30:
            mean = total / n
            z = abs(value - mean) / (math.sqrt(max(0.0, squares / n - mean * mean)) or 1e-9)
        yield z
        past.append(value)
        total += value
        squares += value * value
        if n == window:
            gone = past.popleft()
            total -= gone
            squares -= gone * gone
