"""A database that lets a fork wait until this process has no transaction open.

A child inherits the locks that its parent's other threads hold inside the driver, in SQLite's own
code for one, and nobody would ever release them there. A fork waits for a transaction, never for a
provider, and at most five seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection

from lakeward.store.database import Database

WAIT_SECONDS: Final = 5.0


class Gate:
    """Open, except while a transaction of ours or a fork goes through."""

    def __init__(self) -> None:
        self.after_in_child()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """One transaction after the other."""
        with self._lock:
            yield

    def before_fork(self) -> None:
        """Wait for whoever is inside."""
        # of two threads that fork, one may give up while the other holds the gate
        self._forking.holds = self._lock.acquire(timeout=WAIT_SECONDS)

    def after_in_parent(self) -> None:
        """Go on."""
        if getattr(self._forking, "holds", False):
            self._forking.holds = False
            self._lock.release()

    def after_in_child(self) -> None:
        """The parent's lock stays the parent's."""
        self._lock, self._forking = threading.RLock(), threading.local()


class GatedDatabase(Database):
    """The same database, through a gate."""

    def __init__(self, database: Database, gate: Gate) -> None:
        super().__init__(database.engine, database.path)
        self._gate = gate

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._gate.passing(), super().read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes."""
        with self._gate.passing(), super().write() as connection:
            yield connection
