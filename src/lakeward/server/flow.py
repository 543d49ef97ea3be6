"""A flow: what one login through an identity provider has to know again when it comes back.

In: the ticket that the browser keeps in a cookie meanwhile. Out: the words made of it. Nothing is
stored here: whoever comes back without the ticket cannot know the state, the provider puts the
nonce into what it signs for this browser alone, and gives nothing without the verifier.
"""

from __future__ import annotations

import base64
import hmac
from urllib.parse import urlsplit

import msgspec

from lakeward.server.guard import is_loopback


class Flow(msgspec.Struct, frozen=True):
    """One login on its way."""

    state: str
    """Comes back in the address."""
    nonce: str
    """Comes back in what the provider signs."""
    verifier: str
    """Known to the provider by its hash, until the code is exchanged (PKCE)."""
    back: str
    """Where the provider sends the browser."""


class Vouched(msgspec.Struct, frozen=True):
    """Somebody, as the provider knows them."""

    issuer: str
    subject: str
    """The provider's own name for them, which it gives to nobody else."""
    email: str | None
    verified: bool
    """Whether the provider has seen that the address is theirs."""


def flow_of(ticket: str, back: str) -> Flow:
    """The flow of a ticket: the same one, there and back."""
    return Flow(_word(ticket, b"state"), _word(ticket, b"nonce"), _word(ticket, b"verifier"), back)


def is_safe(address: str) -> bool:
    """Whether nobody on the way can read or change what goes there."""
    try:
        parts = urlsplit(address)
        name = parts.hostname or ""
    except ValueError:
        return False
    return bool(name) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(name))
    )


def _word(ticket: str, name: bytes) -> str:
    digest = hmac.digest(ticket.encode(), name, "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
