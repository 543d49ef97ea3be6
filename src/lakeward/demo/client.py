"""A visitor's program: one kept-alive connection, cookies, referrers, forms, redirects.

In: paths and forms. Out: pages. Fails with `Gone` when the platform cannot be reached.
"""

from __future__ import annotations

import http.client
from http.cookies import SimpleCookie
from typing import Final, Protocol
from urllib.parse import urlencode, urlsplit

import msgspec

from lakeward.demo.acts import Fields
from lakeward.errors import Transient

SECONDS: Final = 30.0
REDIRECTS: Final = 5
OK: Final = 200


class Gone(Transient):
    """The platform does not answer any more."""


class Page(msgspec.Struct, frozen=True):
    """What came of a request, behind its redirects."""

    status: int
    path: str
    text: str


class Hands(Protocol):
    """How a visitor uses the platform."""

    def open(self, path: str) -> Page:
        """Go to a page."""

    def send(self, path: str, fields: Fields) -> Page:
        """Fill in the form that is sent there, and send it."""

    def close(self) -> None:
        """Leave; coming back is opening a page."""


class Client:
    """Hands of a program that speaks HTTP."""

    def __init__(
        self, port: int, agent: str, referrer: str = "", *, staff: str = "", follow: bool = True
    ) -> None:
        self._port, self._origin = port, f"http://127.0.0.1:{port}"
        self._headers = {"User-Agent": agent, "Accept": "text/html,application/json"}
        if staff:
            self._headers["staff"] = staff
        self._referrer, self._follow = referrer, follow
        self._cookies: dict[str, str] = {}
        self._connection: http.client.HTTPConnection | None = None

    def open(self, path: str) -> Page:
        """Go to a page."""
        return self._through("GET", path, None)

    def send(self, path: str, fields: Fields) -> Page:
        """Send a form."""
        return self._through("POST", path, urlencode(fields))

    def close(self) -> None:
        """Close the connection; cookies stay."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _through(self, method: str, path: str, body: str | None) -> Page:
        for _ in range(REDIRECTS):
            page, onward = self._once(method, path, body)
            self._referrer = self._origin + path
            if not onward or not self._follow:
                return page
            method, path, body = "GET", onward, None
        return page

    def _once(self, method: str, path: str, body: str | None) -> tuple[Page, str]:
        headers = dict(self._headers)
        if self._referrer:
            headers["Referer"] = self._referrer
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={v}" for name, v in self._cookies.items())
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self._origin}
        answer = self._ask(method, path, body, headers)
        try:
            text = answer.read().decode()
        except (http.client.HTTPException, OSError):
            raise Gone(f"the platform broke off its answer to {method} {path}") from None
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            self._cookies |= {name: one.value for name, one in SimpleCookie(cookie).items()}
        if answer.will_close:
            self.close()
        onward = urlsplit(answer.headers.get("Location") or "").path if answer.status == 303 else ""
        return Page(answer.status, path, text), onward

    def _ask(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        """The answer's head. A kept connection that the server closed meanwhile is opened anew."""
        kept = self._connection is not None
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        try:
            self._connection.request(method, path, body=body, headers=headers)
            return self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            if not kept:
                raise Gone(f"the platform broke off {method} {path}") from None
            return self._ask(method, path, body, headers)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise Gone(f"the platform does not answer {method} {path}: {error}") from None
