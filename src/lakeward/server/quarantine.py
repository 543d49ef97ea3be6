"""The quarantine over HTTP: what was set aside, and bringing it back.

    GET  /api/quarantine          ?reason=…&type=…&follower=…&day=YYYY-MM-DD&most=20
    POST /api/quarantine/replay   {"reason": "…", "type": "…", "ids": […], "dry_run": true}

In: requests of who may read everything; who brings back is a person with the role of an admin, or
sits at a server that is open to its own machine. Out: entries as the quarantine keeps them, the
newest first, a long record cut; counts of what came back, or would. What came back is in the audit.
How many there are by day, type and reason tells the question `data_refused`. One bringing back at a
time: 409; the reasons are those of `lakeward replay`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from lakeward.collector import Collector
from lakeward.errors import LakewardError
from lakeward.lake.summary import day_named
from lakeward.lakedir import LakeDir
from lakeward.quarantine import Entry, Selection, brought_back, newest
from lakeward.replay import Replay, Replayed
from lakeward.server.acting import actor, asked, beside, refuse_partners, said, sentence
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.store.database import Database
from lakeward.store.trail import note

PARTS: Final = (Part("quarantine", "/api/quarantine", ("", "/replay")),)
MOST: Final = 200
MOST_IDS: Final = 500
MOST_FIELDS: Final = 50
MOST_AT_ONCE: Final = 10_000
"""Entries that one request brings back: the answer says how many are left."""
LONGEST: Final = 8 << 10
"""Characters of a record that are shown."""
LONGEST_NAME: Final = 128
WHY: Final = "The quarantine holds everybody's records: it is not for partners."
WANTED: Final = (
    'The body must be {"reason": "…", "type": "…", "follower": "…", "day": "YYYY-MM-DD", '
    '"ids": […], "set": {…}, "dry_run": true}, of which each may be left out.'
)
Text = Annotated[str, Meta(max_length=500)]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries are brought back; what is empty does not select."""

    reason: Text = ""
    type: Text = ""
    follower: Text = ""
    day: Text = ""
    ids: Annotated[list[Text], Meta(max_length=MOST_IDS)] = []
    dry_run: bool = True
    set: Annotated[dict[str, Any], Meta(max_length=MOST_FIELDS)] = {}
    """What is mended in each of them; null takes a field out."""


class Shown(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry; `record` is JSON text."""

    quarantine_id: str
    quarantined_at: str
    reason: str
    type: str = ""
    follower: str = ""
    note: str = ""
    bytes: int = 0
    record: str | None = None
    cut: bool = False
    replayed: bool = False


class Quarantine:
    """Answers for one worker."""

    parts = PARTS

    def __init__(
        self, lake: LakeDir, collector: Collector, database: Database, guard: Guard, intake: Intake
    ) -> None:
        self._lake = lake
        self._database = database
        self._collector = collector
        self._guard = guard
        self._intake = intake
        self._replaying = asyncio.Lock()

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The list, and bringing back."""
        return {
            "quarantine": Handler(GET, "read", self._list),
            "quarantine/replay": Handler(POST, "read", self._replay),
        }

    async def _list(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, WHY)
        query = {name: values[-1] for name, values in asked(request).items()}
        most = _number(query.pop("most", "20"))
        try:
            wanted = msgspec.convert(query, Wanted)
        except msgspec.ValidationError:
            raise Refusal(
                400, "bad_query", "Ask by reason, type, follower, day and most."
            ) from None
        entries = await beside(_none, self._newest, selection(wanted), most)
        await reply_json(request.send, {"entries": entries})

    def _newest(self, chosen: Selection, most: int) -> list[Shown]:
        marked = brought_back(self._lake)
        return [shown(entry, marked) for entry in newest(self._lake, chosen, most)]

    async def _replay(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        who = actor(request, self._guard, WHY)
        wanted = await said(request, self._intake, Wanted, WANTED, 64 << 10)
        chosen = selection(wanted)
        if self._replaying.locked():
            raise Refusal(409, "under_way", "Something is being brought back: wait for its end.")
        async with self._replaying:
            done = await beside(_failed, self._brought, chosen, wanted, who)
        answer: dict[str, Any] = {"dry_run": wanted.dry_run, **msgspec.structs.asdict(done)}
        await reply_json(request.send, answer)

    def _brought(self, chosen: Selection, wanted: Wanted, who: str) -> Replayed:
        replay = Replay(
            self._lake, self._collector, wanted.set, dry=wanted.dry_run, most=MOST_AT_ONCE
        )
        done = replay.run(chosen)
        if not wanted.dry_run:
            # Which fields were mended, and never what is in them: that may be personal.
            details = {
                "selected": done.selected, "replayed": done.replayed,
                "set": sorted(name[:LONGEST_NAME] for name in wanted.set),
            }  # fmt: skip
            now_ns = self._collector.clock.now()
            with self._database.write() as connection:
                subject = wanted.type[:LONGEST_NAME]
                note(connection, now_ns, who, "quarantine.replay", subject, details)
        return done


def selection(wanted: Wanted) -> Selection:
    """What the wish selects; Refusal for a day that is none."""
    try:
        day = day_named(wanted.day) if wanted.day else ""
    except ValueError as error:
        raise Refusal(400, "bad_day", sentence(error)) from None
    ids = frozenset(text.lower() for text in wanted.ids)
    return Selection(wanted.reason, wanted.type, wanted.follower, day, "", ids)


def shown(entry: Entry, marked: set[str]) -> Shown:
    """An entry for a page."""
    record = None if entry.record is None else msgspec.json.encode(entry.record).decode()
    return Shown(
        entry.quarantine_id, entry.quarantined_at, entry.reason, entry.interaction_type,
        entry.follower, entry.note, entry.bytes,
        None if record is None else record[:LONGEST],
        cut=record is not None and len(record) > LONGEST,
        replayed=entry.quarantine_id in marked,
    )  # fmt: skip


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST:
        return int(text[:9])
    raise Refusal(400, "bad_number", f"`most` must be from 1 to {MOST}.")


def _none(error: LakewardError) -> Refusal | None:
    return None


def _failed(error: LakewardError) -> Refusal:
    return Refusal(503, "not_durable", sentence(error))
