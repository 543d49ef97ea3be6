"""Outcomes of a served app join the call, the session and, weeks later, the deal."""

from __future__ import annotations

import contextvars
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from conftest import Lake
from lakeward.capture.asgi import install
from lakeward.cli import main
from lakeward.collector import Collector
from lakeward.interaction import iso, parse_iso
from lakeward.outcomes import Outcomes
from servers import settled, uvicorn

SESSION = "0198a959-c225-7f8b-8d56-238c645cadb6"
MATCH, BOOK, THREAD = "/matches/p1", "/matches/p1/demo", "/matches/p1/later"
WEEKS_LATER = """
import sys
from lakeward import Collector
from lakeward.outcomes import Outcomes

with Collector.from_env() as collector:
    outcomes = Outcomes(collector)
    assert outcomes.deal_closed(
        user_id="c-17", partner_id="p1", deal_id="d-1", value=24000.0, currency="USD",
        timestamp=sys.argv[1],
    )
    collector.commit()
"""


def site() -> Starlette:
    """An app whose routes tell outcomes: at once, and from a thread that the call starts."""
    collector = Collector.from_env()
    outcomes = Outcomes(collector)

    async def match(_: Request) -> JSONResponse:
        return JSONResponse({"id": outcomes.partner_match(partner_id="p1", score=87.5, rank=1)})

    def demo(_: Request) -> JSONResponse:
        return JSONResponse({"id": outcomes.demo_booked(partner_id="p1", booking_id="b-1")})

    def later(_: Request) -> JSONResponse:
        context, told = contextvars.copy_context(), []

        def tell() -> None:
            told.append(outcomes.demo_held(partner_id="p1", booking_id="b-1"))

        thread = threading.Thread(target=context.run, args=(tell,))
        thread.start()
        thread.join()
        return JSONResponse({"id": told[0]})

    app = Starlette(
        routes=[
            Route("/matches/{partner}", match, methods=["POST"]),
            Route("/matches/{partner}/demo", demo, methods=["POST"]),
            Route("/matches/{partner}/later", later, methods=["POST"]),
        ]
    )
    install(app, collector, user=lambda _: ("c-17", "contractor"))
    return app


def visited(lake: Lake, folder: Path) -> dict[str, dict[str, Any]]:
    """The outcome of each call by its path, after one visit over a real socket."""
    told = {}
    with uvicorn("test_outcomes_joined:site", lake.process_env(), folder=folder) as server:
        for path in (MATCH, BOOK, THREAD):
            answer = httpx.post(server.url + path, headers={"x-session-id": SESSION}, timeout=120)
            told[path] = answer.raise_for_status().json()["id"]
    assert settled(lake, 6).ok
    rows = {row["interaction_id"]: row for row in lake.rows()}
    return {path: rows[identifier] for path, identifier in told.items()}


def asked(lake: Lake, query: str, answer: pytest.CaptureFixture[bytes]) -> list[dict[str, Any]]:
    """What `lakeward query` prints."""
    assert main(["query", query, "--lake", str(lake.root), "--format", "json"]) == 0
    found: list[dict[str, Any]] = json.loads(answer.readouterr().out)
    return found


def test_each_outcome_joins_its_call_and_all_of_them_the_session(
    lake: Lake, tmp_path: Path
) -> None:
    outcomes = visited(lake, tmp_path)
    calls = {row["path"]: row for row in lake.rows() if row["interaction_type"] == "api_call"}
    assert set(outcomes) == set(calls)
    for path, row in outcomes.items():
        assert row["parent_interaction_id"] == calls[path]["interaction_id"], path
        assert row["trace_id"] == calls[path]["trace_id"], path
        assert (row["user_id"], row["user_type"]) == ("c-17", "contractor")
    assert {row["session_id"] for row in outcomes.values()} == {SESSION}
    assert len({row["trace_id"] for row in outcomes.values()}) == 3


def test_a_deal_of_another_process_weeks_later_finds_match_and_demo(
    lake: Lake, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    outcomes = visited(lake, tmp_path)
    match = outcomes[MATCH]
    at = iso(parse_iso(match["timestamp"]) + 35 * 86_400_000)
    subprocess.run(
        [sys.executable, "-W", "error", "-c", WEEKS_LATER, at],
        env=lake.process_env(), cwd=tmp_path, check=True, timeout=120,
    )  # fmt: skip
    deals = asked(lake, "SELECT * EXCLUDE (interaction_id, closed_at, matched_at) FROM deals",
                  capsysbinary)  # fmt: skip
    assert deals == [
        {"service": None, "deal_id": "d-1", "person": "c-17", "partner_id": "p1", "value": 24000.0,
         "currency": "USD", "deal_type": None, "contract_months": None, "days_to_close": None,
         "satisfaction": None, "match_interaction_id": match["interaction_id"],
         "match_score": 87.5, "match_rank": 1, "days_from_match": 35.0, "booking_id": "b-1"}
    ]  # fmt: skip
    query = "SELECT interaction_id, booked_at <= held_at AS held, deals FROM matches"
    assert asked(lake, query, capsysbinary) == [
        {"interaction_id": match["interaction_id"], "held": True, "deals": 1}
    ]
    query = "SELECT DISTINCT session_id FROM interactions WHERE interaction_type <> 'deal_closed'"
    assert asked(lake, query, capsysbinary) == [{"session_id": SESSION}]
