"""Bins: response times as counts that can be added up, for percentiles that are nearly right.

Out: SQL for the bin of a time and for the band that a percentile is in; that percentile. Pure. Bins
grow by the same factor, so a percentile is within 1 % of the one by nearest rank. Times below a
thousandth of a millisecond are one bin and count as none; those above thirty years are one, too.

    bin    1024 + ceil(log(ms) / log(G))        G = 1.01 / 0.99
    time   2 · G^(bin - 1024) / (G + 1)
    cell   band = bin // 16, and in w0 … w15 how many times are in each bin of the band
"""

from __future__ import annotations

from math import log
from typing import Final

ERROR: Final = 0.01
"""How far a percentile may be off, of its value."""
GROWTH: Final = (1 + ERROR) / (1 - ERROR)
SMALLEST_MS, LARGEST_MS = 0.001, 1e12
MIDDLE: Final = 1024
"""The bin of a millisecond; that of no time is 0."""
WIDTH: Final = 16
SLOTS: Final = tuple(f"w{n}" for n in range(WIDTH))
"""The columns of a band's bins."""
FRAMES: Final = {
    "ORDER BY band ROWS UNBOUNDED PRECEDING": "so_far",
    "ORDER BY band ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING": "in_all",
}
"""Windows over the bands of what is asked about; of one order, so that they are sorted once."""


def bin_of(ms: str) -> str:
    """The bin of a time."""
    step = f"ceil(ln(least({ms}, {LARGEST_MS!r})) / {log(GROWTH)!r})"
    return (
        f"CAST(CASE WHEN {ms} > {SMALLEST_MS} THEN {MIDDLE} + {step} "
        f"WHEN {ms} IS NOT NULL THEN 0 END AS SMALLINT)"
    )


def band_of(number: str) -> str:
    """The band that a bin is in."""
    return f"CAST({number} // {WIDTH} AS SMALLINT)"


def together(number: str, count: str) -> str:
    """The slots of a band, of rows with a bin and a count, as select items that aggregate."""
    return ", ".join(
        f"CAST(sum({count}) FILTER (WHERE {number} % {WIDTH} = {n}) AS BIGINT) AS {slot}"
        for n, slot in enumerate(SLOTS)
    )


def alone(number: str) -> str:
    """The slots of a row that is a cell of its own."""
    return ", ".join(
        f"CASE WHEN {number} % {WIDTH} = {n} THEN 1 END AS {slot}" for n, slot in enumerate(SLOTS)
    )


def total(slots: list[str]) -> str:
    """How many times are in a band."""
    return " + ".join(f"coalesce({slot}, 0)" for slot in slots)


def reached(share: float, slots: list[str], here: str, so_far: str, in_all: str) -> str:
    """The aggregate of the band that a percentile is in, over bands: how many times are in one, in
    it and those before it, and in all. A list that `percentile` reads."""
    told = ", ".join(["band", f"{so_far} - {here}", in_all, *slots])
    enough = f"{here} > 0 AND {so_far} * 1000 >= {in_all} * {round(share * 1000)}"
    return f"min_by([{told}], band) FILTER (WHERE {enough})"


def percentile(share: float, told: list[int | None] | None) -> float | None:
    """The percentile in such a band, by nearest rank and in whole numbers."""
    if told is None:
        return None
    band, so_far, in_all, *slots = (number or 0 for number in told)
    slot = -1
    while so_far * 1000 < in_all * round(share * 1000):
        slot += 1
        so_far += slots[slot]
    number = band * WIDTH + slot
    return 2 / (GROWTH + 1) * GROWTH ** (number - MIDDLE) if number else 0.0
