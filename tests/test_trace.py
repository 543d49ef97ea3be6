"""What happens during a call names the call; a trace goes on into the next app."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Lake
from lakeward import trace
from lakeward.capture.asgi import LakewardMiddleware, Receive, Scope, Send
from lakeward.collector import Collector
from lakeward.trace import Trace, incoming, outgoing

ID = "0198a3c1-7d2e-7f40-9c3b-2f1d5e6a7b8c"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_valid_traceparent_is_taken() -> None:
    found = incoming(ID, f"00-{TRACE}-{SPAN}-00".encode(), b"rojo=1, congo=t61")
    assert found == Trace(TRACE, None, "00", "rojo=1,congo=t61")


def test_our_own_member_of_tracestate_names_the_parent() -> None:
    other = "0198a3c1-0000-7000-8000-000000000001"
    found = incoming(ID, f"00-{TRACE}-{SPAN}-01".encode(), f"a=b,lakeward={other}, c=d".encode())
    assert found == Trace(TRACE, other, "01", "a=b,c=d")


@pytest.mark.parametrize(
    "header",
    [
        b"", b"nonsense", f"00-{'0' * 32}-{SPAN}-01".encode(), f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"ff-{TRACE}-{SPAN}-01".encode(), f"00-{TRACE.upper()}-{SPAN}-01".encode(),
        f"00-{TRACE}-{SPAN}-01-more".encode(), f"00-{TRACE[1:]}-{SPAN}-01".encode(), b"\xff\x00",
    ],
)  # fmt: skip
def test_anything_else_begins_a_new_trace_with_the_digits_of_the_record(header: bytes) -> None:
    assert incoming(ID, header, b"rojo=1") == Trace(ID.replace("-", ""))


def test_a_later_version_of_the_standard_is_read_as_far_as_it_is_known() -> None:
    assert incoming(ID, f"cc-{TRACE}-{SPAN}-01-what".encode()).trace_id == TRACE


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_header_makes_it_fail_or_leaves_it_without_a_valid_trace(a: bytes, b: bytes) -> None:
    found = incoming(ID, a, b)
    headers = outgoing(ID, found)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", headers["traceparent"])
    assert headers["tracestate"].startswith(f"lakeward={ID}")
    assert headers["tracestate"].isprintable()


def answer(status: int = 200) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    return app


def get(app: Any, headers: dict[str, str] | None = None) -> None:
    async def ask() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            await client.get("/api", headers=headers)

    asyncio.run(ask())


def rows(lake: Lake, collector: Collector) -> dict[str, dict[str, Any]]:
    collector.commit()
    return {row["interaction_type"]: row for row in lake.rows()}


def test_an_outcome_during_a_call_joins_its_trace_parent_session_and_user(lake: Lake) -> None:
    collector = lake.collector()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"] = "u-7"
        collector.record("cta_click", cta="book")
        await answer()(scope, receive, send)

    get(LakewardMiddleware(app, collector))
    found = rows(lake, collector)
    call, click = found["api_call"], found["cta_click"]
    assert click["parent_interaction_id"] == call["interaction_id"]
    assert click["trace_id"] == call["trace_id"] == call["interaction_id"].replace("-", "")
    assert click["session_id"] == call["session_id"]
    assert click["user_id"] == call["user_id"] == "u-7"
    assert call["timestamp"] <= click["timestamp"]


def test_what_an_outcome_names_itself_is_not_overwritten(lake: Lake) -> None:
    collector = lake.collector()
    session = "0198a3c1-7d2e-8f40-9c3b-000000000001"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"] = "u-7"
        collector.record("cta_click", cta="book", user_id="u-8", session_id=session,
                         trace_id=TRACE)  # fmt: skip
        await answer()(scope, receive, send)

    get(LakewardMiddleware(app, collector))
    click = rows(lake, collector)["cta_click"]
    assert (click["user_id"], click["user_type"]) == ("u-8", "unknown")
    assert (click["session_id"], click["trace_id"]) == (session, TRACE)
    assert "parent_interaction_id" not in click


def test_outside_a_call_nothing_is_joined(lake: Lake) -> None:
    collector = lake.collector()
    get(LakewardMiddleware(answer(), collector))
    collector.record("cta_click", cta="book")
    click = rows(lake, collector)["cta_click"]
    assert not {"trace_id", "parent_interaction_id", "session_id"} & set(click)
    assert trace.headers() == {}


def test_a_caller_who_did_not_consent_is_not_named_by_what_joins_the_call(lake: Lake) -> None:
    collector = lake.collector()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"] = "u-7"
        collector.record("cta_click", cta="book")
        await answer()(scope, receive, send)

    get(LakewardMiddleware(app, collector, consent=lambda scope: "anonymous"))
    click = rows(lake, collector)["cta_click"]
    assert click["user_id"] == "anonymous"
    assert "session_id" not in click
    assert "trace_id" in click


def test_a_trace_goes_on_into_the_next_app_and_its_call_names_the_callers(lake: Lake) -> None:
    collector = lake.collector()
    inner = LakewardMiddleware(answer(), collector)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sent = trace.headers()
        transport = httpx.ASGITransport(app=inner)
        async with httpx.AsyncClient(transport=transport, base_url="http://next") as client:
            await client.get("/inner", headers=sent)
        await answer()(scope, receive, send)

    get(LakewardMiddleware(app, collector), {"traceparent": f"00-{TRACE}-{SPAN}-01",
                                             "tracestate": "rojo=1"})  # fmt: skip
    collector.commit()
    outer, called = (row for path in ("/api", "/inner") for row in lake.rows()
                     if row["path"] == path)  # fmt: skip
    assert outer["trace_id"] == called["trace_id"] == TRACE
    assert called["parent_interaction_id"] == outer["interaction_id"]
    assert "parent_interaction_id" not in outer


def test_a_call_closed_in_another_context_raises_nothing(lake: Lake) -> None:
    collector = lake.collector()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    async def nothing(*_: object) -> Any:
        return {"type": "http.disconnect"}

    async def leave() -> None:
        scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
        coroutine = LakewardMiddleware(app, collector)(scope, nothing, nothing)
        coroutine.send(None)
        await asyncio.create_task(asyncio.to_thread(coroutine.close))

    asyncio.run(leave())
    assert trace.CURRENT.get() is None
    assert [row["error_type"] for row in rows(lake, collector).values()] == ["GeneratorExit"]
