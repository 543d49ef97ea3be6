"""Tickets: secrets that stand for a login or a one-time link, of which only digests are stored.

In: 32 random bytes. Out: 43 characters that fit in a URL and in a cookie.
"""

from __future__ import annotations

import base64
import re
from hashlib import sha256

RANDOM_BYTES = 32
_FORM = re.compile(r"[A-Za-z0-9_-]{43}")


def make_ticket(random: bytes) -> str:
    """The secret."""
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def is_ticket(text: str) -> bool:
    """Whether it has the form of one."""
    return _FORM.fullmatch(text) is not None


def ticket_digest(ticket: str) -> str:
    """What is stored. A plain hash will do: nobody can guess 256 random bits."""
    return sha256(ticket.encode()).hexdigest()
