"""What becomes of a contractor and the partner that was chosen: a demo, and perhaps a deal.

In: what the contractor does with a booking, and what staff says of it. Out: their records.
"""

from __future__ import annotations

from collections.abc import Iterator

from lakeward.demo.acts import Act
from lakeward.demo.partners import PARTNERS
from lakeward.demo.passage import Passage
from lakeward.demo.past import DAY_MS, Person
from lakeward.demo.plan import shown
from lakeward.demo.scribe import Cause, Scribe
from lakeward.demo.sight import Told


class Dealings:
    """One contractor's."""

    def __init__(self, person: Person, scribe: Scribe, staff: Scribe, passage: Passage) -> None:
        self._person, self._scribe, self._staff = person, scribe, staff
        self._passage, self._visitor = passage, person.visitor
        self._booking, self._slot = f"b-{scribe.token(1)}", ""

    def books(self, at: int, act: Act) -> Iterator[Told]:
        """A demo is booked, moved or cancelled."""
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
                self._slot = self._person.slots[-1]
        cause, told = self._scribe.sending(at, to, route, sent=25)
        yield from told
        status = {"book": "booked", "reschedule": "rescheduled", "cancel": "cancelled"}[act.kind]
        yield self._booked(cause, at + 14, status, **dict(act.fields))
        if act.kind != "cancel":
            template = "introduction" if act.kind == "book" else "moved"
            for n, whom in enumerate((self._email(), PARTNERS[partner].email)):
                yield self._scribe.message(cause, at + 200 + 30 * n, template, whom)
        yield from self._scribe.open(at + 80, here, route=show)[1]

    def _booked(self, cause: Cause, at: int, status: str, **more: str) -> Told:
        date, _, time = self._slot.partition("T")
        own = {"source": "match", "demo_type": "product"} if status == "booked" else {}
        return cause.told("demo_booking", at, partner_id=self._partner(), outcomes={
            "booking_id": self._booking, "date": date, "time": time, "timezone": "UTC",
            "duration_minutes": 30, **own, **more, "status": status,
        })  # fmt: skip

    def by_staff(self, at: int, act: Act) -> Iterator[Told]:
        """Staff tells how a demo went, or of a deal."""
        self._scribe.named(self._person.user_id, "contractor")
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
            (when, told) for who, when, told in self._passage.matches if who == partner
        )
        return self._for(cause).told("deal_closed", at, partner_id=partner, outcomes={
            "value": float(deal["value"]), "currency": deal["currency"],
            "deal_id": f"d-{self._scribe.token(2)}", "deal_type": deal["deal_type"],
            "contract_months": float(deal["contract_months"]),
            "days_to_close": round((at - matched) / DAY_MS, 3),
            "satisfaction": float(deal["satisfaction"]), "match_interaction_id": match_id,
        })  # fmt: skip

    def _partner(self) -> str:
        """With whom the demo is, or would be."""
        acts = self._visitor.acts
        place = next((act.place for act in acts if act.kind == "book"), 0)
        return shown(self._visitor)[place].partner.partner_id

    def _email(self) -> str:
        return next(dict(act.fields)["email"] for act in self._visitor.acts if act.kind == "start")
