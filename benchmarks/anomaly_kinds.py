"""Labelled series of other natures than counts: what machines, cities and crowds write down.

In: a nature and a seed. Out: a series made up after what public collections of labelled series are
like, so that the detector is not made for the five classes of `anomaly_series.py` alone: heavy
tails, levels that move by themselves, jobs at night, weekends, irregular clocks. No row of any real
collection is in here, and none was looked at.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

from anomaly_series import START, Labelled, poisson

Made = tuple[list[float], list[tuple[int, int]]]


def _cpu(dice: random.Random, n: int) -> Made:
    """Idle at a few percent, spikes now and then; once it stays up, once it falls to nothing."""
    values = [max(0.0, dice.gauss(4, 0.3) + (dice.random() < 0.01) * dice.expovariate(0.3))
              for _ in range(n)]  # fmt: skip
    a, b = round(n * dice.uniform(0.3, 0.5)), round(n * dice.uniform(0.7, 0.85))
    up = dice.uniform(4, 20)
    for i in range(a, a + 150):
        values[i] += up
    for i in range(b, b + 60):
        values[i] = abs(dice.gauss(0.1, 0.05))
    return values, [(a, a + 149), (b, b + 59)]


def _night_job(dice: random.Random, n: int) -> Made:
    """A backup each night that is a little early or late; once it does not come, once it stays."""
    values = [abs(dice.gauss(20, 2)) for _ in range(n)]
    windows, missed, long = [], n // 288 * 6 // 10, n // 288 * 8 // 10
    for day in range(n // 288):
        start = day * 288 + 36 + dice.randint(-1, 1)
        length = 96 if day == long else 12 + dice.randint(-1, 1)
        if day == missed:
            windows.append((start - 1, start + 24))
            continue
        if day == long:
            windows.append((start + 13, start + length))
        for i in range(start, min(n, start + length)):
            values[i] += dice.gauss(55, 5)
    return values, windows


def _temperature(dice: random.Random, n: int) -> Made:
    """A machine's: smooth, wandering, with one fall to far below and a slow one before it."""
    values, x = [], 0.0
    for i in range(n):
        x = 0.995 * x + dice.gauss(0, 0.35)
        values.append(88 + x + 2 * math.sin(i / 288 * 2 * math.pi) + dice.gauss(0, 0.3))
    a, b = round(n * 0.45), round(n * 0.78)
    for i in range(a, a + 120):
        values[i] -= 45 * math.exp(-(((i - a - 40) / 25) ** 2))
    for i in range(b, b + 400):
        values[i] -= 18 * min(1.0, (i - b) / 300)
    return values, [(a, a + 119), (b + 60, b + 420)]


def _taxis(dice: random.Random, n: int) -> Made:
    """Half-hours of a city with weekdays and weekends; two holidays and a storm."""
    values = []
    for i in range(n):
        hour, day = (i % 48) / 2, i // 48
        late = 0.35 if day % 7 in (5, 6) else 0.05
        shape = 0.35 + math.exp(-((hour - 9) ** 2) / 10) * (0.4 if day % 7 >= 5 else 0.9)
        shape += math.exp(-((hour - 19.5) ** 2) / 14) + late * math.exp(-((hour - 1) ** 2) / 6)
        values.append(max(8.0, 15_000 * shape * math.exp(dice.gauss(0, 0.04))))
    days = n // 48
    windows = []
    for day in (days * 6 // 10, days * 72 // 100, days * 9 // 10):
        factor = dice.choice((0.25, 0.45, 1.5))
        for i in range(day * 48 + 14, day * 48 + 44):
            values[i] *= factor
        windows.append((day * 48 + 14, day * 48 + 43))
    return values, windows


def _tweets(dice: random.Random, n: int) -> Made:
    """Mentions: a day's rhythm, heavy tails all the time, two storms of an hour or two."""
    values = []
    for i in range(n):
        rate = 12 * (1 + 0.6 * math.sin(i / 288 * 2 * math.pi))
        burst = dice.paretovariate(1.6) if dice.random() < 0.06 else 1.0
        values.append(float(poisson(dice, rate * min(burst, 30.0) * math.exp(dice.gauss(0, 0.3)))))
    windows = []
    for a in (round(n * dice.uniform(0.35, 0.55)), round(n * dice.uniform(0.7, 0.9))):
        length = dice.randint(12, 30)
        for i in range(a, a + length):
            values[i] += float(poisson(dice, 400 * math.exp(-(i - a) / 12)))
        windows.append((a, a + length - 1))
    return values, windows


def _latency(dice: random.Random, n: int) -> Made:
    """Milliseconds of a backend: log-normal; it gets slow for an hour, and restless for a day."""
    values = [45 * math.exp(dice.gauss(0, 0.06)) * (1 + 4 * (dice.random() < 0.003))
              for _ in range(n)]  # fmt: skip
    a, b = round(n * dice.uniform(0.4, 0.5)), round(n * dice.uniform(0.7, 0.8))
    for i in range(a, a + 12):
        values[i] *= 1.7
    for i in range(b, b + 200):
        values[i] *= math.exp(abs(dice.gauss(0, 0.5)))
    return values, [(a, a + 11), (b, b + 199)]


def _auction(dice: random.Random, n: int) -> Made:
    """Prices by the hour, a daily rhythm, noise that grows with the price; single hours go wild."""
    values = []
    for i in range(n):
        rhythm = 1 + 0.4 * math.sin((i % 24) / 24 * 2 * math.pi)
        values.append(0.1 * rhythm * math.exp(dice.gauss(0, 0.18)))
    windows = []
    for part in (0.35, 0.6, 0.85):
        a = round(n * part) + dice.randrange(40)
        for i in range(a, a + 3):
            values[i] *= dice.uniform(3.5, 8)
        windows.append((a, a + 2))
    return values, windows


def _speed(dice: random.Random, n: int) -> Made:
    """Cars on a road: full speed, short dips at rush hours; a jam when there is none usually."""
    values = []
    for i in range(n):
        hour, day = (i % 288) / 12, i // 288
        rush = day % 7 < 5 and (abs(hour - 8) < 0.7 or abs(hour - 17.5) < 0.7)
        dip = dice.uniform(5, 30) if rush and dice.random() < 0.7 else 0
        values.append(max(3.0, 66 + dice.gauss(0, 3) - dip))
    windows = []
    for day in (n // 288 * 6 // 10, n // 288 * 8 // 10):
        a = day * 288 + dice.randint(132, 150)
        for i in range(a, a + 18):
            values[i] = max(3.0, dice.gauss(22, 5))
        windows.append((a, a + 17))
    return values, windows


def _waves(dice: random.Random, n: int) -> Made:
    """Two sines and a trend with an index for a clock; single points off."""
    period = dice.randint(40, 160)
    values = [
        0.02 * i + 30 * math.sin(2 * math.pi * i / period) + 12 * math.sin(2 * math.pi * i / 12)
        + dice.gauss(0, 1.5)
        for i in range(n)
    ]  # fmt: skip
    windows = []
    for part in (0.4, 0.55, 0.7, 0.8, 0.93):
        a = round(n * part) + dice.randrange(30)
        values[a] += dice.choice((-1, 1)) * dice.uniform(15, 60)
        windows.append((a, a))
    return values, windows


def _dead_sensor(dice: random.Random, n: int) -> Made:
    """A load that breathes with the day; once it stands still at noon's value, once it shakes."""
    values = [50 + 20 * math.sin(i / 288 * 2 * math.pi) + dice.gauss(0, 2.5) for i in range(n)]
    a, b = round(n * dice.uniform(0.45, 0.55)), round(n * dice.uniform(0.75, 0.85))
    for i in range(a, a + 140):
        values[i] = values[a]
    for i in range(b, b + 60):
        values[i] += dice.gauss(0, 14)
    return values, [(a, a + 139), (b, b + 59)]


def _errors(dice: random.Random, n: int) -> Made:
    """Errors a bucket of a small service: mostly none; once a few, once many."""
    values = [float(poisson(dice, 0.08)) for _ in range(n)]
    a, b = round(n * dice.uniform(0.4, 0.5)), round(n * dice.uniform(0.7, 0.85))
    for i in range(a, a + 12):
        values[i] += poisson(dice, 2.5)
    for i in range(b, b + 3):
        values[i] += poisson(dice, 14)
    return values, [(a, a + 11), (b, b + 2)]


NATURES: Final[dict[str, tuple[Callable[[random.Random, int], Made], int, float]]] = {
    "cpu": (_cpu, 4032, 300),
    "night_job": (_night_job, 4032, 300),
    "temperature": (_temperature, 12_000, 300),
    "taxis": (_taxis, 8_064, 1800),
    "tweets": (_tweets, 12_000, 300),
    "latency": (_latency, 4032, 300),
    "auction": (_auction, 1624, 3600),
    "speed": (_speed, 4032, 300),
    "waves": (_waves, 1680, 1),
    "dead_sensor": (_dead_sensor, 4032, 300),
    "errors": (_errors, 4032, 300),
}
"""How it is made, how many rows, and seconds between two."""


def made(nature: str, seed: int) -> Labelled:
    """The series of this nature and seed; the clock of `speed` is irregular."""
    make, length, step = NATURES[nature]
    name = f"{nature}/{seed}"
    dice = random.Random(name)
    values, windows = make(dice, length)
    times = [START + step * i if step > 1 else i + 1.0 for i in range(length)]
    if nature == "speed":
        kept = [i for i in range(length) if dice.random() > 0.08]
        place = {i: n for n, i in enumerate(kept)}
        near = [max(place.get(i - k, -1) for k in range(40)) for i in range(length)]
        times = [times[i] + 60 * dice.randrange(3) for i in kept]
        values = [values[i] for i in kept]
        windows = [(near[a], near[b]) for a, b in windows]
    return Labelled(name, "value", times, values, windows, step)
