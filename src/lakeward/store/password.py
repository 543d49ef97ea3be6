"""Passwords: which will do, and how they are kept.

In: what a person typed. Out: the text that is stored (Argon2id, its parameters and salt in it), or
yes and no. `Rejected` with one sentence for a password that will not do; no message quotes one.

Length is what counts, so there are no rules of composition: 12 to 128 characters, not the person's
own e-mail, not one that everybody tries first.
"""

from __future__ import annotations

import base64
import re
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lakeward.errors import Rejected

LEAST, MOST = 12, 128
REPEATED = re.compile(r"(.{1,6}?)\1+", re.DOTALL)
COMMON = frozenset(
    """
    1234567890123 12345678910 123456789101 123456789123 1234567891011 12345678901234 123qweasdzxc
    0123456789ab 1q2w3e4r5t6y 1q2w3e4r5t6y7u 1qaz2wsx3edc 1qaz2wsx3edc4rfv 987654321098
    abcdefghijkl abcdefghijklm abcdef123456 administrator adminadmin123 admin1234567
    admin12345678 administrator1 changemechangeme changeme1234 changeme12345 charlie12345
    correcthorsebatterystaple football1234 iloveyou1234 iloveyouforever lakewardlakeward
    letmeinletmein letmein12345 monkey123456 p@ssw0rd1234 passw0rd1234 password1234
    password12345 password123456 password1234567 password12345678 password123456789 passwordword
    qazwsxedcrfv qwerty123456 qwerty1234567 qwerty12345678 qwertyqwerty1 qwertyuiop12
    qwertyuiop123 qwertyuiop[] qwertyuiopas qwertyuiopasdfgh qwertyuiopasdfghjkl secretpassword
    summer202412 sunshine1234 trustno1trustno1 welcome12345 welcome123456 welcome1234567
    zaq12wsxcde3 zxcvbnm12345 mypassword123 passwordabc1 thisismypassword
    """.split()
)


class Passwords:
    """Makes and checks the texts that are stored; each of both takes tens of milliseconds and 64
    MiB, on purpose."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = _unmatched(self._hasher)

    def encoded(self, password: str) -> str:
        """What is stored of it."""
        return self._hasher.hash(_normal(password))

    def fits(self, stored: str | None, password: str) -> bool:
        """Whether it is the one that is stored; without one the same work is done for nothing."""
        try:
            return self._hasher.verify(stored or self._nobody, _normal(password)) and bool(stored)
        except (VerificationError, InvalidHashError):
            return False

    def is_stale(self, stored: str) -> bool:
        """Whether it was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)


def checked_password(password: str, email: str) -> str:
    """`password` when it will do for this person; Rejected when not."""
    plain = _normal(password)
    if not LEAST <= len(plain) <= MOST:
        raise Rejected(f"a password has {LEAST} to {MOST} characters")
    lowered = plain.lower()
    if lowered in (email, email.partition("@")[0]):
        raise Rejected("a password must not be the e-mail address")
    if lowered in COMMON or REPEATED.fullmatch(lowered):
        raise Rejected("this password is one of the first that others try: take another")
    return password


def _normal(password: str) -> str:
    """One form for letters that keyboards write in several; bytes that are no text stay what they
    are."""
    text = password.encode("utf-8", "backslashreplace").decode()
    return unicodedata.normalize("NFC", text)


def _unmatched(hasher: PasswordHasher) -> str:
    """A text that costs as much to check as any and that no password fits: its hash is of zeros."""
    salt, hash_ = (
        base64.b64encode(bytes(length)).rstrip(b"=").decode()
        for length in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${hash_}"
