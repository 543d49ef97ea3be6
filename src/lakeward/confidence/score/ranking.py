"""Who comes first: by what is sure, not by what is hoped.

In: scores by partner. Out: places. By the lower end of the interval, so that two enthusiastic
witnesses do not stand above fifty content ones; provisional scores stand after all others.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakeward.confidence.score.result import Ranked, Score


def ranked(scores: Mapping[str, Score]) -> list[Ranked]:
    """Places from 1; of equal lower ends the higher value first, then by id."""
    order = sorted(
        scores.items(),
        key=lambda item: (item[1].provisional, -item[1].low, -item[1].value, item[0]),
    )
    return [
        Ranked(
            place=place, partner_id=partner, low=each.low, value=each.value, high=each.high,
            provisional=each.provisional,
        )
        for place, (partner, each) in enumerate(order, 1)
    ]  # fmt: skip
