"""Sketches: how many different units there were, from bits that can be joined; HyperLogLog in SQL.

Out: SQL that makes the bits of some rows, and that estimates from joined ones. Pure. The standard
error is 1.6 %, whatever the number; the estimator is Ertl's (arXiv 1702.01284), which needs no
tables of corrections and is right for small numbers, too.

A unit's hash has an index (12 bits) and a rank (zeros at the beginning of 32 further bits, and
one). Plane k of a sketch has the bit of each index that saw a rank of k or more, so that two
sketches are joined by OR, plane by plane. No unit can be had from it: thousands share each bit.
"""

from __future__ import annotations

from math import log
from typing import Final

INDEX_BITS: Final = 12
REGISTERS: Final = 1 << INDEX_BITS
ERROR: Final = 0.016
MOST_RANK: Final = 33
_TERMS: Final = 18
"""Of the series for empty registers: enough for a sketch of one unit."""


def ranked(unit: str) -> str:
    """The select items of a unit's index and rank."""
    low = f"(md5_number_lower({unit}) >> {INDEX_BITS} & 4294967295)"
    return (
        f"CAST(md5_number_lower({unit}) & {REGISTERS - 1} AS INTEGER) AS place, "
        f"CASE WHEN {low} = 0 THEN {MOST_RANK} ELSE 32 - CAST(floor(log2({low})) AS INTEGER) END "
        "AS rank"
    )


def planes(rows: str, keys: str) -> str:
    """Rows of `keys` (names), `place` and `rank` as planes: keys, plane, bits."""
    return (
        f"SELECT {keys}, CAST(plane AS TINYINT) AS plane, "
        f"bitstring_agg(place, 0, {REGISTERS - 1}) AS bits FROM ("
        f"SELECT {keys}, place, unnest(range(1, most + 1)) AS plane FROM ("
        f"SELECT {keys}, place, max(rank) AS most FROM ({rows}) GROUP BY {keys}, place)) "
        f"GROUP BY {keys}, plane"
    )


def estimate(plane: str, bits: str) -> str:
    """The number of units as an aggregate over the planes of one sketch, each with its number of
    set bits."""
    weight = f"CASE WHEN {plane} = 1 THEN 0.5e0 ELSE -pow(2e0, -{plane}) END"
    told = f"coalesce(sum({bits} * {weight}), 0)"
    empty = f"(1 - coalesce(max({bits}) FILTER (WHERE {plane} = 1), 0) / {REGISTERS}e0)"
    series = " + ".join(f"pow({empty}, {1 << k}) * {1 << (k - 1)}" for k in range(1, _TERMS))
    return (
        f"CASE WHEN coalesce(max({bits}), 0) = 0 THEN 0 ELSE CAST(round("
        f"{REGISTERS**2 / (2 * log(2))!r} / ({told} + {REGISTERS} * ({empty} + {series}))"
        ") AS BIGINT) END"
    )
