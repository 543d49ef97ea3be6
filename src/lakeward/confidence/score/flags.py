"""All that looks like manipulation, in one order.

In: the answers that have ratings. Out: flags. Each detector is one function with its threshold
beside it; none looks at how good a rating is, and only straight-lining looks at ratings at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from lakeward.confidence.score.bursts import bursts
from lakeward.confidence.score.copies import copies
from lakeward.confidence.score.evidence import Answer
from lakeward.confidence.score.flag import Flag
from lakeward.confidence.score.lines import straight_lines
from lakeward.confidence.score.sharing import posing, shared_addresses, shared_devices

DETECTORS: Final[tuple[Callable[[Sequence[Answer]], list[Flag]], ...]] = (
    shared_devices, shared_addresses, copies, bursts, straight_lines, posing,
)  # fmt: skip


def find(answers: Sequence[Answer]) -> list[Flag]:
    """Everything found, in an order that does not depend on that of the answers."""
    seen = [each for detector in DETECTORS for each in detector(answers)]
    return sorted(seen, key=lambda each: (each.kind, each.witnesses, each.evidence))
