"""The webhook: every interaction as signed JSON to one address of the user's, at least once.

In: slices. Out: one POST for each, signed as https://www.standardwebhooks.com says:

    webhook-id: <lake id>-<slice's range>          the same on every attempt
    webhook-timestamp: 1755187888
    webhook-signature: v1,<base64 of HMAC-SHA256(secret, "id.timestamp.body")>
    {"lake_id":"…","slice":"…","interactions":[…]}

2xx is delivered. 400 and 422 are about the data: the slice is sent in halves until the records at
fault are found (`Undeliverable`); 413 in halves until it fits. 408, 425, 429 and 5xx are
`Transient`, Retry-After is heeded. Everything else, redirects included, is `Terminal`. No error
holds the address: it is a secret.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import http.client
import re
import ssl
import time
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import SplitResult, urlsplit

from lakeward.errors import SettingError, Terminal, Throttled, Transient, Undeliverable
from lakeward.followers.protocol import Slice
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings
from lakeward.sinks.address import Guard, Resolve, in_internet, in_internet_or_inside
from lakeward.sinks.address import resolve as look_up
from lakeward.sinks.door import Door
from lakeward.version import VERSION

PATIENCE = 20.0
RETRY_MOST = 3600.0
VISIBLE = re.compile(r"[!-~]+")
DATA_FAULTS = frozenset({400, 422})
TOO_LARGE = 413
AGAIN = frozenset({408, 425, 429})


class Webhook:
    """The address as a follower; it stores nothing, so there is nothing in it to erase."""

    name = "webhook"

    def __init__(
        self,
        url: str,
        secret: str,
        lake_id: str,
        *,
        private: bool = False,
        patience: float = PATIENCE,
        resolver: Resolve = look_up,
        allowed: Guard | None = None,
        context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        guard = allowed or (in_internet_or_inside if private else in_internet)
        self._door = Door(_checked(url, private), patience, resolver, guard, context)
        self._key = _key(secret)
        self._lake_id = lake_id
        self._clock = clock

    @classmethod
    def from_settings(cls, settings: Settings, lake: LakeDir) -> Webhook:
        """The webhook that settings describe."""
        return cls(
            settings.webhook_url, settings.webhook_secret, lake.identity.lake_id,
            private=settings.webhook_private, patience=settings.webhook_seconds,
        )  # fmt: skip

    def deliver(self, piece: Slice) -> None:
        """Post the slice; in parts, each named by its place in it, where the data are refused."""
        refused: list[tuple[int, str]] = []
        self._send(piece, 0, len(piece.lines), refused)
        if refused:
            raise Undeliverable(refused)

    def _send(self, piece: Slice, first: int, behind: int, refused: list[tuple[int, str]]) -> None:
        whole = behind - first == len(piece.lines)
        name = piece.name if whole else f"{piece.name}-{first}-{behind}"
        status = self._post(f"{self._lake_id}-{name}", body(self._lake_id, name,
                                                          piece.lines[first:behind]))  # fmt: skip
        if status not in DATA_FAULTS and status != TOO_LARGE:
            return
        if behind - first == 1:
            refused.append((first, f"the webhook answers {status}"))
            return
        middle = (first + behind) // 2
        self._send(piece, first, middle, refused)
        self._send(piece, middle, behind, refused)

    def _post(self, name: str, content: bytes) -> int:
        """One signed request; its status when that is 2xx or about the data, else an error."""
        now = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "User-Agent": f"lakeward/{VERSION}",
            "Connection": "close",
            "webhook-id": name,
            "webhook-timestamp": now,
            "webhook-signature": sign(self._key, name, now, content),
        }
        try:
            status, after = self._door.post(headers, content)
        except ssl.SSLCertVerificationError:
            raise Transient("the webhook's certificate is not valid for its host now") from None
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"the webhook cannot be reached ({type(error).__name__})") from None
        return judge(status, after)

    def close(self) -> None:
        """Hold nothing."""


def body(lake_id: str, name: str, lines: tuple[bytes, ...]) -> bytes:
    """The JSON of one request; records stand in it byte by byte as in the log."""
    records = b",".join(line.rstrip(b"\n") for line in lines)
    head = f'{{"lake_id":"{lake_id}","slice":"{name}","interactions":['.encode()
    return head + records + b"]}"


def sign(key: bytes, name: str, timestamp: str, content: bytes) -> str:
    """The signature header's value."""
    digest = hmac.digest(key, f"{name}.{timestamp}.".encode() + content, sha256)
    return "v1," + base64.b64encode(digest).decode()


def judge(status: int, after: str) -> int:
    """What an answer means: the status when the sender must look at it, else the error it is."""
    if 200 <= status < 300 or status in DATA_FAULTS or status == TOO_LARGE:
        return status
    if status in AGAIN or status >= 500:
        sentence = f"the webhook answers {status}"
        if after.isascii() and after.isdigit():
            raise Throttled(sentence, min(float(after[:9]), RETRY_MOST))
        raise Transient(sentence)
    if 300 <= status < 400:
        raise Terminal(
            f"the webhook answers {status}, a redirect, which is not followed: set "
            "LAKEWARD_WEBHOOK_URL to the final address"
        )
    if status in {401, 403}:
        raise Terminal(f"the webhook answers {status}: give it the same LAKEWARD_WEBHOOK_SECRET")
    raise Terminal(f"the webhook answers {status}: mend LAKEWARD_WEBHOOK_URL or its receiver")


def _checked(text: str, private: bool) -> SplitResult:
    try:
        url = urlsplit(text)
        port_fits = url.port is None or url.port > 0
    except ValueError:
        raise SettingError("LAKEWARD_WEBHOOK_URL is no address") from None
    if url.scheme not in {"https", "http"} or not url.hostname or not port_fits:
        raise SettingError("LAKEWARD_WEBHOOK_URL must begin with https:// and name a host")
    if not VISIBLE.fullmatch(text):
        raise SettingError("LAKEWARD_WEBHOOK_URL must be of visible ASCII characters")
    if url.scheme == "http" and not private:
        raise SettingError(
            "LAKEWARD_WEBHOOK_URL must begin with https://; http:// is for private networks, "
            "with LAKEWARD_WEBHOOK_PRIVATE=true"
        )
    if url.username is not None or url.password is not None:
        raise SettingError(
            "LAKEWARD_WEBHOOK_URL must hold no user or password: requests are signed instead"
        )
    return url


def _key(secret: str) -> bytes:
    """The secret's bytes; `whsec_` announces base64, as the standard's libraries write it."""
    if not secret:
        raise SettingError("a webhook needs LAKEWARD_WEBHOOK_SECRET, with which it is signed")
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise SettingError(
            "LAKEWARD_WEBHOOK_SECRET must be base64 after whsec_, or begin otherwise"
        ) from None
