"""What each figure weighs: written by `benchmarks/fit_consistency.py`, not by hand."""

from __future__ import annotations

from lakeward.confidence.consistency.relation import Coefficients

LEXICAL = Coefficients(
    against={
        "negation": 2.827,
        "opposite": 3.155,
        "attribute": -6.697,
        "number": 1.09,
        "polarity": 2.828,
        "exception": 2.435,
        "denied_covered": 0.0,
        "denied_left": -2.437,
        "denied_strange": -0.803,
        "rest_covered": 2.106,
        "similarity": 0.632,
        "covered": 1.141,
        "siblings": -0.921,
        "swapped": -0.765,
        "moved": -3.397,
        "bias": -3.13,
    },
    support={
        "covered": 0.0,
        "left": -2.006,
        "strange": -0.293,
        "worst": -2.207,
        "turned": 0.0,
        "similarity": 0.0,
        "broken": -2.563,
        "swapped": -5.049,
        "detached": -1.646,
        "unverbed": -3.284,
        "moved": -5.824,
        "siblings": -1.188,
        "narrower": -0.776,
        "bias": 3.267,
    },
)

EMBEDDING = Coefficients(
    against={
        "negation": 2.978,
        "opposite": 3.172,
        "attribute": -6.627,
        "number": 1.077,
        "polarity": 2.844,
        "exception": 2.456,
        "denied_covered": 0.0,
        "denied_left": -1.321,
        "denied_strange": -2.377,
        "rest_covered": 2.345,
        "similarity": 0.0,
        "covered": 1.359,
        "siblings": -0.705,
        "swapped": -1.001,
        "moved": -3.264,
        "bias": -3.156,
    },
    support={
        "covered": 0.0,
        "left": -0.718,
        "strange": -1.449,
        "worst": -3.625,
        "turned": 0.0,
        "similarity": 0.0,
        "broken": -2.83,
        "swapped": -5.113,
        "detached": -1.612,
        "unverbed": -3.285,
        "moved": -5.873,
        "siblings": -0.707,
        "narrower": -0.566,
        "bias": 3.33,
    },
)
