"""The contractor's flow after the verification: focus areas, profile, matching, completion."""

from __future__ import annotations

import sqlite3
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from lakeward.demo import journey
from lakeward.demo.experiment import CONTROL, EXPERIMENT
from lakeward.demo.matching import ALGORITHM, Match, Wishes, matches
from lakeward.demo.partners import (
    FOCUS_AREAS,
    PARTNERS,
    READINESS,
    REVENUE_TIERS,
    TEAMS,
    content_for,
)
from lakeward.demo.platform import (
    Platform,
    Problem,
    agent_of,
    decoded,
    encoded,
    onward,
)

Field = Annotated[str, Form(max_length=300)]


def routes(platform: Platform) -> APIRouter:
    """The flow's pages."""
    router = APIRouter()
    _wishes(router, platform)
    _matching(router, platform)
    return router


def _wishes(router: APIRouter, platform: Platform) -> None:
    @router.get("/focus")
    def focus(request: Request) -> Response:
        visitor = platform.verified(request)
        journey.entered(platform, "contractor", "focus_areas", visitor["contractor_id"])
        return platform.page(request, "focus")

    @router.post("/focus")
    def chosen(
        request: Request, first: Field = "", second: Field = "", third: Field = ""
    ) -> Response:  # fmt: skip
        visitor = platform.verified(request)
        areas = [area for area in (first, second, third) if area]
        if not areas or len(set(areas)) < len(areas) or not set(areas) <= set(FOCUS_AREAS):
            sentence = "Choose up to three different areas, the most important first."
            return platform.page(request, "focus", 422, sentence)
        _keep(platform, visitor["token"], focus=encoded(areas))
        journey.completed(platform, "contractor", "focus_areas", visitor["contractor_id"])
        return onward(request, "/profile")

    @router.get("/profile")
    def profile(request: Request) -> Response:
        visitor = platform.verified(request)
        journey.entered(platform, "contractor", "business_profile", visitor["contractor_id"])
        return platform.page(request, "profile")

    @router.post("/profile")
    def told(
        request: Request, revenue: Field = "", team: Field = "", readiness: Field = ""
    ) -> Response:  # fmt: skip
        visitor = platform.verified(request)
        known = revenue in ("", *REVENUE_TIERS) and team in TEAMS and readiness in READINESS
        if not known or not visitor["focus"]:
            sentence = "Choose an answer to each question; your revenue may stay open."
            return platform.page(request, "profile", 422, sentence)
        _keep(
            platform, visitor["token"], revenue=revenue or None, team=team, readiness=readiness
        )  # fmt: skip
        journey.completed(platform, "contractor", "business_profile", visitor["contractor_id"])
        _tell_matches(
            platform, platform.verified(request)
        )  # in the trace of the form that led here
        return onward(request, "/matches")


def _matching(router: APIRouter, platform: Platform) -> None:
    @router.get("/matches")
    def shown(request: Request) -> Response:
        visitor = platform.verified(request)
        if not visitor["readiness"]:
            raise Problem(409, "Tell us about your business first, at “Business profile”.")
        owner = visitor["contractor_id"]
        _tell_matches(platform, visitor)  # who chose other areas comes here without the profile
        journey.entered(platform, "contractor", "matching", owner)
        found = platform.flags.evaluate(EXPERIMENT, {"user_id": owner})
        return platform.page(
            request, "matches", matches=matched(platform, visitor), first=found.value,
            variant=found.assigned.key if found.assigned else CONTROL,
        )  # fmt: skip

    @router.post("/matches")
    def choose(request: Request, partner: Field = "") -> Response:
        visitor = platform.verified(request)
        owner = visitor["contractor_id"]
        with platform.database.read() as connection:
            seen = connection.execute(
                "SELECT 1 FROM matches WHERE contractor_id = ? AND partner_id = ? "
                "AND place IS NOT NULL",
                (owner, partner),
            ).fetchone()
        if seen is None:
            raise Problem(422, "Choose one of the partners that we show you.")
        _keep(platform, visitor["token"], chosen=partner, completed_at=platform.now())
        journey.completed(platform, "contractor", "matching", owner)
        if journey.completed(platform, "contractor", "completion", owner):
            device, browser = agent_of(request)
            journey.finished(
                platform, "contractor", owner, device, browser, visitor["referrer"]
            )  # fmt: skip
        return onward(request, "/done")

    @router.get("/done")
    def done(request: Request) -> Response:
        visitor = platform.verified(request)
        if not visitor["chosen"]:
            raise Problem(409, "Choose a partner first, at “Your matches”.")
        return platform.page(request, "done", partner=PARTNERS[visitor["chosen"]])


def matched(platform: Platform, visitor: sqlite3.Row) -> list[Match]:
    """The partners that suit a contractor, as they stand now."""
    wishes = Wishes(tuple(decoded(visitor["focus"])), visitor["revenue"], visitor["readiness"])
    return matches(wishes, platform.standings.partners)


def _tell_matches(platform: Platform, visitor: sqlite3.Row) -> None:
    """Keep who suits, and tell it once for the same wishes."""
    found = matched(platform, visitor)
    owner, focus = visitor["contractor_id"], decoded(visitor["focus"])
    if not _kept(platform, visitor, found):
        return
    podcast, event = (content_for(kind, tuple(focus)) for kind in ("podcast", "event"))
    for place, match in enumerate(found, 1):
        told = platform.outcomes.partner_match(
            partner_id=match.partner.partner_id, user_id=owner, user_type="contractor",
            score=match.score, rank=place, primary=place == 1, reasons=match.reasons,
            score_parts=match.parts, candidates=len(PARTNERS), algorithm=ALGORITHM,
            focus_areas=focus, revenue_tier=visitor["revenue"], stage=visitor["readiness"],
            podcast_matched=podcast.content_id if podcast else False,
            event_matched=event.content_id if event else False,
        )  # fmt: skip
        with platform.database.write() as connection:
            connection.execute(
                "UPDATE matches SET interaction_id = ? WHERE contractor_id = ? AND partner_id = ?",
                (told, owner, match.partner.partner_id),
            )


def _kept(platform: Platform, visitor: sqlite3.Row, found: list[Match]) -> bool:
    """Whether these wishes are new: their matches stand in the place of the ones before."""
    owner = visitor["contractor_id"]
    wishes = encoded([visitor["focus"], visitor["revenue"], visitor["readiness"]])
    with platform.database.write() as connection:
        fresh = connection.execute(
            "UPDATE visitors SET matched_for = ? WHERE token = ? AND matched_for IS NOT ?",
            (wishes, visitor["token"], wishes),
        ).rowcount
        if not fresh:
            return False
        connection.execute("UPDATE matches SET place = NULL WHERE contractor_id = ?", (owner,))
        connection.executemany(
            "INSERT OR REPLACE INTO matches VALUES (?, ?, ?, ?, ?, NULL, ?)",
            [(owner, match.partner.partner_id, place, match.score, encoded(match.reasons),
              platform.now()) for place, match in enumerate(found, 1)],
        )  # fmt: skip
    return True


def _keep(platform: Platform, token: str, **values: object) -> None:
    columns = ", ".join(f"{name} = ?" for name in values)
    with platform.database.write() as connection:
        connection.execute(
            f"UPDATE visitors SET {columns} WHERE token = ?",  # noqa: S608 - our own names
            (*values.values(), token),
        )
