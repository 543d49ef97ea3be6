"""Headers by which a mail program offers to unsubscribe (RFC 2369), and what it sends (RFC 8058).

In: an address, the body of a request. Out: headers, whether somebody has unsubscribed.

    List-Unsubscribe: <https://data.example.com/w/aGk…/stop>
    List-Unsubscribe-Post: List-Unsubscribe=One-Click

`Rejected` for an address that will not do; it holds a secret, so no sentence shows it.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from lakeward.errors import Rejected
from lakeward.messaging.message import Channel

FIELD: Final = "List-Unsubscribe"
ONE_CLICK: Final = "One-Click"
LENGTH: Final = 900
"""A line of a mail has up to 998 characters, this header's name among them."""
ADDRESS: Final = re.compile(r"https?://[!-;=?-~]+", re.IGNORECASE)
"""What can end neither the brackets that an address stands in nor the header."""
BOUNDARY: Final = re.compile(
    r"""multipart/form-data\b.*?;\s*boundary=(?:"([^"]{1,70})"|([^\s";,]{1,70}))""", re.IGNORECASE
)
NAMED: Final = re.compile(rb"""\bname="?List-Unsubscribe(?:"|;|\s|$)""")


def checked_link(channel: Channel, address: object) -> str | None:
    """The address as it goes into a header; None for none."""
    if address is None:
        return None
    if channel != "email":
        raise Rejected("`unsubscribe` is for e-mail alone")
    if not isinstance(address, str) or not is_link(address):
        raise Rejected(
            f"`unsubscribe` must be an http or https address of up to {LENGTH} characters, all of "
            "them visible ASCII and none < or >"
        )
    return address


def is_link(text: str) -> bool:
    """Whether a mail program could follow it, and a header holds it."""
    if len(text) > LENGTH or not ADDRESS.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def headers_of(address: str) -> dict[str, str]:
    """The headers of a mail; one click is for https alone."""
    found = {FIELD: f"<{address}>"}
    if address.lower().startswith("https:"):
        found[f"{FIELD}-Post"] = f"{FIELD}={ONE_CLICK}"
    return found


def is_one_click(kind: str, body: bytes) -> bool:
    """Whether a body says what only a mail program says, as a form of either kind."""
    several = BOUNDARY.match(kind.lstrip())
    if several is None:
        try:
            pairs = parse_qsl(body.decode("utf-8"), max_num_fields=10)
        except ValueError:
            return False
        return any(name == FIELD and value.strip() == ONE_CLICK for name, value in pairs)
    boundary = several[1] or several[2]
    for part in body.split(b"--" + boundary.encode("latin-1", "replace")):
        top, _, said = part.partition(b"\r\n\r\n")
        if NAMED.search(top) and said.strip() == ONE_CLICK.encode():
            return True
    return False
