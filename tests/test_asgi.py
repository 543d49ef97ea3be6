"""What the ASGI middleware promises: every call is recorded or counted, and the app never knows."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from apps import Stage, answer, ask, http_scope, ok, play, playing, websocket_scope
from conftest import Lake
from lakeward.capture.asgi import App, LakewardMiddleware, Message, Receive, Scope, Send, install
from lakeward.errors import Terminal
from lakeward.interaction import id_ms, parse_iso

SEED = [
    "interaction_id", "timestamp", "environment", "app_version", "interaction_type", "method",
    "path", "user_id", "user_type", "response_status", "response_time_ms", "ip_address",
    "user_agent", "session_id",
]  # fmt: skip
START = {"type": "http.response.start", "status": 200, "headers": []}
CUT = {"type": "http.response.body", "body": b"cut", "more_body": True}


@pytest.fixture
def stage(lake: Lake) -> Stage:
    return Stage(lake)


async def home(request: Request) -> Response:
    return PlainTextResponse("hello")


async def broken(request: Request) -> Response:
    raise LookupError("password=hunter2secret")


# What a record holds


def test_an_api_call_has_the_seeds_fourteen_fields_first_and_in_their_order(stage: Stage) -> None:
    ask(stage.wrap(ok), "/api/partners")
    row = stage.row()
    assert list(row)[:14] == SEED
    assert id_ms(row["interaction_id"]) == parse_iso(row["timestamp"])
    assert (row["environment"], row["app_version"]) == ("development", "1.0.0")
    assert (row["interaction_type"], row["method"]) == ("api_call", "GET")
    assert (row["path"], row["response_status"]) == ("/api/partners", 200)
    assert (row["user_id"], row["user_type"]) == ("anonymous", "unknown")
    assert (row["ip_address"], row["user_agent"]) == ("203.0.113.7", row["user_agent"])
    assert row["user_agent"].startswith("python-httpx/")


def test_what_is_not_known_of_the_fourteen_is_null_and_never_missing(stage: Stage) -> None:
    play(stage.wrap(ok), http_scope(client=None, headers=[]))
    row = stage.row()
    assert list(row)[:14] == SEED
    assert (row["ip_address"], row["user_agent"]) == (None, None)


def test_route_query_referrer_sizes_and_times_follow_the_fourteen(stage: Stage) -> None:
    app = FastAPI()

    @app.post("/api/partners/{partner_id}")
    async def partner(partner_id: int, request: Request) -> Response:
        await request.body()
        return PlainTextResponse("saved")

    ask(
        stage.installed(app),
        "/api/partners/7?tag=a&tag=b&q=x%20y",
        "POST",
        content=b"12345678",
        headers={"referer": "https://example.org/list?page=2"},
    )
    row = stage.row()
    assert row["path"] == "/api/partners/7"
    assert row["route"] == "/api/partners/{partner_id}"
    assert row["query_params"] == {"tag": ["a", "b"], "q": "x y"}
    assert row["referrer"] == "https://example.org/list?page=2"
    assert (row["request_bytes"], row["response_bytes"]) == (8, 5)
    assert 0 < row["ttfb_ms"] <= row["response_time_ms"]


def test_the_bytes_of_a_body_without_a_length_are_counted(stage: Stage) -> None:
    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await answer(send)

    parts = [
        {"type": "http.request", "body": b"12345", "more_body": more} for more in (True, False)
    ]
    play(stage.wrap(reads), http_scope(method="POST"), *parts)
    assert stage.row()["request_bytes"] == 10


def test_an_answer_to_head_has_no_bytes_whatever_the_app_says(stage: Stage) -> None:
    assert ask(stage.wrap(ok), method="HEAD").status_code == 200
    row = stage.row()
    assert (row["method"], row["response_bytes"]) == ("HEAD", 0)


def test_response_time_runs_to_the_last_byte_and_ttfb_to_the_first(stage: Stage) -> None:
    async def main() -> tuple[float, float]:
        last = asyncio.Event()
        first = asyncio.Event()

        async def streamed() -> AsyncIterator[bytes]:
            yield b"first"
            first.set()
            await last.wait()
            yield b"last"

        app = stage.wrap(StreamingResponse(streamed()))
        began = perf_counter()
        call = asyncio.ensure_future(playing(app, http_scope()))
        await first.wait()
        until_first, held = perf_counter() - began, perf_counter()
        await asyncio.sleep(0.05)
        held = perf_counter() - held
        last.set()
        await call
        return until_first * 1000, held * 1000

    until_first, held = asyncio.run(main())
    row = stage.row()
    assert 0 < row["ttfb_ms"] <= until_first + 0.001
    assert row["response_time_ms"] >= held - 0.001
    assert row["response_bytes"] == 9


def test_times_have_at_most_three_decimals(stage: Stage) -> None:
    app = stage.wrap(ok)
    for _ in range(50):
        ask(app)
    for row in stage.rows():
        for name in ("response_time_ms", "ttfb_ms"):
            assert len(repr(row[name]).partition(".")[2]) <= 3


def test_a_call_is_in_the_ring_before_its_last_byte_goes_to_the_server(stage: Stage) -> None:
    accepted: list[int] = []

    async def call(app: App) -> None:
        async def send(message: Message) -> None:
            accepted.append(stage.collector.stats()["accepted"])

        async def receive() -> Message:
            return {"type": "http.request"}

        await app(http_scope(), receive, send)

    app = stage.installed(Starlette(routes=[Route("/", broken)]))
    asyncio.run(call(stage.wrap(ok)))
    with pytest.raises(LookupError):
        asyncio.run(call(app))
    assert accepted == [0, 1, 1, 2]


# Outermost: every way in which a call can end


def framework(kind: str, stage: Stage, **options: Any) -> Any:
    """An application in which calls end in every way, with other middleware added afterwards."""

    async def item(item_id: int) -> int:
        return item_id

    async def teapot(request: Request) -> Response:
        raise HTTPException(418)

    app: Any
    if kind == "fastapi":
        app = FastAPI(**options)
        app.add_api_route("/item/{item_id}", item)
        app.add_api_route("/teapot", teapot)
        app.add_api_route("/boom", broken)
    else:
        routes = [Route("/item/1", home), Route("/teapot", teapot), Route("/boom", broken)]
        app = Starlette(routes=routes, **options)
    stage.installed(app)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"])
    app.add_middleware(GZipMiddleware, minimum_size=1)
    return app


PREFLIGHT = {"origin": "https://example.org", "access-control-request-method": "GET"}
ENDS = [
    ("/item/1", "GET", {}, 200, None),
    ("/nothing", "GET", {}, 404, None),
    ("/item/1", "DELETE", {}, 405, None),
    ("/item/1", "OPTIONS", PREFLIGHT, 200, None),
    ("/teapot", "GET", {}, 418, None),
    ("/boom", "GET", {}, 500, "LookupError"),
]


@pytest.mark.parametrize("kind", ["fastapi", "starlette"])
def test_every_way_a_call_can_end_is_recorded_although_middleware_came_later(
    stage: Stage, kind: str
) -> None:
    app = framework(kind, stage)
    for path, method, headers, status, _ in ENDS:
        response = ask(app, path, method, raises=False, headers=headers)
        assert response.status_code == status
    rows = stage.rows()
    assert [(row["path"], row["method"], row["response_status"]) for row in rows] == [
        (path, method, status) for path, method, _, status, _ in ENDS
    ]
    assert [row.get("error_type") for row in rows] == [end[4] for end in ENDS]
    assert stage.lake.audit().ok


def test_a_body_that_fails_validation_is_recorded_with_its_422(stage: Stage) -> None:
    app = framework("fastapi", stage)
    assert ask(app, "/item/seven").status_code == 422
    row = stage.row()
    assert (row["response_status"], row["route"]) == (422, "/item/{item_id}")


@pytest.mark.parametrize("kind", ["fastapi", "starlette"])
def test_an_unhandled_exception_is_raised_on_and_only_its_type_is_stored(
    stage: Stage, kind: str
) -> None:
    with pytest.raises(LookupError, match="hunter2secret"):
        ask(framework(kind, stage), "/boom")
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (500, "LookupError")
    assert b"hunter2secret" not in stage.stored()


@pytest.mark.parametrize("kind", ["fastapi", "starlette"])
def test_a_custom_500_page_is_served_and_the_error_is_named(stage: Stage, kind: str) -> None:
    async def sorry(request: Request, error: Exception) -> Response:
        return PlainTextResponse("sorry", 500)

    app = framework(kind, stage, exception_handlers={Exception: sorry})
    assert ask(app, "/boom", raises=False).text == "sorry"
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (500, "LookupError")
    assert row["response_bytes"] == 5


def test_an_error_that_a_handler_answered_with_5xx_is_named_and_a_plain_503_is_not(
    stage: Stage,
) -> None:
    async def unavailable(request: Request) -> Response:
        raise HTTPException(503)

    async def busy(request: Request) -> Response:
        return PlainTextResponse("busy", 503)

    async def bad_gateway(request: Request, error: Exception) -> Response:
        return PlainTextResponse("upstream", 502)

    routes = [Route("/1", unavailable), Route("/2", busy), Route("/3", broken)]
    app = stage.installed(Starlette(routes=routes, exception_handlers={LookupError: bad_gateway}))
    try:
        raise RuntimeError("a server may be started in an except block")
    except RuntimeError:
        answers = [ask(app, f"/{n}").status_code for n in (1, 2, 3)]
    assert answers == [503, 503, 502]
    assert [row.get("error_type") for row in stage.rows()] == [None, None, "LookupError"]


def test_an_exception_in_mid_stream_keeps_the_status_that_was_sent(stage: Stage) -> None:
    async def torn() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError("of no concern")

    async def page(request: Request) -> Response:
        return StreamingResponse(torn())

    with pytest.raises(ValueError, match="no concern"):
        ask(stage.installed(Starlette(routes=[Route("/", page)])))
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (200, "ValueError")
    assert row["response_bytes"] == 4


async def says_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def stops_halfway(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    await send(CUT)


@pytest.mark.parametrize(
    ("app", "status", "error"),
    [(says_nothing, 500, "NoResponse"), (stops_halfway, 200, "IncompleteResponse")],
)
def test_an_answer_that_the_app_forgot_is_named(
    stage: Stage, app: App, status: int, error: str
) -> None:
    play(stage.wrap(app), http_scope())
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (status, error)


def test_a_file_that_the_server_sends_itself_ends_the_call(stage: Stage) -> None:
    async def sends_a_file(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.pathsend", "path": "/etc/hostname"})
        assert stage.collector.stats()["accepted"] == 1

    play(stage.wrap(sends_a_file), http_scope())
    row = stage.row()
    assert (row["response_status"], row.get("response_bytes")) == (200, None)


# install()


@pytest.mark.parametrize("make", [FastAPI, Starlette])
def test_installing_twice_is_refused(stage: Stage, make: Callable[[], Any]) -> None:
    app = stage.installed(make())
    with pytest.raises(Terminal, match="call it once"):
        install(app, stage.collector)


@pytest.mark.parametrize("make", [FastAPI, Starlette])
def test_installing_after_the_first_call_is_refused(stage: Stage, make: Callable[[], Any]) -> None:
    app = make()
    ask(app)
    with pytest.raises(Terminal, match="before the application serves"):
        install(app, stage.collector)


def test_installing_on_a_plain_application_says_what_to_do_instead(stage: Stage) -> None:
    with pytest.raises(Terminal, match=r"app = LakewardMiddleware\(app\)"):
        install(ok, stage.collector)


def test_a_coroutine_function_as_hook_is_refused_at_once(stage: Stage) -> None:
    async def user(scope: Scope) -> str:
        return "ann"

    with pytest.raises(Terminal, match="user hook is a coroutine function"):
        stage.installed(FastAPI(), user=user)


def test_a_middleware_inside_another_leaves_the_call_to_it(stage: Stage) -> None:
    part = stage.installed(Starlette(routes=[Route("/page", home), Route("/health", home)]))
    whole = FastAPI()
    whole.mount("/part", part)
    whole.add_middleware(LakewardMiddleware, collector=stage.collector)
    stage.installed(whole, exclude=["/part/health"])
    assert ask(whole, "/part/page").text == "hello"
    assert ask(whole, "/part/health").text == "hello"
    assert stage.row()["route"] == "/part/page"
    assert stage.reasons() == {"excluded": 1}


# Streams, WebSockets, cancellation, background work


def test_server_sent_events_are_one_call_that_ends_with_the_stream(stage: Stage) -> None:
    async def ticks() -> AsyncIterator[bytes]:
        for n in range(3):
            assert stage.collector.stats()["accepted"] == 0
            yield b"data: %d\n\n" % n

    async def page(request: Request) -> Response:
        return StreamingResponse(ticks(), media_type="text/event-stream")

    ask(stage.installed(Starlette(routes=[Route("/ticks", page)])), "/ticks")
    assert stage.row()["response_bytes"] == 27


def test_a_client_that_leaves_in_mid_stream_is_named_once(stage: Stage) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"more"
            await asyncio.sleep(0)

    async def page(request: Request) -> Response:
        return StreamingResponse(endless())

    app = stage.installed(Starlette(routes=[Route("/", page)]))
    play(app, http_scope(), {"type": "http.disconnect"})
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (200, "ClientDisconnect")


def test_a_client_that_leaves_while_it_sends_is_named(stage: Stage) -> None:
    async def page(request: Request) -> Response:
        await request.body()
        raise AssertionError("unreachable")

    app = stage.installed(Starlette(routes=[Route("/", page, methods=["POST"])]))
    part = {"type": "http.request", "body": b"half", "more_body": True}
    with pytest.raises(ClientDisconnect):
        play(app, http_scope(method="POST"), part, {"type": "http.disconnect"})
    row = stage.row()
    assert (row["error_type"], row["request_bytes"]) == ("ClientDisconnect", 4)


def test_a_disconnect_after_the_answer_is_no_error(stage: Stage) -> None:
    async def lingers(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send)
        assert (await receive())["type"] == "http.disconnect"

    play(stage.wrap(lingers), http_scope(), {"type": "http.disconnect"})
    assert "error_type" not in stage.row()


def test_a_cancelled_call_is_recorded_and_stays_cancelled(stage: Stage) -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def page(request: Request) -> Response:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

        app = stage.installed(Starlette(routes=[Route("/", page)]))
        call = asyncio.ensure_future(playing(app, http_scope()))
        await started.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (None, "CancelledError")


def test_a_call_is_recorded_while_its_background_task_still_runs(stage: Stage) -> None:
    async def main() -> None:
        done = asyncio.Event()
        running = asyncio.Event()

        async def job() -> None:
            running.set()
            await done.wait()

        async def page(request: Request) -> Response:
            return JSONResponse({}, background=BackgroundTask(job))

        app = stage.installed(Starlette(routes=[Route("/", page)]))
        call = asyncio.ensure_future(playing(app, http_scope()))
        await running.wait()
        assert stage.row()["response_status"] == 200
        done.set()
        await call

    asyncio.run(main())
    assert len(stage.rows()) == 1


def test_a_failing_background_task_is_its_own_record_beside_the_call(stage: Stage) -> None:
    async def job() -> None:
        raise OSError("/home/ann/.netrc")

    async def page(request: Request) -> Response:
        return JSONResponse({}, background=BackgroundTask(job))

    with pytest.raises(OSError, match="netrc"):
        ask(stage.installed(Starlette(routes=[Route("/", page)])))
    call, job_run = stage.rows()
    assert (call["interaction_type"], call["response_status"]) == ("api_call", 200)
    assert "error_type" not in call
    assert (job_run["interaction_type"], job_run["error_type"]) == ("job_run", "OSError")
    assert job_run["properties"]["outcome"] == "failed"
    assert job_run["parent_interaction_id"] == call["interaction_id"]
    assert not stage.lake.quarantined()
    assert b"netrc" not in stage.stored()


def test_work_that_fails_after_the_client_went_is_still_told(stage: Stage) -> None:
    async def fails_late(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send)
        await receive()
        raise LookupError

    with pytest.raises(LookupError):
        play(stage.wrap(fails_late), http_scope(), {"type": "http.disconnect"})
    kinds = [(row["interaction_type"], row.get("error_type")) for row in stage.rows()]
    assert kinds == [("api_call", None), ("job_run", "LookupError")]


def test_an_app_that_ends_its_answer_twice_is_recorded_once(stage: Stage) -> None:
    async def stutters(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send)
        await send({"type": "http.response.body"})

    play(stage.wrap(stutters), http_scope())
    assert stage.row()["response_status"] == 200


def test_middleware_that_runs_the_app_in_a_task_of_its_own_changes_nothing(stage: Stage) -> None:
    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            passed: Response = await call_next(request)
            return passed

    routes = [Route("/", home), Route("/boom", broken)]
    app = stage.installed(Starlette(routes=routes, middleware=[Middleware(Passing)]))
    assert ask(app).text == "hello"
    with pytest.raises(LookupError):
        ask(app, "/boom")
    fields = ("route", "response_status", "error_type", "response_bytes")
    assert [[row.get(name) for name in fields] for row in stage.rows()] == [
        ["/", 200, None, 5],
        ["/boom", 500, "LookupError", 21],
    ]


async def echoes(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


CONNECT = {"type": "websocket.connect"}


def test_a_websocket_is_one_call_with_the_bytes_of_both_ways(stage: Stage) -> None:
    sent: list[Message] = [
        {"text": "grüße"},
        {"text": "abc", "bytes": None},
        {"bytes": b"\xff" * 10},
    ]
    messages = [{"type": "websocket.receive", **data} for data in sent]
    gone = {"type": "websocket.disconnect", "code": 1000}
    said = play(stage.wrap(echoes), websocket_scope("/chat"), CONNECT, *messages, gone)
    assert len(said) == 4
    row = stage.row()
    assert (row["method"], row["path"], row["response_status"]) == ("WEBSOCKET", "/chat", 101)
    assert (row["request_bytes"], row["response_bytes"]) == (20, 20)
    assert 0 < row["ttfb_ms"] <= row["response_time_ms"]
    assert "error_type" not in row


@pytest.mark.parametrize(
    ("gone", "error"),
    [
        ({"code": 1006, "reason": ""}, "ClientDisconnect"),
        ({"code": 1005}, "ClientDisconnect"),
        ({}, "ClientDisconnect"),
        ({"code": 1005, "reason": ""}, None),
        ({"code": 1000}, None),
        ({"code": 1001, "reason": "going away"}, None),
    ],
)
def test_a_websocket_whose_client_vanished_says_so(
    stage: Stage, gone: dict[str, Any], error: str | None
) -> None:
    play(stage.wrap(echoes), websocket_scope(), CONNECT, {"type": "websocket.disconnect"} | gone)
    row = stage.row()
    assert (row["response_status"], row.get("error_type")) == (101, error)


def test_a_websocket_that_the_app_closed_is_no_disconnect_of_the_client(stage: Stage) -> None:
    async def closes(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1008})
        await receive()

    play(stage.wrap(closes), websocket_scope(), {"type": "websocket.disconnect", "code": 1006})
    row = stage.row()
    assert (row["response_status"], row.get("error_type")) == (403, None)


def test_a_refused_handshake_has_the_status_that_the_client_got(stage: Stage) -> None:
    async def closes(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1008})

    async def denies(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"who?"})

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    play(stage.wrap(closes), websocket_scope(), CONNECT)
    play(stage.wrap(denies), websocket_scope(), CONNECT)
    play(stage.wrap(says_nothing), websocket_scope(), CONNECT)
    with pytest.raises(LookupError):
        play(stage.wrap(fails), websocket_scope(), CONNECT)
    rows = stage.rows()
    assert [row["response_status"] for row in rows] == [403, 401, 500, 500]
    assert [row["response_bytes"] for row in rows] == [0, 4, 0, 0]
    assert [row.get("error_type") for row in rows] == [None, None, "NoResponse", "LookupError"]


# Lifespan


class Recorded:
    """A lifespan that notes its course, and may fail."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.course: list[str] = []

    @asynccontextmanager
    async def __call__(self, app: object) -> AsyncIterator[None]:
        self.course.append("startup")
        if self.fails == "startup":
            raise ConnectionError("no database")
        yield
        self.course.append("shutdown")
        if self.fails == "shutdown":
            raise ConnectionError("no database")


LIFE = ({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})


def live(app: App) -> list[Message]:
    """A server's whole life without a call."""
    return play(app, {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, *LIFE)


def test_startup_opens_the_ring_and_shutdown_makes_everything_durable_before_it_is_told(
    stage: Stage,
) -> None:
    durable: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send)
            return
        await receive()
        assert list(stage.lake.ring_dir.glob("*.ring"))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for _ in range(200):
            await playing(wrapped, http_scope())
        await send({"type": "lifespan.shutdown.complete"})
        durable.append(len(stage.lake.rows()))

    wrapped = stage.wrap(app)
    assert not list(stage.lake.ring_dir.glob("*.ring"))
    said = live(wrapped)
    assert [message["type"] for message in said] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert durable == [200]


@pytest.mark.parametrize("fails", ["", "startup", "shutdown"])
def test_a_lifespan_goes_its_course_and_its_failure_is_passed_on(stage: Stage, fails: str) -> None:
    ends: list[tuple[list[str], list[str], bool]] = []
    for wrapped in (False, True):
        lifespan = Recorded(fails)
        app = Starlette(lifespan=lifespan)
        if wrapped:
            stage.installed(app)
        said: list[Message] = []
        raised = False
        try:
            said = live(app)
        except ConnectionError:
            raised = True
        ends.append((lifespan.course, [message["type"] for message in said], raised))
    assert ends[0] == ends[1]
    assert ends[0][2] is bool(fails)


def test_an_app_that_knows_no_lifespan_is_left_to_say_so(stage: Stage) -> None:
    async def only_http(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "only http"
        await answer(send)

    app = stage.wrap(only_http)
    with pytest.raises(AssertionError, match="only http"):
        live(app)
    assert ask(app).text == "ok"
    assert stage.row()["response_status"] == 200


def test_another_kind_of_scope_is_passed_through(stage: Stage) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    play(stage.wrap(app), {"type": "telegraph"})
    assert seen == ["telegraph"]
    assert stage.rows() == []


# All of them: recorded or counted


def test_health_metrics_static_files_and_our_own_pages_are_counted_instead(stage: Stage) -> None:
    paths = ["/health", "/healthz", "/livez", "/readyz", "/metrics", "/favicon.ico"]
    paths += ["/static/app.js", "/assets/a/b.css", "/_lakeward/dashboard"]
    app = stage.wrap(ok)
    for path in (*paths, "/healthy", "/api/health", "/statics"):
        assert ask(app, path).text == "ok"
    assert [row["path"] for row in stage.rows()] == ["/healthy", "/api/health", "/statics"]
    assert stage.reasons() == {"excluded": len(paths)}
    assert stage.lake.audit().sum["excluded"] == len(paths)


def test_the_list_of_excluded_paths_is_replaced_by_setting_and_by_argument(stage: Stage) -> None:
    stage.set(LAKEWARD_EXCLUDE="/quiet/*,/a.b")
    for app in (stage.wrap(ok), stage.wrap(ok, exclude=["/health", "/only*"])):
        for path in ("/quiet/x", "/a.b", "/axb", "/health", "/only/this"):
            ask(app, path)
    assert [row["path"] for row in stage.rows()] == [
        "/axb", "/health", "/only/this", "/quiet/x", "/a.b", "/axb",
    ]  # fmt: skip
    stage.set(LAKEWARD_EXCLUDE=",")
    ask(stage.wrap(ok), "/metrics")
    assert stage.rows()[-1]["path"] == "/metrics"


def test_exclusion_knows_the_path_behind_the_servers_root_path(stage: Stage) -> None:
    app = stage.wrap(ok)
    play(app, http_scope("/shop/health", root_path="/shop"))
    play(app, http_scope("/shop/list", root_path="/shop"))
    assert stage.row()["path"] == "/shop/list"
    assert stage.reasons() == {"excluded": 1}


PATHS = [
    "/", "", "/api/partners", "/health", "/static/a.css", "/a b", "/日本語", "/\ufffd\x00",
    "/lone\udcff", "/..%2f..", "//double//", "/" + "long/" * 3000, "*",
]  # fmt: skip
QUERIES = [
    b"", b"a=1", b"&&&=&=&", b"%", b"%zz=%", b"a=%ff%fe", b"\xff\xfe=\x80", b"a[]=1&a[]=2",
    b"q=" + b"x" * 40_000, b"&".join(b"k%d=v" % n for n in range(3000)), b"password=hunter2",
]  # fmt: skip
HEADERS = [
    [],
    [(b"user-agent", b"")],
    [(b"user-agent", b"\xff\xfe\x00agent")],
    [(b"user-agent", "Grüße".encode()), (b"user-agent", b"twice")],
    [(b"referer", b"http://[::1"), (b"content-length", b"nonsense")],
    [(b"x-huge", b"h" * 100_000), (b"referer", b"/" * 50_000)],
    [(b"cookie", b"session"), (b"cookie", b"session=; session=x"), (b"x-session-id", b"")],
    [(b"content-length", b"9" * 400), (b"x-forwarded-for", b",,,")],
]
CLIENTS: list[Any] = [None, ("203.0.113.7", 1), ["::1", 2], ("", 0), ("unix:", 0)]


def test_of_all_calls_each_is_recorded_or_counted(stage: Stage) -> None:
    choose = Random(20150517)
    app = stage.wrap(ok)
    excluded = 0
    offered = 600
    for n in range(offered):
        path = choose.choice(PATHS)
        excluded += path in {"/health", "/static/a.css"}
        make = websocket_scope if n % 20 == 0 else http_scope
        play(
            app,
            make(
                path,
                query_string=choose.choice(QUERIES),
                headers=choose.choice(HEADERS),
                client=choose.choice(CLIENTS),
            ),
        )
    assert len(stage.rows()) == offered - excluded
    assert stage.reasons() == {"excluded": excluded}
    report = stage.lake.audit()
    assert report.ok
    assert (report.sum["offered"], report.sum["delivered"]) == (offered, offered - excluded)


def test_whatever_bytes_a_client_sends_its_call_is_recorded(stage: Stage) -> None:
    app = stage.wrap(ok)
    offered: list[int] = []

    @settings(max_examples=150, deadline=None)
    @given(
        path=st.text(st.characters(), max_size=40),
        query=st.binary(max_size=60),
        headers=st.lists(
            st.tuples(
                st.sampled_from([b"user-agent", b"referer", b"cookie", b"x-session-id", b"dnt"]),
                st.binary(max_size=40),
            ),
            max_size=4,
        ),
    )
    def send(path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        offered.append(1)
        play(app, http_scope(f"/{path}", query_string=query, headers=headers))

    send()
    assert len(stage.rows()) == len(offered)
    assert stage.reasons() == {}


def test_callers_with_long_texts_cannot_fill_the_apps_memory(stage: Stage) -> None:
    async def calls(times: int) -> None:
        for _ in range(times):
            long = f"{next(numbers)}-".ljust(16_000, "x")
            raw = long.encode()
            headers = [(b"user-agent", raw), (b"cookie", b"session=" + raw), (b"referer", raw)]
            await playing(app, http_scope(f"/{long}", headers=headers, query_string=b"q=" + raw))

    app, numbers = stage.wrap(ok), count(1)
    asyncio.run(calls(5))
    tracemalloc.start()
    try:
        asyncio.run(calls(100))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 16_000 * 50
    assert len(stage.rows()) == 105


# Nothing of ours reaches the application


def bare_and_wrapped(stage: Stage, **rules: Any) -> list[list[tuple[int, Any, bytes]]]:
    """The answers of one application, without and with the middleware."""
    answers: list[list[tuple[int, Any, bytes]]] = []
    for wrapped in (False, True):
        app = Starlette(routes=[Route("/", home), Route("/boom", broken)])
        if wrapped:
            stage.installed(app, **rules)
        said = [
            ask(app, path, method, raises=False)
            for path, method in (("/", "GET"), ("/", "HEAD"), ("/no", "GET"), ("/boom", "GET"))
        ]
        answers.append([(one.status_code, one.headers.raw, one.content) for one in said])
    return answers


def in_a_file(tmp_path: Path) -> str:
    path = tmp_path / "a-file"
    path.write_text("not a folder")
    return str(path)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("LAKEWARD_RING_DIR", in_a_file),
        ("LAKEWARD_LAKE_DIR", in_a_file),
        ("LAKEWARD_LAKE_DIR", lambda tmp_path: "/proc/no-such-folder/lake"),
    ],
)
def test_without_a_ring_the_app_answers_as_ever_and_each_call_is_counted(
    stage: Stage, tmp_path: Path, name: str, where: Callable[[Path], str]
) -> None:
    stage.set(**{name: where(tmp_path)})
    bare, wrapped = bare_and_wrapped(stage)
    assert bare == wrapped
    assert stage.reasons() == {"no_ring": 4}


def test_switched_off_the_middleware_only_counts_and_makes_no_lake(stage: Stage) -> None:
    stage.set(ENABLE_DATA_COLLECTION="false")
    bare, wrapped = bare_and_wrapped(stage)
    assert bare == wrapped
    assert stage.reasons() == {"disabled": 4}
    assert live(stage.wrap(Starlette())) != []
    assert not stage.lake.root.exists()
    assert os.listdir(stage.lake.ring_dir) == []


def test_a_hook_that_raises_changes_no_answer(stage: Stage) -> None:
    def broken_hook(scope: Scope) -> str:
        raise KeyError("hunter2secret")

    bare, wrapped = bare_and_wrapped(stage, user=broken_hook, consent=broken_hook)
    assert bare == wrapped
    assert stage.rows() == []
    assert stage.reasons() == {"consent": 4}
    assert b"hunter2secret" not in stage.stored()


def test_a_scope_that_cannot_be_read_is_passed_through_and_counted(stage: Stage) -> None:
    scope = http_scope()
    del scope["headers"]
    said = play(stage.wrap(ok), scope)
    assert said[1]["body"] == b"ok"
    assert stage.reasons() == {"unencodable": 1}


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.start", "status": "500"}, {"type": "http.response.body"}],
        [{"type": "http.response.start"}, {"type": "http.response.body"}],
        [{"kind": "http.response.start"}],
        [{"type": "http.response.body", "body": 17}],
    ],
)
def test_an_answer_that_cannot_be_read_reaches_the_server_and_the_call_is_counted(
    stage: Stage, messages: list[Message]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    assert play(stage.wrap(app), http_scope()) == messages
    assert stage.rows() == []
    assert stage.reasons() == {"unencodable": 1}


def test_a_list_of_proxies_that_cannot_be_read_is_trusted_by_nobody(stage: Stage) -> None:
    stage.set(LAKEWARD_TRUSTED_PROXIES="10.0.0.0/8,not-a-network")
    forwarded = {"x-forwarded-for": "198.51.100.9"}
    app = stage.wrap(ok)
    ask(app, headers=forwarded)
    ask(app, headers=forwarded, client=("10.1.2.3", 80))
    assert [row["ip_address"] for row in stage.rows()] == ["203.0.113.7", "198.51.100.9"]


def test_no_header_is_added_to_any_answer(stage: Stage) -> None:
    said = play(stage.wrap(ok), http_scope(headers=[(b"cookie", b"session=abc")]))
    assert said[0]["headers"] == [(b"content-type", b"text/plain"), (b"content-length", b"2")]


def test_a_scope_of_a_strange_router_costs_the_template_not_the_call(stage: Stage) -> None:
    class Strange:
        @property
        def path_format(self) -> str:
            raise ZeroDivisionError

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        scope["route"] = Strange()
        await answer(send)

    play(stage.wrap(app), http_scope())
    assert "route" not in stage.row()


def test_the_middleware_serves_as_a_starlette_middleware_too(stage: Stage) -> None:
    app = FastAPI()
    app.add_middleware(LakewardMiddleware, collector=stage.collector)
    assert ask(app, "/nothing").status_code == 404
    assert isinstance(ask(app, "/nothing"), httpx.Response)
    assert [row["response_status"] for row in stage.rows()] == [404, 404]
