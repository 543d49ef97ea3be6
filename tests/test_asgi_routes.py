"""The template in `route` is what the application wrote, with every prefix and mount before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from apps import Stage, ask, http_scope, play, websocket_scope
from conftest import Lake
from lakeward.capture.asgi import App


@pytest.fixture
def stage(lake: Lake) -> Stage:
    return Stage(lake)


async def page(request: Request) -> Response:
    return PlainTextResponse("page")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def items(app: Any) -> Any:
    """Give a FastAPI application or router an item."""

    async def item(item_id: str) -> str:
        return item_id

    app.add_api_route("/items/{item_id}", item)
    return app


def starlette(*routes: BaseRoute) -> Starlette:
    return Starlette(routes=routes)


def included(*prefixes: str) -> FastAPI:
    """A FastAPI application whose items lie in routers within routers."""
    router: Any = items(APIRouter())
    for prefix in reversed(prefixes):
        outer: Any = APIRouter() if prefix != prefixes[0] else FastAPI()
        outer.include_router(router, prefix=prefix)
        router = outer
    assert isinstance(router, FastAPI)
    return router


def with_own_prefix() -> FastAPI:
    app = FastAPI()
    app.include_router(items(APIRouter(prefix="/own")), prefix="/api/{version}")
    return app


def included_twice() -> FastAPI:
    app, router = FastAPI(), items(APIRouter())
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    return app


def sub_app() -> FastAPI:
    app = FastAPI()
    app.mount("/sub", items(FastAPI()))
    return app


def sub_app_with_routers() -> FastAPI:
    app = FastAPI()
    app.mount("/sub/{tenant}", included("/api", "/deep"))
    return app


def mounted_in_a_router() -> FastAPI:
    app, router = FastAPI(), APIRouter()
    router.mount("/sub", items(FastAPI()))
    app.include_router(router, prefix="/api")
    return app


def starlette_in_fastapi() -> FastAPI:
    app = FastAPI()
    app.mount("/sub", starlette(Route("/page/{name}", page)))
    return app


def tenants() -> Starlette:
    return starlette(
        Mount("/t/{tenant}", routes=[
            Route("/tenant/{name}", page),
            Mount("/in/{place:int}", app=starlette(Route("/{name}", page))),
        ]),
    )  # fmt: skip


def behind_middleware(parameter: str = "tenant") -> Starlette:
    """A mount whose application hides its routes, a mount with a parameter among them."""
    inner = Router([Mount(f"/t/{{{parameter}}}", routes=[Route("/{name}", page)])])

    async def hidden(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    return starlette(Mount("/hidden", app=hidden))


CASES: list[tuple[Callable[[], Any], str, str | None]] = [
    (lambda: starlette(Route("/", page)), "/", "/"),
    (lambda: starlette(Route("/a/{b:path}", page)), "/a/x/y", "/a/{b}"),
    (lambda: starlette(Route("/n/{n:int}", page)), "/n/7", "/n/{n}"),
    (lambda: starlette(Route("/a", page)), "/b", None),
    (lambda: starlette(Mount("/api", routes=[Route("/x", page)])), "/api/x", "/api/x"),
    (lambda: starlette(Mount("/api", routes=[Route("/api/x", page)])), "/api/api/x", "/api/api/x"),
    (lambda: starlette(Mount("/a", routes=[Mount("/b", routes=[Route("/{c}", page)])])),
     "/a/b/c", "/a/b/{c}"),
    (lambda: starlette(Mount("/a", routes=[Mount("/b", routes=[])])), "/a/b/c", "/a/b/{path}"),
    (lambda: starlette(Mount("", routes=[Route("/x/{y}", page)])), "/x/1", "/x/{y}"),
    (lambda: starlette(Host("app.test", Router([Route("/x", page)]))), "/x", "/x"),
    (lambda: starlette(Host("app.test", Router([Route("/x", page)]))), "/y", None),
    (tenants, "/t/acme/tenant/x", "/t/{tenant}/tenant/{name}"),
    (tenants, "/t/tenant/tenant/tenant", "/t/{tenant}/tenant/{name}"),
    (tenants, "/t/t/in/7/7", "/t/{tenant}/in/{place}/{name}"),
    (tenants, "/t/acme/nothing", "/t/{tenant}/{path}"),
    (behind_middleware, "/hidden/t/acme/x", "/hidden/t/{tenant}/{name}"),
    (lambda: items(FastAPI()), "/items/1", "/items/{item_id}"),
    (lambda: items(FastAPI()), "/nothing", None),
    (lambda: included("/api"), "/api/items/1", "/api/items/{item_id}"),
    (lambda: included("/a", "/b", "/c"), "/a/b/c/items/1", "/a/b/c/items/{item_id}"),
    (with_own_prefix, "/api/2/own/items/1", "/api/{version}/own/items/{item_id}"),
    (included_twice, "/v1/items/1", "/v1/items/{item_id}"),
    (included_twice, "/v2/items/1", "/v2/items/{item_id}"),
    (sub_app, "/sub/items/1", "/sub/items/{item_id}"),
    (sub_app, "/sub/nothing", "/sub/{path}"),
    (sub_app_with_routers, "/sub/a/api/deep/items/a", "/sub/{tenant}/api/deep/items/{item_id}"),
    (mounted_in_a_router, "/api/sub/items/1", "/api/sub/items/{item_id}"),
    (starlette_in_fastapi, "/sub/page/x", "/sub/page/{name}"),
    (FastAPI, "/openapi.json", "/openapi.json"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "path", "template"), CASES)
def test_the_template_is_as_written_with_all_prefixes(
    stage: Stage, make: Callable[[], Any], path: str, template: str | None
) -> None:
    ask(stage.installed(make()), path)
    row = stage.row()
    assert row["path"] == path
    assert row.get("route") == template


@pytest.mark.parametrize("make", [FastAPI, Starlette])
@pytest.mark.parametrize("name", ["app.js", "no.js"])
def test_files_of_a_mount_share_one_template(
    stage: Stage, tmp_path: Path, make: Callable[[], Any], name: str
) -> None:
    (tmp_path / "app.js").write_text("1")
    app = make()
    app.mount("/files", StaticFiles(directory=tmp_path))
    ask(stage.installed(app), f"/files/{name}", raises=False)
    assert stage.row()["route"] == "/files/{path}"


def test_a_method_that_is_not_allowed_still_has_its_route(stage: Stage) -> None:
    assert ask(stage.installed(included("/api")), "/api/items/1", "PUT").status_code == 405
    assert stage.row()["route"] == "/api/items/{item_id}"


@pytest.mark.parametrize("app", [items(FastAPI()), sub_app(), included("/sub")])
def test_the_servers_root_path_is_no_part_of_the_template(stage: Stage, app: App) -> None:
    stage.installed(app)
    plain = play(app, http_scope("/proxy/items/1", root_path="/proxy"))
    below = play(app, http_scope("/proxy/sub/items/1", root_path="/proxy"))
    routes = [row.get("route") for row in stage.rows()]
    answered = [said[0]["status"] == 200 for said in (plain, below)]
    assert routes == [
        "/items/{item_id}" if answered[0] else None,
        "/sub/items/{item_id}" if answered[1] else None,
    ]
    assert any(answered)


def test_websockets_have_their_template_too(stage: Stage) -> None:
    router = APIRouter()
    router.add_api_websocket_route("/rooms/{room}", socket)
    fast = FastAPI()
    fast.include_router(router, prefix="/ws")
    plain = starlette(Mount("/ws", routes=[WebSocketRoute("/rooms/{room}", socket)]))
    for app in (fast, plain):
        play(stage.installed(app), websocket_scope("/ws/rooms/1"), {"type": "websocket.connect"})
    assert [row["route"] for row in stage.rows()] == ["/ws/rooms/{room}"] * 2


def test_a_hundred_tenants_share_one_template_each_time(stage: Stage) -> None:
    app = stage.installed(tenants())
    for n in range(100):
        ask(app, f"/t/{n}/in/{n}/{n}")
    assert {row["route"] for row in stage.rows()} == {"/t/{tenant}/in/{place}/{name}"}


def test_a_token_in_a_mount_that_cannot_be_seen_is_not_stored(stage: Stage) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLWFubg"
    ask(stage.installed(behind_middleware("name")), f"/hidden/t/{token}/x")
    row = stage.row()
    assert row["path"] == row["route"].replace("{name}", "x") == "/hidden/t/[REDACTED]/x"
    assert token.encode() not in stage.stored()
