"""The PowerConfidence score: evidence in, a score that explains itself out.

Pure functions over frozen structs, without any dependency of an extra. `score` computes,
`category_priors` learns what to believe before, `ranked` orders, `fields_of` tells.
"""

from __future__ import annotations

from lakeward.confidence.score.agreement import Icc, alpha, icc
from lakeward.confidence.score.evidence import SOURCES, Answer, Rating, Source
from lakeward.confidence.score.flag import Flag, FlagKind
from lakeward.confidence.score.formula import score
from lakeward.confidence.score.options import DEFAULT, Options, formula_version
from lakeward.confidence.score.prior import UNKNOWN, Prior, category_priors, priors_of_each
from lakeward.confidence.score.ranking import ranked
from lakeward.confidence.score.result import (
    CategoryPart,
    Ranked,
    Reliability,
    RespondentPart,
    Score,
    SourcePart,
)
from lakeward.confidence.score.update import fields_of
from lakeward.confidence.score.witness import Factors

__all__ = [
    "DEFAULT",
    "SOURCES",
    "UNKNOWN",
    "Answer",
    "CategoryPart",
    "Factors",
    "Flag",
    "FlagKind",
    "Icc",
    "Options",
    "Prior",
    "Ranked",
    "Rating",
    "Reliability",
    "RespondentPart",
    "Score",
    "Source",
    "SourcePart",
    "alpha",
    "category_priors",
    "fields_of",
    "formula_version",
    "icc",
    "priors_of_each",
    "ranked",
    "score",
]
