"""The demo's own SQLite: visitors, matches, bookings, deals, partners that join, inbox.

In: a path. Out: connections for one piece of work each; what is written is there when the block
ends without an error, and not at all when it ends with one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

BUSY_SECONDS: Final = 10.0
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS visitors (
    token TEXT PRIMARY KEY, contractor_id TEXT UNIQUE, join_id TEXT UNIQUE, referrer TEXT,
    name TEXT, email TEXT, phone TEXT, code TEXT, code_until REAL, code_tries INTEGER,
    codes INTEGER NOT NULL DEFAULT 0, verified_at REAL, focus TEXT, revenue TEXT, team TEXT,
    readiness TEXT, matched_for TEXT, chosen TEXT, completed_at REAL, feedback_at REAL
);
CREATE TABLE IF NOT EXISTS steps (
    owner TEXT NOT NULL, flow TEXT NOT NULL, step TEXT NOT NULL, entered_at REAL NOT NULL,
    completed_at REAL, PRIMARY KEY (owner, flow, step)
);
CREATE TABLE IF NOT EXISTS matches (
    contractor_id TEXT NOT NULL, partner_id TEXT NOT NULL, place INTEGER,  -- NULL: no longer shown
    score REAL NOT NULL, reasons TEXT NOT NULL, interaction_id TEXT, at REAL NOT NULL,
    PRIMARY KEY (contractor_id, partner_id)
);
CREATE TABLE IF NOT EXISTS bookings (
    booking_id TEXT PRIMARY KEY, contractor_id TEXT NOT NULL, partner_id TEXT NOT NULL,
    slot TEXT NOT NULL, status TEXT NOT NULL, moved INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS taken ON bookings (partner_id, slot)
    WHERE status <> 'cancelled';
CREATE TABLE IF NOT EXISTS deals (deal_id TEXT PRIMARY KEY, booking_id TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS joins (
    join_id TEXT PRIMARY KEY, company TEXT, email TEXT, name TEXT, focus TEXT, proposition TEXT,
    revenue TEXT, started_at REAL NOT NULL, completed_at REAL
);
CREATE TABLE IF NOT EXISTS conversations (
    conversation_id TEXT PRIMARY KEY, contractor_id TEXT NOT NULL, turns INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS turns (
    interaction_id TEXT PRIMARY KEY, contractor_id TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS inbox (
    message_id INTEGER PRIMARY KEY AUTOINCREMENT, outbox_id TEXT UNIQUE NOT NULL,
    owner TEXT, address TEXT NOT NULL,
    channel TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS inbox_address ON inbox (address);
CREATE TABLE IF NOT EXISTS switches (name TEXT PRIMARY KEY, is_on INTEGER NOT NULL);
"""


class Database:
    """One file; a connection for each piece of work, so that threads and processes may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # names, telephone numbers, codes
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous=NORMAL")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """For looking only."""
        with self._open() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """For changes: one writer at a time, so that what was read inside still holds."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
