"""The interval: what the mean could as well be, had other people been asked.

In: witnesses and priors. Out: draws of each source's mean, and the ends of the middle 90 % of them.

Witnesses are drawn anew with the Bayesian bootstrap (Rubin 1981), the prior among them as two
witnesses of its own (Muliere and Secchi 1996), one below its mean and one above:

    mean of one draw = Σ gᵢ xᵢ / Σ gᵢ        gᵢ ~ Gamma(weight of i, 1)

so that the mean of the draws is exactly the shrunk mean of the score. The plain bootstrap of one
witness, or of five who say the same, has no width at all; this one has, since the prior differs.

Every person has dice of their own, cast by their id. So neither the order of the evidence nor what
is said changes a throw, and two things hold in each draw and not on the average only: a higher
rating makes no draw lower, and a new witness moves every draw of a source towards what they say:
whoever agrees narrows the interval, exactly. `formula.joined` makes one interval of the sources'.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence

from lakeward.confidence.score.prior import Prior
from lakeward.confidence.score.witness import Witness

FAINT = 1e-4
"""Witnesses below this weight have no part in a draw: theirs would be 0 in nearly all."""


def draws(heard: Sequence[Witness], prior: Prior, times: int) -> list[float]:
    """Means of the source, had other people been asked."""
    thrown = [
        (mean, _coupled(share * prior.strength, f"prior/{n}", times))
        for n, (mean, share) in enumerate(_two(prior))
        if share * prior.strength > FAINT
    ]
    for witness in heard:
        if witness.weight > FAINT:
            dice = _dice(f"person/{witness.respondent_id}")
            own = [dice.gammavariate(witness.weight, 1.0) for _ in range(times)]
            thrown.append((witness.mean, own))
    said, whole = [0.0] * times, [0.0] * times
    for mean, own in thrown:
        said = [sum_ + g * mean for sum_, g in zip(said, own, strict=True)]
        whole = [sum_ + g for sum_, g in zip(whole, own, strict=True)]
    return [min(s / w, 1.0) if w else prior.mean for s, w in zip(said, whole, strict=True)]


def _coupled(shape: float, name: str, times: int) -> list[float]:
    """Gamma draws that rise and fall together with those of other shapes from the same dice.

    Marsaglia and Tsang (2000); the few that their test refuses are drawn by themselves, as
    drawing on from the same dice would be out of step ever after.
    """
    dice, spare = _dice(name), _dice(f"{name}/spare")
    raised = shape if shape >= 1 else shape + 1
    d = raised - 1 / 3
    c = 1 / math.sqrt(9 * d)
    found = []
    for _ in range(times):
        z, u, lift = dice.gauss(), 1 - dice.random(), dice.random()
        v = (1 + c * z) ** 3
        if v > 0 and math.log(u) < 0.5 * z * z + d * (1 - v + math.log(v)):
            g = d * v
        else:
            g = spare.gammavariate(raised, 1.0)
        found.append(g if raised == shape else g * lift ** (1 / shape))
    return found


def _dice(name: str) -> random.Random:
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "big")
    return random.Random(seed)  # noqa: S311 - for resampling


def _two(prior: Prior) -> tuple[tuple[float, float], tuple[float, float]]:
    """Two values in [0, 1] and their shares that have the prior's mean and spread."""
    mean = prior.mean
    spread = min(prior.spread, math.sqrt(mean * (1 - mean)))
    if spread == 0:
        return (mean, 0.5), (mean, 0.5)
    low = mean - spread if mean + spread <= 1 else mean - spread**2 / (1 - mean)
    low = max(low, 0.0)
    high = min(mean + spread**2 / (mean - low), 1.0)
    above = (mean - low) / (high - low)
    return (low, 1 - above), (high, above)


def ends(drawn: Sequence[float], level: float) -> tuple[float, float]:
    """The ends of the middle `level` of the draws."""
    ordered = sorted(drawn)
    outside = int((1 - level) / 2 * len(ordered) + 1e-9)
    return ordered[outside], ordered[-1 - outside]
