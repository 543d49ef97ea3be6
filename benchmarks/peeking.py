"""How often experiments without an effect are called a finding when one looks again and again.

    python benchmarks/peeking.py [--sims 500] [--units 10000] [--every 50]

Each simulated experiment has no effect (or a known one, for the coverage) and is looked at after
every so many units, by the very functions that reports use. It counts as an error when any look has
an interval that leaves the truth out. Everything is seeded.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from lakeward.analysis.experiment import effect, frequentist, ratio, sequential
from lakeward.analysis.experiment.cuped import adjusted, adjustment
from lakeward.analysis.experiment.effect import Effect, Measured
from lakeward.analysis.experiment.moments import PAIRS, Estimate, Moments, estimate, share

Numbers = NDArray[np.float64]
Dice = np.random.Generator


class Kind(msgspec.Struct, frozen=True):
    """A kind of metric: how units of it are drawn, and how an arm is estimated."""

    draw: Callable[[Dice, int], dict[str, Numbers]]
    kind: str = "mean"
    part: float = 0.5
    """Share of the treatment."""


def did(rate: float) -> Callable[[Dice, int], dict[str, Numbers]]:
    """Units that did something, so many of them."""
    return lambda dice, n: {"y": (dice.random(n) < rate).astype(float)}


def _spent(dice: Dice, n: int) -> dict[str, Numbers]:
    """One in twenty spends, and much or little."""
    return {"y": (dice.random(n) < 0.05) * dice.lognormal(3, 1, n)}


def _orders(dice: Dice, n: int) -> dict[str, Numbers]:
    """Orders by sessions: units differ in how often they come and in how they buy."""
    d = dice.poisson(3, n) + 1.0
    return {"y": dice.binomial(d.astype(int), dice.beta(2, 8, n)).astype(float), "d": d}


def _habits(dice: Dice, n: int) -> dict[str, Numbers]:
    """Counts that what was before predicts in part."""
    taste = dice.gamma(2, 1, n)
    return {"y": dice.poisson(taste).astype(float), "x": dice.poisson(taste).astype(float)}


KINDS: dict[str, Kind] = {
    "50 % convert": Kind(did(0.5), "share"),
    "5 % convert": Kind(did(0.05), "share"),
    "5 % convert, 90/10": Kind(did(0.05), "share", 0.1),
    "1 % convert, 90/10": Kind(did(0.01), "share", 0.1),
    "5 % convert, 10/90": Kind(did(0.05), "share", 0.9),
    "99 % convert, 90/10": Kind(did(0.99), "share", 0.1),
    "normal": Kind(lambda dice, n: {"y": dice.normal(1, 1, n)}),
    "log-normal": Kind(lambda dice, n: {"y": dice.lognormal(0, 1, n)}),
    "log-normal, 90/10": Kind(lambda dice, n: {"y": dice.lognormal(0, 1, n)}, "mean", 0.1),
    "revenue": Kind(_spent),
    "ratio": Kind(_orders, "ratio"),
    "CUPED": Kind(_habits, "cuped"),
}


def looks(kind: Kind, dice: Dice, units: int, places: Sequence[int]
          ) -> Iterator[tuple[Estimate, Estimate]]:  # fmt: skip
    """One experiment: the estimates of both arms at each look."""
    treated = dice.random(units) < kind.part
    drawn = kind.draw(dice, units)
    sides = [_sums(drawn, treated == side, np.asarray(places) - 1) for side in (False, True)]
    for n in range(len(places)):
        arms = [_moments(side, n) for side in sides]
        if min(arm.units for arm in arms) < 2:
            continue
        if kind.kind == "cuped":
            by = adjustment(arms)
            yield adjusted(arms[0], by), adjusted(arms[1], by)
        else:
            one, other = (share(a) if kind.kind == "share" else estimate(a) for a in arms)
            yield one, other


def _sums(drawn: dict[str, Numbers], mine: NDArray[np.bool_], at: NDArray[np.int64]
          ) -> dict[str, list[float]]:  # fmt: skip
    """Running sums of an arm at the looks."""
    found = {"units": np.cumsum(mine)[at].tolist()}
    for name in drawn:
        found[name] = np.cumsum(np.where(mine, drawn[name], 0))[at].tolist()
    for pair in PAIRS:
        if pair[0] in drawn and pair[1] in drawn:
            product = drawn[pair[0]] * drawn[pair[1]]
            found[pair] = np.cumsum(np.where(mine, product, 0))[at].tolist()
    return found


def _moments(sums: dict[str, list[float]], n: int) -> Moments:
    units = int(sums["units"][n])
    if units < 2:
        return Moments(units)
    means = {name: sums[name][n] / units for name in "ydxz" if name in sums}
    pairs = {
        pair: max(0.0 if pair[0] == pair[1] else -np.inf,
                  (sums[pair][n] - units * means[pair[0]] * means[pair[1]]) / (units - 1))
        for pair in PAIRS if pair in sums
    }  # fmt: skip
    return Moments(units, **means, **pairs)


def bare(control: Estimate, treatment: Estimate) -> Effect:
    """The confidence sequence without what keeps it honest while there are few units."""
    return Effect(
        sequential.measured(effect.difference(control, treatment), 0.95),
        sequential.measured(effect.lift(control, treatment, 0.0), 0.95),
    )


WAYS: dict[str, Callable[[Estimate, Estimate], Effect]] = {
    "sequential": sequential.compare,
    "bare": bare,
    "fixed": frequentist.compare,
}


def misses(found: Measured | None) -> bool:
    """Whether an interval leaves out that there is no effect."""
    if found is None or found.low is None or found.high is None:
        return False
    return found.low > 0 or found.high < 0


def errors(kind: Kind, ways: Sequence[str], sims: int, places: Sequence[int], seed: int
           ) -> dict[str, tuple[float, float]]:  # fmt: skip
    """By way: shares of experiments that a look calls a finding, by difference and by lift."""
    dice = np.random.default_rng(seed)
    counts = {way: [0, 0] for way in ways}
    for _ in range(sims):
        wrong = {way: [False, False] for way in ways}
        for control, treatment in looks(kind, dice, places[-1], places):
            for way in ways:
                found = WAYS[way](control, treatment)
                wrong[way][0] |= misses(found.difference)
                wrong[way][1] |= misses(found.lift)
        for way in ways:
            counts[way] = [n + w for n, w in zip(counts[way], wrong[way], strict=True)]
    return {way: (n / sims, m / sims) for way, (n, m) in counts.items()}


def broken(test: Callable[[Sequence[int], Sequence[float]], ratio.Split], part: float, sims: int,
           places: Sequence[int], seed: int) -> float:  # fmt: skip
    """The share of sound experiments that any look calls broken."""
    dice = np.random.default_rng(seed)
    wrong = 0
    for _ in range(sims):
        treated = np.cumsum(dice.random(places[-1]) < part)
        wrong += any(
            test((n - int(treated[n - 1]), int(treated[n - 1])), (1 - part, part)).broken
            for n in places
        )
    return wrong / sims


def main() -> None:
    """Print a table."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--sims", type=int, default=500)
    words.add_argument("--units", type=int, default=10_000)
    words.add_argument("--every", type=int, default=50)
    told = words.parse_args()
    places = list(range(told.every, told.units + 1, told.every))
    print(f"{told.sims} experiments without an effect, {len(places)} looks each")
    print(f"{'':22}" + "".join(f"{way:>12} {'(lift)':>7}" for way in WAYS))
    for seed, (name, kind) in enumerate(KINDS.items()):
        found = errors(kind, list(WAYS), told.sims, places, seed)
        print(
            f"{name:22}" + "".join(f"{d:>12.1%} {r:>7.1%}" for d, r in found.values()), flush=True
        )
    for part in (0.5, 0.1):
        shares = f"{1 - part:.0%}/{part:.0%}"
        always = broken(ratio.sequential, part, told.sims, places, 99)
        once = broken(ratio.fixed, part, told.sims, places, 99)
        print(f"sample ratio {shares:9} sequential {always:.2%}, fixed {once:.2%}", flush=True)


if __name__ == "__main__":
    main()
