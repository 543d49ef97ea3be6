"""The host's own callable sees every record, however it came, and cannot bring a secret back."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from conftest import Lake
from lakeward.capture.asgi import LakewardMiddleware


async def answer(_: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


def call(app: Any, path: str) -> int:
    async def go() -> int:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get(path)).status_code

    return asyncio.run(go())


def hide_path(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "path": "/hidden", "metadata": {"password": "s3cr3t-needle"}}


def test_it_is_applied_to_captured_calls_and_its_result_is_scrubbed_again(lake: Lake) -> None:
    collector = lake.collector(scrub=hide_path)
    app = LakewardMiddleware(Starlette(routes=[Route("/a", answer)]), collector)
    assert call(app, "/a?x=1") == 200
    collector.record("hello", path="/b")
    collector.commit(60)
    rows = lake.rows()
    assert [row["path"] for row in rows] == ["/hidden", "/hidden"]
    assert rows[0]["interaction_type"] == "api_call"
    assert rows[0]["query_params"] == {"x": "1"}
    assert all(row["metadata"] == {"password": "[REDACTED]"} for row in rows)


@pytest.mark.parametrize("bad", [lambda _: 1 / 0, lambda _: None])
def test_one_that_fails_drops_the_record_and_counts_it(lake: Lake, bad: Any) -> None:
    collector = lake.collector(scrub=bad)
    app = LakewardMiddleware(Starlette(routes=[Route("/a", answer)]), collector)
    assert call(app, "/a") == 200
    assert collector.record("hello") is None
    assert collector.stats()["reasons"] == {"scrub_failed": 2}
