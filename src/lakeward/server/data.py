"""The state of the data: where everything offered is, who lags, what the lake takes of its disk.

    GET /api/data           ledger, keeper, rings, followers, table, disk
    GET /api/data/storage   bytes by zone, and by day of the last sixty

In: requests of who may read everything. Out: JSON; figures are a second old at most, sizes a
minute. Files are read in threads. Sentences name the lake and no path of it. 403 for partners.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from lakeward.accounts import Account
from lakeward.analysis.question import Column
from lakeward.audit import Report
from lakeward.collector import Collector
from lakeward.errors import LakewardError
from lakeward.interaction import iso
from lakeward.lake.progress import Counts, read_progress, waiting_bytes
from lakeward.lake.sizes import DATED, Sizes, sizes
from lakeward.lakedir import LakeDir
from lakeward.ledger import CATEGORY, Reason
from lakeward.server.acting import refuse_partners
from lakeward.server.answer import Headers, reply_json
from lakeward.server.handler import GET, Handler
from lakeward.server.intake import Request
from lakeward.server.routes import Found, Part
from lakeward.server.status import Status
from lakeward.settings import Settings

PARTS: Final = (Part("data", "/api/data", ("", "/storage")),)
SIZES_SECONDS: Final = 60.0
DAYS: Final = 60
MOST_RINGS: Final = 100
WHY: Final = "The state of the data is of everybody together: it is not for partners."
OFFERED: Final = ("offered", "found")
TERMS: Final[Mapping[str, str]] = {
    "offered": "Interactions that apps, servers and pages ever recorded.",
    "found": "Lines that stood in the log and in no book: somebody else wrote them.",
    "delivered": "Written to the log, durably, and still there.",
    "quarantined": "Set aside with their reason: they can be looked at and replayed.",
    "waiting": "In memory between a process and the log, about to be durable.",
    "rejected": "Refused by their type in development, where the caller got the exception.",
    "dropped": "Lost on the way, by the reasons below.",
    "sampled": "Left out by a rollout percentage.",
    "excluded": "Left out by a path that is not recorded, or for want of consent.",
    "disabled": "Left out, as that kind of collection is switched off.",
    "vanished": "Durable once, and gone since without the lake's doing.",
    "in_flight": "Being written by their process this instant.",
    "erased": "Removed at a person's wish.",
    "expired": "Removed when their time was over.",
    "suppressed": "Removed, as their person was erased before they came.",
}
"""What stands in the sum, in its order."""


ZONES: Final = (
    Column("zone", "text", "A part of the lake."),
    Column("bytes", "integer", "What it takes.", "bytes"),
    Column("files", "integer", "In how many files.", "files"),
    Column("at_least", "boolean", "Whether there are more files than were looked at."),
    Column("sentence", "text", "Why it could not be looked at."),
)


class Term(msgspec.Struct, frozen=True):
    """One place in the sum."""

    name: str
    n: int
    doc: str


class Left(msgspec.Struct, frozen=True):
    """Why interactions were not kept."""

    reason: str
    term: str
    n: int
    doc: str


class Ledger(msgspec.Struct, frozen=True):
    """The sum: `offered` together are `places` together, or `faults` says what is wrong."""

    ok: bool
    sentence: str
    faults: tuple[str, ...]
    offered: tuple[Term, ...]
    places: tuple[Term, ...]
    total: int
    reasons: tuple[Left, ...]


class Table(msgspec.Struct, frozen=True):
    """How far the log is in the table; without `changed_at` it never was."""

    waiting_bytes: int
    counts: Counts
    changed_at: str | None
    sentence: str = ""


class Ring(msgspec.Struct, frozen=True):
    """A process that records."""

    owner: str
    alive: bool
    fill: float
    waiting: int


class State(msgspec.Struct, frozen=True):
    """The answer."""

    at: str
    ledger: Ledger
    keeper: dict[str, Any]
    rings: tuple[Ring, ...]
    followers: tuple[Account, ...]
    table: Table
    log_changed_at: str | None


class Data:
    """Answers for one worker."""

    parts = PARTS

    def __init__(
        self, lake: LakeDir, settings: Settings, status: Status, collector: Collector,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._lake = lake
        self._settings = settings
        self._status = status
        self._collector = collector
        self._now = now
        self._sizes: Sizes | None = None
        self._sized_at = 0.0
        self._sizing = asyncio.Lock()

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """State and sizes."""
        return {
            "data": Handler(GET, "read", self._state),
            "data/storage": Handler(GET, "read", self._storage),
        }

    async def _state(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, WHY)
        report = await self._status.report()
        table = await asyncio.to_thread(table_of, self._lake)
        keeper = dict(self._status.health())
        keeper["age_ms"] = (self._collector.stats().get("keeper") or {}).get("age_ms")
        state = State(
            at=iso(time.time_ns() // 1_000_000),
            ledger=ledger_of(report, self._lake),
            keeper=keeper,
            rings=rings_of(report),
            followers=tuple(report.followers),
            table=table,
            log_changed_at=_changed(self._lake, "published"),
        )
        await reply_json(request.send, state)

    async def _storage(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, WHY)
        async with self._sizing:
            if self._sizes is None or self._now() - self._sized_at > SIZES_SECONDS:
                self._sizes = await asyncio.to_thread(sizes, self._lake, self._settings)
                self._sized_at = self._now()
        await reply_json(request.send, stored(self._sizes, time.time(), self._lake))


def ledger_of(report: Report, lake: LakeDir) -> Ledger:
    """The sum as an equation."""
    terms = [Term(name, report.sum[name], doc) for name, doc in TERMS.items() if name in report.sum]
    reasons = sorted(report.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    faults = tuple(_scrubbed(fault, lake) for fault in report.faults[:20])
    good = "Everything offered is in one of its places."
    return Ledger(
        ok=report.ok,
        sentence=good if report.ok else f"The sum does not hold: {'; '.join(faults)[:500]}.",
        faults=faults,
        offered=tuple(term for term in terms if term.name in OFFERED),
        places=tuple(term for term in terms if term.name not in OFFERED),
        total=sum(term.n for term in terms if term.name in OFFERED),
        reasons=tuple(
            Left(name, CATEGORY.get(Reason[name], "dropped"), n, LEFT[name])
            for name, n in reasons
        ),
    )  # fmt: skip


def rings_of(report: Report) -> tuple[Ring, ...]:
    """The processes that record, the fullest first."""
    alive = [Ring(r.owner, r.alive, r.fill, r.waiting) for r in report.rings]
    return tuple(sorted(alive, key=lambda ring: (-ring.fill, ring.owner))[:MOST_RINGS])


def table_of(lake: LakeDir) -> Table:
    """How far the log is in the table."""
    try:
        done = read_progress(lake).done
        return Table(waiting_bytes(lake), done.counts, _changed(lake, "table.json"))
    except (LakewardError, OSError) as error:
        said = _scrubbed(str(error), lake) if isinstance(error, LakewardError) else "unreadable"
        return Table(0, Counts(), None, said)


def stored(found: Sizes, now: float, lake: LakeDir) -> dict[str, Any]:
    """Sizes as tables: a row for each zone, and one for each of the last days, whether anything is
    kept of it or not."""
    today = int(now // 86_400)
    days = [iso((today - n) * 86_400_000)[:10] for n in range(DAYS - 1, -1, -1)]
    return {
        "zones": {
            "columns": ZONES,
            "rows": [
                [zone.name, zone.bytes, zone.files, zone.at_least, _scrubbed(zone.sentence, lake)]
                for zone in found.zones
            ],
        },
        "days": {
            "columns": [
                Column("day", "date", "Day of receipt; in the table, of the record (UTC)."),
                *(Column(name, "integer", f"Bytes of {name}.", "bytes") for name in DATED),
            ],
            "rows": [
                [day, *(found.days.get(day, {}).get(name, 0) for name in DATED)] for day in days
            ],
        },
        "bytes": sum(zone.bytes for zone in found.zones),
        "free": found.free,
        "total": found.total,
    }


def _changed(lake: LakeDir, name: str) -> str | None:
    try:
        return iso(os.stat(lake.private / name).st_mtime_ns // 1_000_000)
    except OSError:
        return None


def _scrubbed(sentence: str, lake: LakeDir) -> str:
    """Without the path of the lake."""
    for path in (lake.root.absolute(), lake.root):
        sentence = sentence.replace(str(path), "the lake")
    return sentence


LEFT: Final[Mapping[str, str]] = {
    "interrupted": "The caller was killed in the middle of recording.",
    "full": "The ring had no room: the keeper or its disk was behind.",
    "contended": "Every lane of the ring was in use at that instant.",
    "too_large": "Larger than LAKEWARD_FRAME_BYTES.",
    "scrub_failed": "The app's own scrubbing failed.",
    "unencodable": "It cannot be written as JSON.",
    "rejected": "Refused by its type in development.",
    "sampled": "Left out by a rollout percentage.",
    "excluded": "The path is not recorded.",
    "disabled": "That kind of collection is switched off.",
    "consent": "Consent or a privacy signal forbids it.",
    "damaged": "Something wrote over the ring's memory.",
}
"""What each reason means, for whoever reads it on a page."""
