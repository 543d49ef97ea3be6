"""How many parts an SMS is cut into.

In: text. Out: the number of segments that networks carry: 160 characters of the GSM alphabet alone
or 153 in each of several, where those of its extension take two places; 70 or 67 16-bit units as
soon as one character is not of that alphabet. A character is never cut in two.
"""

from __future__ import annotations

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("^{}\\[~]|€\f")


def segments(text: str) -> int:
    """Segments of a text; an empty one is one."""
    letters = set(text)
    if letters <= BASIC | EXTENSION:
        return _cut([1 + (letter in EXTENSION) for letter in text], 160, 153)
    return _cut([1 + (ord(letter) > 0xFFFF) for letter in text], 70, 67)


def _cut(widths: list[int], alone: int, each: int) -> int:
    if sum(widths) <= alone:
        return 1
    parts, room = 1, each
    for width in widths:
        if width > room:
            parts, room = parts + 1, each
        room -= width
    return parts
