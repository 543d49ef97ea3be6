"""Writes MaxMind DB files small enough for tests; the format is public (maxmind-db-spec 2.0).

In: networks with what they are. Out: the bytes of an `.mmdb` file with IPv6 tree, in which IPv4
stands under `::/96`. Records are 24 bits wide.

    [search tree: two records a node][16 zeros][data][marker][metadata]
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, ip_network
from typing import Any, Final

MARKER: Final = b"\xab\xcd\xefMaxMind.com"
STRING, MAP, UINT16, UINT32, UINT64, ARRAY = 2, 7, 5, 6, 9, 11


def mmdb(networks: Mapping[str, Any], *, ip_version: int = 6) -> bytes:
    """A file that knows these networks."""
    data = b""
    nodes: list[list[int | None]] = [[None, None]]
    leaves: dict[tuple[int, int], int] = {}
    for text, value in networks.items():
        bits = _bits(text, ip_version)
        node = 0
        for bit in bits[:-1]:
            following = nodes[node][bit]
            if following is None:
                following = nodes[node][bit] = len(nodes)
                nodes.append([None, None])
            node = following
        leaves[node, bits[-1]] = len(data)
        data += encoded(value)
    count = len(nodes)
    tree = b""
    for number, records in enumerate(nodes):
        for side in (0, 1):
            leaf = leaves.get((number, side))
            following = records[side]
            pointer = count + 16 + leaf if leaf is not None else following or count
            tree += pointer.to_bytes(3, "big")
    metadata = {
        "node_count": (UINT32, count), "record_size": (UINT16, 24),
        "ip_version": (UINT16, ip_version), "database_type": "Lakeward-Test-City",
        "languages": ["en"], "binary_format_major_version": (UINT16, 2),
        "binary_format_minor_version": (UINT16, 0), "build_epoch": (UINT64, 1_750_000_000),
        "description": {"en": "made by a test"},
    }  # fmt: skip
    return tree + bytes(16) + data + MARKER + encoded(metadata)


def _bits(text: str, ip_version: int) -> list[int]:
    network = ip_network(text)
    width, prefix = network.max_prefixlen, network.prefixlen
    bits = [int(network.network_address) >> (width - 1 - n) & 1 for n in range(prefix)]
    if isinstance(network, IPv4Network) and ip_version == 6:
        return [0] * 96 + bits
    return bits


def encoded(value: Any) -> bytes:
    """One value of the data section: text, map, list, or (type, integer)."""
    if isinstance(value, str):
        raw = value.encode()
        return _control(STRING, len(raw)) + raw
    if isinstance(value, dict):
        body = b"".join(encoded(key) + encoded(item) for key, item in value.items())
        return _control(MAP, len(value)) + body
    if isinstance(value, list):
        return _control(ARRAY, len(value)) + b"".join(map(encoded, value))
    kind, number = value
    size = (number.bit_length() + 7) // 8
    return _control(kind, size) + int(number).to_bytes(size, "big")


def _control(kind: int, size: int) -> bytes:
    """Type and size; types over 7 stand in a byte of their own, sizes over 28 in another."""
    assert size < 285
    first = size if size < 29 else 29
    head = bytes([kind << 5 | first]) if kind <= 7 else bytes([first, kind - 7])
    return head + (bytes([size - 29]) if size >= 29 else b"")
