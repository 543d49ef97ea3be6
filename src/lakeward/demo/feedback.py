"""The feedback form; who sent it may talk to the coach."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from lakeward.demo.partners import PARTNERS
from lakeward.demo.platform import Platform, onward

CATEGORIES: Final = ("communication", "expertise", "value")
SURVEY: Final = "platform-1"
Field = Annotated[str, Form(max_length=20)]
Comments = Annotated[str, Form(max_length=4000)]


def routes(platform: Platform) -> APIRouter:
    """The form, and what is done with it."""
    router = APIRouter()

    @router.get("/feedback")
    def form(request: Request) -> Response:
        platform.verified(request)
        return platform.page(request, "feedback", categories=CATEGORIES)

    @router.post("/feedback")
    def send(
        request: Request, communication: Field = "", expertise: Field = "", value: Field = "",
        overall: Field = "", nps: Field = "", recommend: Field = "", partner: Field = "",
        comments: Comments = "",
    ) -> Response:  # fmt: skip
        visitor = platform.verified(request)
        answers = (communication, expertise, value, overall)
        ratings = [_whole(text, 1, 10) for text in answers]
        likely = _whole(nps, 0, 10)
        given = [rating for rating in ratings if rating is not None]
        if len(given) < len(answers) or likely is None or partner not in ("", *PARTNERS):
            return platform.page(
                request, "feedback", 422,
                "Answer each question: from 1 to 10, and from 0 to 10 for the last one.",
                categories=CATEGORIES,
            )  # fmt: skip
        platform.outcomes.feedback_submitted(
            scores=dict(zip(CATEGORIES, map(float, given[:3]), strict=True)),
            overall=float(given[3]), nps=likely, recommend=recommend == "yes",
            comments=comments.strip() or None, subject="partner" if partner else "platform",
            survey=SURVEY, user_id=visitor["contractor_id"], user_type="contractor",
            partner_id=partner or None,
        )  # fmt: skip
        with platform.database.write() as connection:
            connection.execute(
                "UPDATE visitors SET feedback_at = ? WHERE token = ?",
                (platform.now(), visitor["token"]),
            )
        return onward(request, "/coach")

    return router


def _whole(text: str, least: int, most: int) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and least <= int(text) <= most else None
