"""The demo: a contractor-partner platform on Lakeward's public interface only.

In: the environment (settings of Lakeward, `DEMO_DATABASE`, `DEMO_STAFF`; `DEMO_SERVER`, where
PowerConfidence is asked for, and `DEMO_KEY`, a read key where the server wants one). Out: a FastAPI
application that captures its calls, tells outcomes, sends messages, serves the browser SDK and
takes what it sends. `uvicorn lakeward.demo.app:create --factory` serves it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakeward import Collector
from lakeward.capture.asgi import install
from lakeward.demo import (
    booking,
    coach,
    contractor,
    feedback,
    library,
    onboarding,
    staff,
    verification,
)
from lakeward.demo.database import Database
from lakeward.demo.inbox import open_post
from lakeward.demo.partners import Partner
from lakeward.demo.platform import FORM_BYTES, HEADERS, HERE, Platform, Problem, who, with_cookie
from lakeward.demo.standing import Standings
from lakeward.server.mount import mounted

SDK: Final = "/_lakeward"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED: Final = "This form came from another site, or is too large: nothing was done."


def create() -> FastAPI:
    """The application, with capture outermost."""
    collector = Collector.from_env()
    lake = collector.settings.lake_dir
    database = Database(
        Path(os.environ.get("DEMO_DATABASE") or lake.with_name(f"{lake.name}-demo.db"))
    )
    post = open_post(collector, database)
    token = os.environ.get("DEMO_STAFF") or secrets.token_hex(8)
    standings = Standings(os.environ.get("DEMO_SERVER", ""), os.environ.get("DEMO_KEY", ""))
    platform = Platform(collector, database, post, token, standings=standings)
    service = coach.Service(collector.settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        post.close()
        standings.close()
        platform.flags.close()
        await service.close()

    app = FastAPI(
        title="Lakeward demo", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.add_middleware(Forms)
    for part in (verification, contractor, booking, staff, feedback, library, onboarding):
        app.include_router(part.routes(platform))
    app.include_router(coach.routes(platform, service))
    _pages(app, platform)
    _api(app, platform)
    _problems(app, platform)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.mount(SDK, mounted(collector))
    install(app, collector, user=who)
    return app


def _pages(app: FastAPI, platform: Platform) -> None:
    @app.get("/")
    def landing(request: Request) -> Response:
        _, token = platform.welcome(request)
        return with_cookie(request, platform.page(request, "landing"), token)

    @app.get("/inbox")
    def inbox(request: Request) -> Response:
        visitor = platform.visitor(request)
        mine = ("contractor_id", "phone", "email")
        whose = [visitor[name] for name in mine] if visitor else [None] * len(mine)
        with platform.database.read() as connection:
            messages = connection.execute(
                "SELECT * FROM inbox WHERE owner = ? AND address IN (?, ?) "
                "ORDER BY message_id DESC LIMIT 50",
                whose,
            ).fetchall()
        return platform.page(request, "inbox", messages=messages)

    @app.get("/health")
    async def health() -> dict[str, str | int]:
        return {"status": "ok", "scored_partners": platform.standings.known}


def _api(app: FastAPI, platform: Platform) -> None:
    @app.get("/api/partners")
    def partners(request: Request, focus: str | None = None) -> Response:
        _reader(platform, request)
        return JSONResponse(
            [_shown(p) for p in platform.standings.partners if focus is None or focus in p.focus]
        )

    @app.get("/api/partners/{partner_id}")
    def one(request: Request, partner_id: str) -> Response:
        _reader(platform, request)
        which = booking.known(partner_id).partner_id
        return JSONResponse(
            next(_shown(p) for p in platform.standings.partners if p.partner_id == which)
        )


def _reader(platform: Platform, request: Request) -> None:
    if platform.switched_on(staff.OUTAGE):
        raise Problem(503, "The list of partners is not available now.")
    visitor = platform.visitor(request)
    if visitor is None or visitor["verified_at"] is None:
        raise Problem(401, "Verify your telephone number first.")


def _shown(partner: Partner) -> dict[str, object]:
    return {
        "partner_id": partner.partner_id, "name": partner.name, "offer": partner.offer,
        "focus": partner.focus, "revenue": partner.revenue, "confidence": partner.confidence,
    }  # fmt: skip


def _problems(app: FastAPI, platform: Platform) -> None:
    def answered(request: Request, status: int, sentence: str) -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse({"code": status, "message": sentence}, status, headers=HEADERS)
        return platform.page(request, "problem", status, sentence)

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return answered(request, error.status, error.sentence)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return answered(request, 422, "A field is missing or too long.")

    @app.exception_handler(404)
    async def missing(request: Request, error: Exception) -> Response:
        return answered(request, 404, "There is no such page.")


class Forms:
    """Refuses forms of other sites, and bodies that no form of ours has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is ours."""
        if scope["type"] == "http" and scope["method"] not in SAFE:
            request = Request(scope)
            if not scope["path"].startswith(f"{SDK}/"):
                if _foreign(request) or _large(request):
                    page = Response(REFUSED, 403, HEADERS, "text/plain")
                    await page(scope, receive, send)
                    return
                receive = _bounded(receive)
        await self._app(scope, receive, send)


def _foreign(request: Request) -> bool:
    """Whether a browser says that the form is of another origin; programs say nothing."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return True
    try:
        return origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    except ValueError:  # it is no address
        return True


def _large(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    return not length.isdigit() or int(length) > FORM_BYTES


def _bounded(receive: Receive) -> Receive:
    """A body without a length ends where a form of ours would."""
    left = FORM_BYTES

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        return message if left >= 0 else {"type": "http.disconnect"}

    return bounded
