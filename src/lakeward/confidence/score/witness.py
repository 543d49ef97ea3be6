"""A witness: all that one respondent of a source says, as one mean and one weight.

In: answers. Out: witnesses in a fixed order, and the flags that lowered their weights. Pure.

    answer's weight   = 0.7 ^ years · verification · completeness
    witness's mean    = mean of its answers by these weights
    witness's weight  = the greatest weight of its answers · its flags' factors     (never above 1)

The greatest, not the sum: whoever answers every week is still one person.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from lakeward.confidence.score.evidence import SOURCES, Answer, Source, distinct
from lakeward.confidence.score.flag import Flag, Key
from lakeward.confidence.score.flags import find
from lakeward.confidence.score.options import DEFAULT, Options

YEAR_MS: Final = 365.25 * 86_400_000
FAINTEST: Final = 1e-9
"""Evidence fades and never quite goes: no weight is 0, and none underflows."""


class Factors(msgspec.Struct, frozen=True, kw_only=True):
    """What a witness's weight is the product of."""

    age: float
    verification: float
    completeness: float
    flags: Mapping[str, float]
    """By kind of flag."""
    flagged: float
    """The product of the flags, at its least a hundredth."""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """One respondent of one source."""

    source: Source
    respondent_id: str
    mean: float
    weight: float
    factors: Factors
    evidence: tuple[str, ...]
    categories: Mapping[str, float]
    """Mean by category."""

    @property
    def key(self) -> Key:
        """Source and id."""
        return self.source, self.respondent_id


class Heard(msgspec.Struct, frozen=True):
    """All witnesses of a partner."""

    by_source: Mapping[Source, tuple[Witness, ...]]
    flags: tuple[Flag, ...]
    unrated: int
    """Answers without any rating: they have no part in the score."""


def witnesses(answers: Iterable[Answer], *, now_ms: int, options: Options = DEFAULT) -> Heard:
    """Who says what, and how much it weighs."""
    once = distinct(answers)
    rated = [answer for answer in once if answer.ratings]
    seen = [each for each in find(rated) if each.kind in options.flags]
    lowered = _lowered(seen)
    said: dict[Key, list[Answer]] = {}
    for answer in rated:
        said.setdefault((answer.source, answer.respondent_id), []).append(answer)
    heard: dict[Source, list[Witness]] = {source: [] for source in SOURCES}
    for key in sorted(said):
        flags = _flags_of(key, lowered)
        heard[key[0]].append(_witness(key, said[key], flags, now_ms, options))
    by_source = {source: tuple(heard[source]) for source in SOURCES}
    return Heard(by_source, tuple(seen), len(once) - len(rated))


def _lowered(seen: Sequence[Flag]) -> dict[Key, dict[str, float]]:
    """By witness and kind, the lowest factor: two findings of a kind are not two faults."""
    lowered: dict[Key, dict[str, float]] = {}
    for each in seen:
        for key in each.witnesses:
            kinds = lowered.setdefault(key, {})
            kinds[each.kind] = min(each.factor, kinds.get(each.kind, 1.0))
    return lowered


def _flags_of(key: Key, lowered: Mapping[Key, Mapping[str, float]]) -> dict[str, float]:
    """Of a measure of consistency, the flags of the witness whose words were measured."""
    source, person = key
    origins = SOURCES if source == "consistency" else (source,)
    kinds: dict[str, float] = {}
    for origin in origins:
        for kind, factor in lowered.get((origin, person), {}).items():
            kinds[kind] = min(factor, kinds.get(kind, 1.0))
    return dict(sorted(kinds.items()))


def _witness(
    key: Key, said: Sequence[Answer], flags: Mapping[str, float], now_ms: int, options: Options
) -> Witness:
    weighed = [(_factors(answer, flags, now_ms, options), answer) for answer in said]
    weights = [unflagged(factors) for factors, _ in weighed]
    lead = max(range(len(said)), key=lambda n: (weights[n], said[n].at_ms, said[n].evidence_id))
    names = sorted({name for answer in said for name in answer.ratings})
    return Witness(
        source=key[0], respondent_id=key[1],
        mean=_mean([(w, answer.share) for w, answer in zip(weights, said, strict=True)]),
        weight=weights[lead] * weighed[lead][0].flagged, factors=weighed[lead][0],
        evidence=tuple(sorted(answer.evidence_id for answer in said)),
        categories={
            name: _mean([
                (w, answer.ratings[name].share)
                for w, answer in zip(weights, said, strict=True) if name in answer.ratings
            ])
            for name in names
        },
    )  # fmt: skip


def _factors(answer: Answer, flags: Mapping[str, float], now_ms: int, options: Options) -> Factors:
    years = max(now_ms - answer.at_ms, 0) / YEAR_MS
    return Factors(
        age=max(options.yearly**years, FAINTEST),
        verification=1.0 if answer.verified else options.unverified,
        completeness=max(answer.completeness, options.least_complete), flags=flags,
        flagged=max(math.prod(flags.values()), options.least_flagged),
    )  # fmt: skip


def unflagged(factors: Factors) -> float:
    """The weight before flags."""
    return factors.age * factors.verification * factors.completeness


def _mean(weighed: Sequence[tuple[float, float]]) -> float:
    whole = math.fsum(weight for weight, _ in weighed)
    mean = math.fsum(weight * share for weight, share in weighed) / whole
    return min(max(mean, 0.0), 1.0)  # rounding
