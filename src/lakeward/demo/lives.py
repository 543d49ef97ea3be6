"""Makes the past of a demo: who came on which day before the run, and what each did when.

In: a seed, a number of days, the moment at which the past ends and the flows' quiet time. Out:
people with their visits, each act at its moment; equal numbers give equal pasts, and a day is the
same whatever the hour at which it is planned. Pure: nothing here knows of HTTP or of a lake.

Three things are planted at known places: an outage of the partners' API, a day on which a few
contractors ask the coach far more than all others, and an experiment that began in the middle.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from lakeward.demo import crowd
from lakeward.demo.acts import (
    RATES,
    STAYS,
    Act,
    Role,
    company,
    content,
    contractor,
    everything,
    one_of,
    rating,
    reader,
)
from lakeward.demo.experiment import CONTROL, EXPERIMENT, FLAGS
from lakeward.demo.past import (
    DAY_MS,
    MINUTE_MS,
    Moment,
    Outage,
    Past,
    Person,
    Visit,
    date_of,
    moment_of,
)
from lakeward.demo.plan import Visitor, done, shown
from lakeward.flags.evaluate import Assigned, Context, evaluate
from lakeward.flags.ruleset import ready
from lakeward.flags.source import FileSource

PEOPLE: Final = 26
"""Who come on the first of the days, if it is a Wednesday."""
GROWTH: Final = 0.025
"""How many more come on each further day, as a share of the first."""
WEEK: Final = (1.02, 1.08, 1.0, 1.04, 0.92, 0.45, 0.38)
HOURS: Final = (0, 0, 0, 0, 0, 2, 4, 6, 7, 7, 6, 6, 8, 10, 11, 10, 9, 8, 6, 5, 4, 2, 0, 0)
"""How many of a hundred come in which hour (UTC); nobody so late that midnight finds him here."""
IN_BROWSER: Final = 0.22
"""How many come in a browser that lets the SDK run."""
COMES_BACK: Final = {"feedback": 0.55, "choose": 0.34, "code": 0.12}
"""How likely somebody who came that far is to come again a week later; each week a little less."""
FADES: Final = 0.85
OUTAGE_AGO, OUTAGE_HOUR, OUTAGE_MINUTES, OUTAGE_READS = 9, 14, 40, 60
SPIKE_AGO, SPIKE_HOUR, SPIKE_PEOPLE, SPIKE_TURNS = 4, 13, 4, 30
EXPERIMENT_DAYS: Final = 14
OFFICE: Final = next(agent for agent in crowd.AGENTS if "Windows" in agent)
LETTER: Final = (
    "Here is our whole handbook, please read all of it and tell me what to change. " * 90
)
"""What those ask who make a day expensive."""
LINGERS: Final = {
    "page": 1.0, "api": 1.0, "mistake": 3.0, "start": 5.0, "wrong_code": 4.0, "code": 5.0,
    "focus": 9.0, "profile": 9.0, "choose": 12.0, "book": 14.0, "reschedule": 12.0,
    "cancel": 6.0, "feedback": 40.0, "coach": 30.0, "rate": 6.0, "content": 45.0, "join": 12.0,
    "join_focus": 10.0, "proposition": 14.0, "review": 8.0, "away": 1.0,
}  # fmt: skip
"""Seconds before an act, at most. Those of the flows add up to less than their quiet time."""
AT_LEAST: Final = 0.6
USUAL_QUIET: Final = 20.0


def past(seed: int, days: int, until: int, quiet_seconds: Mapping[str, float]) -> Past:
    """The days before `until` and the hours of its own day; `quiet_seconds` by flow."""
    today = until - until % DAY_MS
    begins = today - days * DAY_MS
    outage_day = today - min(OUTAGE_AGO, days) * DAY_MS
    spike_day = today - min(SPIKE_AGO, days) * DAY_MS
    began = today - min(EXPERIMENT_DAYS, days) * DAY_MS
    maker = Maker(seed, until, began, min(quiet_seconds.values(), default=USUAL_QUIET))
    people = [
        person for n in range(days + 1) for person in maker.day(begins + n * DAY_MS, days - n, n)
    ]
    people += maker.spenders(spike_day)
    return Past(
        seed, days, begins, until, dict(quiet_seconds), _outage(outage_day), date_of(spike_day),
        began, tuple(person for person in people if person.visits),
    )  # fmt: skip


def _outage(day: int) -> Outage:
    begins = day + OUTAGE_HOUR * 60 * MINUTE_MS
    step = OUTAGE_MINUTES * MINUTE_MS // (OUTAGE_READS + 1)
    reads = tuple(begins + n * step for n in range(1, OUTAGE_READS + 1))
    return Outage(begins, begins + OUTAGE_MINUTES * MINUTE_MS, reads)


class Maker:
    """Makes people; holds which half hours of the partners are taken."""

    def __init__(self, seed: int, until: int, experiment_began: int, quiet: float) -> None:
        self._seed, self._until, self._began = seed, until, experiment_began
        self._pace = min(1.0, quiet / USUAL_QUIET)
        self._taken: set[tuple[str, str]] = set()
        found = FileSource(FLAGS).read("")
        self._rules = ready(found.payload) if found else None

    def day(self, day: int, ago: int, n: int) -> Iterator[Person]:
        """Who came on a day for the first time; `ago` is how long before the last day it is."""
        dice = random.Random(f"{self._seed}/past/{ago}")  # noqa: S311 - days, not secrets
        weekday = datetime.datetime.fromtimestamp(day / 1000, datetime.UTC).weekday()
        expected = PEOPLE * (1 + GROWTH * n) * WEEK[weekday] * dice.gauss(1, 0.05)
        for place in range(round(expected)):
            hour = dice.choices(range(24), HOURS)[0]
            comes = day + hour * 60 * MINUTE_MS + dice.randrange(60 * MINUTE_MS)
            yield self._person(ago * 1000 + place, comes)

    def spenders(self, day: int) -> Iterator[Person]:
        """Who make one day expensive."""
        for n in range(SPIKE_PEOPLE):
            dice = random.Random(f"{self._seed}/spender/{n}")  # noqa: S311 - as above
            acts = [act for act in everything(dice, 900 + n) if act.kind not in LEFT_OUT]
            acts += [Act("coach", fields=(("text", LETTER),)) for _ in range(SPIKE_TURNS)]
            comes = day + SPIKE_HOUR * 60 * MINUTE_MS + n * 20 * MINUTE_MS
            visitor = Visitor(
                900_000 + n, "contractor", 0.0, list(crowd.AGENTS)[2], "", tuple(acts)
            )
            moments = tuple(self._paced(dice, acts, comes))
            yield self._named(visitor, comes, (Visit(moments),), ())

    def _person(self, number: int, comes: int) -> Person:
        dice = random.Random(f"{self._seed}/past/person/{number}")  # noqa: S311 - as above
        role: Role = dice.choices(("contractor", "partner", "reader"), (87, 8, 5))[0]
        if role == "partner":
            acts = tuple(company(dice, number, STAYS))
        else:
            acts = tuple(reader(dice, number) if role == "reader" else contractor(dice, number))
        visitor = Visitor(
            number, role, 0.0, one_of(dice, crowd.AGENTS), one_of(dice, crowd.REFERRERS), acts,
            browser=role != "reader" and dice.random() < IN_BROWSER,
        )  # fmt: skip
        if role != "contractor":
            return self._named(visitor, comes, (Visit(tuple(self._paced(dice, acts, comes))),), ())
        met = self._met(self.user_id(visitor), comes)
        visitor = msgspec.structs.replace(visitor, acts=done(visitor, met.key if met else CONTROL))
        slots = self._slots(dice, visitor, comes)
        visits = tuple(self._life(dice, visitor, comes, slots))
        return self._named(visitor, comes, visits, slots)

    def _named(
        self, visitor: Visitor, comes: int, visits: tuple[Visit, ...], slots: tuple[str, ...]
    ) -> Person:
        kept = tuple(visit for visit in visits if visit.moments and visit.ends < self._until)
        user = self.user_id(visitor)
        met = self._met(user, comes) if visitor.role == "contractor" else None
        number = visitor.number
        address = (
            f"203.0.113.{number % 250 + 1}" if number % 3 else f"198.51.100.{number % 250 + 1}"
        )
        return Person(visitor, user, address, met, kept, slots)

    def user_id(self, visitor: Visitor) -> str:
        """The id that the platform gives."""
        digest = blake2b(f"{self._seed}/{visitor.number}".encode(), digest_size=6).hexdigest()
        return f"{'n' if visitor.role == 'partner' else 'c'}-{digest}"

    def _met(self, user: str, at: int) -> Assigned | None:
        """What the platform's own rule gives, once the experiment has begun."""
        if at < self._began or self._rules is None:
            return None
        return evaluate(self._rules, EXPERIMENT, Context(attributes={"user_id": user})).assigned

    def _paced(
        self, dice: random.Random, acts: Iterator[Act] | tuple[Act, ...] | list[Act], at: int
    ) -> Iterator[Moment]:
        for act in acts:
            slow = 1.0 if act.kind in ("content", "coach", "feedback") else self._pace
            at += round(1000 * LINGERS[act.kind] * dice.uniform(AT_LEAST, 1) * slow)
            yield Moment(at, act)

    def _life(
        self, dice: random.Random, visitor: Visitor, comes: int, slots: tuple[str, ...]
    ) -> Iterator[Visit]:
        """The visits of a contractor and staff's part of them."""
        first, later = _parted(visitor.acts)
        start = comes
        for n, acts in enumerate(first):
            start = comes if n == 0 else _some_time(dice, comes, dice.randint(1, 4))
            yield Visit(tuple(self._paced(dice, acts, start)))
        settled = given = start
        for acts in later:
            kind = acts[0].kind
            if kind in ("held", "no_show"):
                settled = moment_of(slots[-1]) + 30 * MINUTE_MS
                yield Visit((Moment(settled, acts[0]),), by_staff=True)
            elif kind == "deal":
                at = _working_day(_some_time(dice, settled, dice.randint(3, 18)))
                yield Visit((Moment(at, acts[0]),), by_staff=True)
            else:
                given = _some_time(dice, settled, 1)
                yield Visit(tuple(self._paced(dice, acts, given)))
        yield from self._returns(dice, visitor, comes, given)

    def _returns(
        self, dice: random.Random, visitor: Visitor, comes: int, given: int
    ) -> Iterator[Visit]:
        """Who was content comes again in later weeks."""
        kinds = {act.kind for act in visitor.acts}
        chance = next((share for kind, share in COMES_BACK.items() if kind in kinds), 0.0)
        for week in range(1, 13):
            again, chance = dice.random() < chance, chance * FADES
            at = _some_time(dice, comes, 7 * week + dice.randint(0, 4))
            acts = [Act("page", "/"), *(content(dice) for _ in range(dice.randint(1, 2)))]
            if "feedback" in kinds and given < at - DAY_MS and dice.random() < 0.7:
                for text in dice.sample(crowd.QUESTIONS, dice.randint(1, 2)):
                    acts.append(Act("coach", fields=(("text", text),)))
                    if dice.random() < RATES:
                        acts.append(rating(dice.random() < 0.8))
            if again:
                yield Visit(tuple(self._paced(dice, acts, at)))

    def _slots(self, dice: random.Random, visitor: Visitor, comes: int) -> tuple[str, ...]:
        """Half hours of the partner that nobody has: for the booking, and where it is moved to."""
        wanted = [act for act in visitor.acts if act.kind in ("book", "reschedule")]
        if not wanted:
            return ()
        partner = shown(visitor)[wanted[0].place].partner.partner_id
        away = 4 if any(act.kind == "away" for act in visitor.acts) else 0
        found: list[str] = []
        for _ in wanted:
            while True:
                day = _working_day(comes + (away + dice.randint(1, 5)) * DAY_MS)
                half = dice.randrange(16)
                slot = f"{date_of(day)}T{9 + half // 2:02}:{half % 2 * 30:02}"
                if (partner, slot) not in self._taken:
                    self._taken.add((partner, slot))
                    found.append(slot)
                    break
        return tuple(found)


LEFT_OUT: Final = ("book", "held", "deal", "coach", "rate", "content")
AFTERWARDS: Final = ("held", "no_show", "cancel", "deal", "feedback", "coach", "rate")


def _parted(acts: tuple[Act, ...]) -> tuple[list[list[Act]], list[list[Act]]]:
    """Acts of the first visit, and of the next if somebody goes away and comes back; then those
    that are done days later: what becomes of the booking by itself, feedback with the coach."""
    first: list[list[Act]] = [[]]
    later: list[list[Act]] = []
    for act in acts:
        if act.kind == "away":
            first.append([])
        if act.kind not in AFTERWARDS:
            first[-1].append(act)
        elif act.kind in ("coach", "rate") and later:
            later[-1].append(act)
        else:
            later.append([act])
    return first, later


def _some_time(dice: random.Random, after: int, days: int) -> int:
    """A moment some days later, in an hour in which people come."""
    hour = dice.choices(range(24), HOURS)[0]
    day = after - after % DAY_MS + days * DAY_MS
    return day + hour * 60 * MINUTE_MS + dice.randrange(60 * MINUTE_MS)


def _working_day(at: int) -> int:
    """The moment, or the same hour of the Monday after a weekend."""
    weekday = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).weekday()
    return at + max(0, 7 - weekday) * DAY_MS if weekday >= 5 else at
