"""The guard: who may do what, decided before a handler sees the request.

In: a request's scope and headers. Out: a `Pass` that names what is permitted. Says no with 401 (no
key or an unknown one where keys are in force), 403 (the key's kind, origin or type does not fit; a
foreign page asks without a key), 421 (a host name that this server does not go by).

Reading takes a read key or a login; sending takes a write key, and no cookie is ever looked at.

Without any key and person, a server on the loopback is open to this machine, and to nobody's web
page but its own: a `Host` that is not the loopback's is a rebound name, and a foreign `Origin` is a
page of somebody else in the developer's browser. As soon as one key or person exists, or the server
listens beyond the loopback, everything needs a key or a login, health excepted. Mounted in an app
(`own_pages`), the app's own pages need none for what any page may send.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec

from lakeward.capture.asgi import Scope
from lakeward.server.answer import Refusal
from lakeward.store.allowance import BROWSER_TYPES, permits
from lakeward.store.token import is_token

if TYPE_CHECKING:  # a Lambda has no people, and no database
    from lakeward.store.login import Login

Kind = Literal["write", "read"]
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]@/\\]+))(?::[0-9]{0,5})?", re.ASCII)
COOKIE, SECURE_COOKIE = "lakeward", "__Host-lakeward"
"""Of a login; the second one is for https, where no other host can set it."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Key(Protocol):
    """What the guard asks of a key."""

    @property
    def key_id(self) -> str:
        """Its name in counts."""

    @property
    def kind(self) -> str:
        """`write` or `read`."""

    @property
    def partner_id(self) -> str | None:
        """Whose records may be read with it; None: everybody's."""

    @property
    def public(self) -> bool:
        """Whether strangers have it: it is a page's."""

    def permits(self, interaction_type: str) -> bool:
        """Whether interactions of this type may be sent with it."""

    def admits(self, origin: str | None) -> bool:
        """Whether a page of this origin may use it."""


class Keyring(Protocol):
    """What the guard asks of the store; answers come from memory."""

    def find(self, secret: str) -> Key | None:
        """The key with this secret, unless it was revoked."""

    def __len__(self) -> int:
        """How many keys are in force."""


class Logins(Protocol):
    """What the guard asks of the store for people."""

    async def find(self, ticket: str) -> Login | None:
        """The login of this ticket, while it lasts."""

    @property
    def needed(self) -> bool:
        """Whether there are people at all."""


class Nobody:
    """The logins of a server without people."""

    needed = False

    async def find(self, ticket: str) -> Login | None:
        """None."""
        return None


NOBODY = Nobody()


class Pass(msgspec.Struct, frozen=True):
    """A request that may go on."""

    permits: Callable[[str], bool]
    """Whether interactions of a type may be sent."""
    origin: str | None
    """The page that asks, for the CORS headers of the answer."""
    key_id: str | None = None
    """The key that was shown, None where none is asked for."""
    partner: str | None = None
    """Whose records may be read; None: everybody's."""
    login: Login | None = None
    """The login of a person, None where there is none."""
    public: bool = False
    """Whether any stranger could have sent it: what it says of ids and people is a claim."""


class Guard:
    """Holds the rules of one server."""

    def __init__(
        self, keyring: Keyring, *, loopback: bool, hosts: Sequence[str] = (),
        own_pages: bool = False, logins: Logins = NOBODY, public_url: str = "",
    ) -> None:  # fmt: skip
        self._keyring = keyring
        self._logins = logins
        self._public = public_url
        self._loopback = loopback
        self._hosts = frozenset(host.lower() for host in hosts)
        self._own_pages = own_pages

    @property
    def open(self) -> bool:
        """Whether no key is asked for."""
        return self._loopback and not self._keyring and not self._logins.needed

    def check_host(self, headers: dict[bytes, bytes]) -> None:
        """Refuse names that somebody else's DNS may have pointed here."""
        name = _host_name(headers.get(b"host", b"").decode("latin-1"))
        if name in self._hosts or "*" in self._hosts:
            return
        if self._hosts or self._loopback:
            if name in LOOPBACK_NAMES:
                return
            raise Refusal(421, "unknown_host", "This server does not go by that host name: "
                          "add it to LAKEWARD_ALLOWED_HOSTS.")  # fmt: skip

    def admit(
        self, scope: Scope, headers: dict[bytes, bytes], kind: Kind, secret: str | None = None
    ) -> Pass:
        """Let a request through, or raise Refusal. `secret` is a key that came in the body."""
        origin = _text(headers.get(b"origin"))
        secret = secret or _secret(scope, headers)
        if secret is None or (self.open and not is_token(secret)):
            return self._admit_without_key(headers, kind, origin)
        key = self._keyring.find(secret)
        if key is None:
            raise Refusal(401, "unknown_key", "The key is unknown or revoked.")
        if key.kind != kind:
            raise Refusal(403, "wrong_kind", f"This needs a {kind} key.")
        if not key.admits(origin):
            raise Refusal(403, "wrong_origin", "The key may not be used from this origin.")
        public = key.public or origin is not None
        return Pass(key.permits, origin, key.key_id, key.partner_id, public=public)

    async def admit_reader(self, scope: Scope, headers: dict[bytes, bytes], base: str) -> Pass:
        """Let a reader through, by key or else by login; `base` is how the request came."""
        if _secret(scope, headers) is None:
            passed = await self.admit_login(headers, base)
            if passed.login is not None:
                return passed
        return self.admit(scope, headers, "read")

    def brings_key(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        """Whether a request shows something that is meant as a key."""
        return _secret(scope, headers) is not None

    async def admit_login(self, headers: dict[bytes, bytes], base: str) -> Pass:
        """What the login that a browser sends permits; without one, nothing."""
        login = None
        if self.is_own_page(headers):
            ticket = cookie_of(headers, SECURE_COOKIE if self.is_secure(base) else COOKIE)
            login = await self._logins.find(ticket) if ticket else None
        return Pass(_nothing, None, None, login.person.partner_id if login else None, login)

    def is_secure(self, base: str) -> bool:
        """Whether people reach this server over https; `base` is how a request came."""
        return base.startswith("https:") or self._public.lower().startswith("https:")

    def is_own_page(self, headers: dict[bytes, bytes]) -> bool:
        """Whether no page of another origin asks, as far as its browser says."""
        if headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
            return False
        origin = _text(headers.get(b"origin"))
        return (
            origin is None
            or _own(origin, headers, loopback=False)
            or (origin == _origin_of(self._public))
        )

    def _admit_without_key(
        self, headers: dict[bytes, bytes], kind: Kind, origin: str | None
    ) -> Pass:  # fmt: skip
        if self._own_pages and kind == "write" and origin and _same(origin, headers):
            return Pass(partial(permits, BROWSER_TYPES), origin, public=True)
        if not self.open:
            login = ", or a login" if kind == "read" else ""
            raise Refusal(
                401, "no_key", f"A {kind} key is needed: Authorization: Bearer lwk_…{login}."
            )
        if origin is not None and not _own(origin, headers, loopback=kind == "write"):
            raise Refusal(403, "foreign_origin", "Pages of other origins need a key.")
        if headers.get(b"sec-fetch-site") == b"cross-site" and (kind == "read" or origin is None):
            raise Refusal(403, "foreign_origin", "Pages of other origins need a key.")
        return Pass(_anything, origin, public=origin is not None)


def _anything(interaction_type: str) -> bool:
    return True


def _nothing(interaction_type: str) -> bool:
    return False


def _secret(scope: Scope, headers: dict[bytes, bytes]) -> str | None:
    """The key that a request brings: Bearer, Basic (as user name), X-API-Key, or `key=`, which a
    browser's beacon has to use."""
    scheme, _, rest = headers.get(b"authorization", b"").partition(b" ")
    match scheme.lower():
        case b"bearer":
            return rest.strip().decode("latin-1")
        case b"basic":
            try:
                return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                raise Refusal(401, "bad_authorization", "Basic takes base64 of `key:`.") from None
    if b"x-api-key" in headers:
        return headers[b"x-api-key"].decode("latin-1")
    query: bytes = scope.get("query_string", b"")
    found = parse_qs(query.decode("latin-1")).get("key") if b"key=" in query else None
    return found[-1] if found else None


def _own(origin: str, headers: dict[bytes, bytes], *, loopback: bool) -> bool:
    """Whether a page is this server's own, or, where `loopback` says so, of this machine."""
    try:
        parts = urlsplit(origin)
        name = parts.hostname or ""
    except ValueError:
        return False
    return parts.netloc == headers.get(b"host", b"").decode("latin-1") or (
        loopback and is_loopback(name)
    )


def _same(origin: str, headers: dict[bytes, bytes]) -> bool:
    """Whether a page asks its own server: as browsers say, which pages cannot make them lie of."""
    site = headers.get(b"sec-fetch-site", b"same-origin")
    return site == b"same-origin" and _own(origin, headers, loopback=False)


def _origin_of(address: str) -> str:
    """Scheme, host and port of an address; empty for none."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""


def cookie_of(headers: dict[bytes, bytes], name: str) -> str:
    """The value of a cookie; of several the first, which is that of the longest path."""
    start = f"{name}="
    for pair in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        if pair.strip().startswith(start):
            return pair.strip()[len(start) :]
    return ""


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case; empty for none."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower().rstrip(".") if found else ""


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("latin-1")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine and nothing else."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
