"""Tests of an application that records with Lakeward, as they stand in the application's own suite.

    python -m pytest examples/test_shop.py

The fixtures `lakeward_collector` and `lakeward_clock` come with Lakeward; nothing is written
anywhere. Needs FastAPI and httpx: `pip install '.[demo]' httpx pytest`.
"""

from __future__ import annotations

import asyncio

import httpx
from fastapi import FastAPI, HTTPException, Request

from lakeward import Collector
from lakeward.capture.asgi import install
from lakeward.testing import (
    ABSENT,
    ANY,
    FrozenClock,
    MemoryCollector,
    assert_not_recorded,
    assert_recorded,
)


def create_app(collector: Collector) -> FastAPI:
    """The application. That it takes its collector as an argument is all that tests need."""
    app = FastAPI()
    install(app, collector, user=lambda scope: dict(scope["headers"]).get(b"x-user", b"").decode())

    @app.post("/api/partners/{partner_id}/demo")
    def book(partner_id: str, request: Request) -> dict[str, str]:
        if partner_id != "p1":
            raise HTTPException(404)
        day = request.query_params["day"]
        collector.record("demo_booking", partner_id=partner_id, status="booked", date=day)
        return {"status": "booked"}

    return app


def post(app: FastAPI, url: str, **headers: str) -> httpx.Response:
    """One request to the application, in this process."""

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.post(url, headers=headers)

    return asyncio.run(once())


def test_a_booking_is_recorded_and_joined_to_its_call(lakeward_collector: MemoryCollector) -> None:
    app = create_app(lakeward_collector)
    post(app, "/api/partners/p1/demo?day=2025-09-01", **{"x-user": "c-17"})
    call = assert_recorded(
        lakeward_collector,
        "api_call",
        route="/api/partners/{partner_id}/demo",
        response_status=200,
        user_id="c-17",
        response_time_ms=lambda ms: ms < 5_000,
    )
    assert_recorded(
        lakeward_collector,
        "demo_booking",
        partner_id="p1",
        date="2025-09-01",
        user_id="c-17",
        session_id=ANY,
        parent_interaction_id=call["interaction_id"],
    )


def test_a_partner_that_is_not_there_books_nothing(lakeward_collector: MemoryCollector) -> None:
    app = create_app(lakeward_collector)
    post(app, "/api/partners/p2/demo?day=2025-09-01")
    assert_recorded(lakeward_collector, "api_call", response_status=404)
    assert_not_recorded(lakeward_collector, "demo_booking")


def test_a_day_that_is_none_is_refused_by_the_type(lakeward_collector: MemoryCollector) -> None:
    app = create_app(lakeward_collector)
    post(app, "/api/partners/p1/demo?day=tomorrow")
    assert_not_recorded(lakeward_collector, "demo_booking")
    [refused] = lakeward_collector.quarantined
    assert "`date`" in refused["reason"]


def test_a_token_in_the_query_is_never_stored(lakeward_collector: MemoryCollector) -> None:
    app = create_app(lakeward_collector)
    post(app, "/api/partners/p1/demo?day=2025-09-01&token=s3cr3t")
    assert_recorded(
        lakeward_collector,
        "api_call",
        query_params={"day": "2025-09-01", "token": "[REDACTED]"},
        request_body=ABSENT,
    )


def test_the_session_ends_with_the_day(
    lakeward_collector: MemoryCollector, lakeward_clock: FrozenClock
) -> None:
    app = create_app(lakeward_collector)
    post(app, "/api/partners/p1/demo?day=2025-09-01")
    lakeward_clock.set("2025-08-15T00:00:00Z")
    post(app, "/api/partners/p1/demo?day=2025-09-01")
    first, second = assert_recorded(lakeward_collector, "api_call", times=2)
    assert first["session_id"] != second["session_id"]
    assert second["timestamp"] == "2025-08-15T00:00:00.000Z"
