"""A desk over a fresh app database, its clock in the test's hand, and people to ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from databases import Store
from lakeward.confidence import form
from lakeward.confidence.desk import Desk, Told
from lakeward.store.changes import Actor
from lakeward.store.invitations import Form, Invitation
from lakeward.store.responses import Answers, Response

ADMIN = Actor("ann@example.com", "admin")
DAY_MS = 86_400_000
NOON_MS = int(datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp() * 1000)
"""A Friday in the fourth quarter."""
PUBLIC = "https://data.example.com"


class Clock:
    """Stands still until it is moved; each look is a millisecond later: all has an order."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self.now_ms = now_ms
        self._looks = 0

    def __call__(self) -> int:
        self._looks += 1
        return (self.now_ms + self._looks) * 1_000_000

    def on(self, days: float) -> None:
        """Go on by so many days."""
        self.now_ms += round(days * DAY_MS)


class Asked:
    """A desk with one partner."""

    def __init__(self, store: Store, **settings: Any) -> None:
        self.store = store
        self.clock = Clock()
        given = {"public_url": PUBLIC, "invite_quiet": "", **settings}
        self.settings = msgspec.structs.replace(store.settings(), **given)
        self.desk = Desk(store.open(), self.settings, now_ns=self.clock)
        self.desk.partners.upsert("p9", actor=ADMIN, name="Acme", category="roofing")

    def invite(self, which: Form = "employee", *people: Told) -> Invitation:
        """Ask one person, or these; the first one's invitation."""
        told = people or (Told(name="Ada", phone="+1 512 555 0100", email="Ada@example.com"),)
        return self.desk.invite("p9", which, told, ADMIN)[0][0]

    def again(self, seen: Invitation) -> Invitation:
        """As it is now."""
        found = self.desk.invitations.find(seen.invitation_id)
        assert found is not None
        return found

    def answer(self, seen: Invitation, rating: int = 8, **texts: str) -> Response:
        """Answer by the link, each category alike."""
        filled = form.read(seen.form, sheet(seen.form, rating, **texts))
        assert filled.wrong == {}
        found, new = self.desk.answer(
            self.again(seen), filled, seconds=60.0, address=f"a{rating}", device=seen.witness_id
        )
        assert new
        return found

    def feed(self, role: Form, number: int, rating: int = 8, **texts: str) -> Response:
        """An answer that came elsewhere, of person `number`."""
        names = [item.name for item in form.SHEETS[role].ratings]
        answers = Answers(scores=dict.fromkeys(names, rating), nps=rating, texts=texts)
        who = Told(name=f"Person{number}", email=f"{role}{number}@firm{number}.example")
        found, _ = self.desk.import_answer(
            "p9", role, who, answers, key=f"k{number}", actor=ADMIN
        )  # fmt: skip
        return found

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What the lake has to hear, in its order."""
        from lakeward.store.changes import untold

        return [(change.type, change.fields) for change in untold(self.desk.database)]


def sheet(which: Form, rating: int = 8, **texts: str) -> dict[str, str]:
    """A form filled in, each category alike."""
    asked = form.SHEETS[which]
    fields = {item.name: str(rating) for item in (*asked.ratings, asked.likely)}
    return fields | texts
