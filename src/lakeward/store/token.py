"""The form of a key's secret.

In: a kind and 32 random bytes. Out: a text that scanners and typing errors cannot miss, and that a
double click selects whole.

    lwk_w_1cQ9…43 characters…7fYmD3k2Qx
    │   │ │                      └ 6: the CRC-32 of all before, base 62
    │   │ └ 43: 32 random bytes as one big-endian number, base 62
    │   └ w: write, r: read
    └ the mark by which the scrubber, and scanners for leaked secrets, know it
"""

from __future__ import annotations

import re
import string
from hashlib import sha256
from typing import Literal, TypeAlias
from zlib import crc32

Kind: TypeAlias = Literal["write", "read"]

RANDOM_BYTES = 32
HINT_LENGTH = 12
"""How much of a secret is kept to recognise it by: the mark and 36 of 256 random bits."""
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(r"(lwk_[wr]_[A-Za-z0-9]{43})([A-Za-z0-9]{6})")


def make_token(kind: Kind, random: bytes) -> str:
    """The secret of a new key."""
    body = f"lwk_{kind[0]}_{_base62(int.from_bytes(random, 'big'), 43)}"
    return body + _checksum(body)


def is_token(text: str) -> bool:
    """Whether `text` is whole and without a typing error."""
    found = _FORM.fullmatch(text)
    return found is not None and _checksum(found[1]) == found[2]


def digest(token: str) -> str:
    """What is stored of it.

    Plain SHA-256, because the secret is 256 random bits: nobody can guess through it, and a slow
    hash, made for passwords that people choose, would only slow each request.
    """
    return sha256(token.encode()).hexdigest()


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode()), 6)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
