"""GrowthBook's hashes: where a unit stands between 0 and 1, the same in every SDK and process.

In: a seed, the unit's text and the version. Out: a number of three (version 1) or four digits
(version 2); None for a version that is unknown. Nothing fails.

    version 1    fnv1a32(value + seed) % 1000 / 1000
    version 2    fnv1a32(str(fnv1a32(seed + value))) % 10000 / 10000
"""

from __future__ import annotations

from typing import Final

BASIS: Final = 0x811C9DC5
PRIME: Final = 0x01000193
MASK: Final = 0xFFFFFFFF


def fnv1a32(text: str) -> int:
    """FNV-1a of 32 bits over the text's UTF-8; what is no Unicode (a lone surrogate) counts too."""
    found = BASIS
    for byte in text.encode("utf-8", "surrogatepass"):
        found = ((found ^ byte) * PRIME) & MASK
    return found


def place(seed: str, value: str, version: int) -> float | None:
    """The unit's place in [0, 1)."""
    if version == 2:
        return fnv1a32(str(fnv1a32(seed + value))) % 10_000 / 10_000
    if version == 1:
        return fnv1a32(value + seed) % 1000 / 1000
    return None


def hashed_text(value: object) -> str:
    """An attribute as the text that is hashed; empty for what assigns nobody (none, 0, false)."""
    if not value:
        return ""
    if type(value) is str:
        return value
    if isinstance(value, str | int | float):
        return _text(value)
    return ""


def _text(value: str | float) -> str:
    if isinstance(value, bool):
        return "true"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # as JavaScript writes it
    return str(value)
