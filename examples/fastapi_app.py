"""A FastAPI application with Lakeward: users, excluded paths, bodies of one route, an outcome.

    python examples/fastapi_app.py [PORT]
    curl -H 'x-user: c-17' -d '{"focus": "crm", "api_key": "k-1"}' \\
         -H 'content-type: application/json' localhost:8000/api/match

Needs FastAPI and uvicorn: `pip install '.[demo]'`.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from lakeward import Collector
from lakeward.capture.asgi import install
from lakeward.capture.body import BodyRule


class Wish(BaseModel):
    """What a contractor looks for."""

    focus: str


def who(scope: MutableMapping[str, Any]) -> tuple[str, str] | None:
    """The id and type of the caller; yours would look at what your login left in the scope."""
    user = dict(scope["headers"]).get(b"x-user")
    return (user.decode(), "contractor") if user else None


app = FastAPI()
collector = Collector.from_env()
install(
    app,
    collector,
    user=who,
    exclude=["/health", "/static/*"],
    bodies=[BodyRule("/api/match")],
)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/api/match")
def match(wish: Wish) -> dict[str, str]:
    collector.record("partner_match", partner_id="p1", score=87.5, focus_areas=[wish.focus])
    return {"partner_id": "p1"}


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
