"""The score: evidence in, a score out that explains itself to the last point.

In: a partner's answers, the moment, the priors of its category. Out: a `Score`. Pure: no clock, no
file, no luck; the same evidence gives the same bytes, in whatever order it comes.

    shrunk mean of a source = (Σ wᵢ xᵢ + k p) / (Σ wᵢ + k)       k, p: the prior's strength and mean
    score                   = 100 · Σ over sources: weight · shrunk mean

Shrinkage goes by the sum of weights, not by Kish's effective n. Ten witnesses of a tenth of the
weight each are ten for Kish, and should weigh as one against the prior; and a full witness beside
them makes Kish's ten a mere four, so that more evidence would count for less. So each person moves
the score by 100 · weight of the source / (1 + k) at most. Kish's n says how unevenly the evidence
is spread, and is one of the limits below which a score is provisional.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lakeward.confidence.score.evidence import PEOPLE, SOURCES, Answer, Source
from lakeward.confidence.score.interval import draws, ends
from lakeward.confidence.score.options import DEFAULT, Options, formula_version
from lakeward.confidence.score.prior import UNKNOWN, Prior
from lakeward.confidence.score.reliability import reliability
from lakeward.confidence.score.result import CategoryPart, RespondentPart, Score, SourcePart
from lakeward.confidence.score.witness import Witness, witnesses

NO_PRIORS: Final[Mapping[Source, Prior]] = {}


def score(
    answers: Iterable[Answer],
    *,
    now_ms: int,
    priors: Mapping[Source, Prior] = NO_PRIORS,
    options: Options = DEFAULT,
) -> Score:
    """The score at a moment; a source without a prior has `UNKNOWN`."""
    heard = witnesses(answers, now_ms=now_ms, options=options)
    drawn = [0.0] * options.draws
    parts = []
    for source in SOURCES:
        prior, weight = priors.get(source, UNKNOWN), options.weights[source]
        own = draws(heard.by_source[source], prior, options.draws)
        drawn = [sum_ + 100 * weight * mean for sum_, mean in zip(drawn, own, strict=True)]
        within = ends(own, options.level)
        parts.append(_source(heard.by_source[source], source, prior, weight, within))
    value = math.fsum(part.points + part.prior_points for part in parts)
    value = min(max(value, 0.0), 100.0)  # rounding
    low, high = ends(drawn, options.level)
    people = [witness for source in PEOPLE for witness in heard.by_source[source]]
    why = _why_provisional(heard.by_source, people, options)
    return Score(
        value=value, low=max(min(low, value), 0.0), high=min(max(high, value), 100.0),
        level=options.level, provisional=bool(why), why_provisional=why, effective_n=kish(people),
        weight_sum=math.fsum(witness.weight for witness in people),
        data_points=sum(len(witness.evidence) for witness in people), unrated=heard.unrated,
        evidence_share=math.fsum(
            part.weight * part.weight_sum / (part.weight_sum + part.prior.strength)
            for part in parts
        ),
        baseline=math.fsum(100 * part.weight * part.prior.mean for part in parts),
        sources=tuple(parts), flags=heard.flags, at_ms=now_ms,
        formula_version=formula_version(options),
    )  # fmt: skip


def kish(heard: Sequence[Witness]) -> float:
    """Effective number of witnesses, (Σw)² / Σw²: how many equal ones vary as much (Kish 1965)."""
    if not heard:
        return 0.0
    most = max(witness.weight for witness in heard)  # squares of faint weights would underflow
    parts = [witness.weight / most for witness in heard]
    return math.fsum(parts) ** 2 / math.fsum(part * part for part in parts)


def _source(
    heard: Sequence[Witness],
    source: Source,
    prior: Prior,
    weight: float,
    within: tuple[float, float],
) -> SourcePart:
    total = math.fsum(witness.weight for witness in heard)
    unit = 100 * weight / (total + prior.strength)
    said = math.fsum(witness.weight * witness.mean for witness in heard)
    shrunk = (said + prior.strength * prior.mean) / (total + prior.strength)
    shrunk = min(max(shrunk, 0.0), 1.0)  # rounding
    parts = tuple(
        RespondentPart(
            respondent_id=witness.respondent_id, mean=witness.mean, weight=witness.weight,
            factors=witness.factors, points=unit * witness.weight * witness.mean,
            pull=unit * witness.weight * (witness.mean - prior.mean), evidence=witness.evidence,
        )
        for witness in heard
    )  # fmt: skip
    return SourcePart(
        source=source, weight=weight, respondents_n=len(heard), weight_sum=total,
        effective_n=kish(heard), mean=said / total if heard else None, prior=prior, shrunk=shrunk,
        low=min(within[0], shrunk), high=max(within[1], shrunk),
        points=math.fsum(part.points for part in parts),
        prior_points=unit * prior.strength * prior.mean,
        pull=math.fsum(part.pull for part in parts), respondents=parts,
        categories=_categories(heard), reliability=reliability(heard),
    )  # fmt: skip


def _categories(heard: Sequence[Witness]) -> tuple[CategoryPart, ...]:
    parts = []
    for name in sorted({name for witness in heard for name in witness.categories}):
        own = [witness for witness in heard if name in witness.categories]
        mean = math.fsum(w.weight * w.categories[name] for w in own) / math.fsum(
            w.weight for w in own
        )
        parts.append(CategoryPart(category=name, mean=min(mean, 1.0), respondents=len(own)))
    return tuple(parts)


def _why_provisional(
    by_source: Mapping[Source, Sequence[Witness]], people: Sequence[Witness], options: Options
) -> tuple[str, ...]:
    missing = {source: options.per_source - len(by_source[source]) for source in PEOPLE}
    why = [
        f"{len(by_source[source])} of {options.per_source} {source}: {n} more needed."
        for source, n in missing.items()
        if n > 0
    ]
    effective, weight = kish(people), math.fsum(witness.weight for witness in people)
    # Fifteen equal weights are 15 by Kish's formula, and its rounding must not make them fewer.
    if effective < options.effective_n - 1e-9:
        why.append(
            f"The evidence counts as {effective:.1f} equal witnesses, fewer than "
            f"{options.effective_n:g}: too much stands on too few."
        )
    if weight < options.least_weight - 1e-9:
        why.append(
            f"Age, missing verification, gaps and flags leave the weight of {weight:.1f} full "
            f"witnesses, less than {options.least_weight:g}."
        )
    return tuple(why)
