"""The plan of a demo: who comes, when, and everything that each of them does.

In: a seed, a number of visitors and of seconds. Out: visitors with their acts, in the order in
which they come; equal numbers give equal plans. Nothing here knows of HTTP or of the time of day;
`visitors.py` does what is planned, and `truth.py` says what must come of it.

Slots and codes are not planned: which are offered depends on who is quicker. All that is counted in
the end does not depend on it. Nor is planned which variant of the experiment somebody sees: a plan
holds what he would do with either, and `settled` is what he does.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from lakeward.demo import crowd
from lakeward.demo.acts import (
    STAYS,
    Act,
    Role,
    company,
    contractor,
    everything,
    one_of,
    reader,
)
from lakeward.demo.experiment import CONTROL
from lakeward.demo.matching import Match, Wishes, matches
from lakeward.demo.partners import PARTNERS, Partner, scored

BROWSERS: Final = 2
"""Visitors that come in a real browser, where there is one."""
OUTAGE_BEGINS, OUTAGE_SHARE = 0.55, 0.08
"""When in the run, and for how much of it, the partners' API is switched off."""
OUTAGE_READS: Final = 40
MOST_BOOKINGS: Final = 70
"""Of one partner; it has 80 half hours to give."""
OF_BOOKINGS: Final = ("book", "reschedule", "cancel", "held", "no_show", "deal")


class Visitor(msgspec.Struct, frozen=True):
    """One person, or one program that reads the API."""

    number: int
    role: Role
    comes: float
    """When, as a share of the run."""
    agent: str
    referrer: str
    acts: tuple[Act, ...]
    browser: bool = False
    """Comes in a real browser, where there is one."""


class Outage(msgspec.Struct, frozen=True):
    """Staff switches the partners' API off; seconds since the beginning."""

    begins: float
    ends: float
    reads: int
    """Requests that meet it."""


class Plan(msgspec.Struct, frozen=True):
    """A whole demo."""

    seed: int
    seconds: float
    visitors: tuple[Visitor, ...]
    outage: Outage
    scores: dict[str, float] = {}
    """PowerConfidence of the partners that have one, in whole points of 100."""

    @property
    def partners(self) -> tuple[Partner, ...]:
        """Those that visitors are matched with."""
        return scored(self.scores)


NO_SCORES: Final[Mapping[str, float]] = {}


def plan(
    seed: int, visitors: int, seconds: float, scores: Mapping[str, float] = NO_SCORES
) -> Plan:  # fmt: skip
    """The demo of these numbers, where the partners have these scores."""
    begins = OUTAGE_BEGINS * seconds
    outage = Outage(begins, begins + OUTAGE_SHARE * seconds, min(OUTAGE_READS, visitors))
    people = [_visitor(seed, number, visitors) for number in range(visitors)]
    bounded = tuple(_bounded(people, scored(scores)))
    return Plan(seed, seconds, bounded, outage, dict(scores))


def _visitor(seed: int, number: int, of: int) -> Visitor:
    dice = random.Random(f"{seed}/{number}")  # noqa: S311 - visitors, not secrets
    whole, joins = number <= BROWSERS, number == BROWSERS + 1  # a short run shows all of it, too
    role: Role = dice.choices(("contractor", "partner", "reader"), (86, 9, 5))[0]
    role = "contractor" if whole else "partner" if joins else role
    if whole:
        acts = tuple(everything(dice, number))
    elif role == "partner":
        acts = tuple(company(dice, number, stays=1.0 if joins else STAYS))
    else:
        acts = tuple(reader(dice, number) if role == "reader" else contractor(dice, number))
    return Visitor(
        number, role, number / max(of, 1), one_of(dice, crowd.AGENTS),
        one_of(dice, crowd.REFERRERS), acts, browser=0 < number <= BROWSERS,
    )  # fmt: skip


def _bounded(
    visitors: Iterable[Visitor], partners: Collection[Partner]
) -> Iterator[Visitor]:  # fmt: skip
    """The visitors, of whom no more book with one partner than it has time for."""
    booked: Counter[str] = Counter()
    for visitor in visitors:
        kinds = [act.kind for act in visitor.acts]
        if "book" in kinds:
            place = visitor.acts[kinds.index("book")].place
            partner = shown(visitor, partners)[place].partner.partner_id
            booked[partner] += 1
            if booked[partner] > MOST_BOOKINGS:
                rest = tuple(act for act in visitor.acts if act.kind not in OF_BOOKINGS)
                visitor = msgspec.structs.replace(visitor, acts=rest)
        yield visitor


def settled(of: Plan, arms: Mapping[int, str]) -> Plan:
    """The plan as it is carried out when each visitor is shown this variant, by number."""
    visitors = tuple(
        msgspec.structs.replace(who, acts=done(who, arms.get(who.number, CONTROL)))
        for who in of.visitors
    )
    return msgspec.structs.replace(of, visitors=visitors)


def done(visitor: Visitor, arm: str) -> tuple[Act, ...]:
    """What a visitor does who is shown this variant: who does not book has nothing to move."""
    if all(act.only in ("", arm) for act in visitor.acts):
        return visitor.acts
    return tuple(act for act in visitor.acts if act.kind not in OF_BOOKINGS)


def shown(
    visitor: Visitor, partners: Collection[Partner] = PARTNERS.values()
) -> list[Match]:  # fmt: skip
    """Those of the partners that a visitor is shown, the best first."""
    told = {act.kind: dict(act.fields) for act in visitor.acts}
    if "profile" not in told:
        return []
    profile = told["profile"]
    wishes = Wishes(tuple(told["focus"].values()), profile["revenue"], profile["readiness"])
    return matches(wishes, partners)
