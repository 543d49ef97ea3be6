"""Which partners suit a contractor, and why: a pure function of the two.

In: a contractor's wishes and the partners. Out: the best three, each with its score of 100, what
the score is made of, and reasons in words.

    focus areas 60 %   The first, second and third wish weigh 3, 2 and 1; one that is the partner's
                       primary area gains 2. Points of 8, the most that there can be (100).
    revenue     20 %   100 when the partner serves the tier, 75 when it serves a neighbour of it,
                       else 25; 50 when the contractor's tier is not known.
    confidence  10 %   PowerConfidence of the partner. Without a score the part is left out, and the
                       others share its weight in proportion.
    readiness   10 %   now 100, this quarter 75, this year 50, just looking 25.

Equal scores stand in the order of the partners' ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from lakeward.demo.partners import FOCUS_AREAS, REVENUE_TIERS, Partner

ALGORITHM: Final = "matching-1"
WEIGHTS: Final = {"focus": 60.0, "revenue": 20.0, "confidence": 10.0, "readiness": 10.0}
PLACES: Final = (3.0, 2.0, 1.0)
PRIMARY: Final = 2.0
MOST: Final = sum(PLACES) + PRIMARY
READY: Final = {"now": 100.0, "quarter": 75.0, "year": 50.0, "exploring": 25.0}
SHOWN: Final = 3


class Wishes(msgspec.Struct, frozen=True):
    """What a contractor told of himself."""

    focus: tuple[str, ...]
    """Up to three focus areas, the most important first."""
    revenue: str | None = None
    readiness: str = "exploring"


class Match(msgspec.Struct, frozen=True):
    """How well one partner suits."""

    partner: Partner
    score: float
    """0 to 100, one decimal."""
    parts: dict[str, float]
    """Points of 100 of each part, before its weight."""
    reasons: tuple[str, ...]
    """The best first."""


def matches(wishes: Wishes, partners: Iterable[Partner]) -> list[Match]:
    """The best three, the best first."""
    found = [_match(wishes, partner) for partner in partners]
    found.sort(key=lambda match: (-match.score, _number(match.partner)))
    return found[:SHOWN]


def _match(wishes: Wishes, partner: Partner) -> Match:
    parts = {
        "focus": round(_focus(wishes.focus, partner), 1),
        "revenue": _revenue(wishes.revenue, partner),
        "readiness": READY[wishes.readiness],
    }
    if partner.confidence is not None:
        parts["confidence"] = partner.confidence
    weight = sum(WEIGHTS[name] for name in parts)
    score = sum(WEIGHTS[name] * points for name, points in parts.items()) / weight
    return Match(partner, round(score, 1), parts, _reasons(wishes, partner))


def _focus(focus: tuple[str, ...], partner: Partner) -> float:
    points = 0.0
    for place, area in zip(PLACES, focus, strict=False):
        if area in partner.focus:
            points += place + PRIMARY * (area == partner.focus[0])
    return 100.0 * points / MOST


def _revenue(tier: str | None, partner: Partner) -> float:
    if tier is None:
        return 50.0
    if tier in partner.revenue:
        return 100.0
    return 75.0 if any(near in partner.revenue for near in neighbours(tier)) else 25.0


def neighbours(tier: str) -> list[str]:
    """The tiers beside one."""
    tiers = list(REVENUE_TIERS)
    place = tiers.index(tier)
    return tiers[max(place - 1, 0) : place] + tiers[place + 1 : place + 2]


def _reasons(wishes: Wishes, partner: Partner) -> tuple[str, ...]:
    shared = [area for area in wishes.focus if area in partner.focus]
    reasons = []
    if partner.focus[0] in shared:
        reasons.append(f"{FOCUS_AREAS[partner.focus[0]]} is what {partner.name} is about")
    named = [FOCUS_AREAS[area] for area in shared if area != partner.focus[0]]
    if named:
        reasons.append(f"Helps with {' and '.join(named)}")
    if wishes.revenue in partner.revenue:
        reasons.append(f"Works with companies of {REVENUE_TIERS[wishes.revenue or '']}")
    reasons = reasons or [partner.offer]
    if partner.confidence is not None:
        reasons.append(f"PowerConfidence {partner.confidence:.0f} of 100")
    return tuple(reasons)


def _number(partner: Partner) -> int:
    return int(partner.partner_id[1:])
