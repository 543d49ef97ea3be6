"""A person's way through the flow of the platform, as it is recorded step by step.

In: acts that finish a step, each with its moment. Out: `flow_step`, what comes of a step (matches,
an exposure, a company's progress) and how the flow ends: completed, or given up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lakeward.demo.acts import Act
from lakeward.demo.journey import FLOWS, Flow
from lakeward.demo.matching import ALGORITHM
from lakeward.demo.partners import PARTNERS, content_for
from lakeward.demo.past import Past, Person
from lakeward.demo.plan import shown
from lakeward.demo.platform import agent_named
from lakeward.demo.scribe import Cause, Scribe
from lakeward.demo.sight import Told
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


class Passage:
    """One person's flow."""

    def __init__(self, past: Past, person: Person, scribe: Scribe) -> None:
        self._past, self._person, self._scribe = past, person, scribe
        self._visitor = person.visitor
        self.focus: list[str] = []
        """Areas that the contractor cares for."""
        self.matches: list[tuple[str, int, str]] = []
        """Partners that were shown, when, and the record of each."""
        self.begun: dict[str, int] = {}
        """When each step was seen first."""
        self._steps: list[str] = []
        self._last_step = ("", 0)

    def goes_on(self, at: int, act: Act) -> Iterator[Told]:
        """A step of a flow is done, and the page of the next is there."""
        to, onward = PLACES[act.kind]
        flow: Flow = "partner_onboarding" if self._visitor.role == "partner" else "contractor"
        cause, told = self._scribe.sending(at, to, sent=24)
        yield from told
        yield from self._completed(cause, at + 12, flow, DONE[act.kind])
        if act.kind == "code":
            yield cause.told("identify", at + 14)
        elif act.kind == "focus":
            self.focus = [value for _, value in act.fields]
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
            yield from self.enters(causes, at + 99, flow, step)
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
        yield self.onboarding(cause, at, "step_completed", done, DONE[act.kind])
        if act.kind == "review":
            yield self._finished(cause, at + 4, "partner_onboarding")
            yield self.onboarding(cause, at + 6, "completed", 4)

    def enters(self, cause: Cause, at: int, flow: Flow, step: str) -> Iterator[Told]:
        """The page of a step is seen."""
        self.begun[step] = at
        yield self._step(cause, at, flow, step, "entered")

    def _completed(self, cause: Cause, at: int, flow: Flow, step: str) -> Iterator[Told]:
        seconds = (at - self.begun.get(step, at)) / 1000
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
            "flow": flow, "status": "completed", "seconds": (at - min(self.begun.values())) / 1000,
            "steps": steps, "steps_completed": len(steps), "steps_total": len(steps),
            "device": device, "browser": browser,
        }, **more)  # fmt: skip

    def given_up(self) -> Iterator[Told]:
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
                "seconds": (at - min(self.begun.values())) / 1000, "steps": self._steps[:],
                "abandoned_steps": [step for step in self.begun if step not in self._steps],
                "steps_completed": len(self._steps), "steps_total": len(FLOWS[flow]),
            },
        }  # fmt: skip

    def _matched(self, cause: Cause, at: int, profile: dict[str, str]) -> Iterator[Told]:
        podcast, event = (content_for(kind, tuple(self.focus)) for kind in ("podcast", "event"))
        for rank, match in enumerate(shown(self._visitor), 1):
            partner = match.partner.partner_id
            kind, fields = cause.told("partner_match", at + rank, partner_id=partner, outcomes={
                "score": match.score, "reasons": list(match.reasons), "primary": rank == 1,
                "rank": rank, "candidates": len(PARTNERS),
                "podcast_matched": podcast.content_id if podcast else False,
                "event_matched": event.content_id if event else False,
                "stage": profile["readiness"], "focus_areas": self.focus,
                "revenue_tier": profile["revenue"], "score_parts": match.parts,
                "algorithm": ALGORITHM,
            })  # fmt: skip
            self.matches.append((partner, at + rank, fields["interaction_id"]))
            yield kind, fields

    def onboarding(
        self, cause: Cause, at: int, status: str, done: int, step: str | None = None
    ) -> Told:
        """How far a company has come that joins."""
        outcomes: dict[str, Any] = {"status": status, "steps_completed": done, "steps_total": 4,
            "seconds": (at - self.begun["company"]) / 1000, "source": "website"}  # fmt: skip
        if step:
            outcomes["step"] = step
        return cause.told("partner_onboarding", at, partner_id=self._person.user_id,
                          outcomes=outcomes | self._scribe.known)  # fmt: skip
