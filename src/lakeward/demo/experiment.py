"""The demo's experiment: two ways to show the partners that suit, and what comes of each.

In: nothing. Out: its names and its effect, from which the plan makes people who book more often
when they are told first why a partner suits. Who sees which is decided by `lakeward.flags` on the
platform, by the contractor's id, which nobody can plan: the plan holds what each person would do
with either, and a visit reads on the page which it was.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

FLAGS: Final = Path(__file__).with_name("flags.json")
EXPERIMENT: Final = "match-page"
CONTROL, TREATMENT = "control", "reasons-first"
BOOKS: Final = {CONTROL: 0.55, TREATMENT: 0.8}
"""How many of those who chose a partner book a demo. Who books with the control, books with the
treatment, too."""
SHOWN: Final = re.compile(r'data-variant="([a-z-]{1,40})"')
"""Where a page says which it is."""


class Effect(msgspec.Struct, frozen=True):
    """What is known of the experiment before anybody comes."""

    experiment: str = EXPERIMENT
    baseline: str = CONTROL
    metric: str = "demo_booking booked"
    """A unit that has one has converted."""
    conversion: dict[str, float] = {}
    """The share of those who see the page that will book, by variant."""


def effect(choose: float) -> Effect:
    """`choose`: the share of those who see the page that choose a partner."""
    return Effect(conversion={arm: round(choose * share, 6) for arm, share in BOOKS.items()})
