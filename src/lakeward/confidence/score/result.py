"""A score that explains itself: what stands in it, as data that may be kept for ever.

Shares and means are in [0, 1], points in points of 100. All points together are the score.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lakeward.confidence.score.evidence import Source
from lakeward.confidence.score.flag import Flag
from lakeward.confidence.score.prior import Prior
from lakeward.confidence.score.witness import Factors


class RespondentPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one respondent adds, and why so much."""

    respondent_id: str
    mean: float
    weight: float
    """The product of its factors; 1 at most."""
    factors: Factors
    points: float
    """Part of the score: 100 · source's weight · weight · mean / (sum of weights + strength)."""
    pull: float
    """Points by which the score is higher than if they had said the prior's mean."""
    evidence: tuple[str, ...]


class CategoryPart(msgspec.Struct, frozen=True, kw_only=True):
    """What the witnesses of a source say of one category, by their weights."""

    category: str
    mean: float
    respondents: int


class Reliability(msgspec.Struct, frozen=True, kw_only=True):
    """Do the witnesses of a source agree which categories are strong and which are weak?"""

    alpha: float | None
    """Krippendorff's, interval; categories are the units, witnesses the raters."""
    icc: float | None
    """Of the witnesses' mean, by those who rated every category."""
    icc_form: str
    respondents: int
    categories: int
    reason: str = ""
    """Why a coefficient is missing."""


class SourcePart(msgspec.Struct, frozen=True, kw_only=True):
    """One source: what it says, what was believed before, and what it adds."""

    source: Source
    weight: float
    respondents_n: int
    weight_sum: float
    """Of its witnesses, in full ones."""
    effective_n: float
    """Kish: (Σw)² / Σw²."""
    mean: float | None
    """Of its witnesses by weight; None when there are none."""
    prior: Prior
    shrunk: float
    low: float
    high: float
    """Ends of the interval of the shrunk mean."""
    points: float
    """What its witnesses add."""
    prior_points: float
    """What its prior adds."""
    pull: float
    respondents: tuple[RespondentPart, ...]
    categories: tuple[CategoryPart, ...]
    reliability: Reliability


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's PowerConfidence at one moment."""

    value: float
    low: float
    high: float
    level: float
    provisional: bool
    why_provisional: tuple[str, ...]
    effective_n: float
    """Kish, over employees, customers and demos."""
    weight_sum: float
    """Of the same witnesses, in full ones."""
    data_points: int
    """Pieces of evidence of employees, customers and demos that have a rating."""
    unrated: int
    """Pieces without any rating, which have no part."""
    evidence_share: float
    """Part of the score that stands on evidence and not on priors: 0 to 1."""
    baseline: float
    """The score of a partner of whom nobody has said anything; with all pulls it is the value."""
    sources: tuple[SourcePart, ...]
    flags: tuple[Flag, ...]
    at_ms: int
    formula_version: str

    @property
    def by_source(self) -> Mapping[Source, SourcePart]:
        """The parts by their source."""
        return {part.source: part for part in self.sources}


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """One partner's place."""

    place: int
    partner_id: str
    low: float
    value: float
    high: float
    provisional: bool
