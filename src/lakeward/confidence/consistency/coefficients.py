"""What each figure weighs, by model: written by `tests.fit_consistency`, not by hand."""

from __future__ import annotations

from lakeward.confidence.consistency.relation import Coefficients

LEXICAL = Coefficients(
    against={
        "negation": 1.849,
        "opposite": 1.048,
        "number": 0.231,
        "polarity": 1.733,
        "exception": 1.526,
        "denied_covered": 0.0,
        "denied_left": -1.962,
        "denied_strange": -1.479,
        "rest_covered": 1.616,
        "similarity": 1.448,
        "covered": 0.524,
        "siblings": -1.269,
        "swapped": -0.367,
        "moved": -1.94,
        "bias": -2.028,
    },
    support={
        "covered": 0.0,
        "left": -1.187,
        "strange": -1.062,
        "worst": -2.349,
        "turned": 0.0,
        "similarity": 0.0,
        "broken": -2.469,
        "swapped": -4.739,
        "detached": -1.973,
        "unverbed": -3.619,
        "moved": -5.863,
        "siblings": -1.321,
        "narrower": 0.0,
        "bias": 3.288,
    },
)

EMBEDDING = Coefficients(
    against={
        "negation": 2.169,
        "opposite": 1.125,
        "number": 0.311,
        "polarity": 1.724,
        "exception": 1.493,
        "denied_covered": 0.0,
        "denied_left": -1.711,
        "denied_strange": -1.771,
        "rest_covered": 1.864,
        "similarity": 0.867,
        "covered": 0.795,
        "siblings": -1.156,
        "swapped": -0.618,
        "moved": -1.709,
        "bias": -2.358,
    },
    support={
        "covered": 0.0,
        "left": -0.154,
        "strange": -2.005,
        "worst": -3.852,
        "turned": 0.0,
        "similarity": 0.0,
        "broken": -2.79,
        "swapped": -4.799,
        "detached": -1.947,
        "unverbed": -3.636,
        "moved": -5.912,
        "siblings": -0.948,
        "narrower": 0.0,
        "bias": 3.352,
    },
)
