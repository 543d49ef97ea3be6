"""The way in mounted inside the host's own application, under the host's own origin."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import Lake, wait_until
from lakeward.server.mount import mounted
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from servers import free_port

APP = """
import os
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from lakeward.capture.asgi import install
from lakeward.collector import Collector
from lakeward.server.mount import mounted

collector = Collector.from_env()

async def call(request):
    return PlainTextResponse("hello")

app = Starlette(routes=[
    Route("/call", call),
    Mount("/_lakeward", mounted(collector, own_pages=os.environ.get("OWN", "1") == "1")),
])
install(app, collector=collector)
"""


@contextmanager
def host(lake: Lake, folder: Path, source: str = APP, **env: str) -> Iterator[httpx.Client]:
    """A real app under uvicorn, with two workers."""
    (folder / "host_app.py").write_text(source)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "host_app:app", "--port", str(port),
               "--workers", "2", "--log-level", "warning"]  # fmt: skip
    process = subprocess.Popen(command, cwd=folder, env=lake.process_env(**env))
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, verify=False)

    def answers() -> bool:
        try:
            return client.get("/call").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, what="the app's start")
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(120)


def own_page(client: httpx.Client) -> dict[str, str]:
    return {"origin": str(client.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}


VIEW: dict[str, object] = {"interaction_type": "page_view", "path": "/partners"}


def test_the_apps_own_pages_send_under_its_origin_and_calls_land_in_the_same_lake(
    lake: Lake, tmp_path: Path
) -> None:
    with host(lake, tmp_path) as client:
        answer = client.post("/_lakeward/v1/interactions", json=VIEW, headers=own_page(client))
        assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})
        client.get("/call")

        def kinds() -> set[str]:
            return {row["interaction_type"] for row in lake.rows()}

        wait_until(lambda: {"api_call", "page_view"} <= kinds(), what="both kinds")
        views = [row for row in lake.rows() if row["interaction_type"] == "page_view"]
        assert len(views) == 1
        assert all(row["path"] == "/call" for row in lake.rows() if row not in views), (
            "what Lakeward is sent is no call of the app"
        )


def test_own_pages_send_what_any_page_may_and_others_need_a_key(lake: Lake, tmp_path: Path) -> None:
    with host(lake, tmp_path) as client:
        path, own = "/_lakeward/v1/interactions", own_page(client)
        deal = {"interaction_type": "deal_closed", "value": 1, "user_id": "u1"}
        refused = client.post(path, json=deal, headers=own).json()["rejected"]
        assert refused == [{"index": 0, "reason": "This key may not send that `interaction_type`."}]
        for headers in ({}, {"origin": "https://evil.example"},
                        {**own, "sec-fetch-site": "cross-site"}):  # fmt: skip
            answer = client.post(path, json=VIEW, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "no_key")
        with open_database(load(lake.env, tmp_path)) as database:
            _, secret = Keys(database).create("write", "backend", actor="test", types=["*"])
        keyed = {"authorization": f"Bearer {secret}"}
        wait_until(lambda: client.post(path, json=deal, headers=keyed).status_code == 200)


def test_without_own_pages_everybody_needs_a_key(lake: Lake, tmp_path: Path) -> None:
    with host(lake, tmp_path, OWN="0") as client:
        answer = client.post("/_lakeward/v1/interactions", json=VIEW, headers=own_page(client))
        assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/", "/v1/live", "/metrics", "/v1/summary", "/static/x/y"])
def test_what_is_read_is_not_mounted(lake: Lake, tmp_path: Path, path: str) -> None:
    with host(lake, tmp_path) as client:
        assert client.get("/_lakeward" + path).status_code == 404


def test_a_batch_larger_than_the_rings_frame_goes_in_in_parts(lake: Lake, tmp_path: Path) -> None:
    with host(lake, tmp_path, LAKEWARD_FRAME_BYTES="64KiB") as client:
        batch = [VIEW | {"title": "t" * 5000, "view_id": f"v{n}"} for n in range(40)]
        batch.append(VIEW | {"properties": {"big": ["x" * 1000] * 100}})
        answer = client.post("/_lakeward/v1/interactions", json=batch, headers=own_page(client))
        assert answer.json()["accepted"] == 40
        assert [refused["index"] for refused in answer.json()["rejected"]] == [40]
        assert len([r for r in lake.rows() if r["interaction_type"] == "page_view"]) == 40


def test_opening_that_fails_again_and_again_is_said_once_and_leaves_no_thread_behind(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    collector = lake.collector(LAKEWARD_PATHS="nothing=/x")
    refused = mounted(collector)

    async def ask() -> list[int]:
        statuses: list[int] = []

        async def send(message: dict[str, Any]) -> None:
            statuses.append(message.get("status", 0))

        scope = {"type": "http", "method": "GET", "path": "/lakeward.js", "headers": []}
        for _ in range(5):
            await refused(scope, None, send)  # type: ignore[arg-type]  # nothing is received
        return [status for status in statuses if status]

    with caplog.at_level("ERROR"):
        assert asyncio.run(ask()) == [503] * 5
    (said,) = caplog.messages
    assert "LAKEWARD_PATHS: 'nothing=/x' must be like" in said
    assert "lakeward-keyring" not in {thread.name for thread in threading.enumerate()}


def test_a_lake_that_cannot_be_opened_harms_nobody_but_the_sender(
    lake: Lake, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with host(lake, tmp_path, LAKEWARD_LAKE_DIR=str(blocked)) as client:
        answer = client.post("/_lakeward/v1/interactions", json=VIEW, headers=own_page(client))
        assert (answer.status_code, answer.json()["code"]) == (503, "not_open")
        assert client.get("/call").text == "hello"
