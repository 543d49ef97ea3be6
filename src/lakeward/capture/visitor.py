"""Who calls: the address behind the proxies, the session, the user.

In: a call's headers, its peer's address, the framework's user object. Out: texts for the record,
made of what may be stored. Construction never fails: an entry of the trusted proxies that is no
network is named in a warning and trusted by nobody.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Mapping, Sequence
from uuid import UUID

from lakeward.capture.fragment import LONGEST, MOST
from lakeward.collector import Collector
from lakeward.salts import daily_id

logger = logging.getLogger("lakeward")

Headers = Mapping[bytes, bytes]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Proxies:
    """The proxies whose word about the client's address is taken."""

    def __init__(self, names: Sequence[str]) -> None:
        self._all = "*" in names
        self._networks: list[Network] = []
        for name in names:
            if name == "*":
                continue
            try:
                self._networks.append(ipaddress.ip_network(name, strict=False))
            except ValueError:
                logger.warning(
                    "lakeward: LAKEWARD_TRUSTED_PROXIES: %r is no address and no network such as "
                    "10.0.0.0/8; it is trusted by nobody", name,
                )  # fmt: skip

    def __bool__(self) -> bool:
        return self._all or bool(self._networks)

    def client(self, peer: str | None, forwarded: bytes | None) -> str | None:
        """The nearest address that is not one of our proxies', by X-Forwarded-For."""
        if forwarded is None or not self._trusts(peer):
            return peer
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            address = _without_port(hop.strip())
            if _parsed(address) is None:
                return peer
            peer = address
            if not self._trusts(peer):
                return peer
        return peer

    def scheme(self, peer: str | None, proto: bytes | None, own: str) -> str:
        """`http` or `https`, as the client spoke it: by X-Forwarded-Proto of a proxy of ours."""
        if proto is None or not self._trusts(peer):
            return own
        return "https" if proto.rpartition(b",")[2].strip().lower() == b"https" else "http"

    def _trusts(self, address: str | None) -> bool:
        if self._all:
            return True
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def _without_port(hop: str) -> str:
    """An address of X-Forwarded-For: `192.0.2.1:443` and `[2001:db8::1]:443` are seen there."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _parsed(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


class Sessions:
    """The session of a call: what a header or a cookie names, else a daily hash of the visitor.

    A session cookie is a credential, so only a keyed hash of it is recorded.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._cookie = collector.settings.session_cookie
        self._header = collector.settings.session_header.lower().encode()
        self._known: dict[tuple[str, bytes], str] = {}

    def named(self, headers: Headers) -> str | None:
        """The session that the caller names itself, if it does."""
        value = headers.get(self._header)
        if value:
            text = value.decode("latin-1").strip()
            if UUID_TEXT.fullmatch(text):
                return str(UUID(text))
            return self._hashed("header", value)
        cookies = headers.get(b"cookie")
        if cookies is not None:
            value = cookie(cookies, self._cookie)
            if value:
                return self._hashed("cookie", value)
        return None

    def of_day(self, day: str, address: str | None, agent: bytes) -> str:
        """A hash of address and agent that nobody can link to the next day's."""
        salt = self._collector.salt(day)
        return daily_id(salt, day, address or "", agent.decode("latin-1"))

    def _hashed(self, source: str, value: bytes) -> str:
        found = self._known.get((source, value))
        if found is None:
            found = daily_id(self._collector.lasting_salt(), source, value.decode("latin-1"))
            if len(value) <= LONGEST and self._collector.attached:
                if len(self._known) >= MOST:
                    self._known.clear()
                self._known[(source, value)] = found
        return found


def cookie(header: bytes, name: str) -> bytes | None:
    """The value of one cookie in a Cookie header."""
    wanted = name.encode()
    if wanted not in header:
        return None
    for part in header.split(b";"):
        key, equals, value = part.strip().partition(b"=")
        if equals and key.rstrip() == wanted:
            return value.strip()
    return None


def identity(user: object) -> str | None:
    """An id from a framework's user object, None when it says that nobody is logged in."""
    if user is None or isinstance(user, str | int):
        return None if user is None else str(user)
    if getattr(user, "is_authenticated", True) is False:
        return None
    for name in ("id", "pk", "identity", "username", "display_name"):
        try:
            value = getattr(user, name, None)
        except Exception:  # noqa: S112 - Starlette's BaseUser.identity raises NotImplementedError
            continue
        if value is not None and not callable(value):
            return str(value)
    return None
