"""The stores of PowerConfidence in one hand, and what several of their users do alike.

In: a database and settings. Out: partners, witnesses, invitations, responses, analyses, scores.
Fails as the stores do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

import msgspec

from lakeward.confidence import form, link
from lakeward.confidence.sending import manner_of
from lakeward.errors import Rejected, Terminal
from lakeward.messaging.address import checked
from lakeward.messaging.message import Channel as MessageChannel
from lakeward.settings import Settings
from lakeward.store import wording
from lakeward.store.analyses import Analyses
from lakeward.store.changes import Actor
from lakeward.store.database import Database
from lakeward.store.invitations import Form, Invitation, Invitations
from lakeward.store.opt_outs import How, OptOuts
from lakeward.store.partners import Partners
from lakeward.store.responses import Answers, Channel, Response, Responses, Review
from lakeward.store.scores import Scores
from lakeward.store.secret import shared_secret
from lakeward.store.witnesses import Role, Witness, Witnesses

ROLES: Final[Mapping[Form, Role]] = {
    "employee": "employee",
    "reference": "customer",
    "quarterly": "customer",
}
WITNESS: Final = Actor("witness", "witness")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A person as somebody told of one; addresses as they were written."""

    name: str = ""
    phone: str | None = None
    email: str | None = None
    company: str | None = None
    user_id: str | None = None
    language: str | None = None
    zone: str | None = None


class Desk:
    """Everything that PowerConfidence keeps. Threads may share it."""

    def __init__(
        self, database: Database, settings: Settings, *, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.database = database
        self.settings = settings
        self.now_ns = now_ns
        self.partners = Partners(database, now_ns=now_ns)
        self.witnesses = Witnesses(database, now_ns=now_ns)
        self.invitations = Invitations(database, now_ns=now_ns)
        self.responses = Responses(database, now_ns=now_ns)
        self.analyses = Analyses(database, now_ns=now_ns)
        self.scores = Scores(database, now_ns=now_ns)
        self.opt_outs = OptOuts(database, now_ns=now_ns)

    @cached_property
    def secret(self) -> bytes:
        """What links are signed with, the same for every host of the database."""
        return shared_secret(self.database, "links")

    def now_ms(self) -> int:
        """Now, in ms since 1970."""
        return self.now_ns() // 1_000_000

    def witness(self, partner_id: str, role: Role, told: Told, actor: Actor) -> Witness:
        """The person that somebody told of; Rejected or Terminal for what will not do."""
        return self.witnesses.add(
            partner_id, role, actor=actor, name=told.name,
            phone=checked("sms", told.phone) if told.phone else None,
            email=checked("email", told.email) if told.email else None,
            company=told.company, user_id=told.user_id, language=told.language, zone=told.zone,
        )  # fmt: skip

    def invite(
        self, partner_id: str, which: Form, people: Sequence[Told], actor: Actor, *,
        send: bool = True,
    ) -> list[tuple[Invitation, bool]]:  # fmt: skip
        """Ask several people; each is checked before the first is asked. Not `sent`, their links
        are handed over."""
        manner = manner_of(self.settings)
        for told in people:
            if not (told.phone or told.email):
                raise Terminal("whom to invite needs a `phone` or an `email`")
            for channel, address in (("sms", told.phone), ("email", told.email)):
                if address:
                    checked("sms" if channel == "sms" else "email", address)
        period = quarter(self.now_ms()) if which == "quarterly" else ""
        found = []
        for told in people:
            witness = self.witness(partner_id, ROLES[which], told, actor)
            found.append(
                self.invitations.invite(
                    witness, which, actor=actor, lasts_ms=manner.lasts_ms, period=period, send=send
                )
            )
        return found

    def by_link(self, text: str) -> Invitation | None:
        """The invitation of a link; None for a link that is none of ours."""
        which = link.invitation_id(text)
        seen = self.invitations.find(which) if which else None
        return seen if seen and link.is_genuine(text, seen, self.secret) else None

    def by_stop_link(self, text: str) -> Invitation | None:
        """The invitation whose person a link lets be left alone, however old the link is."""
        which = link.invitation_id(text)
        seen = self.invitations.find(which) if which else None
        return seen if seen and link.may_stop(text, seen, self.secret) else None

    def answer(
        self, seen: Invitation, filled: form.Filled, *, seconds: float | None, address: str,
        device: str,
    ) -> tuple[Response, bool]:  # fmt: skip
        """Keep what a person answered by an invitation."""
        return self.responses.add(
            seen, seen.partner_id, seen.witness_id, seen.form,
            key=f"invitation {seen.invitation_id}",
            answers=filled.answers, completeness=filled.completeness, actor=WITNESS,
            channel=seen.channel or "link", period=seen.period, seconds=seconds,
            address=address and self.witnesses.digest(f"address:{address}"),
            device=device and self.witnesses.digest(f"device:{device}"),
            told=self._known_of(seen.witness_id, seen.form),
        )  # fmt: skip

    def import_answer(
        self, partner_id: str, which: Form, told: Told, answers: Answers, *, key: str,
        actor: Actor, at_ms: int | None = None, channel: Channel = "import",
    ) -> tuple[Response, bool]:  # fmt: skip
        """Keep what somebody answered elsewhere; nobody proved who that was."""
        filled = form.checked(which, answers)
        if filled.wrong:
            raise Rejected(next(iter(filled.wrong.values())).rstrip("."))
        if at_ms is not None and not 946_684_800_000 <= at_ms <= self.now_ms() + 60_000:
            raise Rejected("`at` must be a moment since the year 2000 that has been")
        witness = self.witness(partner_id, ROLES[which], told, actor)
        period = quarter(at_ms or self.now_ms()) if which == "quarterly" else ""
        return self.responses.add(
            None, partner_id, witness.witness_id, which, key=f"{which} {key}"[:64],
            answers=filled.answers, completeness=filled.completeness, actor=actor,
            channel=channel, period=period, at_ms=at_ms,
            told=self._known_of(witness.witness_id, which),
        )  # fmt: skip

    def _known_of(self, witness_id: str, which: Form) -> dict[str, Any]:
        company = self.witnesses.get(witness_id).company
        return {"company": company} if company and which != "employee" else {}

    def review(
        self, partner_id: str, demo_id: str, scores: Mapping[str, int], comments: str,
        actor: Actor,
    ) -> Review:  # fmt: skip
        """Keep what somebody of the team says of a demo."""
        text = wording.prose("comments", comments, form.TEXT_LENGTH)
        which = wording.line("demo_id", demo_id, 36)
        return self.responses.review(partner_id, which, scores, text, actor=actor)

    def stop_at(self, channel: MessageChannel, address: str, how: How) -> int:
        """Leave an address alone, and everybody who has it at every other one; how many people.
        What they were to answer comes to nothing."""
        self.opt_outs.add(self.witnesses.digest(address), channel, how)
        people = self.witnesses.at(channel, address)
        for witness in people:
            self.stop(witness, how)
            for seen in self.invitations.of_witness(witness.witness_id):
                self.invitations.end(seen, "withdrawn", "opted out")
        return len(people)

    def stop(self, witness: Witness, how: How) -> int:
        """Leave somebody alone at every address that is known; how many were not yet."""
        added = 0
        if witness.phone:
            added += self.opt_outs.add(self.witnesses.digest(witness.phone), "sms", how)
        if witness.email:
            digest = self.witnesses.digest(witness.email.lower())
            added += self.opt_outs.add(digest, "email", how)
        return added


def quarter(ms: int) -> str:
    """The quarter of a moment, such as 2026-Q4 (UTC)."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment.year}-Q{(moment.month + 2) // 3}"
