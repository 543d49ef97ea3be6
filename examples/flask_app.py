"""A Flask application with Lakeward: users, an outcome, a job, and a trace into another app.

    python examples/flask_app.py [PORT]
    curl -H 'x-user: c-17' localhost:8000/api/partners/7

Needs Flask: `pip install flask`.
"""

from __future__ import annotations

import sys

from flask import Flask, Request

from lakeward import Collector
from lakeward.capture.flask import install
from lakeward.capture.job import job


def who(request: Request) -> tuple[str, str] | None:
    """The id and type of the caller; within the request's context, so `g` and `session` work."""
    user = request.headers.get("x-user")
    return (user, "contractor") if user else None


app = Flask(__name__)
collector = Collector.from_env()


@app.get("/health")
def health() -> str:
    return "ok"


@app.get("/api/partners/<int:partner_id>")
def partner(partner_id: int) -> dict[str, int]:
    with job("score", collector):
        collector.record("partner_match", partner_id=str(partner_id), score=87.5)
    return {"partner_id": partner_id}


install(app, collector, user=who)


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
