"""A handler that fails: the client is told nothing of the inside, the log nothing of the client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from conftest import Lake
from lakeward.server.answer import Headers
from lakeward.server.app import Server
from lakeward.server.gauges import Gauges
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, Handler
from lakeward.server.intake import Request, intake_of
from lakeward.server.rates import Rates
from lakeward.server.routes import Found, Part
from lakeward.store.keys import Keyring

KEY = "lwk_w_" + "A" * 49


class Broken:
    """A room that always fails."""

    parts = (Part("broken", "/broken", ("/{key}",)),)

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing depends on it."""

    def handlers(self) -> Mapping[str, Handler]:
        return {"broken": Handler(GET, None, self._fail)}

    async def _fail(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        raise RuntimeError(f"secret of {found.steps['key']}")


def test_a_failure_is_a_500_that_says_nothing_and_a_line_that_names_the_part(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    collector = lake.collector()
    guard, gauges = Guard(Keyring([]), loopback=True), Gauges(None, 0, 1)
    intake = intake_of(collector, guard, Rates(None, b"k"), gauges)
    server = Server(collector, guard, intake, gauges, [Broken()])
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": f"/broken/{KEY}\nforged line",
             "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1)}  # fmt: skip
    with caplog.at_level(logging.ERROR):
        asyncio.run(server(scope, None, send))  # type: ignore[arg-type]  # nothing is received
    assert sent[0]["status"] == 500
    content = msgspec.json.decode(sent[1]["body"])
    assert content == {"code": "internal", "message": "The server failed; its log says where."}
    (line,) = caplog.messages
    assert line == "broken failed (RuntimeError)"
