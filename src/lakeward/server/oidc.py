"""Logging in through an identity provider (OpenID Connect).

    GET /v1/login/oidc           to the provider, with a cookie to know the browser by
    GET /v1/login/oidc/callback  back from it, and in: a login's cookie, and on to the page

In: settings; a browser. Out: redirects, to the provider's own address or to this server's page, and
never to one that a request names. Who cannot be let in comes to the page with `?refused=` and a
code: `unknown_person`, `unverified_email`, `cancelled`, or `failed`, of which the log says more.
Says no with 405 and 429, and with 503 when too many log in at once.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, Protocol, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

from lakeward.errors import LakewardError, MissingExtra, SettingError
from lakeward.server.answer import Refusal, reply
from lakeward.server.flow import Flow, Vouched, flow_of, is_safe
from lakeward.server.guard import Guard, cookie_of
from lakeward.server.intake import Intake, Request
from lakeward.server.login import login_cookie
from lakeward.server.logins import CachedLogins
from lakeward.settings import Settings
from lakeward.store.entrance import Entrance, Opened
from lakeward.store.ticket import RANDOM_BYTES, is_ticket, make_ticket

logger = logging.getLogger("lakeward.server")

Refused: TypeAlias = Literal["unknown_person", "unverified_email", "cancelled", "failed"]

CALLBACK = "/oidc/callback"
COOKIE, SECURE_COOKIE = "lakeward-oidc", "__Host-lakeward-oidc"
FLOW_SECONDS = 600
THREADS, MOST_WAITING = 2, 16
"""Of its own, so that a slow provider keeps nobody with a password waiting."""
COMPLAIN_SECONDS = 60.0
MOST_FIELDS = 32

T = TypeVar("T")


class Voucher(Protocol):
    """What is asked of a provider."""

    def address(self, flow: Flow) -> str:
        """Where it asks who somebody is."""

    def vouched(self, code: str, flow: Flow) -> Vouched:
        """Whom it vouches for with this code."""


class Oidc:
    """The way over one provider, for one worker."""

    def __init__(
        self, provider: Voucher, public_url: str, *, entrance: Entrance, logins: CachedLogins,
        guard: Guard, intake: Intake, random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:  # fmt: skip
        self._provider = provider
        self._public = public_url.rstrip("/")
        self._entrance = entrance
        self._logins = logins
        self._guard = guard
        self._intake = intake
        self._random = random
        self._paths: Mapping[str, str] = {"page": "/", "login": "/v1/login"}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lakeward-oidc")
        self._waiting = 0
        self._complained: dict[str, float] = {}

    def moved(self, paths: Mapping[str, str]) -> None:
        """Be told where every part of the server is."""
        self._paths = paths

    async def answer(self, request: Request, below: str) -> None:
        """Serve `/oidc` and `/oidc/callback`, below the part's root."""
        if request.method != "GET":  # a HEAD would use the code up
            raise Refusal(405, "wrong_method", "This path takes GET.", allow=("GET",))
        self._intake.slow_down(request)
        if below == CALLBACK:
            await self._return(request)
        else:
            await self._leave(request)

    async def _leave(self, request: Request) -> None:
        """Send the browser to the provider."""
        ticket = make_ticket(self._random(RANDOM_BYTES))
        flow = self._flow(ticket)
        address = await self._in_turn(lambda: self._provider.address(flow))
        if address is None:
            await self._back_to_page(request, "failed")
        else:
            await _redirect(request, address, self._cookie(request, ticket, FLOW_SECONDS))

    async def _return(self, request: Request) -> None:
        """Take the browser back from the provider, if it is one that was sent there."""
        said = _fields(request.query)
        ticket = cookie_of(request.headers, self._name(request))
        state = said.get("state", "").encode("utf-8", "replace")
        # The cookie stays: whoever sends a browser here with a wrong state ends nobody's flow.
        if not is_ticket(ticket) or not _same(self._flow(ticket).state, state):
            await self._back_to_page(request, "failed")
            return
        over = self._cookie(request, "", 0)
        if "error" in said or "code" not in said:
            refused = said.get("error") == "access_denied"
            await self._back_to_page(request, "cancelled" if refused else "failed", over)
            return
        entered = await self._in_turn(lambda: self._entered(said["code"], self._flow(ticket)))
        if isinstance(entered, Opened):
            self._logins.forget()
            login = login_cookie(entered, secure=self._guard.is_secure(request.base))
            await _redirect(request, self._page(), over, login)
        else:
            await self._back_to_page(request, entered or "failed", over)

    def _entered(self, code: str, flow: Flow) -> Opened | Refused:
        who = self._provider.vouched(code, flow)
        email = who.email if who.verified else None
        entered = self._entrance.vouched(who.issuer, who.subject, email)
        if isinstance(entered, Opened):
            return entered
        return "unverified_email" if who.email and not who.verified else "unknown_person"

    async def _in_turn(self, work: Callable[[], T]) -> T | None:
        """Do it in one of few threads; None when it failed, of which the log tells."""
        if self._waiting >= MOST_WAITING:
            raise Refusal(503, "busy", "Too many log in at once: try again.", retry_after=5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except LakewardError as error:
            self._complain(str(error))
            return None
        finally:
            self._waiting -= 1

    def _complain(self, reason: str) -> None:
        now = time.monotonic()
        if now >= self._complained.get(reason, 0.0):
            self._complained[reason] = now + COMPLAIN_SECONDS
            logger.warning("nobody was logged in through the provider: %s", reason)

    def _flow(self, ticket: str) -> Flow:
        return flow_of(ticket, f"{self._public}{self._paths.get('login', '')}{CALLBACK}")

    def _page(self) -> str:
        return f"{self._public}{self._paths.get('page', '/')}"

    async def _back_to_page(
        self, request: Request, refused: Refused, *cookies: tuple[bytes, bytes]
    ) -> None:
        await _redirect(request, f"{self._page()}?refused={refused}", *cookies)

    def _name(self, request: Request) -> str:
        return SECURE_COOKIE if self._guard.is_secure(request.base) else COOKIE

    def _cookie(self, request: Request, ticket: str, seconds: int) -> tuple[bytes, bytes]:
        """Lax, unlike a login's: the provider's page, which is another site's, leads back here."""
        name = self._name(request)
        more = "; Secure" if name == SECURE_COOKIE else ""
        value = f"{name}={ticket}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{more}"
        return b"set-cookie", value.encode()


def check_provider(settings: Settings) -> None:
    """Say no early to settings of a provider that cannot work; SettingError, MissingExtra."""
    if not settings.oidc_issuer:
        return
    if not is_safe(settings.oidc_issuer) or urlsplit(settings.oidc_issuer).query:
        raise SettingError("LAKEWARD_OIDC_ISSUER must be an https address without a query")
    if not settings.oidc_client_id:
        raise SettingError("LAKEWARD_OIDC_ISSUER needs LAKEWARD_OIDC_CLIENT_ID")
    public = settings.public_url
    if not is_safe(public) or "?" in public or "#" in public:
        raise SettingError(
            "LAKEWARD_OIDC_ISSUER needs LAKEWARD_PUBLIC_URL, to which the provider sends people "
            "back: an https address, or one of this machine"
        )
    try:
        import lakeward.server.provider  # noqa: F401
    except ImportError:
        raise MissingExtra("logging in through LAKEWARD_OIDC_ISSUER", "oidc") from None


def provider_of(settings: Settings) -> Voucher | None:
    """The provider of the settings, None without one; fails as `check_provider`."""
    check_provider(settings)
    if not settings.oidc_issuer:
        return None
    from lakeward.server.provider import Provider

    return Provider(
        settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret
    )  # fmt: skip


def _fields(query: bytes) -> dict[str, str]:
    """The fields of a query that stand in it once."""
    try:
        found = parse_qs(query.decode("latin-1"), max_num_fields=MOST_FIELDS)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _same(state: str, said: bytes) -> bool:
    return hmac.compare_digest(state.encode(), said)


async def _redirect(request: Request, address: str, *cookies: tuple[bytes, bytes]) -> None:
    await reply(
        request.send, 303, b"", b"text/plain", [(b"location", address.encode()), *cookies]
    )  # fmt: skip
