"""What a worker and the process that answers its questions say to each other.

    worker ──► ┌────────┬─────────────────────────────────────┐
               │ length │ {"kind":"trend","question":{…}, …} │
               └────────┴─────────────────────────────────────┘
    worker ◄── ┌────────┬─────────────────────────┬──────────────────────────┐
               │ length │ {"status":200,…} newline │ the answer as JSON, if any │
               └────────┴─────────────────────────┴──────────────────────────┘

`length` is 4 bytes, big endian, of all that follows. The first frame of the process is empty: it is
ready.
"""

from __future__ import annotations

import msgspec

LENGTH = 4
RECORD = "record"
"""The kind of an order that is no question: its content is the id of a record."""


class Order(msgspec.Struct, frozen=True):
    """What is asked."""

    kind: str
    question: msgspec.Raw
    etag: str = ""
    """What the asker has already."""
    compared: msgspec.Raw = msgspec.Raw(b"null")
    """The same question over an earlier time, where the two are compared; else null."""


class Word(msgspec.Struct, frozen=True, omit_defaults=True):
    """How it went, as a status of HTTP."""

    status: int
    etag: str = ""
    code: str = ""
    message: str = ""


def framed(content: bytes) -> bytes:
    """With its length before it."""
    return len(content).to_bytes(LENGTH, "big") + content
