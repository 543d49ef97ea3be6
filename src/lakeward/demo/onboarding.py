"""How a partner joins: company, focus areas, value proposition, review."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from lakeward.demo import journey
from lakeward.demo.partners import FOCUS_AREAS, REVENUE_TIERS
from lakeward.demo.platform import (
    Platform,
    Problem,
    agent_of,
    decoded,
    encoded,
    onward,
    with_cookie,
)
from lakeward.demo.verification import EMAIL

Field = Annotated[str, Form(max_length=300)]
Fields = Annotated[list[str], Form(max_length=20)]
STEPS: Final = journey.FLOWS["partner_onboarding"]


def routes(platform: Platform) -> APIRouter:
    """The pages of joining."""
    router = APIRouter()
    _company(router, platform)
    _offer(router, platform)
    _review(router, platform)
    return router


def _company(router: APIRouter, platform: Platform) -> None:
    @router.get("/join")
    def form(request: Request) -> Response:
        visitor, token = platform.welcome(request)
        owner, new = _joining(platform, visitor)
        request.scope["demo.user"] = owner, "partner"
        journey.entered(platform, "partner_onboarding", "company", owner)
        if new:
            _tell(platform, owner, "started", None, 0)
        return with_cookie(request, platform.page(request, "join"), token)

    @router.post("/join")
    def company(
        request: Request, company: Field = "", email: Field = "", name: Field = ""
    ) -> Response:  # fmt: skip
        owner = _begun(platform, request)["join_id"]
        if not company.strip() or not name.strip() or not EMAIL.fullmatch(email.strip()):
            sentence = "Tell us the company, your name, and an e-mail address that works."
            return platform.page(request, "join", 422, sentence)
        _keep(platform, owner, company=company.strip(), email=email.strip(), name=name.strip())
        _step_done(platform, owner, "company", 1)
        return onward(request, "/join/focus")


def _offer(router: APIRouter, platform: Platform) -> None:
    @router.get("/join/focus")
    def areas(request: Request) -> Response:
        owner = _begun(platform, request)["join_id"]
        journey.entered(platform, "partner_onboarding", "focus_areas", owner)
        return platform.page(request, "join_focus")

    @router.post("/join/focus")
    def chosen(request: Request, focus: Fields = []) -> Response:  # noqa: B006 - FastAPI copies it
        owner = _begun(platform, request)["join_id"]
        if not focus or not set(focus) <= set(FOCUS_AREAS):
            return platform.page(request, "join_focus", 422, "Choose at least one area.")
        _keep(platform, owner, focus=encoded(sorted(set(focus))))
        _step_done(platform, owner, "focus_areas", 2)
        return onward(request, "/join/proposition")

    @router.get("/join/proposition")
    def offer(request: Request) -> Response:
        owner = _begun(platform, request)["join_id"]
        journey.entered(platform, "partner_onboarding", "value_proposition", owner)
        return platform.page(request, "join_proposition")

    @router.post("/join/proposition")
    def told(
        request: Request,
        proposition: Annotated[str, Form(max_length=2000)] = "",
        revenue: Fields = [],  # noqa: B006 - FastAPI copies it
    ) -> Response:
        owner = _begun(platform, request)["join_id"]
        if not proposition.strip() or not revenue or not set(revenue) <= set(REVENUE_TIERS):
            sentence = "Tell us in a sentence what you offer, and for which companies."
            return platform.page(request, "join_proposition", 422, sentence)
        _keep(
            platform, owner, proposition=proposition.strip(), revenue=encoded(sorted(set(revenue)))
        )  # fmt: skip
        _step_done(platform, owner, "value_proposition", 3)
        return onward(request, "/join/review")


def _review(router: APIRouter, platform: Platform) -> None:
    @router.get("/join/review")
    def review(request: Request) -> Response:
        row = _begun(platform, request)
        journey.entered(platform, "partner_onboarding", "review", row["join_id"])
        return platform.page(request, "join_review", join=row, areas=decoded(row["focus"]))

    @router.post("/join/review")
    def agreed(request: Request, agree: Field = "") -> Response:
        row = _begun(platform, request)
        if agree != "yes" or not (row["company"] and row["focus"] and row["proposition"]):
            sentence = "Answer the questions before, then tick that all of it is right."
            return platform.page(
                request, "join_review", 422, sentence, join=row, areas=decoded(row["focus"])
            )  # fmt: skip
        owner = row["join_id"]
        if _step_done(platform, owner, "review", 4):
            _keep(platform, owner, completed_at=platform.now())
            device, browser = agent_of(request)
            journey.finished(platform, "partner_onboarding", owner, device, browser, None)
            _tell(platform, owner, "completed", None, 4)
        return onward(request, "/join/done")

    @router.get("/join/done")
    def done(request: Request) -> Response:
        row = _begun(platform, request)
        if row["completed_at"] is None:
            raise Problem(409, "There are questions left: go on at “Become a partner”.")
        return platform.page(request, "join_done", company=row["company"])


def _joining(platform: Platform, visitor: sqlite3.Row) -> tuple[str, bool]:
    """The visitor's id as a partner to be, and whether it is new."""
    fresh = f"n-{secrets.token_hex(6)}"
    with platform.database.write() as connection:
        owner: str = connection.execute(
            "UPDATE visitors SET join_id = coalesce(join_id, ?) WHERE token = ? RETURNING join_id",
            (fresh, visitor["token"]),
        ).fetchone()[0]
        connection.execute(
            "INSERT OR IGNORE INTO joins (join_id, started_at) VALUES (?, ?)",
            (owner, platform.now()),
        )
    return owner, owner == fresh


def _begun(platform: Platform, request: Request) -> sqlite3.Row:
    visitor = platform.visitor(request)
    if visitor is None or visitor["join_id"] is None:
        raise Problem(403, "Begin at “Become a partner”.")
    request.scope["demo.user"] = visitor["join_id"], "partner"
    with platform.database.read() as connection:
        row: sqlite3.Row = connection.execute(
            "SELECT * FROM joins WHERE join_id = ?", (visitor["join_id"],)
        ).fetchone()
    return row


def _step_done(platform: Platform, owner: str, step: str, number: int) -> bool:
    first = journey.completed(platform, "partner_onboarding", step, owner)
    if first:
        _tell(platform, owner, "step_completed", step, number)
    return first


def _tell(
    platform: Platform, owner: str, status: Literal["started", "step_completed", "completed"],
    step: str | None, done: int,
) -> None:  # fmt: skip
    with platform.database.read() as connection:
        row = connection.execute("SELECT * FROM joins WHERE join_id = ?", (owner,)).fetchone()
    platform.outcomes.partner_onboarding(
        status=status, step=step, steps_completed=done, steps_total=len(STEPS),
        seconds=round(platform.now() - row["started_at"], 3), source="website",
        focus_areas=decoded(row["focus"]) or None, revenue_tiers=decoded(row["revenue"]) or None,
        partner_id=owner, user_id=owner, user_type="partner",
    )  # fmt: skip


def _keep(platform: Platform, owner: str, **values: object) -> None:
    columns = ", ".join(f"{name} = ?" for name in values)
    with platform.database.write() as connection:
        connection.execute(
            f"UPDATE joins SET {columns} WHERE join_id = ?",  # noqa: S608 - our own names
            (*values.values(), owner),
        )
