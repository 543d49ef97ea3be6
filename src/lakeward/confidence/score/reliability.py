"""How well the witnesses of a source agree on what is strong and what is weak.

In: the witnesses of one source. Out: alpha and ICC, or the reason why there is none.

Categories are the units and witnesses the raters. Every witness rates every category, and is one of
many who might have been asked: case 2 of Shrout and Fleiss, ICC(2,k) for the mean of k witnesses.
A partner that is equally good at everything has no strong and weak categories to agree on. Its
coefficients are near 0 though all say the same: low ones are a question, not a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lakeward.confidence.score.agreement import alpha, icc
from lakeward.confidence.score.result import Reliability
from lakeward.confidence.score.witness import Witness

FORM: Final = "ICC(2,k)"
FEWEST: Final = 3
"""Witnesses, and categories, below which agreement is chance."""


def reliability(heard: Sequence[Witness]) -> Reliability:
    """Of the witnesses of one source."""
    names = sorted({name for witness in heard for name in witness.categories})
    if len(heard) < FEWEST or len(names) < FEWEST:
        why = (
            f"{len(heard)} witnesses and {len(names)} categories: agreement shows from "
            f"{FEWEST} of each on."
        )
        return _of(heard, names, None, None, why)
    units = [[w.categories[name] for w in heard if name in w.categories] for name in names]
    agreed = alpha(units)
    full = [witness for witness in heard if len(witness.categories) == len(names)]
    found = None
    if len(full) >= FEWEST:
        found = icc([[witness.categories[name] for witness in full] for name in names])
    why = ""
    if agreed is None:
        why = "All ratings are the same: whether that is agreement or habit cannot be told."
    elif found is None:
        why = f"{len(full)} witnesses rated every category, or they do not vary: no ICC."
    return _of(heard, names, agreed, found.two_k if found else None, why)


def _of(
    heard: Sequence[Witness], names: Sequence[str], agreed: float | None, icc_k: float | None,
    why: str,
) -> Reliability:  # fmt: skip
    return Reliability(
        alpha=agreed, icc=icc_k, icc_form=FORM, respondents=len(heard), categories=len(names),
        reason=why,
    )  # fmt: skip
