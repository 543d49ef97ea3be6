"""Bins: response times as counts that can be added up, for percentiles that are nearly right.

Out: SQL for the bin of a time, and for the time that a bin stands for. Pure. Bins grow by the same
factor, so a percentile is within 1 % of the one by nearest rank. Times below a thousandth of a
millisecond are one bin and count as none.

    bin    ceil(log(ms) / log(G))        G = 1.01 / 0.99
    time   2 · G^bin / (G + 1)
"""

from __future__ import annotations

from math import log
from typing import Final

ERROR: Final = 0.01
"""How far a percentile may be off, of its value."""
GROWTH: Final = (1 + ERROR) / (1 - ERROR)
SMALLEST_MS: Final = 0.001
NONE: Final = -1000
"""The bin of what took no time."""


def bin_of(ms: str) -> str:
    """The bin of a time."""
    return (
        f"CASE WHEN {ms} > {SMALLEST_MS} THEN CAST(ceil(ln({ms}) / {log(GROWTH)!r}) AS SMALLINT) "
        f"WHEN {ms} IS NOT NULL THEN CAST({NONE} AS SMALLINT) END"
    )


def time_of(number: str) -> str:
    """The time that a bin stands for."""
    middle = f"{2 / (GROWTH + 1)!r} * pow({GROWTH!r}, {number})"
    return f"CASE WHEN {number} = {NONE} THEN 0e0 ELSE {middle} END"


def reached(so_far: str, total: str, share: float) -> str:
    """Whether a bin is the one of a percentile, or one behind it; in whole numbers."""
    return f"{so_far} * 1000 >= {total} * {round(share * 1000)}"
