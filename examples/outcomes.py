"""From a match to a deal with Lakeward: outcomes told by the routes where they happen.

    python examples/outcomes.py [PORT]
    curl -X POST -H 'x-user: c-17' localhost:8000/matches/p1
    curl -X POST -H 'x-user: c-17' localhost:8000/matches/p1/demo
    curl -X POST -H 'x-user: c-17' 'localhost:8000/matches/p1/deal?value=24000'
    lakeward query 'SELECT person, partner_id, value, match_score, booking_id FROM deals'

Needs FastAPI and uvicorn: `pip install '.[demo]'`, and the extra `lake` for the question.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Header

from lakeward import Collector
from lakeward.capture.asgi import install
from lakeward.outcomes import Outcomes


def who(scope: MutableMapping[str, Any]) -> tuple[str, str] | None:
    """The id and type of the caller; yours would look at what your login left in the scope."""
    user = dict(scope["headers"]).get(b"x-user")
    return (user.decode(), "contractor") if user else None


app = FastAPI()
collector = Collector.from_env()
install(app, collector, user=who, exclude=["/health"])
outcomes = Outcomes(collector)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/matches/{partner}")
def match(partner: str) -> dict[str, float]:
    outcomes.partner_match(partner_id=partner, score=87.5, rank=1, reasons=["same focus"])
    return {"score": 87.5}


@app.post("/matches/{partner}/demo")
def demo(partner: str, user: Annotated[str, Header(alias="x-user")]) -> dict[str, str]:
    booking = f"{user}-{partner}"
    outcomes.demo_booked(partner_id=partner, booking_id=booking, date="2026-12-01", time="10:30")
    return {"booking": booking}


@app.post("/matches/{partner}/deal")
def deal(partner: str, value: float) -> dict[str, float]:
    outcomes.deal_closed(partner_id=partner, value=value, currency="USD", deal_type="new")
    return {"value": value}


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
