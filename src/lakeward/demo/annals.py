"""The truth of a past: what must be in the lake of each of its days, from the plan alone.

In: a past. Out: `History`, the `figures.history` of the truth. Nothing is read back from the lake,
and nothing of `chronicle.py` is used: the two must agree, and a test asks the lake whether they do.
"""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from lakeward.demo.acts import Act
from lakeward.demo.answers import answer, tokens
from lakeward.demo.answers import asked as asking
from lakeward.demo.experiment import EXPERIMENT
from lakeward.demo.figures import Arm, Cohort, Day, Deals, Flow, History, Step
from lakeward.demo.past import Past, Person, Visit, date_of
from lakeward.demo.steps import CONTRACTOR, ONBOARDING
from lakeward.demo.tally import Tally
from lakeward.interaction import iso

STATUS: Final = {"book": "booked", "reschedule": "rescheduled", "cancel": "cancelled",
                 "held": "held", "no_show": "no_show"}  # fmt: skip
INPUT_PRICE, OUTPUT_PRICE = Decimal("2.5"), Decimal(10)


def history(past: Past, *, priced: bool = True) -> History:
    """What came of a past; `priced`: turns cost what the demo's own prices say."""
    days = {date: Counted() for date in past.dates}
    for person in past.people:
        tally = Tally(person, past.outage)
        for visit in person.visits:
            day = days[date_of(visit.moments[0].at)]
            day.types.update(tally.visit(visit))
            day.errors.update(tally.errors)
            day.steps.update(tally.steps)
            if not visit.by_staff and tally.is_known:
                day.people.add(person.user_id)
            _count(day, person, visit)
            if (at := tally.gives_up(past.quiet_seconds)) and at < past.until:
                given_up = days[date_of(at)]
                given_up.types["flow_completion"] += 1
                given_up.abandoned[tally.flow] += 1
    outage = past.outage
    if outage.ends < past.until:
        days[date_of(outage.begins)].types["api_call"] += 2 + len(outage.reads)
        days[date_of(outage.begins)].errors["/api/partners"] += len(outage.reads)
    return History(
        days=[day.told(date, priced) for date, day in days.items()],
        outage_day=date_of(outage.begins), spike_day=past.spike,
        experiment_began=iso(past.experiment_began), experiments=_experiment(past),
        retention=_retention(past),
    )  # fmt: skip


class Counted:
    """What is counted of one day."""

    def __init__(self) -> None:
        self.types: Counter[str] = Counter()
        self.people: set[str] = set()
        self.steps: Counter[tuple[str, str, str]] = Counter()
        self.abandoned: Counter[str] = Counter()
        self.bookings: Counter[str] = Counter()
        self.deals: dict[str, Deals] = {}
        self.turns: list[tuple[int, int]] = []
        self.ratings: Counter[str] = Counter()
        self.overall: list[int] = []
        self.errors: Counter[str] = Counter()

    def told(self, date: str, priced: bool) -> Day:
        """The day of the truth."""
        asked, said = sum(one for one, _ in self.turns), sum(two for _, two in self.turns)
        cost = (asked * INPUT_PRICE + said * OUTPUT_PRICE) / 1_000_000
        return Day(
            date=date, types={kind: n for kind, n in sorted(self.types.items()) if n},
            visitors=len(self.people), flows=self._flows(), bookings=dict(self.bookings),
            deals=self.deals, turns=len(self.turns), input_tokens=asked, output_tokens=said,
            cost_usd=float(cost) if priced else None, helpful=self.ratings["yes"],
            unhelpful=self.ratings["no"], feedback=len(self.overall),
            overall=round(sum(self.overall) / len(self.overall), 3) if self.overall else None,
            errors={route: n for route, n in sorted(self.errors.items()) if n},
        )  # fmt: skip

    def _flows(self) -> dict[str, Flow]:
        return {
            flow: Flow(
                {step: Step(self.steps[flow, step, "entered"], self.steps[flow, step, "completed"])
                 for step in steps},
                completed=self.steps[flow, steps[-1], "completed"], abandoned=self.abandoned[flow],
            )
            for flow, steps in (("contractor", CONTRACTOR), ("partner_onboarding", ONBOARDING))
        }  # fmt: skip


def _count(day: Counted, person: Person, visit: Visit) -> None:
    """Outcomes of a visit."""
    areas = [dict(act.fields) for act in person.visitor.acts if act.kind == "focus"]
    focus = list(areas[-1].values()) if areas else []
    for moment in visit.moments:
        act, told = moment.act, dict(moment.act.fields)
        if act.kind in STATUS:
            day.bookings[STATUS[act.kind]] += 1
        elif act.kind == "deal":
            had = day.deals.get(told["currency"], Deals())
            day.deals[told["currency"]] = Deals(had.count + 1, had.value + float(told["value"]))
        elif act.kind == "feedback":
            day.overall.append(int(told["overall"]))
        elif act.kind == "coach":
            asked = sum(tokens(message["content"]) for message in asking(focus, told["text"]))
            day.turns.append((asked, tokens(answer(told["text"]))))
        elif act.kind == "rate":
            day.ratings[told["helpful"]] += 1


def _did(person: Person, kind: str) -> bool:
    return any(moment.act.kind == kind for moment in person.moments)


def _experiment(past: Past) -> dict[str, dict[str, Arm]]:
    """Who was shown the page of matches since the experiment began, and who of them booked."""
    found: dict[str, Arm] = {}
    for person in past.people:
        if person.met is not None and _did(person, "profile"):
            had = found.get(person.met.key, Arm())
            found[person.met.key] = Arm(had.users + 1, had.conversions + _did(person, "book"))
    return {EXPERIMENT: found} if found else {}


def _retention(past: Past) -> list[Cohort]:
    """By weeks from Monday: people who called the platform for the first time, and who of them did
    in the weeks after."""
    weeks: dict[str, list[set[int]]] = defaultdict(list)
    for person in past.people:
        seen = sorted({_monday(at) for at in _known_at(person)})
        if seen:
            weeks[date_of(seen[0])].append({(at - seen[0]) // WEEK_MS for at in seen})
    last = _monday(past.until)
    return [
        Cohort(week, len(people), [
            sum(n in came for came in people)
            for n in range((last - _start_of(week)) // WEEK_MS + 1)
        ])
        for week, people in sorted(weeks.items())
    ]  # fmt: skip


WEEK_MS: Final = 7 * 86_400_000


def _monday(at: int) -> int:
    day = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)
    return at - at % 86_400_000 - day.weekday() * 86_400_000


def _start_of(date: str) -> int:
    return round(datetime.datetime.fromisoformat(f"{date}T00:00:00+00:00").timestamp() * 1000)


def _known_at(person: Person) -> Iterator[int]:
    """The visits in which the platform knows who it is."""
    known = False
    for visit in sorted(person.visits, key=lambda visit: visit.moments[0].at):
        known = known or names(act for act in (moment.act for moment in visit.moments))
        if known and not visit.by_staff:
            yield visit.moments[0].at


def names(acts: Iterable[Act]) -> bool:
    """Whether somebody gets an id by one of these acts."""
    return any(act.kind == "start" or act.path in ("/start", "/join") for act in acts)
