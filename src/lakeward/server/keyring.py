"""The keyring of a worker: keys from the app database, and whether it knows people, kept in memory
and looked at again by the second, so that no request waits for a database and a revoked key stops
within moments.

In: settings. Out: `find` from memory. A database that is away leaves the last known keys in force
and is named once a minute; one that was never read lets nobody in.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lakeward.errors import LakewardError
from lakeward.server.guard import Key
from lakeward.settings import Settings
from lakeward.store.database import Database, open_database
from lakeward.store.keys import Keyring, load_keyring
from lakeward.store.people import has_people

logger = logging.getLogger("lakeward.server")

REFRESH_SECONDS = 1.0


class CachedKeyring:
    """Keys of one database; True when any is in force."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._database = database or open_database(settings)
        self._ring: Keyring = load_keyring(self._database)
        self.peopled = _has_people(self._database)
        self._ending = threading.Event()
        self._complained = 0.0

    def find(self, secret: str) -> Key | None:
        """The key with this secret, unless it was revoked."""
        return self._ring.find(secret)

    def __len__(self) -> int:
        return len(self._ring)

    def start(self) -> None:
        """Look again and again, for as long as the process lives."""
        threading.Thread(target=self._run, name="lakeward-keyring", daemon=True).start()

    @contextmanager
    def refreshed(self) -> Iterator[None]:
        """Look again and again while the context lasts."""
        thread = threading.Thread(target=self._run, name="lakeward-keyring", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ending.set()
            thread.join(REFRESH_SECONDS + 1)
            self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _run(self) -> None:
        while not self._ending.wait(REFRESH_SECONDS):
            try:
                self._ring = load_keyring(self._database)
                self.peopled = _has_people(self._database)
            except LakewardError as error:
                now = time.monotonic()
                if now >= self._complained:
                    self._complained = now + 60.0
                    logger.error("keys cannot be looked at: %s", error)


def _has_people(database: Database) -> bool:
    with database.read() as connection:
        return has_people(connection)
