"""Demos: whole files of partners, the state each is in, and what was found in it.

In: a database, an upload that is whole, what the work on it found. Out: a `Demo`. Each change of
state is an interaction `demo_upload` and an entry of the audit, in the transaction that makes it.
Fails with `NotThere` for a demo that is none, `Missing` when the bytes of one are not where they
should be, and as the database does.

    received ─► processing ─► completed | awaiting_transcript | refused | failed
                    ▲                 a transcript is given │
                    └───────────────────────────────────────┘
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, and_, delete, func, insert, select, update

from lakeward.errors import Transient
from lakeward.interaction import Clock
from lakeward.store.changes import add_change
from lakeward.store.database import Database
from lakeward.store.demo import Demo, Measures, Progress, Thumbnail, Transcript
from lakeward.store.demos_schema import DEMOS, JOBS, THUMBNAILS, TRANSCRIPTS, UPLOADS
from lakeward.store.row import record
from lakeward.store.trail import note
from lakeward.store.uploads import NotThere, Upload, alone, found

REASON_LENGTH: Final = 255
_D: Final = DEMOS.c


class Missing(Transient):
    """The bytes of an upload have to be stored once more."""


class Demos:
    """The demos of a database."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._clock = Clock(now_ns)

    def receive(
        self, upload: Upload, digest: str, place: str, is_there: Callable[[], bool]
    ) -> Demo:
        """An upload is whole: it becomes a demo, and there is work. Whoever removes another demo
        with the same bytes takes the same lock, so that they are not taken away in between."""
        now_ns = self._clock.now()
        now = now_ns // 1_000_000
        demo = Demo(
            demo_id=upload.upload_id, partner_id=upload.partner_id, owner=upload.owner,
            title=upload.title, file_name=upload.file_name, size_bytes=upload.size_bytes,
            sha256=digest, place=place, state="received", reason=None, media_type=None, probe=None,
            measures=None, created_at=now, updated_at=now, removed_at=None,
        )  # fmt: skip
        with alone(self._database, f"bytes {digest}"):
            if not is_there():
                raise Missing("the bytes of the upload were taken away: they are stored once more")
            self._receive(now_ns, demo)
        return demo

    def _receive(self, now_ns: int, demo: Demo) -> None:
        with self._database.write() as connection:
            if found(connection, demo.demo_id) is None:
                raise NotThere("the upload was taken back, or is over")
            connection.execute(insert(DEMOS).values(msgspec.structs.asdict(demo)))
            job = {"demo_id": demo.demo_id, "step": "probe", "tries": 0, "percent": 0,
                   "message": "waiting", "due_at": demo.created_at}  # fmt: skip
            connection.execute(insert(JOBS).values(job))
            gone = delete(UPLOADS).where(UPLOADS.c.upload_id == demo.demo_id)
            connection.execute(gone)
            tell(connection, now_ns, demo, demo.owner)

    def find(self, demo_id: str) -> Demo | None:
        """A demo that is not removed."""
        with self._database.read() as connection:
            return standing(connection, demo_id)

    def of_partner(self, partner_id: str) -> list[tuple[Demo, Progress | None]]:
        """Those of a partner and how far the work on them is, the newest first."""
        which = and_(_D.partner_id == partner_id, _D.removed_at.is_(None))
        query = select(DEMOS).where(which).order_by(_D.created_at.desc(), _D.demo_id)
        jobs = select(JOBS).join(DEMOS).where(which)
        with self._database.read() as connection:
            rows = connection.execute(jobs).mappings()
            at = {row["demo_id"]: record(row, Progress) for row in rows}
            demos = [record(row, Demo) for row in connection.execute(query).mappings()]
        return [(demo, at.get(demo.demo_id)) for demo in demos]

    def progress(self, demo_id: str) -> Progress | None:
        """How far the work on a demo is."""
        with self._database.read() as connection:
            query = select(JOBS).where(JOBS.c.demo_id == demo_id)
            row = connection.execute(query).mappings().first()
        return None if row is None else record(row, Progress)

    def transcript(self, demo_id: str) -> Transcript | None:
        """What is said in a demo, once that is known."""
        of = TRANSCRIPTS.c
        query = select(TRANSCRIPTS).where(of.demo_id == demo_id, of.source.is_not(None))
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else record(row, Transcript)

    def texts(self, partner_id: str) -> list[tuple[Demo, str]]:
        """What is said or written in those of a partner that were looked into, the oldest first;
        empty while there is no transcript."""
        seen = _D.state.in_(("completed", "awaiting_transcript"))
        which = and_(_D.partner_id == partner_id, _D.removed_at.is_(None), seen)
        query = select(DEMOS).where(which).order_by(_D.created_at, _D.demo_id)
        said = select(TRANSCRIPTS).join(DEMOS).where(which, TRANSCRIPTS.c.source.is_not(None))
        with self._database.read() as connection:
            demos = [record(row, Demo) for row in connection.execute(query).mappings()]
            found = [record(row, Transcript) for row in connection.execute(said).mappings()]
        text = {one.demo_id: "\n".join(s.text for s in one.segments or ()) for one in found}
        return [(demo, text.get(demo.demo_id, "")) for demo in demos]

    def thumbnail(self, demo_id: str, number: int) -> Thumbnail | None:
        """A picture of a video; the first is number 0."""
        of = THUMBNAILS.c
        query = select(THUMBNAILS).where(of.demo_id == demo_id, of.number == number)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        # not by `record`: bytes in JSON's terms would be Base64
        return Thumbnail(second=row["second"], width=row["width"], height=row["height"],
                         image=bytes(row["image"]))  # fmt: skip

    def pictures(self, demo_id: str) -> list[int]:
        """The second of each picture, in the order of their numbers."""
        of = THUMBNAILS.c
        query = select(of.second).where(of.demo_id == demo_id).order_by(of.number)
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def pictures_of(self, partner_id: str) -> dict[str, list[int]]:
        """The same of all demos of a partner, by their ids."""
        of = THUMBNAILS.c
        which = and_(_D.partner_id == partner_id, _D.removed_at.is_(None))
        query = select(of.demo_id, of.second).join(DEMOS).where(which).order_by(of.number)
        said: dict[str, list[int]] = {}
        with self._database.read() as connection:
            for demo_id, second in connection.execute(query):
                said.setdefault(demo_id, []).append(second)
        return said

    def remove(self, demo_id: str, *, actor: str) -> Demo:
        """Take a demo away, with all that was made of it; its bytes follow in `removed`."""
        now_ns = self._clock.now()
        now = now_ns // 1_000_000
        with self._database.write() as connection:
            if self._database.path is not None:
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            demo = standing(connection, demo_id)
            if demo is None:
                raise NotThere("there is no such demo: it may have been removed")
            for table in (THUMBNAILS, TRANSCRIPTS, JOBS):
                connection.execute(delete(table).where(table.c.demo_id == demo_id))
            blank = {"removed_at": now, "title": "", "file_name": "", "probe": None,
                     "measures": None}  # fmt: skip
            connection.execute(update(DEMOS).where(_D.demo_id == demo_id).values(blank))
            details = {"partner_id": demo.partner_id, "state": demo.state}
            note(connection, now_ns, actor, "demo.remove", demo_id, details)
        return demo

    def removed(self, place: str, delete_bytes: Callable[[str], None]) -> int:
        """Let the bytes of removed demos go, where no other demo of the place has the same; how
        many rows went. Whoever is killed in between is followed by somebody who does it again."""
        over = and_(_D.removed_at.is_not(None), _D.place == place)
        with self._database.read() as connection:
            rows = connection.execute(select(_D.demo_id, _D.sha256).where(over)).all()
        for demo_id, digest in rows:
            with alone(self._database, f"bytes {digest}"):
                if not self._referred(digest, place, demo_id):
                    delete_bytes(digest)
                with self._database.write() as connection:
                    connection.execute(delete(DEMOS).where(_D.demo_id == demo_id))
        return len(rows)

    def release(self, digest: str, place: str, delete_bytes: Callable[[str], None]) -> bool:
        """Let bytes go that were put before somebody was killed; whether nobody refers to them."""
        with alone(self._database, f"bytes {digest}"):
            if self._referred(digest, place, ""):
                return False
            delete_bytes(digest)
            return True

    def _referred(self, digest: str, place: str, but: str) -> bool:
        same = and_(_D.sha256 == digest, _D.place == place, _D.demo_id != but)
        with self._database.read() as connection:
            return bool(connection.scalar(select(func.count()).select_from(DEMOS).where(same)))

    def known(self, place: str) -> set[str]:
        """The hashes that demos of a place refer to."""
        with self._database.read() as connection:
            return set(connection.scalars(select(_D.sha256).where(_D.place == place)))


def standing(connection: Connection, demo_id: str) -> Demo | None:
    """A demo by its id, unless it is removed."""
    if len(demo_id) > 36 or not demo_id.isprintable():
        return None
    query = select(DEMOS).where(_D.demo_id == demo_id, _D.removed_at.is_(None))
    row = connection.execute(query).mappings().first()
    return None if row is None else record(row, Demo)


def change_state(
    connection: Connection, now_ns: int, demo: Demo, actor: str, **changes: Any
) -> Demo:  # fmt: skip
    """A demo with other values; a state that was not its own before is told."""
    reason = changes.get("reason", demo.reason)
    changes["reason"] = None if reason is None else reason[:REASON_LENGTH]
    changed = msgspec.structs.replace(demo, updated_at=now_ns // 1_000_000, **changes)
    plain = msgspec.to_builtins({name: getattr(changed, name) for name in (*changes, "updated_at")})
    connection.execute(update(DEMOS).where(_D.demo_id == demo.demo_id).values(plain))
    if changed.state != demo.state:
        tell(connection, now_ns, changed, actor)
    return changed


def tell(connection: Connection, now_ns: int, demo: Demo, actor: str) -> None:
    """The state of a demo, as an interaction and in the audit."""
    add_change(connection, now_ns, "demo_upload", _fields(connection, now_ns, demo))
    details = {"partner_id": demo.partner_id, "state": demo.state}
    note(connection, now_ns, actor, f"demo.{demo.state}", demo.demo_id, details)


def _fields(connection: Connection, now_ns: int, demo: Demo) -> dict[str, Any]:
    probe, measures = demo.probe, demo.measures or Measures()
    of = TRANSCRIPTS.c
    query = select(of.source, of.language).where(of.demo_id == demo.demo_id)
    source, language = connection.execute(query).one_or_none() or (None, None)
    ended = demo.state in ("completed", "awaiting_transcript", "refused", "failed")
    began = connection.scalar(select(JOBS.c.began_at).where(JOBS.c.demo_id == demo.demo_id))
    said = {
        "partner_id": demo.partner_id,
        "status": demo.state,
        "upload_id": demo.demo_id,
        "file_name": demo.file_name,
        "media_type": demo.media_type,
        "size_bytes": demo.size_bytes,
        "sha256": demo.sha256,
        "duration_seconds": None if probe is None else probe.duration_seconds,
        "pages": None if probe is None else probe.pages,
        "transcript_source": source or ("none" if ended else None),
        "language": language,
        "words": measures.words,
        "words_per_minute": measures.words_per_minute,
        "silence_share": measures.silence_share,
        "topics": list(measures.topics) or None,
        "processing_ms": max(0, now_ns // 1_000_000 - began) if ended and began else None,
        "reason": demo.reason,
    }
    return {name: value for name, value in said.items() if value is not None}
