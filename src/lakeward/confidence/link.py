"""Links that belong to one person and one invitation, and end with it.

In: an invitation and a secret that the hosts of a database share. Out: the last step of an address,
38 characters; and back. A link that is not ours is None, whatever is wrong with it.

    base64url( invitation id, 16 bytes | HMAC-SHA256( id | nonce | end in ms ), first 12 bytes )

The nonce stands in the invitation's row: asking anew makes every older link worthless. The link by
which somebody asks to be left alone is signed without nonce and end: it is good in every mail there
ever was, and for nothing else.
"""

from __future__ import annotations

import base64
import hmac
import uuid
from typing import Final

from lakeward.store.invitations import Invitation

SIGNATURE_BYTES: Final = 12
LENGTH: Final = 38


def token(invitation: Invitation, secret: bytes) -> str:
    """What an invitation's link ends in."""
    return _text(invitation, _signature(invitation, secret))


def stop_token(invitation: Invitation, secret: bytes) -> str:
    """What an invitation's link to be left alone has, for as long as there is the invitation."""
    return _text(invitation, _stop_signature(invitation, secret))


def invitation_id(text: str) -> str | None:
    """Whose link it claims to be."""
    if len(text) != LENGTH or not text.isascii():
        return None
    try:
        raw = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except ValueError:
        return None
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != text:
        return None  # bits that say nothing: one link has one spelling
    return str(uuid.UUID(bytes=raw[:16]))


def is_genuine(text: str, invitation: Invitation, secret: bytes) -> bool:
    """Whether it is the invitation's link; whether that has ended is another question."""
    return hmac.compare_digest(text.encode(), token(invitation, secret).encode())


def may_stop(text: str, invitation: Invitation, secret: bytes) -> bool:
    """Whether it is one of the invitation's two links: either lets its person be left alone."""
    own = hmac.compare_digest(text.encode(), stop_token(invitation, secret).encode())
    return own or is_genuine(text, invitation, secret)


def _text(invitation: Invitation, signature: bytes) -> str:
    raw = uuid.UUID(invitation.invitation_id).bytes + signature
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _stop_signature(invitation: Invitation, secret: bytes) -> bytes:
    said = b"stop|" + invitation.invitation_id.encode()
    return hmac.digest(secret, said, "sha256")[:SIGNATURE_BYTES]


def _signature(invitation: Invitation, secret: bytes) -> bytes:
    signed = f"{invitation.invitation_id}|{invitation.nonce}|{invitation.expires_at}"
    return hmac.digest(secret, b"invitation|" + signed.encode(), "sha256")[:SIGNATURE_BYTES]
