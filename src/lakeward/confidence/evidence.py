"""Evidence of a partner: what its witnesses answered and its demos show, as the score takes it.

In: rows of the app database. Out: `Answer`s and statements, the same for the same rows. Nothing
fails. What a witness answered and what it wrote stand apart: the answers are rated, the statements
are compared with what the CEO says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from lakeward.confidence.desk import Desk
from lakeward.confidence.score import Answer, Rating, Source
from lakeward.store.invitations import Form
from lakeward.store.responses import Response, Review
from lakeward.store.witnesses import Witness

SOURCES: Final[Mapping[Form, Source]] = {
    "employee": "employees",
    "reference": "customers",
    "quarterly": "customers",
}
TEXT_LENGTH: Final = 20_000
MAIL_PROVIDERS: Final = frozenset(
    {
        "aol.com", "gmail.com", "gmx.com", "gmx.de", "gmx.net", "googlemail.com", "hey.com",
        "hotmail.com", "icloud.com", "live.com", "mail.com", "mail.ru", "me.com", "msn.com",
        "outlook.com", "pm.me", "proton.me", "protonmail.com", "qq.com", "web.de", "yahoo.com",
        "yandex.com", "zoho.com",
    }
)  # fmt: skip
"""Where an address says nothing of a company."""


class Speech(msgspec.Struct, frozen=True):
    """What somebody says of a partner, in words."""

    source: Literal["ceo", "employee", "customer", "demo"]
    speaker: str
    text: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A demo as far as it is evidence."""

    demo_id: str
    at: int
    text: str
    """Its transcript; empty while there is none."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that speaks for or against one partner."""

    answers: tuple[Answer, ...]
    partner_id: str
    proposition: str
    responses: tuple[Response, ...]
    people: tuple[Witness, ...]
    demos: tuple[Shown, ...]

    def speeches(self, only: Collection[str] | None = None) -> tuple[Speech, ...]:
        """Each speaker once, with everything it says; `only`: in these responses."""
        said: dict[tuple[Literal["employee", "customer"], str], list[str]] = {}
        for one in self.responses:
            source: Literal["employee", "customer"] = (
                "employee" if one.form == "employee" else "customer"
            )
            if only is None or one.response_id in only:
                said.setdefault((source, one.witness_id), []).extend(one.answers.texts.values())
        found = [Speech("ceo", self.partner_id, self.proposition)] if self.proposition else []
        for (source, who), texts in sorted(said.items()):
            if text := "\n".join(dict.fromkeys(texts))[:TEXT_LENGTH]:
                found.append(Speech(source, who, text))
        found += [Speech("demo", one.demo_id, one.text) for one in self.demos if one.text]
        return tuple(found)


def agreeing(
    answers: Iterable[Answer], agreement: Mapping[str, float | None]
) -> list[Answer]:  # fmt: skip
    """For each witness among these answers how far its words agree with the CEO's: 0 to 1."""
    newest: dict[str, Answer] = {}
    for answer in answers:
        if answer.source != "demos":
            known = newest.get(answer.respondent_id)
            if known is None or known.at_ms <= answer.at_ms:
                newest[answer.respondent_id] = answer
    return [
        msgspec.structs.replace(
            answer, source="consistency", evidence_id=f"agreement {who}", text="", seconds=None,
            ratings={"agreement": Rating(min(max(share, 0.0), 1.0), 0, 1)},
        )
        for who, answer in sorted(newest.items())
        if (share := agreement.get(who)) is not None
    ]  # fmt: skip


def gather(desk: Desk, partner_id: str, proposition: str, demos: Iterable[Shown]) -> Evidence:
    """The evidence of a partner as it is now."""
    responses = desk.responses.of(partner_id)
    people = {one.witness_id: one for one in desk.witnesses.of(partner_id)}
    shown = {demo.demo_id: demo for demo in demos}
    reviews: dict[str, list[Review]] = {}
    for review in desk.responses.reviews(partner_id):
        if review.demo_id in shown:
            reviews.setdefault(review.demo_id, []).append(review)
    responses = [one for one in responses if one.witness_id in people]  # forgotten just now
    answers = [_answer(desk, one, people[one.witness_id]) for one in responses]
    answers += [_watched(shown[which], found) for which, found in sorted(reviews.items())]
    return Evidence(
        answers=tuple(answers), partner_id=partner_id, proposition=proposition,
        responses=tuple(responses), people=tuple(people.values()),
        demos=tuple(shown[which] for which in sorted(shown)),
    )  # fmt: skip


def digest(things: object) -> str:
    """64 hexadecimal digits that are the same for the same things."""
    return hashlib.sha256(msgspec.json.encode(things, order="deterministic")).hexdigest()


def _answer(desk: Desk, response: Response, witness: Witness) -> Answer:
    answers = response.answers
    ratings = {name: Rating(value, 1, 10) for name, value in answers.scores.items()}
    if answers.nps is not None:
        ratings["recommend"] = Rating(answers.nps, 0, 10)
    return Answer(
        evidence_id=response.response_id, respondent_id=response.witness_id,
        source=SOURCES[response.form], at_ms=response.at, ratings=ratings,
        verified=bool(response.verified), completeness=response.completeness,
        text="\n".join(answers.texts.values())[:TEXT_LENGTH], seconds=response.seconds,
        address=response.address, device=response.device, contact=witness.contact,
        organisation=_organisation(desk, witness),
    )  # fmt: skip


def _organisation(desk: Desk, witness: Witness) -> str:
    domain = (witness.email or "").rpartition("@")[2].lower()
    return desk.witnesses.digest(f"domain:{domain}") if domain not in {"", *MAIL_PROVIDERS} else ""


def _watched(demo: Shown, reviews: Sequence[Review]) -> Answer:
    """A demo as its reviewers rate it, each alike; one without words to check counts for less."""
    said: dict[str, list[int]] = {}
    for review in reviews:
        for category, score in review.scores.items():
            said.setdefault(category, []).append(score)
    ratings = {name: Rating(sum(n) / len(n), 1, 10) for name, n in sorted(said.items())}
    return Answer(
        evidence_id=demo.demo_id, respondent_id=demo.demo_id, source="demos", at_ms=demo.at,
        ratings=ratings, verified=True, completeness=1.0 if demo.text else 0.5,
    )  # fmt: skip
