"""Attempts: how often somebody may try a password before the door stays shut for a while.

In: names of who tries (an e-mail address, a network address). Out: how it stands with them. Ten
attempts in a quarter of an hour, for each name; what succeeds is taken back. An attempt is written
down before the password is looked at, so that many at once are no more than many in turn.

Every e-mail address is counted, known or not: the lock says nothing of who exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, text
from uuid_utils import uuid7

from lakeward.store.schema import ATTEMPTS

MOST = 10
WINDOW_MS = 15 * 60 * 1000
LOCK = int.from_bytes(b"attempts", "big") >> 1


class Attempt(msgspec.Struct, frozen=True):
    """One that may go on, or must not."""

    attempt_id: str
    wait_seconds: int = 0
    """0, or how long the door stays shut."""
    last: bool = False
    """Whether one of its names is shut out when it fails."""


def begin(connection: Connection, names: Sequence[str], now_ns: int) -> Attempt:
    """Write an attempt down, unless there were too many."""
    now = now_ns // 1_000_000
    if connection.dialect.name == "postgresql":  # SQLite's writers queue anyway
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.at <= now - WINDOW_MS))
    attempt_id = str(uuid7(nanoseconds=now_ns))
    digests = [_digest(name) for name in dict.fromkeys(names)]
    last = False
    for digest in digests:
        mine = select(func.count(), func.min(ATTEMPTS.c.at)).where(ATTEMPTS.c.digest == digest)
        number, oldest = connection.execute(mine).one()
        if number >= MOST:
            return Attempt(attempt_id, max((oldest + WINDOW_MS - now + 999) // 1000, 1))
        last = last or number == MOST - 1
    for digest in digests:
        connection.execute(
            insert(ATTEMPTS).values(attempt_id=attempt_id, digest=digest, at=now)
        )  # fmt: skip
    return Attempt(attempt_id, last=last)


def forgive(connection: Connection, attempt: Attempt, name: str) -> None:
    """It succeeded: it does not count, and neither do those of `name` before it."""
    mine = (ATTEMPTS.c.attempt_id == attempt.attempt_id) | (ATTEMPTS.c.digest == _digest(name))
    connection.execute(delete(ATTEMPTS).where(mine))


def _digest(name: str) -> str:
    return sha256(name.encode("utf-8", "backslashreplace")).hexdigest()
