"""Addresses that want no messages, and what providers told of messages.

In: a database; addresses as keyed digests. Out: whether an address is left alone, whether a telling
is new. Fails as the database does. An opt-out outlives the erasure of the person: it is a digest,
and there to leave somebody alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from lakeward.store.changes import add_change
from lakeward.store.database import Database
from lakeward.store.evidence_schema import OPT_OUTS, RECEIPTS
from lakeward.store.schema import OUTBOX

How = Literal["link", "stop", "unsubscribed", "complained", "admin"]
KEPT_MS: Final = 90 * 86_400_000
"""How long a telling is remembered; providers repeat theirs for days."""


class OptOuts:
    """Those of a database."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns

    def add(self, digest: str, channel: Literal["sms", "email"], how: How) -> bool:
        """Leave an address alone from now on; whether that is new."""
        made = sqlite.insert(OPT_OUTS) if self._database.path else postgresql.insert(OPT_OUTS)
        row = {"digest": digest, "channel": channel, "at": self._now_ns() // 1_000_000, "how": how}
        with self._database.write() as connection:
            added = made.values(row).on_conflict_do_nothing(index_elements=["digest"])
            return connection.scalar(added.returning(OPT_OUTS.c.digest)) is not None

    def remove(self, digest: str) -> bool:
        """The address wants messages again; whether it was here."""
        with self._database.write() as connection:
            mine = OPT_OUTS.c.digest == digest
            return connection.execute(delete(OPT_OUTS).where(mine)).rowcount == 1

    def among(self, digests: Collection[str]) -> set[str]:
        """Which of these are to be left alone."""
        query = select(OPT_OUTS.c.digest).where(OPT_OUTS.c.digest.in_(list(digests)))
        with self._database.read() as connection:
            return set(connection.scalars(query))

    def count(self) -> int:
        """How many addresses are left alone."""
        with self._database.read() as connection:
            return connection.scalar(select(func.count()).select_from(OPT_OUTS)) or 0

    def is_told(self, receipt_id: str) -> bool:
        """Whether a provider told this before."""
        query = select(RECEIPTS.c.receipt_id).where(RECEIPTS.c.receipt_id == receipt_id)
        with self._database.read() as connection:
            return connection.scalar(query) is not None

    def tell(
        self, receipt_id: str, provider: str, message_id: str, status: str, at_ms: int,
        fields: Mapping[str, Any],
    ) -> bool:  # fmt: skip
        """Note that it was told, and the `message_event`; False when somebody was quicker."""
        made = sqlite.insert(RECEIPTS) if self._database.path else postgresql.insert(RECEIPTS)
        now_ns = self._now_ns()
        row = {
            "receipt_id": receipt_id, "provider": provider, "message_id": message_id[:128],
            "status": status[:24], "at": at_ms, "received_at": now_ns // 1_000_000,
        }  # fmt: skip
        with self._database.write() as connection:
            added = made.values(row).on_conflict_do_nothing(index_elements=["receipt_id"])
            if connection.scalar(added.returning(RECEIPTS.c.receipt_id)) is None:
                return False
            add_change(connection, now_ns, "message_event", fields)
        return True

    def prune(self) -> int:
        """Delete tellings that nobody repeats any more."""
        old = RECEIPTS.c.received_at < self._now_ns() // 1_000_000 - KEPT_MS
        with self._database.write() as connection:
            return connection.execute(delete(RECEIPTS).where(old)).rowcount

    def message(self, message_id: str) -> str | None:
        """The outbox id of the message to which a provider gave this id."""
        query = select(OUTBOX.c.outbox_id).where(OUTBOX.c.message_id == message_id)
        with self._database.read() as connection:
            found: str | None = connection.scalar(query)
            return found
