"""A contractor-partner platform in miniature: FastAPI, in memory, captured by Lakeward.

Serve it with `uvicorn lakeward.demo.app:create --factory`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, HTTPException
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field

from lakeward import Collector
from lakeward.capture.asgi import install

PARTNERS = {
    "p1": {"name": "Northbuild Systems", "focus": ["scheduling", "crm"], "revenue": "1-5m"},
    "p2": {"name": "Ledgerline", "focus": ["accounting", "payroll"], "revenue": "5-10m"},
    "p3": {"name": "Crewboard", "focus": ["hiring", "scheduling"], "revenue": "1-5m"},
}
WORDS = ("Start", "with", "what", "your", "foreman", "complains", "about", "every", "week")


class Verification(BaseModel):
    """First step of the contractor flow."""

    email: str = Field(min_length=3)
    code: str = Field(min_length=4, max_length=8)


class Wish(BaseModel):
    """What a contractor looks for."""

    contractor: str
    focus: list[str]


class Booking(BaseModel):
    """A demo to book."""

    contractor: str
    partner: str
    date: str


def create() -> FastAPI:
    """The application, with capture outermost."""
    app = FastAPI(title="Lakeward demo")
    collector = Collector.from_env()
    install(app, collector)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/api/partners")
    async def partners(focus: str | None = None) -> list[dict[str, object]]:
        return [
            {"id": key, **partner}
            for key, partner in PARTNERS.items()
            if focus is None or focus in partner["focus"]
        ]

    @app.get("/api/partners/{partner}")
    async def one(partner: str) -> dict[str, object]:
        if partner not in PARTNERS:
            raise HTTPException(404, "no such partner")
        return {"id": partner, **PARTNERS[partner]}

    @app.post("/api/verification")
    async def verify(verification: Verification) -> dict[str, bool]:
        collector.record("flow_step", flow="contractor", step="verification")
        return {"verified": verification.code != "0000"}

    @app.get("/invite/{token}")
    async def invite(token: str) -> PlainTextResponse:
        return PlainTextResponse(f"welcome ({len(token)} characters)")

    @app.post("/api/match")
    async def match(wish: Wish) -> dict[str, object]:
        scores = {
            key: 100.0 * len(set(wish.focus) & set(partner["focus"])) / max(len(wish.focus), 1)
            for key, partner in PARTNERS.items()
        }
        best = max(scores, key=lambda key: scores[key])
        collector.record(
            "partner_match", user_id=wish.contractor, user_type="contractor", partner_id=best,
            score=scores[best], primary=True, focus_areas=wish.focus,
        )  # fmt: skip
        return {"partner": best, "score": scores[best]}

    @app.post("/api/demos", status_code=201)
    async def book(booking: Booking) -> dict[str, str]:
        collector.record(
            "demo_booking", user_id=booking.contractor, user_type="contractor",
            partner_id=booking.partner, status="booked", date=booking.date,
        )  # fmt: skip
        return {"status": "booked"}

    @app.get("/api/coach")
    async def coach() -> StreamingResponse:
        async def words() -> AsyncIterator[str]:
            for word in WORDS:
                await asyncio.sleep(0)
                yield f"data: {word}\n\n"

        return StreamingResponse(words(), media_type="text/event-stream")

    @app.get("/api/report")
    async def report() -> dict[str, str]:
        raise RuntimeError("the report generator is broken on purpose")

    return app
