"""Uploads: files that partners are sending, and how much of each is safely here.

In: a database, who sends and what it will be. Out: an `Upload`, whose `received` bytes are on a
disk. Fails with `OverQuota` when the partner has no room for it, `NoPartner` when there is none,
`NotThere` for an upload that is none (any more), and as the database does. A stranger cannot guess
an upload's id.

    made ──► received grows ──► whole: a demo (store/demos.py)
      └──────────┴────► expired or taken back: nothing is left but the audit
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import Connection, and_, delete, func, insert, select, text, update

from lakeward.errors import Terminal
from lakeward.interaction import Clock
from lakeward.lakedir import make_folders
from lakeward.settings import Settings
from lakeward.store.changes import add_change
from lakeward.store.database import Database
from lakeward.store.demos_schema import DEMOS, UPLOADS
from lakeward.store.partners import find
from lakeward.store.row import record
from lakeward.store.trail import note

OURSELVES: Final = "lakeward"
"""Who does what nobody asked for."""
_U: Final = UPLOADS.c


class OverQuota(Terminal):
    """A partner has as much as one may have."""


class NotThere(Terminal):
    """There is no such upload or demo."""


class NoPartner(Terminal):
    """There is no such partner, or not any more."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to send."""

    partner_id: str
    owner: str
    title: str
    file_name: str
    size_bytes: int
    sha256: str | None = None


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is not whole yet; moments are in ms since 1970."""

    upload_id: str
    partner_id: str
    lake_id: str
    owner: str
    title: str
    file_name: str
    size_bytes: int
    received: int
    sha256: str | None
    created_at: int
    expires_at: int


class Quota(msgspec.Struct, frozen=True):
    """What one partner may have, finished and not."""

    size_bytes: int
    files: int


class Uploads:
    """The uploads of a database; `seconds` is how long one may wait for its next byte."""

    def __init__(
        self, database: Database, quota: Quota, seconds: float, *,
        now_ns: Callable[[], int] = time.time_ns, make_id: Callable[[], UUID] = uuid4,
    ) -> None:  # fmt: skip
        self._database = database
        self._quota = quota
        self._ms = int(seconds * 1000)
        self._clock = Clock(now_ns)
        self._make_id = make_id

    def make(self, offer: Offer, lake_id: str) -> Upload:
        """Begin one; its quota is taken from now on."""
        now_ns = self._clock.now()
        now = now_ns // 1_000_000
        upload = Upload(
            **msgspec.structs.asdict(offer),
            upload_id=str(self._make_id()),
            lake_id=lake_id,
            received=0,
            created_at=now,
            expires_at=now + self._ms,
        )
        with self._database.write() as connection:
            lock(connection, f"partner {offer.partner_id}")
            partner = find(connection, offer.partner_id)
            if partner is None or partner.removed_at is not None:
                raise NoPartner("there is no such partner")
            self._refuse_beyond(connection, offer)
            connection.execute(insert(UPLOADS).values(msgspec.structs.asdict(upload)))
            details = {"partner_id": upload.partner_id, "size_bytes": upload.size_bytes}
            note(connection, now_ns, upload.owner, "demo.begin", upload.upload_id, details)
        return upload

    def _refuse_beyond(self, connection: Connection, offer: Offer) -> None:
        files, size = held(connection, offer.partner_id)
        if files + 1 > self._quota.files:
            raise OverQuota(
                f"this partner has {files} demos, and may have {self._quota.files}: remove one"
            )
        if size + offer.size_bytes > self._quota.size_bytes:
            raise OverQuota(
                f"this partner's demos have {size} bytes, and may have {self._quota.size_bytes}: "
                "remove one, or send a smaller file"
            )

    def find(self, upload_id: str) -> Upload | None:
        """An upload, also one that has expired and is not swept yet."""
        with self._database.read() as connection:
            return found(connection, upload_id)

    def of_partner(self, partner_id: str) -> list[Upload]:
        """Those of a partner, the newest first."""
        query = select(UPLOADS).where(_U.partner_id == partner_id)
        query = query.order_by(_U.created_at.desc(), _U.upload_id)
        with self._database.read() as connection:
            return [record(row, Upload) for row in connection.execute(query).mappings()]

    def ids(self) -> set[str]:
        """Of all."""
        with self._database.read() as connection:
            return set(connection.scalars(select(_U.upload_id)))

    def advance(self, upload: Upload, received: int) -> Upload:
        """So much is on the disk now; the time to wait begins anew."""
        expires_at = self._clock.now() // 1_000_000 + self._ms
        mine = and_(_U.upload_id == upload.upload_id, _U.received == upload.received)
        with self._database.write() as connection:
            changed = update(UPLOADS).where(mine).values(received=received, expires_at=expires_at)
            if connection.execute(changed).rowcount != 1:
                raise NotThere("the upload was taken back, or goes on elsewhere")
        return msgspec.structs.replace(upload, received=received, expires_at=expires_at)

    def take_back(self, upload: Upload, *, actor: str) -> None:
        """End it before it is whole."""
        now_ns = self._clock.now()
        with self._database.write() as connection:
            gone = delete(UPLOADS).where(_U.upload_id == upload.upload_id)
            if connection.execute(gone).rowcount:
                details = {"partner_id": upload.partner_id}
                note(connection, now_ns, actor, "demo.take_back", upload.upload_id, details)

    def expire(self) -> list[Upload]:
        """End all whose time is over; those that were."""
        now_ns = self._clock.now()
        over = _U.expires_at <= now_ns // 1_000_000
        with self._database.write() as connection:
            rows = connection.execute(select(UPLOADS).where(over)).mappings()
            uploads = [record(row, Upload) for row in rows]
            for upload in uploads:
                connection.execute(delete(UPLOADS).where(_U.upload_id == upload.upload_id))
                _tell_expiry(connection, now_ns, upload)
        return uploads


def uploads_of(
    database: Database, settings: Settings, *, now_ns: Callable[[], int] = time.time_ns
) -> Uploads:
    """Those of a database, with the bounds of the settings."""
    quota = Quota(settings.demo_quota_bytes, settings.demo_quota_files)
    return Uploads(database, quota, settings.demo_expiry_seconds, now_ns=now_ns)


def _tell_expiry(connection: Connection, now_ns: int, upload: Upload) -> None:
    fields = {
        "partner_id": upload.partner_id,
        "status": "expired",
        "upload_id": upload.upload_id,
        "file_name": upload.file_name,
        "size_bytes": upload.size_bytes,
        "reason": f"{upload.received} of {upload.size_bytes} bytes came in time",
    }
    add_change(connection, now_ns, "demo_upload", fields)
    details = {"partner_id": upload.partner_id, "received": upload.received}
    note(connection, now_ns, OURSELVES, "demo.expired", upload.upload_id, details)


def found(connection: Connection, upload_id: str) -> Upload | None:
    """An upload by its id."""
    if len(upload_id) > 36 or not upload_id.isprintable():
        return None
    query = select(UPLOADS).where(_U.upload_id == upload_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else record(row, Upload)


def held(connection: Connection, partner_id: str) -> tuple[int, int]:
    """How many files a partner has, and their bytes, unfinished ones as if they were whole."""
    files = size = 0
    mine = (_U.partner_id == partner_id,
            and_(DEMOS.c.partner_id == partner_id, DEMOS.c.removed_at.is_(None)))  # fmt: skip
    for table, which in zip((UPLOADS, DEMOS), mine, strict=True):
        sums = select(func.count(), func.coalesce(func.sum(table.c.size_bytes), 0)).where(which)
        some, more = connection.execute(sums).one()
        files, size = files + int(some), size + int(more)
    return files, size


@contextmanager
def alone(database: Database, name: str) -> Iterator[None]:
    """Be the only one with this name, on all hosts of the database, for as long as a bucket takes.
    Not in a transaction of SQLite: nobody else could write meanwhile; there all are on one host."""
    if database.path is None:
        with database.write() as connection:
            lock(connection, name)
            yield
        return
    folder = database.path.parent / "demos"
    make_folders(folder, 0o700)
    fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def lock(connection: Connection, name: str) -> None:
    """Until the transaction ends nobody else gets past here with the same name. In SQLite whoever
    writes is alone anyway."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(sha256(f"lakeward {name}".encode()).digest()[:8], signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
