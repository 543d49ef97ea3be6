"""One app, one origin: a click, the API call that it causes and the outcome are one trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conftest import Lake, wait_until
from test_mount import host

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

APP = '''
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from lakeward.capture.asgi import install
from lakeward.collector import Collector
from lakeward.server.mount import mounted

collector = Collector.from_env()
PAGE = """<!doctype html><html lang="en"><head><title>Partners</title>
<script src="/_lakeward/lakeward.js" defer></script></head>
<body><button id="book" onclick="fetch('/api/book', {method: 'POST'})">Book</button>
<button id="old" onclick="const r = new XMLHttpRequest(); r.open('GET', '/api/old'); r.send()">
Old</button></body></html>"""

async def page(request):
    return HTMLResponse(PAGE)

async def call(request):
    return PlainTextResponse("hello")

async def book(request):
    collector.record("demo_booking", user_id="u1", partner_id="p9", status="booked")
    return JSONResponse({})

app = Starlette(routes=[
    Route("/", page), Route("/call", call), Route("/api/book", book, methods=["POST"]),
    Route("/api/old", call), Mount("/_lakeward", mounted(collector)),
])
install(app, collector=collector)
'''


def test_a_click_its_calls_and_their_outcome_are_one_trace_without_any_key(
    lake: Lake, tmp_path: Path, browser: Any
) -> None:
    with host(lake, tmp_path, APP) as client:
        page = browser.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(str(client.base_url))
        page.wait_for_function("window.lakeward")
        page.click("#book")
        page.click("#old")

        def of(kind: str, **fields: Any) -> list[dict[str, Any]]:
            return [
                row
                for row in lake.rows()
                if row["interaction_type"] == kind and fields.items() <= row.items()
            ]

        wait_until(lambda: len(of("click")) == 2 and bool(of("demo_booking")), what="the clicks")
        wait_until(lambda: bool(of("api_call", path="/api/old")), what="the calls")
        page.close()
        book, old = of("click")
        (booking,) = of("demo_booking")
        (call,) = of("api_call", path="/api/book")
        (other,) = of("api_call", path="/api/old")
        assert {book["trace_id"]} == {call["trace_id"], booking["trace_id"]}
        assert call["parent_interaction_id"] == book["interaction_id"]
        assert booking["parent_interaction_id"] == call["interaction_id"]
        assert (other["trace_id"], other["parent_interaction_id"]) == (
            old["trace_id"], old["interaction_id"]
        )  # fmt: skip
        assert old["trace_id"] != book["trace_id"]
        (view,) = [row for row in of("page_view") if "engagement_ms" not in row["properties"]]
        assert {view["session_id"]} == {row["session_id"] for row in (book, old, call, booking)}
        assert complaints == []
        assert not of("api_call", path="/_lakeward/v1/interactions")
