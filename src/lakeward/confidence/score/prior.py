"""The prior of a source: what is believed of a partner before anybody has said anything.

In: the answers about the other partners of the category. Out: for each source a mean, and how many
full witnesses it weighs as. Pure; fails with `Terminal` for a prior that is none.

Partners differ by t, witnesses of one partner by s (one-way random effects, by moments). The best
linear guess of a partner's mean gives the category the weight of k = s²/t² witnesses: that is
`strength` (Robbins 1956; Efron and Morris 1977).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from lakeward.confidence.score.evidence import SOURCES, Answer, Source
from lakeward.confidence.score.options import DEFAULT, Options
from lakeward.confidence.score.witness import Witness, witnesses
from lakeward.errors import Terminal

FEWEST_PARTNERS: Final = 3
"""With fewer others, their mean says more of them than of the category."""
FEWEST_FOR_STRENGTH: Final = 5
"""With fewer others, how much partners differ is not known; the strength is the least then."""
STRENGTH: Final = (2.0, 5.0)
"""Never weaker than knowing nothing; never stronger than the five witnesses that a source needs, so
that these weigh half at least: a partner may be unlike its category."""
MEAN: Final = (0.05, 0.95)
"""A category of perfect partners is not believed: its next one would be certain unseen."""
LEAST_SPREAD: Final = 0.05


class Prior(msgspec.Struct, frozen=True):
    """What a source's mean is drawn to."""

    mean: float
    """0 to 1."""
    strength: float
    """As how many full witnesses it weighs."""
    partners: int
    """Other partners it was learnt from."""
    basis: str
    """Where it comes from, in words."""
    spread: float = 0.5
    """Standard deviation of one witness of any partner of the category; 0.5 knows nothing."""

    def __post_init__(self) -> None:
        """Refuse what is no prior."""
        if not 0 <= self.mean <= 1:
            raise Terminal(f"a prior's mean is from 0 to 1, not {self.mean}.")
        if not 0.1 <= self.strength <= 1e6:
            raise Terminal(f"a prior's strength is from 0.1 to 1e6, not {self.strength}.")
        if not 0 <= self.spread <= 0.5:
            raise Terminal(f"a prior's spread is from 0 to 0.5, not {self.spread}.")


UNKNOWN: Final = Prior(
    0.5, 2.0, 0,
    "nothing is known of the category: the middle of the scale, every mean alike likely "
    "(as strong as 2 witnesses)",
)  # fmt: skip
"""Mean 0.5, strength 2, spread 0.5: the uniform distribution, Beta(1, 1)."""


def category_priors(
    others: Mapping[str, Sequence[Answer]], *, now_ms: int, options: Options = DEFAULT
) -> Mapping[Source, Prior]:
    """The priors that the other partners of a category make; the partner itself is not in it."""
    return _priors(_heard(others, now_ms, options))


def priors_of_each(
    category: Mapping[str, Sequence[Answer]], *, now_ms: int, options: Options = DEFAULT
) -> Mapping[str, Mapping[Source, Prior]]:
    """For each partner what `category_priors` makes of all others, each heard once only."""
    heard = _heard(category, now_ms, options)
    return {
        partner: _priors({other: said for other, said in heard.items() if other != partner})
        for partner in heard
    }


def _heard(
    partners: Mapping[str, Sequence[Answer]], now_ms: int, options: Options
) -> dict[str, Mapping[Source, Sequence[Witness]]]:
    return {
        partner: witnesses(partners[partner], now_ms=now_ms, options=options).by_source
        for partner in sorted(partners)
    }


def _priors(heard: Mapping[str, Mapping[Source, Sequence[Witness]]]) -> dict[Source, Prior]:
    return {
        source: _learnt([by[source] for by in heard.values() if by[source]], source)
        for source in SOURCES
    }


def _learnt(partners: Sequence[Sequence[Witness]], source: Source) -> Prior:
    if len(partners) < FEWEST_PARTNERS:
        basis = f"{len(partners)} other partners of the category have {source}, fewer than "
        return msgspec.structs.replace(
            UNKNOWN, partners=len(partners), basis=f"{basis}{FEWEST_PARTNERS}: {UNKNOWN.basis}"
        )
    means = [_mean(each) for each in partners]
    mean = min(max(math.fsum(means) / len(means), MEAN[0]), MEAN[1])
    within, between = _variances(partners, means)
    strength, why = _strength(len(partners), within, between)
    # The mean of few partners is itself uncertain: 1 + 1/J, as for a new observation.
    spread = math.sqrt((within + between) * (1 + 1 / len(partners)))
    return Prior(
        mean, strength, len(partners),
        f"mean of {len(partners)} other partners of the category, each alike; weighs as "
        f"{strength:.1f} witnesses: {why}",
        min(max(spread, LEAST_SPREAD), math.sqrt(mean * (1 - mean))),
    )  # fmt: skip


def _mean(heard: Sequence[Witness]) -> float:
    whole = math.fsum(witness.weight for witness in heard)
    return math.fsum(witness.weight * witness.mean for witness in heard) / whole


def _variances(
    partners: Sequence[Sequence[Witness]], means: Sequence[float]
) -> tuple[float, float]:
    """s² within partners, and t² between them: what the means vary by beyond what s explains."""
    squares = math.fsum(
        (witness.mean - mean) ** 2
        for heard, mean in zip(partners, means, strict=True) for witness in heard
    )  # fmt: skip
    free = sum(len(heard) - 1 for heard in partners)
    within = squares / free if free else 0.0
    centre = math.fsum(means) / len(means)
    seen = math.fsum((mean - centre) ** 2 for mean in means) / (len(means) - 1)
    explained = within * math.fsum(1 / len(heard) for heard in partners) / len(partners)
    return within, max(seen - explained, 0.0)


def _strength(partners: int, within: float, between: float) -> tuple[float, str]:
    least, most = STRENGTH
    if partners < FEWEST_FOR_STRENGTH:
        return least, f"fewer than {FEWEST_FOR_STRENGTH} partners do not show how they differ"
    if between == 0:
        return most, "they differ no more than their witnesses do"
    k = min(max(within / between, least), most)
    return k, f"witnesses of a partner differ by {within**0.5:.2f}, partners by {between**0.5:.2f}"
