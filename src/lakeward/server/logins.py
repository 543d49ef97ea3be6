"""The logins of a worker: asked of the app database, and remembered for a second.

In: the ticket of a cookie. Out: who it stands for. A login that ends, wherever it is ended, is over
within that second. Says no with 503 when the database is away: who is unknown is not let in.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from lakeward.errors import LakewardError
from lakeward.server.answer import Refusal
from lakeward.server.keyring import CachedKeyring
from lakeward.store.database import Database
from lakeward.store.login import Login, find_login
from lakeward.store.ticket import is_ticket, ticket_digest

FRESH_SECONDS = 0.8
MOST = 4096
LOOKS = 4
"""Questions to the database at a time."""


class CachedLogins:
    """Logins of one database."""

    def __init__(
        self, database: Database, keyring: CachedKeyring,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self._database = database
        self._keyring = keyring
        self._now_ns = now_ns
        self._known: OrderedDict[str, tuple[float, Login | None]] = OrderedDict()
        self._looks = asyncio.Semaphore(LOOKS)

    @property
    def needed(self) -> bool:
        """Whether there are people at all."""
        return self._keyring.peopled

    async def find(self, ticket: str) -> Login | None:
        """The login of this ticket, as it stood at most a second ago."""
        if not is_ticket(ticket):
            return None
        digest = ticket_digest(ticket)
        looked, login = self._known.get(digest, (float("-inf"), None))
        if time.monotonic() - looked > FRESH_SECONDS:
            async with self._looks:
                asked = time.monotonic()
                login = await asyncio.to_thread(self._ask, ticket)
            self._known[digest] = asked, login
            if login is not None:  # whoever is in is one: nothing is open to anyone any more
                self._keyring.peopled = True
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        return login

    def forget(self) -> None:
        """Ask anew: this worker has just changed something."""
        self._known.clear()

    def _ask(self, ticket: str) -> Login | None:
        try:
            return find_login(self._database, ticket, self._now_ns() // 1_000_000)
        except LakewardError:
            raise Refusal(503, "database", "Logins cannot be looked at now: try again.",
                          retry_after=2) from None  # fmt: skip
