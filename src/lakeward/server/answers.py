"""What witnesses said elsewhere, and what the team says of demos, over HTTP.

    POST /api/partners/{id}/employee-feedback      {"person": {…}, "scores": {…}, "key": …}
    POST /api/partners/{id}/customer-references    the same; "form": "quarterly" for the survey's
    POST /api/partners/{id}/demo-reviews           {"demo_id": …, "scores": {"clarity": 8, …}}

In: requests of the team, or of the platform by a write key. Out: JSON; an answer that was sent
before is the same one. Says no with 400, 401, 403, 404, 413, 415, 503. Nobody proved who answered
elsewhere, so these count as unverified. Partners do not answer for their witnesses.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from lakeward.server import acting
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.handler import POST, Handler
from lakeward.server.intake import Request
from lakeward.server.invitations import Person
from lakeward.server.partners import CHANGE, MOST_BYTES, DeskRoom
from lakeward.server.routes import Found, Part
from lakeward.store.invitations import Form
from lakeward.store.responses import Answers

PARTS: Final = (
    Part(
        "answers", "/api/partners",
        ("/{id}/employee-feedback", "/{id}/customer-references", "/{id}/demo-reviews"),
    ),
)  # fmt: skip
KEY_LENGTH: Final = 48
RATED: Final = ("clarity", "relevance", "proof")
"""What a demo is rated by: whether one understands it, whether it shows what the CEO says that the
company offers, and whether it shows that this works."""


class Fed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What somebody answered elsewhere."""

    person: Person
    key: str
    """The sender's own name of this answer: sent twice, it is one."""
    form: Form | None = None
    scores: dict[str, int] = {}
    nps: int | None = None
    texts: dict[str, str] = {}
    months: int | None = None
    may_quote: bool = False
    at: str | None = None


class Reviewed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody of the team says of a demo."""

    demo_id: str
    scores: dict[str, int]
    comments: str = ""


class AnswerRoom(DeskRoom):
    """Answers for one worker."""

    parts = PARTS

    def handlers(self) -> dict[str, Handler]:
        """One for each kind of witness, and one for demos."""
        return {
            "answers": Handler(POST, None, self._employee),
            "answers/{id}/customer-references": Handler(POST, None, self._customer),
            "answers/{id}/demo-reviews": Handler(POST, None, self._review),
        }

    async def _employee(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._fed(request, found, ("employee",), "employee_feedback")

    async def _customer(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._fed(request, found, ("reference", "quarterly"), "customer_reference")

    async def _fed(
        self, request: Request, found: Found[Handler], forms: tuple[Form, ...], kind: str
    ) -> None:
        doer = await acting.doer(request, self._guard, kind)
        if doer.partner is not None:
            raise Refusal(403, "not_for_partners", "Partners do not answer for their witnesses.")
        wanted = "The body must have a `person`, a `key` and `scores`."
        asked = await acting.said(request, self._intake, Fed, wanted, MOST_BYTES)
        form = asked.form or forms[0]
        if form not in forms:
            raise Refusal(400, "bad_answer", f"`form` must be {' or '.join(forms)}.")
        answers = Answers(scores=asked.scores, nps=asked.nps, texts=asked.texts,
                          months=asked.months, may_quote=asked.may_quote)  # fmt: skip
        response, new = await self._aside(
            lambda: self._desk.import_answer(
                found.steps["id"], form, asked.person, answers, key=_key(asked.key),
                actor=doer.actor, at_ms=_moment(asked.at),
            )
        )  # fmt: skip
        said = {"response_id": response.response_id, "new": new,
                "completeness": response.completeness}  # fmt: skip
        await reply_json(request.send, said, 201 if new else 200)

    async def _review(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        doer = await acting.doer(request, self._guard, CHANGE)
        if doer.partner is not None:
            raise Refusal(403, "not_for_partners", "Partners do not rate their own demos.")
        wanted = f"The body must have a `demo_id` and `scores`: {', '.join(RATED)}, 1 to 10."
        asked = await acting.said(request, self._intake, Reviewed, wanted, 64 << 10)
        if not asked.scores or any(name not in RATED for name in asked.scores):
            raise Refusal(400, "bad_review", wanted)
        if any(not 1 <= score <= 10 for score in asked.scores.values()):
            raise Refusal(400, "bad_review", "`scores` are whole numbers from 1 to 10.")
        review = await self._aside(
            lambda: self._desk.review(
                found.steps["id"], asked.demo_id, asked.scores, asked.comments, doer.actor
            )
        )
        await reply_json(request.send, {"review_id": review.review_id}, 201)


def _key(text: str) -> str:
    if not (0 < len(text) <= KEY_LENGTH and text.isprintable()):
        raise Refusal(400, "bad_answer", f"`key` must have 1 to {KEY_LENGTH} printable characters.")
    return text


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment: datetime = msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
        return round(moment.timestamp() * 1000)
    except (msgspec.ValidationError, ValueError, OverflowError):
        raise Refusal(400, "bad_answer", "`at` must be like 2026-11-27T09:30:00Z.") from None
