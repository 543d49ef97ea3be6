"""What each figure weighs, by model: written by `tests.fit_consistency`, not by hand."""

from __future__ import annotations

from lakeward.confidence.consistency.relation import Coefficients

LEXICAL = Coefficients(
    against={
        "negation": 0.662,
        "opposite": 0.527,
        "number": 0.0,
        "polarity": 0.534,
        "exception": 0.058,
        "denied_covered": 0.336,
        "denied_left": -1.424,
        "denied_strange": -1.235,
        "rest_covered": 0.36,
        "similarity": 0.379,
        "covered": 0.044,
        "siblings": -0.887,
        "swapped": -0.154,
        "moved": -0.341,
        "bias": 0.037,
    },
    support={
        "covered": 0.093,
        "left": -0.949,
        "unmatched": -1.078,
        "strange": -0.866,
        "worst": -0.735,
        "turned": 0.0,
        "similarity": 0.0,
        "broken": -0.354,
        "swapped": -1.528,
        "detached": -0.899,
        "unverbed": -0.685,
        "moved": -1.423,
        "siblings": -0.361,
        "narrower": -0.007,
        "bias": 1.464,
    },
)

EMBEDDING = Coefficients(
    against={
        "negation": 2.794,
        "opposite": 1.601,
        "number": 0.0,
        "polarity": 1.694,
        "exception": 0.276,
        "denied_covered": 0.0,
        "denied_left": -2.371,
        "denied_strange": -1.98,
        "rest_covered": 0.0,
        "similarity": 0.402,
        "covered": 0.0,
        "siblings": -1.627,
        "swapped": -0.893,
        "moved": -1.304,
        "bias": -0.3,
    },
    support={
        "covered": 0.0,
        "left": 0.0,
        "unmatched": -3.084,
        "strange": -2.103,
        "worst": -2.895,
        "turned": 0.0,
        "similarity": 0.0,
        "broken": -1.778,
        "swapped": -4.456,
        "detached": -1.696,
        "unverbed": -2.255,
        "moved": -4.235,
        "siblings": -0.401,
        "narrower": 0.0,
        "bias": 2.631,
    },
)
