"""Logging in and out, for people with a browser.

    POST /v1/login       {"email": …, "password": …}              in, by a cookie
    POST /v1/welcome     {"token": …, "email": …, "password": …}  in, by a one-time link
    POST /v1/password    {"old": …, "new": …}                     another password, all others out
    POST /v1/logout      {} or {"everywhere": true}
    GET  /v1/me          who asks: a person, a key, anyone (nothing is asked for), nobody
    GET  /v1/login/oidc  in, by an identity provider, where there is one

In: JSON of this server's own pages, told by content type, Origin and Sec-Fetch-Site, so that no
page of another origin logs anybody in or out. Out: a cookie that no script can read and that
comes with no request of another site; it opens what is read, never what is sent. Says no with 400,
401, 403, 409, 415, 429 with Retry-After, and 503 when too many log in at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import msgspec

from lakeward.errors import LakewardError
from lakeward.interaction import iso
from lakeward.server import body
from lakeward.server.answer import Headers, Refusal, reply, reply_json
from lakeward.server.guard import COOKIE, SECURE_COOKIE, Guard, Pass
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.logins import CachedLogins
from lakeward.server.rates import group
from lakeward.server.routes import Found, Part
from lakeward.store.entrance import Entrance, Opened, Reason, Shut
from lakeward.store.login import Login

PARTS: tuple[Part, ...] = (
    Part("login", "/v1/login", ("", "/oidc", "/oidc/callback")),
    Part("logout", "/v1/logout"),
    Part("me", "/v1/me"),
    Part("welcome", "/v1/welcome"),
    Part("password", "/v1/password"),
)
MOST_BYTES = 8 * 1024
THREADS, MOST_WAITING = 2, 16
"""Passwords that one worker looks at at a time, and requests that wait for it."""
STATUS: Mapping[Reason, int] = {
    "wrong_login": 401,
    "locked": 429,
    "bad_link": 403,
    "bad_email": 400,
    "bad_password": 400,
    "no_password": 409,
    "unknown_person": 403,
}

B = TypeVar("B", bound=msgspec.Struct)
T = TypeVar("T")


class Credentials(msgspec.Struct, frozen=True):
    """The body of a login."""

    email: str
    password: str


class Welcome(msgspec.Struct, frozen=True):
    """The body of a use of a one-time link."""

    token: str
    email: str
    password: str


class Change(msgspec.Struct, frozen=True):
    """The body of another password."""

    old: str
    new: str


class Leave(msgspec.Struct, frozen=True):
    """The body of a logout."""

    everywhere: bool = False


class Me(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who asks."""

    who: str
    """`person`, `key`, `anyone` where nothing is asked for, or `nobody`."""
    person_id: str | None = None
    email: str | None = None
    role: str | None = None
    partner_id: str | None = None
    key_id: str | None = None
    expires_at: str | None = None
    oidc: bool = False
    """Whether one may log in through a provider."""


class Elsewhere(Protocol):
    """The way in over an identity provider."""

    async def answer(self, request: Request, below: str) -> None:
        """Serve `/oidc` and `/oidc/callback`, below the part's root."""

    def moved(self, paths: Mapping[str, str]) -> None:
        """Be told where every part of the server is."""


class LoginRoom:
    """Answers for one worker."""

    parts = PARTS

    def __init__(
        self, entrance: Entrance, logins: CachedLogins, guard: Guard, intake: Intake, *,
        elsewhere: Elsewhere | None = None,
    ) -> None:  # fmt: skip
        self._entrance = entrance
        self._logins = logins
        self._guard = guard
        self._intake = intake
        self._elsewhere = elsewhere
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lakeward-login")
        self._waiting = 0

    def moved(self, paths: Mapping[str, str]) -> None:
        """Let the way over a provider know where everything is."""
        if self._elsewhere is not None:
            self._elsewhere.moved(paths)

    def handlers(self) -> dict[str, Handler]:
        """By part, and path below it."""
        return {
            "login": Handler(POST, None, self._login),
            "login/oidc": Handler(GET, None, self._provided),
            "login/oidc/callback": Handler(GET, None, self._provided),
            "logout": Handler(POST, None, self._logout),
            "me": Handler(GET, None, self._me),
            "welcome": Handler(POST, None, self._welcome),
            "password": Handler(POST, None, self._password),
        }

    async def _login(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        said = await self._said(request, Credentials)
        address = self._address(request)
        await self._answer(
            request, lambda: self._entrance.log_in(said.email, said.password, address)
        )

    async def _welcome(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        said = await self._said(request, Welcome)
        address = self._address(request)
        await self._answer(
            request,
            lambda: self._entrance.welcome(said.token, said.email, said.password, address),
        )

    async def _password(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        said = await self._said(request, Change)
        login = await self._logged_in(request)
        address = self._address(request)
        await self._answer(
            request, lambda: self._entrance.change_password(login, said.old, said.new, address)
        )

    async def _logout(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        said = await self._said(request, Leave)
        login = (await self._passed(request)).login
        if login is not None:
            await self._in_turn(lambda: self._entrance.log_out(login, everywhere=said.everywhere))
            self._logins.forget()
        gone = cookie_header("", 0, secure=self._guard.is_secure(request.base))
        await reply_json(request.send, Me("nobody"), headers=[gone])

    async def _me(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        try:
            passed = await self._guard.admit_reader(request.scope, request.headers, request.base)
        except Refusal as refusal:
            if refusal.status not in (401, 403):
                raise
            me = Me("nobody")
        else:
            me = _me_of(passed)
        content = msgspec.json.encode(
            msgspec.structs.replace(me, oidc=self._elsewhere is not None)
        )  # fmt: skip
        await reply(request.send, 200, content)

    async def _provided(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        if self._elsewhere is None:
            raise Refusal(404, "no_provider", "There is no identity provider: see "
                          "LAKEWARD_OIDC_ISSUER.")  # fmt: skip
        await self._elsewhere.answer(request, found.below)

    async def _said(self, request: Request, kind: type[B]) -> B:
        """The body, when a page of this server may have sent it."""
        self._intake.slow_down(request)
        if not self._guard.is_own_page(request.headers):
            raise Refusal(403, "foreign_origin", "Pages of other origins log nobody in or out.")
        media = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media != b"application/json":
            raise Refusal(415, "not_json", "This takes application/json.")
        with self._intake.shelf.lent() as lent:
            raw = await body.read(request.receive, request.headers, MOST_BYTES, lent)
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            fields = ", ".join(kind.__struct_fields__)
            raise Refusal(400, "bad_body", f"This takes a JSON object of: {fields}.") from None

    async def _passed(self, request: Request) -> Pass:
        return await self._guard.admit_login(request.headers, request.base)

    async def _logged_in(self, request: Request) -> Login:
        login = (await self._passed(request)).login
        if login is None:
            raise Refusal(401, "no_login", "Nobody is logged in here.")
        return login

    def _address(self, request: Request) -> str | None:
        """Under what the address is counted; None for this machine's own."""
        return group(self._intake.address(request))

    async def _answer(self, request: Request, work: Callable[[], Opened | Shut]) -> None:
        result = await self._in_turn(work)
        if isinstance(result, Shut):
            raise refusal_of(result)
        self._logins.forget()
        cookie = login_cookie(result, secure=self._guard.is_secure(request.base))
        me = _me_of(Pass(lambda _: False, None, login=result.login))
        await reply_json(request.send, me, headers=[cookie])

    async def _in_turn(self, work: Callable[[], T]) -> T:
        """Do it in one of few threads: it is slow on purpose, and must slow nothing else."""
        if self._waiting >= MOST_WAITING:
            raise Refusal(503, "busy", "Too many log in at once: try again.", retry_after=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except LakewardError:
            raise Refusal(503, "database", "Nobody can log in now: try again.",
                          retry_after=2) from None  # fmt: skip
        finally:
            self._waiting -= 1


def refusal_of(shut: Shut) -> Refusal:
    """The answer that says why not."""
    return Refusal(
        STATUS[shut.reason], shut.reason, shut.sentence, retry_after=shut.wait_seconds
    )  # fmt: skip


def login_cookie(opened: Opened, *, secure: bool) -> tuple[bytes, bytes]:
    """The cookie of a new login."""
    seconds = opened.seconds
    return cookie_header(opened.ticket, seconds, secure=secure)


def cookie_header(ticket: str, seconds: int, *, secure: bool) -> tuple[bytes, bytes]:
    """A header that sets the cookie of logins, or, with 0 seconds, removes it."""
    name = SECURE_COOKIE if secure else COOKIE
    more = "; Secure" if secure else ""
    value = f"{name}={ticket}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{more}"
    return b"set-cookie", value.encode()


def _me_of(passed: Pass) -> Me:
    login = passed.login
    if login is None:
        who = "anyone" if passed.key_id is None else "key"
        return Me(who, key_id=passed.key_id, partner_id=passed.partner)
    person = login.person
    return Me(
        "person", person.person_id, person.email, person.role, person.partner_id,
        expires_at=iso(login.expires_at),
    )  # fmt: skip
