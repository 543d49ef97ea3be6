"""Which addresses a webhook may reach: those of the internet, so that nobody can make a lake ask
the machine's own network, or the metadata service that hands out a machine's credentials.

In: a host name. Out: the one address that is then connected to; it is not resolved a second time,
so no answer of a name server can change in between. Fails with `Terminal` for a forbidden address
and `Transient` for a name that cannot be resolved now.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from lakeward.errors import Terminal, Transient

Resolve = Callable[[str, int], list[str]]
Guard = Callable[[str], bool]

NAT64, UNICAST = IPv6Network("64:ff9b::/96"), IPv6Network("2000::/3")
METADATA = frozenset({"168.63.129.16", "169.254.169.254", "100.100.100.200", "192.0.0.192",
                      "fd00:ec2::254", "fd20:ce::254"})  # fmt: skip
"""Addresses at which clouds answer their own machines; one of them lies in the internet's range."""
INNER = tuple(IPv4Network(text) for text in (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10",
))  # fmt: skip
INNER6 = (IPv6Network("fc00::/7"), IPv6Network("::1/128"))


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Transient("the webhook's host name cannot be resolved") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def in_internet(text: str) -> bool:
    """Whether an address, and whatever address hides in it, belongs to the internet."""
    address = _parse(text)
    return address is not None and all(
        str(one) not in METADATA and one.is_global and not one.is_multicast
        and not one.is_reserved and (one.version == 4 or one in UNICAST)
        for one in _hidden(address)
    )  # fmt: skip


def in_internet_or_inside(text: str) -> bool:
    """As `in_internet`, or of this machine or a private network; never of a metadata service."""
    address = _parse(text)
    if address is None:
        return False
    inner = [
        one for one in _hidden(address)
        if any(one in net for net in (INNER if isinstance(one, IPv4Address) else INNER6))
    ]  # fmt: skip
    return in_internet(text) or (bool(inner) and not any(str(one) in METADATA for one in inner))


def pinned(host: str, port: int, resolver: Resolve, allowed: Guard) -> str:
    """The address to connect to. One forbidden address among a name's refuses the name."""
    found = resolver(host, port)
    if not found:
        raise Transient("the webhook's host name has no address")
    if not all(allowed(address) for address in found):
        raise Terminal(
            "the webhook's host is in a private or reserved network: give a public address, or "
            "set LAKEWARD_WEBHOOK_PRIVATE=true when it shall be reached there"
        )
    return found[0]


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _hidden(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address and the IPv4 addresses that an IPv6 one carries: mapped, NAT64 (these are only
    what they carry), 6to4, Teredo."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    carried: list[IPv4Address | IPv6Address] = [address]
    if address.sixtofour is not None:
        carried.append(address.sixtofour)
    if address.teredo is not None:
        carried.extend(address.teredo)
    return carried
