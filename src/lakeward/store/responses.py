"""Responses: what witnesses answered, and what reviewers say of demos.

In: a database and an answer whose form was looked at before. Out: the row that stands for it, one
for each key however often it comes. Fails with `Terminal` naming what will not do, and as the
database does. An answer by invitation ends the invitation in the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, and_, select, update
from uuid_utils import uuid7

from lakeward.errors import Terminal
from lakeward.store import invitations, partners, witnesses
from lakeward.store.changes import Actor, add_change, mark
from lakeward.store.database import Database
from lakeward.store.evidence_schema import RESPONSES, REVIEWS
from lakeward.store.invitations import Form, Invitation
from lakeward.store.row import record
from lakeward.store.upsert import added

Channel = Literal["sms", "email", "link", "import"]
TYPES: Final[Mapping[Form, str]] = {
    "employee": "employee_feedback",
    "reference": "customer_reference",
    "quarterly": "customer_reference",
}
"""As what the lake hears of it."""
_C: Final = RESPONSES.c
_R: Final = REVIEWS.c


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What a form asks for, as far as it was answered."""

    scores: dict[str, int] = {}
    """1 to 10 by category."""
    nps: int | None = None
    """0 to 10."""
    texts: dict[str, str] = {}
    months: int | None = None
    """How long the person has worked there, or with them."""
    may_quote: bool = False


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One answered form; `at` is in ms since 1970."""

    response_id: str
    partner_id: str
    witness_id: str
    invitation_id: str | None
    key: str
    form: Form
    period: str
    at: int
    answers: Answers
    verified: int
    """1: by the signed link that this one person was sent; who was handed it proved nothing."""
    completeness: float
    seconds: float | None
    channel: Channel
    address: str
    device: str
    released: int | None = None
    """In which group the partner may see it."""
    quotable: dict[str, str] | None = None
    """Its words by field as the partner may read them: without the names that were known when they
    were released, of people who may be forgotten since."""
    created_by: str


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What one reviewer says of one demo; scores are 1 to 10."""

    review_id: str
    partner_id: str
    demo_id: str
    reviewer: str
    at: int
    scores: dict[str, int]
    comments: str


class Responses:
    """The responses of a database."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns

    def add(
        self, seen: Invitation | None, partner_id: str, witness_id: str, form: Form, *,
        key: str, answers: Answers, completeness: float, channel: Channel, actor: Actor,
        period: str = "", seconds: float | None = None, address: str = "", device: str = "",
        at_ms: int | None = None, told: Mapping[str, Any] = {},
    ) -> tuple[Response, bool]:  # fmt: skip
        """Keep an answer; whether it is new. `told` are fields of the interaction besides the
        person's and those that stand here."""
        now_ns = self._now_ns()
        response = Response(
            response_id=str(uuid7(nanoseconds=now_ns)), partner_id=partner_id,
            witness_id=witness_id, invitation_id=seen.invitation_id if seen else None, key=key,
            form=form, period=period, at=now_ns // 1_000_000 if at_ms is None else at_ms,
            answers=answers, verified=int(seen is not None and channel != "link"),
            completeness=completeness,
            seconds=seconds, channel=channel, address=address, device=device,
            created_by=actor.name,
        )  # fmt: skip
        row = msgspec.structs.asdict(response) | {"answers": msgspec.to_builtins(answers)}
        with self._database.write() as connection:
            partners.wanted(connection, partner_id)
            witness = witnesses.wanted(connection, witness_id)
            if witness.partner_id != partner_id:
                raise Terminal("there is no such person")
            if (known := _by_key(connection, partner_id, key)) is not None:
                return known, False
            if not added(connection, RESPONSES, row):  # of two at once the other one
                other = _by_key(connection, partner_id, key)
                if other is None:
                    raise Terminal("no answer may come by this invitation any more")
                return other, False
            if seen and not invitations.answered(connection, seen, now_ns // 1_000_000):
                raise Terminal("no answer may come by this invitation any more")
            add_change(
                connection, now_ns, TYPES[form],
                {"user_id": witness.user_id or witness_id, **told, **_said(response)},
            )  # fmt: skip
            mark(
                connection, now_ns, actor, partner_id, "response", "answered",
                response.response_id, form=form, channel=channel,
            )  # fmt: skip
        return response, True

    def of(self, partner_id: str) -> list[Response]:
        """A partner's responses, the oldest first."""
        query = select(RESPONSES).where(_C.partner_id == partner_id)
        query = query.order_by(_C.at, _C.response_id)
        with self._database.read() as connection:
            return [record(row, Response) for row in connection.execute(query).mappings()]

    def release(self, given: Sequence[Response]) -> None:
        """Keep the groups and the quotable words of responses; one that has a group keeps it."""
        with self._database.write() as connection:
            for one in given:
                mine = and_(_C.response_id == one.response_id, _C.released.is_(None))
                values = {"released": one.released, "quotable": one.quotable}
                connection.execute(update(RESPONSES).where(mine).values(values))

    def review(
        self, partner_id: str, demo_id: str, scores: Mapping[str, int], comments: str, *,
        actor: Actor,
    ) -> Review:  # fmt: skip
        """Keep what somebody says of a demo, in the place of what the same one said before."""
        now_ns = self._now_ns()
        review = Review(
            review_id=str(uuid7(nanoseconds=now_ns)), partner_id=partner_id, demo_id=demo_id,
            reviewer=actor.name, at=now_ns // 1_000_000, scores=dict(scores), comments=comments,
        )  # fmt: skip
        same = and_(_R.demo_id == demo_id, _R.reviewer == actor.name)
        with self._database.write() as connection:
            partners.wanted(connection, partner_id)
            known = connection.scalar(select(_R.review_id).where(same))
            if known is None:
                added(connection, REVIEWS, msgspec.structs.asdict(review))
            else:
                review = msgspec.structs.replace(review, review_id=known)
                values = msgspec.structs.asdict(review)
                connection.execute(update(REVIEWS).where(same).values(values))
            change = "created" if known is None else "updated"
            mark(connection, now_ns, actor, partner_id, "review", change, review.review_id)
        return review

    def reviews(self, partner_id: str) -> list[Review]:
        """What is said of a partner's demos, the oldest first."""
        query = select(REVIEWS).where(_R.partner_id == partner_id).order_by(_R.at, _R.review_id)
        with self._database.read() as connection:
            return [record(row, Review) for row in connection.execute(query).mappings()]


def _by_key(connection: Connection, partner_id: str, key: str) -> Response | None:
    same = and_(_C.partner_id == partner_id, _C.key == key)
    row = connection.execute(select(RESPONSES).where(same)).mappings().first()
    return record(row, Response) if row else None


OWN_TEXTS: Final = ("comments", "strengths", "improvements", "results", "value_proposition")


def _said(response: Response) -> dict[str, Any]:
    """The response as its interaction has it."""
    answers = response.answers
    fields: dict[str, Any] = {
        "partner_id": response.partner_id,
        "respondent_id": response.witness_id,
        "channel": response.channel,
        "verified": bool(response.verified),
        "completeness": response.completeness,
        "nps": answers.nps,
        "invitation_id": response.invitation_id,
        "seconds": response.seconds,
        **{name: text for name, text in answers.texts.items() if name in OWN_TEXTS and text},
    }
    if answers.scores:
        fields["scores"] = {name: float(value) for name, value in answers.scores.items()}
    if response.form == "employee":
        fields["tenure_months"] = answers.months
    else:
        fields |= {
            "kind": response.form, "relationship_months": answers.months,
            "may_quote": answers.may_quote,
        }  # fmt: skip
    return {name: value for name, value in fields.items() if value is not None}
