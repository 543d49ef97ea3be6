"""What the parts of the demo platform share: its stores, its lake, and who is asking.

In: a request. Out: its visitor, a page or a way on. A visitor is known by a random token in a
cookie that is HttpOnly and SameSite=Lax; forms of other sites are refused by their origin.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jinja2
import msgspec
from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from lakeward import Collector
from lakeward.ai import AI
from lakeward.demo.database import Database
from lakeward.demo.experiment import FLAGS
from lakeward.demo.inbox import Post
from lakeward.demo.partners import FOCUS_AREAS, PARTNERS, READINESS, REVENUE_TIERS, TEAMS
from lakeward.demo.standing import Standings
from lakeward.flags import FileSource, Flags
from lakeward.outcomes import Outcomes

HERE: Final = Path(__file__).parent
COOKIE: Final = "session"
COOKIE_SECONDS: Final = 90 * 86_400
FORM_BYTES: Final = 64 << 10
NO_STANDINGS: Final = Standings("")
USER: Final = "demo.user"
"""Where in the ASGI scope the id and type of who asks stand."""
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Problem(Exception):
    """A request that gets a page with one sentence instead of what it asked for."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Platform:
    """Everything that a part needs."""

    def __init__(
        self, collector: Collector, database: Database, post: Post, staff: str,
        now: Callable[[], float] = time.time, standings: Standings = NO_STANDINGS,
    ) -> None:  # fmt: skip
        self.collector = collector
        self.outcomes = Outcomes(collector)
        self.ai = AI(collector)
        self.flags = Flags(FileSource(FLAGS), collector)
        self.database = database
        self.post = post
        self.standings = standings
        self.now = now
        self._staff = staff
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True,
            undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.globals |= {
            "focus_areas": FOCUS_AREAS, "revenue_tiers": REVENUE_TIERS, "teams": TEAMS,
            "readiness": READINESS, "partners": PARTNERS,
        }  # fmt: skip

    def page(
        self, request: Request, name: str, status: int = 200, error: str = "", **values: object
    ) -> Response:
        """A page of its template; `error` is one sentence about what was wrong with a form."""
        user = request.scope.get(USER)
        text = self._templates.get_template(f"{name}.html").render(
            error=error, user=user[0] if user else "", user_type=user[1] if user else "", **values
        )
        return HTMLResponse(text, status, headers=HEADERS)

    def visitor(self, request: Request) -> sqlite3.Row | None:
        """Who asks, when the cookie is one of ours."""
        token = request.cookies.get(COOKIE)
        if not token:
            return None
        with self.database.read() as connection:
            row: sqlite3.Row | None = connection.execute(
                "SELECT * FROM visitors WHERE token = ?", (token,)
            ).fetchone()
        if row is not None:
            name_user(request.scope, row)
        return row

    def welcome(self, request: Request) -> tuple[sqlite3.Row, str | None]:
        """Who asks, as a visitor from now on; and the token to set, when it is a new one."""
        known = self.visitor(request)
        if known is not None:
            return known, None
        token, referrer = secrets.token_hex(16), request.headers.get("referer", "")
        try:
            host = urlsplit(referrer).hostname
        except ValueError:  # it is no address
            host = None
        foreign = referrer[:500] if host and host != request.url.hostname else None
        with self.database.write() as connection:
            connection.execute(
                "INSERT INTO visitors (token, referrer) VALUES (?, ?)", (token, foreign)
            )
            row: sqlite3.Row = connection.execute(
                "SELECT * FROM visitors WHERE token = ?", (token,)
            ).fetchone()
        return row, token

    def verified(self, request: Request) -> sqlite3.Row:
        """The contractor who asks; others are told to begin at the beginning."""
        row = self.visitor(request)
        if row is None or row["verified_at"] is None:
            raise Problem(403, "Please tell us who you are first: begin at “Find my partner”.")
        return row

    def staff(self, request: Request, given: str = "") -> None:
        """Let staff pass and nobody else."""
        token = request.headers.get("staff", "") or given
        if not secrets.compare_digest(token.encode(), self._staff.encode()):
            raise Problem(403, "This page is for staff: give the token that the demo printed.")

    def switched_on(self, name: str) -> bool:
        """Whether staff has switched something on."""
        with self.database.read() as connection:
            row = connection.execute(
                "SELECT is_on FROM switches WHERE name = ?", (name,)
            ).fetchone()
        return bool(row and row["is_on"])


def name_user(scope: MutableMapping[str, Any], row: sqlite3.Row) -> None:
    """Leave in the scope who asks, for the record of the call."""
    if row["contractor_id"]:
        scope[USER] = row["contractor_id"], "contractor"
    elif row["join_id"]:
        scope[USER] = row["join_id"], "partner"


def who(scope: MutableMapping[str, Any]) -> tuple[str, str] | None:
    """The id and type of who asks, for Lakeward's middleware."""
    found: tuple[str, str] | None = scope.get(USER)
    return found


def onward(request: Request, path: str, token: str | None = None) -> Response:
    """The way to the next page: a redirect, or its address for the script that sent the form."""
    answer: Response
    if request.headers.get("x-form") == "script":
        answer = JSONResponse({"next": path}, headers=HEADERS)
    else:
        answer = RedirectResponse(path, 303, headers=HEADERS)
    return with_cookie(request, answer, token)


def with_cookie(request: Request, answer: Response, token: str | None) -> Response:
    """The answer, with a new visitor's token."""
    if token is not None:
        answer.set_cookie(
            COOKIE, token, COOKIE_SECONDS, httponly=True, samesite="lax",
            secure=request.url.scheme == "https",
        )  # fmt: skip
    return answer


def decoded(text: str | None) -> list[str]:
    """A list that stands in a column."""
    return msgspec.json.decode(text, type=list[str]) if text else []


def encoded(items: list[str] | tuple[str, ...]) -> str:
    """The same the other way round."""
    return msgspec.json.encode(items).decode()


def agent_of(request: Request) -> tuple[str, str]:
    """Device and browser, as coarsely as a demo needs them."""
    return agent_named(request.headers.get("user-agent", ""))


def agent_named(agent: str) -> tuple[str, str]:
    """The same of the text of a header."""
    device = "mobile" if "Mobile" in agent else "desktop"
    for mark, browser in (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"),
                          ("Safari/", "Safari")):  # fmt: skip
        if mark in agent:
            return device, browser
    return device, "other"
