"""Addresses of people: telephone numbers as E.164 has them, and e-mail.

In: what the app gave. Out: the form that goes to a provider. `Rejected` with a sentence that does
not show the value.
"""

from __future__ import annotations

import re

from lakeward.errors import Rejected
from lakeward.messaging.message import Channel

PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
PUNCTUATION = re.compile(r"[ ().\u00a0-]")
LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
EMAIL = re.compile(rf"{LOCAL}@(?:{LABEL}\.)+{LABEL}")


def checked(channel: Channel, address: object) -> str:
    """The address as the provider takes it."""
    if not isinstance(address, str):
        raise Rejected("`to` must be text: a telephone number or an e-mail address")
    return _phone(address) if channel == "sms" else _email(address)


def _phone(number: str) -> str:
    plain = PUNCTUATION.sub("", number.strip(" "))
    if not PHONE.fullmatch(plain):
        raise Rejected(
            "`to` must be a telephone number with its country's code, such as +15125550100"
        )
    return plain


def _email(address: str) -> str:
    plain = address.strip(" ")
    local = plain.partition("@")[0]
    if not EMAIL.fullmatch(plain) or "\n" in plain or len(local) > 64 or len(plain) > 254:
        raise Rejected("`to` must be one e-mail address, such as ada@example.com, without a name")
    return plain


def spelled(channel: Channel, address: str) -> str:
    """The form of which hashes are made: people write an e-mail address in any case."""
    return f"{channel}:{address.lower()}"
