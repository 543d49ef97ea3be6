"""Labelled series of counts, the same for the same seed: what the anomaly detector is measured on.

In: a class of anomaly, a volume, a season and a seed. Out: five-minute buckets of four weeks, of
which the first two are ordinary, and the windows in which something is wrong. Written before the
detector: `TUNING` seeds may be looked at while it is made, `TEST` seeds are for the report only.

An ordinary bucket is Poisson around a rate with the rhythm of a day (and of a week), a share of
day-to-day mood and a slowly wandering one (3 % each): no busy site is ever exactly Poisson.

    spike        1 to 3 buckets far above
    drop         half an hour or more at 15 to 45 %
    level_shift  half a day to two days at 140 to 200 % or 40 to 65 %
    outage       a quarter of an hour or more of nothing
    slow_drift   over half a day to a day up to 160 to 220 % or down to 35 to 60 %, and back at once
    quiet        nothing at all: whatever is found is false

What one event a minute cannot show, nobody can be asked to find: each anomaly lasts until somebody
who knew the true rate would have `EVIDENCE` standard deviations of it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

STEP: Final = 300
DAY: Final = 288
WEEK: Final = 7 * DAY
WEEKS: Final = 4
START: Final = 1_754_870_400  # Monday 2025-08-11T00:00:00Z
CLASSES: Final = ("spike", "drop", "level_shift", "outage", "slow_drift")
VOLUMES: Final = (1, 10, 100, 1_000, 10_000)
SEASONS: Final = ("none", "day", "week")
TUNING: Final = (11, 12, 13)
TEST: Final = (9101, 9102, 9103)
EVIDENCE: Final = 8.0
PER_SERIES: Final = 4
MOOD: Final = 0.03
Kind = Literal["count", "rate", "latency", "value"]


class Labelled(msgspec.Struct, frozen=True):
    """A series and what is wrong with it."""

    name: str
    kind: Kind
    times: list[float]
    values: list[float]
    windows: list[tuple[int, int]]
    """First and last index of each anomaly."""
    step: float = STEP
    volumes: list[float] | None = None
    """Of a rate: how many each is a share of."""


def poisson(dice: random.Random, mean: float) -> int:
    """A Poisson number; above 400 the normal law is near enough."""
    if mean > 400:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    total, n = dice.expovariate(1.0), 0
    while total < mean:
        total += dice.expovariate(1.0)
        n += 1
    return n


def rates(dice: random.Random, volume: float, season: str, length: int) -> list[float]:
    """The true rate of each bucket, with what is ordinary about its wandering."""
    found, wander, mood = [], 0.0, 0.0
    for i in range(length):
        if i % DAY == 0:
            mood = dice.gauss(0, MOOD)
        wander = 0.98 * wander + dice.gauss(0, MOOD * 0.2)
        found.append(5 * volume * rhythm(i, season) * math.exp(mood + wander))
    return found


def rhythm(i: int, season: str) -> float:
    """A quiet night, a busy noon, two smaller days at the week's end."""
    if season == "none":
        return 1.0
    hour = (i % DAY) / 12
    day = (
        0.25 + 0.95 * math.exp(-((hour - 13.5) ** 2) / 18) + 0.3 * math.exp(-((hour - 20) ** 2) / 6)
    )
    return day * (0.55 if season == "week" and (i // DAY) % 7 >= 5 else 1.0)


def labelled(klass: str, volume: int, season: str, seed: int) -> Labelled:
    """The series of this class, volume, season and seed."""
    name = f"{klass}/{volume}/{season}/{seed}"
    dice = random.Random(name)
    truth = rates(dice, volume, season, WEEKS * WEEK)
    windows = list(_disturbed(dice, truth, klass)) if klass != "quiet" else []
    values = [float(poisson(dice, rate)) for rate in truth]
    times = [float(START + STEP * i) for i in range(len(values))]
    return Labelled(name, "count", times, values, windows)


def _disturbed(dice: random.Random, truth: list[float], klass: str) -> Iterator[tuple[int, int]]:
    """Change the rates at a few places, each in a stretch of its own, and say where."""
    first = 2 * WEEK
    stretch = (len(truth) - first) // PER_SERIES
    for n in range(PER_SERIES):
        start = first + n * stretch + dice.randrange(stretch // 8, stretch // 3)
        factors = _factors(dice, klass, truth, start)
        for i, factor in enumerate(factors, start):
            truth[i] *= factor
        yield start, start + len(factors) - 1


def _factors(dice: random.Random, klass: str, truth: list[float], start: int) -> list[float]:
    """By what each bucket of an anomaly is multiplied."""
    if klass == "spike":
        length = dice.randint(1, 3)
        excess = EVIDENCE / math.sqrt(length) * dice.uniform(1.0, 2.0)
        rate = truth[start]
        return [1 + excess * math.sqrt(rate + (2 * MOOD * rate) ** 2) / rate] * length
    if klass == "level_shift":
        factor = dice.choice((dice.uniform(1.4, 2.0), dice.uniform(0.4, 0.65)))
        return _until_evident(truth, start, [factor] * dice.randint(DAY // 2, 2 * DAY))
    if klass == "slow_drift":
        top = dice.choice((dice.uniform(1.6, 2.2), dice.uniform(0.35, 0.6)))
        length = dice.randint(DAY // 2, DAY)
        return _until_evident(truth, start, [top ** ((i + 1) / length) for i in range(length)])
    if klass == "outage":
        return _until_evident(truth, start, [0.0] * dice.randint(3, 12))
    return _until_evident(truth, start, [dice.uniform(0.15, 0.45)] * dice.randint(6, 24))


def _until_evident(truth: list[float], start: int, factors: list[float]) -> list[float]:
    """The same, going on at its last until there is enough to be seen, two days at most."""
    found, evidence = list(factors), 0.0
    for i, rate in enumerate(truth[start : start + 2 * DAY]):
        if i >= len(found):
            found.append(found[-1])
        change = (found[i] - 1) * rate
        evidence += change * change / (rate + (2 * MOOD * rate) ** 2)
        if i + 1 >= len(factors) and evidence >= EVIDENCE * EVIDENCE:
            break
    return found


def every(
    seeds: tuple[int, ...], classes: tuple[str, ...] = CLASSES, volumes: tuple[int, ...] = VOLUMES
) -> Iterator[tuple[str, int, Labelled]]:
    """Class, volume and series, over all seasons and seeds."""
    for klass in classes:
        for volume in volumes:
            for season in SEASONS:
                for seed in seeds:
                    yield klass, volume, labelled(klass, volume, season, seed)
