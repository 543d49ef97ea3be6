"""The work on demos: which step is next, who is at it, and how it ended.

In: a database and the places whose bytes can be read here. Out: a `Job` that is leased to who took
it. A lease that is not renewed runs out, and the next one does the step again; a step that nobody
ends within `MOST_TRIES` takes fails for good. Fails with `LeaseLost` when somebody else has the
work by now or the demo was removed, and as the database does.

    probe ─► thumbnails ─► transcript ─► measures ─► done      video, audio
    probe ─► text ─► measures ─► done                          documents, captions
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, RowMapping, and_, delete, insert, or_, select, update
from uuid_utils import uuid7

from lakeward.errors import LakewardError, Terminal
from lakeward.interaction import Clock
from lakeward.store.database import Database
from lakeward.store.demo import Demo, Segment, Source, State, Thumbnail
from lakeward.store.demos import change_state, standing
from lakeward.store.demos_schema import DEMOS, JOBS, THUMBNAILS, TRANSCRIPTS
from lakeward.store.trail import note
from lakeward.store.uploads import OURSELVES, NotThere

Step = Literal["probe", "thumbnails", "transcript", "text", "measures", "done"]
MOST_TRIES: Final = 3
LEASE_SECONDS: Final = 60.0
MESSAGE_LENGTH: Final = 255
_J: Final = JOBS.c


class LeaseLost(LakewardError):
    """Somebody else does this work now, or it is not to be done any more."""


class NotWanted(Terminal):
    """This demo takes no transcript."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A step that is leased to who holds this."""

    demo: Demo
    step: Step
    tries: int
    lease: str
    elsewhere: str | None
    """The job of a service that transcribes, by its name there."""
    given: str | None
    """A transcript that nobody has read yet."""
    has_text: bool
    """Whether there is a transcript already."""


class Jobs:
    """The work of a database."""

    def __init__(
        self, database: Database, *, now_ns: Callable[[], int] = time.time_ns,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:  # fmt: skip
        self._database = database
        self._clock = Clock(now_ns)
        self._lease_ms = int(lease_seconds * 1000)

    def take(self, places: Sequence[str]) -> Job | None:
        """Lease the work that waits longest; None when there is none."""
        now_ns = self._clock.now()
        now = now_ns // 1_000_000
        free = or_(_J.leased_until.is_(None), _J.leased_until <= now)
        mine = and_(DEMOS.c.place.in_(list(places)), DEMOS.c.removed_at.is_(None))
        query = select(JOBS).join(DEMOS).where(_J.due_at <= now, free, mine)
        query = query.order_by(_J.due_at, _J.demo_id).limit(1)
        with self._database.write() as connection:
            while row := connection.execute(
                query.with_for_update(skip_locked=True, of=JOBS)
            ).mappings().first():  # fmt: skip
                demo = standing(connection, row["demo_id"])
                assert demo is not None  # the query looked
                if row["tries"] < MOST_TRIES:
                    return self._lease(connection, now_ns, row, demo)
                self._give_up(connection, now_ns, row, demo)
        return None

    def _lease(
        self, connection: Connection, now_ns: int, row: RowMapping, demo: Demo
    ) -> Job:  # fmt: skip
        now, lease = now_ns // 1_000_000, str(uuid7(nanoseconds=now_ns))
        changes = {"lease": lease, "leased_until": now + self._lease_ms,
                   "tries": row["tries"] + 1, "began_at": row["began_at"] or now}  # fmt: skip
        which = _J.demo_id == demo.demo_id
        connection.execute(update(JOBS).where(which).values(changes))
        if demo.state != "processing":
            demo = change_state(connection, now_ns, demo, OURSELVES, state="processing",
                                reason=None)  # fmt: skip
        of = TRANSCRIPTS.c
        said = select(of.given, of.source).where(of.demo_id == demo.demo_id)
        given, source = connection.execute(said).one_or_none() or (None, None)
        return Job(
            demo=demo, step=row["step"], tries=row["tries"] + 1, lease=lease, given=given,
            elsewhere=row["elsewhere"], has_text=source is not None,
        )  # fmt: skip

    def _give_up(
        self, connection: Connection, now_ns: int, row: RowMapping, demo: Demo
    ) -> None:  # fmt: skip
        reason = (
            f"the processing was interrupted {row['tries']} times at the step {row['step']}: "
            "send the demo once more"
        )
        change_state(connection, now_ns, demo, OURSELVES, state="failed", reason=reason)
        ended = _ended(now_ns, reason)
        connection.execute(update(JOBS).where(_J.demo_id == demo.demo_id).values(ended))

    def renew(self, job: Job, percent: int | None = None, message: str = "") -> None:
        """Somebody is at it still, and so far."""
        until = self._clock.now() // 1_000_000 + self._lease_ms
        changes: dict[str, Any] = {"leased_until": until}
        if percent is not None:
            changes |= {"percent": percent, "message": message[:MESSAGE_LENGTH]}
        with self._database.write() as connection:
            _held(connection, job, changes)

    def proceed(self, job: Job, step: Step, percent: int, **found: Any) -> Job:
        """The step is done: keep what it found in the demo, and go on with the next."""
        now_ns = self._clock.now()
        until = now_ns // 1_000_000 + self._lease_ms
        changes = {"step": step, "tries": 1, "percent": percent, "message": step,
                   "leased_until": until, "elsewhere": None}  # fmt: skip
        with self._database.write() as connection:
            demo = _held(connection, job, changes)
            demo = change_state(connection, now_ns, demo, OURSELVES, **found)
        return msgspec.structs.replace(job, demo=demo, step=step, tries=1, elsewhere=None)

    def keep_thumbnails(self, job: Job, pictures: Sequence[Thumbnail]) -> None:
        """Pictures, in the place of any that were there."""
        with self._database.write() as connection:
            _held(connection, job, {})
            mine = THUMBNAILS.c.demo_id == job.demo.demo_id
            connection.execute(delete(THUMBNAILS).where(mine))
            for number, picture in enumerate(pictures):
                row = msgspec.structs.asdict(picture)
                row |= {"demo_id": job.demo.demo_id, "number": number}
                connection.execute(insert(THUMBNAILS).values(row))

    def keep_transcript(
        self, job: Job, source: Source, language: str | None, segments: Sequence[Segment]
    ) -> Job:
        """What is said, in the place of what was there; what was given has been read."""
        now_ns = self._clock.now()
        values = {"source": source, "language": language, "given": None,
                  "segments": msgspec.to_builtins(list(segments)),
                  "updated_at": now_ns // 1_000_000}  # fmt: skip
        with self._database.write() as connection:
            _held(connection, job, {})
            _upsert_transcript(connection, job.demo.demo_id, values)
        return msgspec.structs.replace(job, given=None, has_text=True)

    def keep_elsewhere(self, job: Job, name: str) -> Job:
        """A service transcribes it, under this name."""
        with self._database.write() as connection:
            _held(connection, job, {"elsewhere": name})
        return msgspec.structs.replace(job, elsewhere=name)

    def discard_given(self, job: Job) -> Job:
        """What was given cannot be read."""
        mine = TRANSCRIPTS.c.demo_id == job.demo.demo_id
        with self._database.write() as connection:
            _held(connection, job, {})
            connection.execute(update(TRANSCRIPTS).where(mine).values(given=None))
        return msgspec.structs.replace(job, given=None)

    def wait(self, job: Job, seconds: float, message: str, *, failed: bool = False) -> None:
        """Let the step be done later; one that only waits for others was no try."""
        due_at = self._clock.now() // 1_000_000 + int(seconds * 1000)
        changes = {"due_at": due_at, "lease": None, "leased_until": None,
                   "message": message[:MESSAGE_LENGTH],
                   "tries": job.tries if failed else job.tries - 1}  # fmt: skip
        with self._database.write() as connection:
            _held(connection, job, changes)

    def end(self, job: Job, state: State, reason: str | None = None, **found: Any) -> None:
        """All is done that can be; unless a transcript was given meanwhile."""
        now_ns = self._clock.now()
        with self._database.write() as connection:
            demo = _held(connection, job, _ended(now_ns, reason or ""))
            given = select(TRANSCRIPTS.c.given).where(TRANSCRIPTS.c.demo_id == demo.demo_id)
            if state in ("completed", "awaiting_transcript") and connection.scalar(given):
                _begin_again(connection, now_ns, demo.demo_id)
            change_state(connection, now_ns, demo, OURSELVES, state=state, reason=reason, **found)

    def give(self, demo_id: str, text: str, *, actor: str) -> Demo:
        """A transcript of a video or of sound, to be read by the work."""
        now_ns = self._clock.now()
        with self._database.write() as connection:
            demo = standing(connection, demo_id)
            if demo is None:
                raise NotThere("there is no such demo: it may have been removed")
            if demo.state in ("refused", "failed"):
                raise NotWanted(f"the demo was {demo.state}: send it once more")
            if demo.probe is not None and demo.probe.kind not in ("video", "audio"):
                raise NotWanted("a document has a text of its own")
            values = {"given": text, "given_by": actor, "updated_at": now_ns // 1_000_000}
            _upsert_transcript(connection, demo_id, values)
            if demo.state in ("completed", "awaiting_transcript"):
                _begin_again(connection, now_ns, demo_id)
            details = {"partner_id": demo.partner_id}
            note(connection, now_ns, actor, "demo.transcript", demo_id, details)
        return demo

    def listen_again(self) -> int:
        """There is somebody who transcribes now: begin again where one was waited for, but not
        where it was tried; how many there are."""
        now_ns = self._clock.now()
        waiting = select(DEMOS.c.demo_id).where(
            DEMOS.c.state == "awaiting_transcript", DEMOS.c.removed_at.is_(None),
            DEMOS.c.reason.is_(None),
            DEMOS.c.demo_id.in_(select(_J.demo_id).where(_J.due_at.is_(None))),
        )  # fmt: skip
        with self._database.write() as connection:
            ids = list(connection.scalars(waiting))
            for demo_id in ids:
                _begin_again(connection, now_ns, demo_id)
        return len(ids)


def _held(connection: Connection, job: Job, changes: dict[str, Any]) -> Demo:
    """The demo of a job whose lease is still one's own; its row is changed."""
    demo = standing(connection, job.demo.demo_id)
    mine = and_(_J.demo_id == job.demo.demo_id, _J.lease == job.lease)
    changed = update(JOBS).where(mine).values({"lease": job.lease} | changes)
    if demo is None or connection.execute(changed).rowcount != 1:
        raise LeaseLost("somebody else does this work now, or the demo was removed")
    return demo


def _ended(now_ns: int, message: str) -> dict[str, Any]:
    return {"step": "done", "due_at": None, "lease": None, "leased_until": None, "percent": 100,
            "message": message[:MESSAGE_LENGTH], "ended_at": now_ns // 1_000_000}  # fmt: skip


def _begin_again(connection: Connection, now_ns: int, demo_id: str) -> None:
    """From the transcript on."""
    now = now_ns // 1_000_000
    changes = {"step": "transcript", "tries": 0, "percent": 0, "message": "waiting", "due_at": now,
               "lease": None, "leased_until": None, "began_at": now, "ended_at": None}  # fmt: skip
    connection.execute(update(JOBS).where(_J.demo_id == demo_id).values(changes))


def _upsert_transcript(connection: Connection, demo_id: str, values: dict[str, Any]) -> None:
    mine = TRANSCRIPTS.c.demo_id == demo_id
    if connection.execute(update(TRANSCRIPTS).where(mine).values(values)).rowcount == 0:
        connection.execute(insert(TRANSCRIPTS).values(values | {"demo_id": demo_id}))
