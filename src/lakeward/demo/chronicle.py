"""What the platform and its pages would have recorded of a past: one record after the other.

In: a past. Out: for each record its type and fields, with the id and time that it has, as the
collector takes them, visit after visit. The same past gives the same records.

The shapes are those that the running platform leaves; `tests/test_demo_end_to_end.py` holds the two
against each other. What is drawn here (how long an answer took, where a click was) is counted
nowhere in the truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lakeward.demo.acts import Act
from lakeward.demo.answers import answer, tokens
from lakeward.demo.answers import asked as asking
from lakeward.demo.assistant import MODEL
from lakeward.demo.journey import FLOWS, Flow
from lakeward.demo.matching import ALGORITHM
from lakeward.demo.partners import LIBRARY, PARTNERS, content_for
from lakeward.demo.past import DAY_MS, Moment, Past, Person, Visit
from lakeward.demo.plan import shown
from lakeward.demo.platform import agent_named
from lakeward.demo.scribe import Cause, Scribe, Told
from lakeward.demo.sight import filled
from lakeward.demo.traffic import READER_AGENT, STAFF_AGENT
from lakeward.flags.exposure import told_of
from lakeward.interaction import foreign_id, iso
from lakeward.quiet import SOURCE

AFTER: Final = {
    "code": "focus_areas", "focus": "business_profile", "profile": "matching",
    "join": "focus_areas", "join_focus": "value_proposition", "proposition": "review",
}  # fmt: skip
"""The step whose page follows on an act."""
DONE: Final = {
    "code": "verification", "focus": "focus_areas", "profile": "business_profile",
    "choose": "matching", "join": "company", "join_focus": "focus_areas",
    "proposition": "value_proposition", "review": "review",
}  # fmt: skip
PLACES: Final = {
    "start": ("/start", "/verify"), "code": ("/verify", "/focus"), "focus": ("/focus", "/profile"),
    "profile": ("/profile", "/matches"), "choose": ("/matches", "/done"),
    "join": ("/join", "/join/focus"), "join_focus": ("/join/focus", "/join/proposition"),
    "proposition": ("/join/proposition", "/join/review"), "review": ("/join/review", "/join/done"),
}  # fmt: skip
"""Where an act is sent to, and the page that it leads to."""
LOOKS: Final = 3
"""How often somebody looks for his code, at most."""
TEMPLATES: Final = {
    "verification": ("sms", "sign-in"), "introduction": ("email", "booking"),
    "moved": ("email", "booking"),
}  # fmt: skip


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
        self._staff = Scribe(f"{self._name}/staff", STAFF_AGENT, "127.0.0.1")
        self._focus: list[str] = []
        self._matches: list[tuple[str, int, str]] = []
        self._booking, self._slot, self._moved = f"b-{self._scribe.token(1)}", "", 0
        self._conversation, self._turn, self._last_turn = "", 0, ""
        self._begun: dict[str, int] = {}
        self._steps: list[str] = []
        self._last_step = ("", 0)
        self._has_code = self._verified = self._gave_feedback = False
        self._wishes = 0

    def visit(self, visit: Visit) -> Iterator[Told]:
        """All of one visit."""
        if visit.by_staff:
            for moment in visit.moments:
                yield from self._by_staff(moment.at, moment.act)
            return
        self._scribe.begins(visit.moments[0].at)
        for moment in visit.moments:
            yield from self._does(moment)
        yield from self._scribe.ends(
            visit.moments[-1].at + 3_000, filled(self._visitor.number, self._scribe.at)
        )
        yield from self._given_up()

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
                yield from self._books(at, act)
            case "feedback":
                yield from self._rates_us(at, act)
            case "coach":
                yield from self._asks(at, act)
            case "rate":
                yield from self._rates(at, act)
            case _:
                yield from self._steps_on(at, act)

    def _page(self, at: int, path: str) -> Iterator[Told]:
        status = 403 if path == "/coach" and not self._gave_feedback else 200
        if path == "/join":
            self._named("partner")
        causes, told = self._scribe.open(at, path, status)
        yield from told
        if path == "/join" and not self._steps and "company" not in self._begun:
            yield from self._entered(causes, at + 9, "partner_onboarding", "company")
            yield self._onboarding(causes, at + 10, "started", 0)
        if path.startswith("/library/"):
            yield self._content(causes, at + 6, path, "view", None)

    def _api(self, at: int, path: str) -> Iterator[Told]:
        status = 503 if self._past.outage.covers(at) else 200 if self._verified else 401
        route = path if path == "/api/partners" else "/api/partners/{partner_id}"
        yield self._scribe.call(at, "GET", path, status, route=route)[0]

    def _named(self, user_type: str) -> None:
        self._scribe.user = {"user_id": self._person.user_id, "user_type": user_type}

    def _arrives(self, at: int) -> Iterator[Told]:
        """The first page of the flow, from the landing page if that is where somebody is."""
        if self._scribe.at.startswith("/start"):
            return
        hero = self._scribe.at == "/"
        yield from self._scribe.follows("find_partner", "Find my partner", "/start", at - 20, hero)
        new = "verification" not in self._begun
        self._named("contractor")
        cause, told = self._scribe.open(at, "/start", query={"cta": "hero"} if hero else None)
        yield from told
        if hero:
            yield cause.told("cta_click", at + 5, outcomes={
                "cta": "find_partner", "placement": "hero"}, path="/")  # fmt: skip
        if new:
            yield from self._entered(cause, at + 8, "contractor", "verification")
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
        yield self._message(cause, at + 190, "verification", dict(act.fields)["phone"])

    def _seeks_code(self, at: int) -> Iterator[Told]:
        n = looks(self._visitor.number)
        for look in range(n):
            yield from self._scribe.open(at - 600 - 250 * (n - look), "/inbox")[1]
        yield from self._scribe.open(at - 500, "/verify")[1]
        self._has_code = True

    def _steps_on(self, at: int, act: Act) -> Iterator[Told]:
        """A step of a flow is done, and the page of the next is there."""
        if act.kind == "code" and not self._has_code:
            yield from self._seeks_code(at)
        to, onward = PLACES[act.kind]
        flow: Flow = "partner_onboarding" if self._visitor.role == "partner" else "contractor"
        cause, told = self._scribe.sending(at, to, sent=24)
        yield from told
        yield from self._completed(cause, at + 12, flow, DONE[act.kind])
        if act.kind == "code":
            self._verified = True
            yield cause.told("identify", at + 14)
        elif act.kind == "focus":
            self._focus = [value for _, value in act.fields]
        elif act.kind == "profile":
            yield from self._matched(cause, at + 18, dict(act.fields))
        elif act.kind == "choose":
            yield from self._completed(cause, at + 15, flow, "completion")
            yield self._finished(cause, at + 20, flow)
        elif flow == "partner_onboarding":
            yield from self._joins(cause, at + 16, act)
        causes, told = self._scribe.open(at + 90, onward)
        yield from told
        if step := AFTER.get(act.kind):
            yield from self._entered(causes, at + 99, flow, step)
        if act.kind == "profile" and self._person.met is not None:
            exposure = told_of(self._person.met, {"user_id": self._person.user_id}, "file")
            exposure.pop("user_id", None)
            yield causes.told("experiment_exposure", at + 104, experiments=exposure)

    def _joins(self, cause: Cause, at: int, act: Act) -> Iterator[Told]:
        steps = FLOWS["partner_onboarding"]
        told = dict(act.fields)
        if act.kind in ("join_focus", "proposition"):
            name, key = (("focus_areas", "focus") if act.kind == "join_focus"
                         else ("revenue_tiers", "revenue"))  # fmt: skip
            self._scribe.known[name] = sorted({v for k, v in act.fields if k == key}) or [
                told.get(key, "")
            ]
        done = steps.index(DONE[act.kind]) + 1
        yield self._onboarding(cause, at, "step_completed", done, DONE[act.kind])
        if act.kind == "review":
            yield self._finished(cause, at + 4, "partner_onboarding")
            yield self._onboarding(cause, at + 6, "completed", 4)

    def _entered(self, cause: Cause, at: int, flow: Flow, step: str) -> Iterator[Told]:
        self._begun[step] = at
        yield self._step(cause, at, flow, step, "entered")

    def _completed(self, cause: Cause, at: int, flow: Flow, step: str) -> Iterator[Told]:
        seconds = (at - self._begun.get(step, at)) / 1000
        self._steps.append(step)
        yield self._step(cause, at, flow, step, "completed", seconds)

    def _step(
        self,
        cause: Cause,
        at: int,
        flow: Flow,
        step: str,
        status: str,
        seconds: float | None = None,
    ) -> Told:
        steps = FLOWS[flow]
        outcomes: dict[str, Any] = {
            "flow": flow, "step": step, "status": status, "step_index": steps.index(step),
            "steps_total": len(steps),
        }  # fmt: skip
        if seconds is not None:
            outcomes["seconds"] = seconds
        kind, fields = cause.told("flow_step", at, outcomes=outcomes)
        self._last_step = (fields["interaction_id"], at)
        return kind, fields

    def _finished(self, cause: Cause, at: int, flow: Flow) -> Told:
        steps = list(FLOWS[flow])
        device, browser = agent_named(self._visitor.agent)
        self._last_step = ("", 0)
        more = {"referrer": self._visitor.referrer} if flow == "contractor" and (
            self._visitor.referrer) else {}  # fmt: skip
        return cause.told("flow_completion", at, outcomes={
            "flow": flow, "status": "completed", "seconds": (at - min(self._begun.values())) / 1000,
            "steps": steps, "steps_completed": len(steps), "steps_total": len(steps),
            "device": device, "browser": browser,
        }, **more)  # fmt: skip

    def _given_up(self) -> Iterator[Told]:
        """What the lake concludes of a flow that goes quiet, as it writes it itself."""
        last, at = self._last_step
        if not last:
            return
        self._last_step = ("", 0)
        flow = "partner_onboarding" if self._visitor.role == "partner" else "contractor"
        quiet = at + round(1000 * self._past.quiet_seconds.get(flow, 0.0))
        if quiet == at or quiet >= self._past.until:
            return
        yield "flow_completion", {
            "interaction_id": foreign_id(SOURCE, last, quiet), "timestamp": iso(quiet),
            **self._scribe.user, "session_id": self._scribe.session_of_calls,
            "parent_interaction_id": last, "outcomes": {
                "flow": flow, "status": "abandoned", "derived": True,
                "seconds": (at - min(self._begun.values())) / 1000, "steps": self._steps[:],
                "abandoned_steps": [step for step in self._begun if step not in self._steps],
                "steps_completed": len(self._steps), "steps_total": len(FLOWS[flow]),
            },
        }  # fmt: skip

    def _matched(self, cause: Cause, at: int, profile: dict[str, str]) -> Iterator[Told]:
        podcast, event = (content_for(kind, tuple(self._focus)) for kind in ("podcast", "event"))
        for rank, match in enumerate(shown(self._visitor), 1):
            partner = match.partner.partner_id
            kind, fields = cause.told("partner_match", at + rank, partner_id=partner, outcomes={
                "score": match.score, "reasons": list(match.reasons), "primary": rank == 1,
                "rank": rank, "candidates": len(PARTNERS),
                "podcast_matched": podcast.content_id if podcast else False,
                "event_matched": event.content_id if event else False,
                "stage": profile["readiness"], "focus_areas": self._focus,
                "revenue_tier": profile["revenue"], "score_parts": match.parts,
                "algorithm": ALGORITHM,
            })  # fmt: skip
            self._matches.append((partner, at + rank, fields["interaction_id"]))
            yield kind, fields

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

    def _books(self, at: int, act: Act) -> Iterator[Told]:
        here, show = f"/bookings/{self._booking}", "/bookings/{booking_id}"
        partner = self._partner()
        if act.kind == "book":
            to, route = f"/partners/{partner}/book", "/partners/{partner_id}/book"
            yield from self._scribe.open(at - 4000, to, route=route)[1]
            self._slot = self._person.slots[0]
        else:
            to, route = f"{here}/{act.kind}", f"{show}/{act.kind}"
            if self._scribe.at != here or act.kind == "reschedule":
                yield from self._scribe.open(at - 3000, here, route=show)[1]
            if act.kind == "reschedule":
                self._slot, self._moved = self._person.slots[-1], 1
        cause, told = self._scribe.sending(at, to, route, sent=25)
        yield from told
        status = {"book": "booked", "reschedule": "rescheduled", "cancel": "cancelled"}[act.kind]
        yield self._booked(cause, at + 14, status, **dict(act.fields))
        if act.kind != "cancel":
            template = "introduction" if act.kind == "book" else "moved"
            for n, whom in enumerate((self._email(), PARTNERS[partner].email)):
                yield self._message(cause, at + 200 + 30 * n, template, whom)
        yield from self._scribe.open(at + 80, here, route=show)[1]

    def _booked(self, cause: Cause, at: int, status: str, **more: str) -> Told:
        date, _, time = self._slot.partition("T")
        own = {"source": "match", "demo_type": "product"} if status == "booked" else {}
        return cause.told("demo_booking", at, partner_id=self._partner(), outcomes={
            "booking_id": self._booking, "date": date, "time": time, "timezone": "UTC",
            "duration_minutes": 30, **own, **more, "status": status,
        })  # fmt: skip

    def _by_staff(self, at: int, act: Act) -> Iterator[Told]:
        self._named("contractor")
        if act.kind == "deal":
            call, cause = self._staff.call(at, "POST", "/staff/deals", 303, sent=90)
            yield call
            yield self._closed(cause, at + 8, dict(act.fields))
            return
        how = act.kind.replace("_", "-")
        call, cause = self._staff.call(
            at, "POST", f"/staff/bookings/{self._booking}/{how}", 303,
            route=f"/staff/bookings/{{booking_id}}/{how}", sent=0,
        )  # fmt: skip
        yield call
        yield self._booked(self._for(cause), at + 6, act.kind)

    def _for(self, cause: Cause) -> Cause:
        """The same call, concerning this contractor."""
        return cause.of(self._scribe.user)

    def _closed(self, cause: Cause, at: int, deal: dict[str, str]) -> Told:
        partner = self._partner()
        matched, match_id = next(
            (when, told) for who, when, told in self._matches if who == partner
        )
        return self._for(cause).told("deal_closed", at, partner_id=partner, outcomes={
            "value": float(deal["value"]), "currency": deal["currency"],
            "deal_id": f"d-{self._scribe.token(2)}", "deal_type": deal["deal_type"],
            "contract_months": float(deal["contract_months"]),
            "days_to_close": round((at - matched) / DAY_MS, 3),
            "satisfaction": float(deal["satisfaction"]), "match_interaction_id": match_id,
        })  # fmt: skip

    def _rates_us(self, at: int, act: Act) -> Iterator[Told]:
        told = dict(act.fields)
        yield from self._scribe.open(at - 8000, "/feedback")[1]
        cause, sent = self._scribe.sending(at, "/feedback", sent=110)
        yield from sent
        feedback: dict[str, Any] = {
            "scores": {name: float(told[name]) for name in ("communication", "expertise", "value")},
            "overall": float(told["overall"]), "recommend": told["recommend"] == "yes",
            "nps": int(told["nps"]), "subject": "platform", "survey": "platform-1",
        }  # fmt: skip
        if told["comments"]:
            feedback["comments"] = told["comments"]
        yield cause.told("feedback_submission", at + 9, feedback=feedback)
        self._gave_feedback = True
        yield from self._scribe.open(at + 80, "/coach")[1]
        self._conversation = ""

    def _asks(self, at: int, act: Act) -> Iterator[Told]:
        text = dict(act.fields)["text"]
        if self._scribe.at != "/coach":
            yield from self._scribe.open(at - 9000, "/coach")[1]
            self._conversation = ""
        if not self._conversation:
            self._conversation, self._turn = f"k-{self._scribe.token(at)}", 0
        cause, sent = self._scribe.sending(at, "/coach/messages", status=200, sent=60 + len(text))
        yield from sent
        messages = asking(self._focus, text)
        said = answer(text)
        told, spoken = sum(tokens(one["content"]) for one in messages), tokens(said)
        first, took = self._scribe.times(380.0), self._scribe.times(900.0)
        kind, fields = cause.told("ai_conversation", at + 4, conversation_id=self._conversation,
            ai_metadata={
                "duration_ms": first + took, "time_to_first_token_ms": first, "streamed": True,
                "operation": "chat", "response_id": "chatcmpl-demo", "model_answered": MODEL,
                "finish_reason": "stop", "status": "completed", "input_tokens": told,
                "output_tokens": spoken, "total_tokens": told + spoken,
                "tokens_source": "reported", "captured_by": "api", "turn": self._turn,
                "usage": {"prompt_tokens": told, "completion_tokens": spoken,
                          "total_tokens": told + spoken},
                "feature": "coach", "provider": "lakeward-demo", "model_requested": MODEL,
                "prompt_name": "coach", "prompt_version": "1",
            }, messages=[*messages, {"role": "assistant", "content": said}])  # fmt: skip
        self._turn += 1
        self._last_turn = fields["interaction_id"]
        yield kind, fields

    def _rates(self, at: int, act: Act) -> Iterator[Told]:
        helpful = dict(act.fields)["helpful"] == "yes"
        cause, sent = self._scribe.sending(at, "/coach/ratings", status=200, sent=58)
        yield from sent
        kind, fields = cause.told("ai_rating", at + 5, ai_metadata={"helpful": helpful})
        yield kind, fields | {"parent_interaction_id": self._last_turn}

    def _onboarding(
        self, cause: Cause, at: int, status: str, done: int, step: str | None = None
    ) -> Told:
        outcomes: dict[str, Any] = {"status": status, "steps_completed": done, "steps_total": 4,
            "seconds": (at - self._begun["company"]) / 1000, "source": "website"}  # fmt: skip
        if step:
            outcomes["step"] = step
        return cause.told("partner_onboarding", at, partner_id=self._person.user_id,
                          outcomes=outcomes | self._scribe.known)  # fmt: skip

    def _message(self, cause: Cause, at: int, template: str, whom: str) -> Told:
        channel, purpose = TEMPLATES[template]
        outbox = self._scribe.id(at)
        kind, fields = cause.told("message_sent", at, properties={
            "channel": channel, "template": template, "template_version": "1",
            "purpose": purpose, "outbox_id": outbox, "provider": "inbox",
            "message_id": f"inbox-{outbox}", "recipient_hash": self._scribe.hashed(whom),
            "status": "sent", "attempt": 1,
        })  # fmt: skip
        return kind, fields | {"user_type": "unknown"}

    def _partner(self) -> str:
        """With whom the demo is, or would be."""
        acts = self._visitor.acts
        place = next((act.place for act in acts if act.kind == "book"), 0)
        return shown(self._visitor)[place].partner.partner_id

    def _email(self) -> str:
        return next(dict(act.fields)["email"] for act in self._visitor.acts if act.kind == "start")
