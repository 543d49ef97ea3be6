"""Telling by HTTP: one POST to an address that stands in the environment.

In: an address and a body. Out: nothing, when it was taken (2xx). Fails with `Rejected` for 400, 413
and 422 (this body is refused), `Throttled` and `Transient` for what may pass, `Terminal` for
redirects, which are not followed, and all else. Addresses are https, or http on this machine's
loopback; the machines of a cloud's metadata service are never asked. No error holds the address.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from lakeward.errors import Rejected, SettingError, Terminal, Throttled, Transient
from lakeward.sinks.address import in_internet_or_inside, resolve
from lakeward.sinks.door import Door
from lakeward.version import VERSION

PATIENCE: Final = 10.0
RETRY_MOST: Final = 3600.0
REFUSED: Final = frozenset({400, 413, 422})
AGAIN: Final = frozenset({408, 425, 429})
VISIBLE: Final = re.compile(r"[!-~]+")


class Hook:
    """The way to one receiver; `variable` is what its address is called in the environment."""

    def __init__(
        self,
        variable: str,
        url: str,
        *,
        patience: float = PATIENCE,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._name = variable
        checked = checked_url(variable, url)
        guard = _on_this_machine if checked.scheme == "http" else in_internet_or_inside
        self._door = Door(checked, patience, resolve, guard, context)

    def post(self, content: bytes, headers: Mapping[str, str]) -> None:
        """One request."""
        every = {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "User-Agent": f"lakeward/{VERSION}",
            "Connection": "close",
            **headers,
        }
        try:
            status, after = self._door.post(every, content)
        except Terminal:
            raise Terminal(
                f"the address in {self._name} leads to where no alert is sent: http:// is for this "
                "machine alone, and metadata services are never asked"
            ) from None
        except Transient:
            raise Transient(f"the host in {self._name} has no address now") from None
        except ssl.SSLCertVerificationError:
            raise Transient(f"the certificate at {self._name} is not valid for its host") from None
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"{self._name} cannot be reached ({type(error).__name__})") from None
        self._judge(status, after)

    def _judge(self, status: int, after: str) -> None:
        sentence = f"the receiver of {self._name} answers {status}"
        if 200 <= status < 300:
            return
        if status in REFUSED:
            raise Rejected(sentence)
        if status in AGAIN or status >= 500:
            if after.isascii() and after.isdigit():
                raise Throttled(sentence, min(float(after[:9]), RETRY_MOST))
            raise Transient(sentence)
        if 300 <= status < 400:
            raise Terminal(f"{sentence}, a redirect, which is not followed: set the final address")
        raise Terminal(f"{sentence}: mend {self._name} or its receiver")


def checked_url(variable: str, text: str) -> SplitResult:
    """The address; SettingError with the variable's name and never its value."""
    try:
        url = urlsplit(text)
        fits = url.port is None or url.port > 0
    except ValueError:
        raise SettingError(f"{variable} holds no address") from None
    if not VISIBLE.fullmatch(text) or not fits or not url.hostname:
        raise SettingError(f"{variable} must hold an address such as https://hooks.example.com/…")
    if url.username is not None or url.password is not None:
        raise SettingError(f"{variable} must hold no user or password in its address")
    if url.scheme == "https" or (url.scheme == "http" and _is_loopback_name(url.hostname)):
        return url
    raise SettingError(f"{variable} must begin with https://; http:// is for this machine alone")


def _is_loopback_name(host: str) -> bool:
    return host == "localhost" or _on_this_machine(host)


def _on_this_machine(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False
