"""What the platform and its pages would have recorded of a past: one record after the other.

In: a past. Out: for each record its type and fields, with the id and time that it has, as the
collector takes them, visit after visit. The same past gives the same records.

The shapes are those that the running platform leaves; `tests/test_demo_history.py` holds the two
against each other. What is drawn here (how long an answer took, where a click was) is counted
nowhere in the truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lakeward.demo.acts import Act
from lakeward.demo.dealings import Dealings
from lakeward.demo.partners import LIBRARY
from lakeward.demo.passage import Passage
from lakeward.demo.past import Moment, Past, Person, Visit
from lakeward.demo.scribe import Cause, Scribe, Told
from lakeward.demo.sight import filled
from lakeward.demo.talk import Talk
from lakeward.demo.traffic import READER_AGENT, STAFF_AGENT

LOOKS: Final = 3
"""How often somebody looks for his code, at most."""


def chronicle(past: Past) -> Iterator[Told]:
    """Every record of a past."""
    for chapter in chapters(past):
        yield from chapter


def chapters(past: Past) -> Iterator[list[Told]]:
    """The same, visit after visit: what stands in one is to be seen whole or not at all, or the
    lake would take a flow that is half told for one that was given up."""
    biographies = {person.visitor.number: Biography(past, person) for person in past.people}
    visits = [
        (visit.moments[0].at, n, person.visitor.number, visit)
        for person in past.people
        for n, visit in enumerate(person.visits)
    ]
    for _, _, number, visit in sorted(visits, key=lambda found: found[:3]):
        yield list(biographies[number].visit(visit))
    yield list(_outage(past))


def _outage(past: Past) -> Iterator[Told]:
    """Staff switches the API off and on; a program goes on reading."""
    staff = Scribe(f"{past.seed}/staff", STAFF_AGENT, "127.0.0.1")
    reader = Scribe(f"{past.seed}/directory", READER_AGENT, "192.0.2.10")
    outage = past.outage
    if outage.ends > past.until:
        return
    for at in (outage.begins, outage.ends):
        yield staff.call(at, "POST", "/staff/outage", 303, sent=6)[0]
    for at in outage.reads:
        yield reader.call(at, "GET", "/api/partners", 503)[0]


def looks(number: int) -> int:
    """How often somebody looks into the inbox before the code is there."""
    return 1 + number % LOOKS


class Biography:
    """One person's way; remembers what later acts need."""

    def __init__(self, past: Past, person: Person) -> None:
        self._past, self._person = past, person
        self._visitor = person.visitor
        self._name = f"{past.seed}/{person.visitor.number}"
        self._scribe = Scribe(
            self._name, self._visitor.agent, person.address, referrer=self._visitor.referrer,
            browser=self._visitor.browser, came=person.visits[0].moments[0].at,
        )  # fmt: skip
        staff = Scribe(f"{self._name}/staff", STAFF_AGENT, "127.0.0.1")
        self._passage = Passage(past, person, self._scribe)
        self._dealings = Dealings(person, self._scribe, staff, self._passage)
        self._talk = Talk(self._scribe, self._passage)
        self._has_code = self._verified = False

    def visit(self, visit: Visit) -> Iterator[Told]:
        """All of one visit."""
        if visit.by_staff:
            for moment in visit.moments:
                yield from self._dealings.by_staff(moment.at, moment.act)
            return
        self._scribe.begins(visit.moments[0].at)
        for moment in visit.moments:
            yield from self._does(moment)
        yield from self._scribe.ends(
            visit.moments[-1].at + 3_000, filled(self._visitor.number, self._scribe.at)
        )
        yield from self._passage.given_up()

    def _does(self, moment: Moment) -> Iterator[Told]:
        at, act = moment.at, moment.act
        match act.kind:
            case "page" | "away":
                yield from self._page(at, act.path or "/")
            case "api":
                yield from self._api(at, act.path)
            case "mistake":
                yield from self._mistaken(at, act)
            case "start":
                yield from self._starts(at, act)
            case "wrong_code":
                yield from self._seeks_code(at)
                yield from self._scribe.send(at, "/verify", None, 422, sent=11)
            case "content":
                yield from self._takes(at, act)
            case "book" | "reschedule" | "cancel":
                yield from self._dealings.books(at, act)
            case "feedback":
                yield from self._talk.rates_us(at, act)
            case "coach":
                yield from self._talk.asks(at, act)
            case "rate":
                yield from self._talk.rates(at, act)
            case _:
                if act.kind == "code" and not self._has_code:
                    yield from self._seeks_code(at)
                self._verified = self._verified or act.kind == "code"
                yield from self._passage.goes_on(at, act)

    def _page(self, at: int, path: str) -> Iterator[Told]:
        status = 403 if path == "/coach" and not self._talk.is_open else 200
        if path == "/join":
            self._scribe.named(self._person.user_id, "partner")
        causes, told = self._scribe.open(at, path, status)
        yield from told
        if path == "/join" and "company" not in self._passage.begun:
            yield from self._passage.enters(causes, at + 9, "partner_onboarding", "company")
            yield self._passage.onboarding(causes, at + 10, "started", 0)
        if path.startswith("/library/"):
            yield self._content(causes, at + 6, path, "view", None)

    def _api(self, at: int, path: str) -> Iterator[Told]:
        status = 503 if self._past.outage.covers(at) else 200 if self._verified else 401
        route = path if path == "/api/partners" else "/api/partners/{partner_id}"
        yield self._scribe.call(at, "GET", path, status, route=route)[0]

    def _arrives(self, at: int) -> Iterator[Told]:
        """The first page of the flow, from the landing page if that is where somebody is."""
        if self._scribe.at.startswith("/start"):
            return
        hero = self._scribe.at == "/"
        yield from self._scribe.follows("find_partner", "Find my partner", "/start", at - 20, hero)
        new = "verification" not in self._passage.begun
        self._scribe.named(self._person.user_id, "contractor")
        cause, told = self._scribe.open(at, "/start", query={"cta": "hero"} if hero else None)
        yield from told
        if hero:
            yield cause.told("cta_click", at + 5, outcomes={
                "cta": "find_partner", "placement": "hero"}, path="/")  # fmt: skip
        if new:
            yield from self._passage.enters(cause, at + 8, "contractor", "verification")
        yield from self._scribe.identifies(at + 60)

    def _mistaken(self, at: int, act: Act) -> Iterator[Told]:
        if act.path == "/start":
            yield from self._arrives(at - 1500)
        else:
            yield from self._scribe.open(at - 1500, act.path)[1]
        yield from self._scribe.send(at, act.path, None, 422, sent=30)

    def _starts(self, at: int, act: Act) -> Iterator[Told]:
        yield from self._arrives(at - 2500)
        cause, told = self._scribe.sending(at, "/start", sent=69)
        yield from told
        yield from self._scribe.open(at + 70, "/verify")[1]
        yield self._scribe.message(cause, at + 190, "verification", dict(act.fields)["phone"])

    def _seeks_code(self, at: int) -> Iterator[Told]:
        n = looks(self._visitor.number)
        for look in range(n):
            yield from self._scribe.open(at - 600 - 250 * (n - look), "/inbox")[1]
        yield from self._scribe.open(at - 500, "/verify")[1]
        self._has_code = True

    def _takes(self, at: int, act: Act) -> Iterator[Told]:
        told = dict(act.fields)
        yield from self._page(at - 12_000, act.path)
        cause, sent = self._scribe.sending(at, act.path, "/library/{content_id}", sent=20)
        yield from sent
        yield self._content(cause, at + 7, act.path, told["action"], told.get("progress"))
        yield from self._page(at + 90, act.path)

    def _content(self, cause: Cause, at: int, path: str, action: str, progress: str | None) -> Told:
        content = LIBRARY[path.rpartition("/")[2]]
        outcomes: dict[str, Any] = {
            "content_type": content.kind, "content_id": content.content_id,
            "content_title": content.title, "action": action, "source": "library",
        }  # fmt: skip
        if progress is not None:
            outcomes["progress"] = float(progress)
        return cause.told("content_interaction", at, outcomes=outcomes)
