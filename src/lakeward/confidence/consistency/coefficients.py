"""What each figure weighs, by model: written by `tests.fit_consistency`, not by hand."""

from __future__ import annotations

from lakeward.confidence.consistency.relation import Coefficients

LEXICAL = Coefficients(
    against={
        "negation": 1.168,
        "opposite": 1.9,
        "number": 0.429,
        "polarity": 0.753,
        "exception": 0.15,
        "denied_covered": 0.0,
        "denied_strange": -2.899,
        "rest_covered": 0.0,
        "similarity": 0.939,
        "covered": 1.06,
        "siblings": -2.257,
        "swapped": 0.0,
        "moved": 0.0,
        "bias": -0.246,
    },
    support={
        "covered": 0.0,
        "left": -1.348,
        "strange": -0.626,
        "worst": -0.707,
        "turned": 0.0,
        "similarity": 0.0,
        "broken": 0.0,
        "swapped": -2.566,
        "moved": -0.653,
        "siblings": -0.921,
        "narrower": 0.0,
        "bias": 2.319,
    },
)

EMBEDDING = Coefficients(
    against={
        "negation": 1.321,
        "opposite": 2.0,
        "number": 0.552,
        "polarity": 0.841,
        "exception": 0.163,
        "denied_covered": 0.109,
        "denied_strange": -3.06,
        "rest_covered": 0.0,
        "similarity": 0.46,
        "covered": 1.61,
        "siblings": -2.068,
        "swapped": 0.0,
        "moved": 0.0,
        "bias": -0.718,
    },
    support={
        "covered": 0.0,
        "left": -0.162,
        "strange": -1.947,
        "worst": -2.389,
        "turned": 0.0,
        "similarity": 0.0,
        "broken": 0.0,
        "swapped": -2.577,
        "moved": -0.373,
        "siblings": -0.605,
        "narrower": 0.0,
        "bias": 2.442,
    },
)
