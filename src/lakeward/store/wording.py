"""What people write, as the app database takes it.

In: the name of a field and its text. Out: the text. `Terminal` with a sentence that names the field
and its rule, and never repeats the text.
"""

from __future__ import annotations

import re
from typing import Final
from zoneinfo import ZoneInfo

from lakeward.errors import Terminal

ADDRESS: Final = re.compile(r"://|www\.|@|[^\W\d_]{2,}\.[^\W\d_]{2,}|\d{5,}", re.IGNORECASE)
LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?")


def line(what: str, text: str, most: int, *, least: int = 1) -> str:
    """One line: printable, no blank at its ends."""
    text = text.strip()
    if not (least <= len(text) <= most and text.isprintable()):
        raise Terminal(f"`{what}` must have {least} to {most} printable characters on one line")
    return text


def name(what: str, text: str, most: int) -> str:
    """What a person is called in a message: no address, which a stranger could send by it."""
    text = line(what, text, most, least=0)
    if ADDRESS.search(text):
        raise Terminal(f"`{what}` must be a name: it looks like an address")
    return text


def prose(what: str, text: str, most: int) -> str:
    """Lines of text: whatever a database can hold, without control signs but line breaks."""
    text = text.replace("\r\n", "\n").strip()
    if len(text) > most:
        raise Terminal(f"`{what}` must have at most {most} characters")
    if any(not (sign.isprintable() or sign in "\n\t") for sign in text if sign < "\x7f") or any(
        "\ud800" <= sign <= "\udfff" for sign in text
    ):
        raise Terminal(f"`{what}` holds control signs, or half of a character")
    return text


def language(text: str) -> str:
    """A language such as en or pt-BR."""
    if not LANGUAGE.fullmatch(text):
        raise Terminal("`language` must be like en or pt-BR")
    return text


def zone(text: str) -> str:
    """A zone of the IANA database, or none."""
    if text:
        try:
            ZoneInfo(text)
        except (ValueError, OSError, LookupError):
            raise Terminal("`zone` must be a zone such as Europe/Berlin") from None
    return text
