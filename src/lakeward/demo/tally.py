"""How many records each act of the past leaves, by type: the rules of the platform in numbers.

In: a person and what he does. Out: for each visit how many records of which type, what failed by
route, and the steps of flows. It knows pages and forms by their paths alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from lakeward.demo.acts import Act
from lakeward.demo.past import Moment, Outage, Person, Visit
from lakeward.demo.sight import fields_of, filled
from lakeward.demo.steps import CONTRACTOR, FINISHES, ONBOARDING

ONWARD: Final = {
    "code": "/focus", "focus": "/profile", "profile": "/matches", "choose": "/done",
    "join": "/join/focus", "join_focus": "/join/proposition", "proposition": "/join/review",
    "review": "/join/done",
}  # fmt: skip
LOOKS: Final = 3
VIEWS, VITALS = 2, 4
"""Of one page that is seen; one vital more where it is used."""


class Tally:
    """Counts one person's records."""

    def __init__(self, person: Person, outage: Outage) -> None:
        self._person, self._outage = person, outage
        self._number = person.visitor.number
        self._sdk = person.visitor.browser
        self.flow = "partner_onboarding" if person.visitor.role == "partner" else "contractor"
        self._order = ONBOARDING if person.visitor.role == "partner" else CONTRACTOR
        self.errors: Counter[str] = Counter()
        self.steps: Counter[tuple[str, str, str]] = Counter()
        self.is_known = False
        self._found: Counter[str] = Counter()
        self._at = ""
        self._used = self._has_code = self._verified = self._gave_feedback = False
        self._entered: set[str] = set()
        self._last_step = 0.0
        self._open = False

    def visit(self, visit: Visit) -> Counter[str]:
        """Records of a visit by type; `errors` and `steps` are those of this visit, too."""
        self._found, self.errors, self.steps = Counter(), Counter(), Counter()
        if visit.by_staff:
            for moment in visit.moments:
                kind = "deal_closed" if moment.act.kind == "deal" else "demo_booking"
                self._found.update(["api_call", kind])
            return self._found
        self._at, self._used = "", False
        for moment in visit.moments:
            self._does(moment)
        if self._sdk and (n := filled(self._number, self._at)):
            self._found["form_interaction"] += 1 + n
            self._use()
        return self._found

    def gives_up(self, quiet: Mapping[str, float]) -> int:
        """When a flow that was left counts as abandoned; 0 where none was left."""
        seconds = quiet.get(self.flow, 0.0)
        if not self._open or not seconds:
            return 0
        self._open = False
        return round(self._last_step + 1000 * seconds)

    def _does(self, moment: Moment) -> None:
        act = moment.act
        match act.kind:
            case "page" | "away":
                self._looks(act.path or "/", moment.at)
            case "api":
                self._reads(moment)
            case "mistake" | "start":
                self._fills(moment)
            case "wrong_code":
                self._seeks()
                self._sends(failed="/verify")
            case "content":
                self._looks(act.path, moment.at)
                self._sends()
                self._found["content_interaction"] += 1
                self._looks(act.path, moment.at)
            case "book" | "reschedule" | "cancel":
                self._books(act)
            case "feedback":
                self._opens("/feedback")
                self._sends()
                self._found["feedback_submission"] += 1
                self._gave_feedback = True
                self._opens("/coach")
            case "coach" | "rate":
                if act.kind == "coach" and self._at != "/coach":
                    self._opens("/coach")
                self._sends()
                self._found["ai_conversation" if act.kind == "coach" else "ai_rating"] += 1
            case _:
                self._steps_on(moment)

    def _looks(self, path: str, at: float) -> None:
        self._opens(path, failed=path == "/coach" and not self._gave_feedback)
        if path.startswith("/library/"):
            self._found["content_interaction"] += 1
        if path == "/join":
            self.is_known = True
            if "company" not in self._entered:
                self._enters("company", at)
                self._found["partner_onboarding"] += 1

    def _reads(self, moment: Moment) -> None:
        self._found["api_call"] += 1
        if self._outage.covers(moment.at) or not self._verified:
            path = moment.act.path
            self.errors[path if path == "/api/partners" else "/api/partners/{partner_id}"] += 1

    def _fills(self, moment: Moment) -> None:
        act = moment.act
        if act.kind == "start" or act.path == "/start":
            if not self._at.startswith("/start"):
                self._arrives(moment.at)
        else:
            self._opens(act.path)
        if act.kind == "mistake":
            self._sends(failed=act.path)
            return
        self._sends()
        self._found["message_sent"] += 1
        self._opens("/verify")

    def _arrives(self, at: int) -> None:
        """The first page of the flow, by a call to action where somebody comes from the landing."""
        if self._at == "/":
            self._found["cta_click"] += 1
            if self._sdk:
                self._found["click"] += 1
                self._use()
        self._opens("/start")
        if self._sdk and not self.is_known:
            self._found["identify"] += 1
        self.is_known = True
        if "verification" not in self._entered:
            self._enters("verification", at)

    def _seeks(self) -> None:
        for _ in range(1 + self._number % LOOKS):
            self._opens("/inbox")
        self._opens("/verify")
        self._has_code = True

    def _steps_on(self, moment: Moment) -> None:
        kind = moment.act.kind
        if kind == "code" and not self._has_code:
            self._seeks()
        self._sends()
        self._completes(FINISHES[kind], moment.at)
        if kind == "code":
            self._verified = True
            self._found["identify"] += 1
        elif kind == "choose":
            self._completes("completion", moment.at)
        elif self.flow == "partner_onboarding":
            self._found["partner_onboarding"] += 2 if kind == "review" else 1
        if kind in ("choose", "review"):
            self._found["flow_completion"] += 1
            self._open = False
        self._opens(ONWARD[kind])
        if kind == "profile":
            self._found["partner_match"] += 3
            self._found["experiment_exposure"] += self._person.met is not None
        if kind not in ("choose", "review"):
            self._enters(self._order[self._order.index(FINISHES[kind]) + 1], moment.at)

    def _books(self, act: Act) -> None:
        if act.kind == "book":
            self._opens("/partners/p/book")
        elif act.kind == "reschedule" or not self._at.startswith("/bookings/"):
            self._opens("/bookings/b")
        self._sends()
        self._found["demo_booking"] += 1
        self._found["message_sent"] += 0 if act.kind == "cancel" else 2
        self._opens("/bookings/b")

    def _enters(self, step: str, at: float) -> None:
        self._entered.add(step)
        self._step(step, "entered", at)

    def _completes(self, step: str, at: float) -> None:
        self._step(step, "completed", at)

    def _step(self, step: str, status: str, at: float) -> None:
        self._found["flow_step"] += 1
        self.steps[self.flow, step, status] += 1
        self._last_step, self._open = at, True

    def _opens(self, path: str, *, failed: bool = False) -> None:
        self._found["api_call"] += 1
        self.errors[path] += failed
        self._at, self._used = path, False
        if self._sdk:
            self._found["page_view"] += VIEWS
            self._found["web_vital"] += VITALS

    def _sends(self, *, failed: str = "") -> None:
        self._found["api_call"] += 1
        if failed:
            self.errors[failed] += 1
        if self._sdk:
            self._found["form_interaction"] += 2 + len(fields_of(self._at))
            self._found["click"] += 1
            self._use()

    def _use(self) -> None:
        if not self._used:
            self._found["web_vital"] += 1
        self._used = True
