"""What each figure weighs, by model: written by `tests.fit_consistency`, not by hand."""

from __future__ import annotations

from lakeward.confidence.consistency.relation import Coefficients

LEXICAL = Coefficients(
    against={
        "negation": 0.489,
        "opposite": 0.102,
        "number": 0.0,
        "polarity": 0.494,
        "exception": 0.064,
        "denied_covered": 0.45,
        "denied_left": -1.556,
        "denied_strange": -1.252,
        "rest_covered": 0.339,
        "similarity": 0.149,
        "covered": 0.281,
        "siblings": -0.879,
        "swapped": -0.082,
        "moved": -0.477,
        "bias": 0.365,
    },
    support={
        "covered": 0.181,
        "left": -1.025,
        "unmatched": -0.524,
        "strange": -0.788,
        "worst": -0.682,
        "turned": 0.0,
        "similarity": 0.0,
        "broken": -0.094,
        "swapped": -1.156,
        "detached": -0.731,
        "unverbed": -0.228,
        "moved": -0.898,
        "siblings": -0.437,
        "narrower": -0.079,
        "bias": 1.454,
    },
)

EMBEDDING = Coefficients(
    against={
        "negation": 0.93,
        "opposite": 0.109,
        "number": 0.0,
        "polarity": 0.9,
        "exception": 0.156,
        "denied_covered": 0.709,
        "denied_left": -2.287,
        "denied_strange": -1.573,
        "rest_covered": 0.243,
        "similarity": 0.402,
        "covered": 0.245,
        "siblings": -1.205,
        "swapped": -0.227,
        "moved": -1.141,
        "bias": 0.34,
    },
    support={
        "covered": 0.0,
        "left": -0.433,
        "unmatched": -0.802,
        "strange": -1.633,
        "worst": -1.778,
        "turned": 0.0,
        "similarity": 0.0,
        "broken": -0.44,
        "swapped": -2.29,
        "detached": -1.023,
        "unverbed": -0.538,
        "moved": -1.882,
        "siblings": -0.401,
        "narrower": -0.11,
        "bias": 1.997,
    },
)
