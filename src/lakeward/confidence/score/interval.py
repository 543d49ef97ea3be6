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

from lakeward.confidence.score.evidence import Source
from lakeward.confidence.score.prior import Prior
from lakeward.confidence.score.witness import Witness

FAINT = 1e-4
"""Witnesses below this weight have no part in a draw: theirs would be 0 in nearly all."""


def draws(heard: Sequence[Witness], source: Source, prior: Prior, times: int) -> list[float]:
    """Means of the source, had other people been asked."""
    said = [0.0] * times
    whole = [0.0] * times
    for mean, weight, dice in [
        *((mean, part * prior.strength, _dice(f"prior/{source}/{n}"))
          for n, (mean, part) in enumerate(_two(prior))),
        *((witness.mean, witness.weight, _dice(f"person/{witness.respondent_id}"))
          for witness in heard),
    ]:  # fmt: skip
        if weight < FAINT:
            continue
        thrown = [dice.gammavariate(weight, 1.0) for _ in range(times)]
        said = [sum_ + g * mean for sum_, g in zip(said, thrown, strict=True)]
        whole = [sum_ + g for sum_, g in zip(whole, thrown, strict=True)]
    return [min(s / w, 1.0) if w else prior.mean for s, w in zip(said, whole, strict=True)]


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
