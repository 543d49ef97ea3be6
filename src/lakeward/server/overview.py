"""The overview: `GET /api/overview?zone=Europe/Lisbon`, what somebody sees who looks in.

In: requests of who may read everything. Out: how today goes beside what is usual (the study
`today`), open incidents, and the state of the data in a few words; with an `ETag` that changes when
any of it does. Says no with 400 for a zone that is none, 403 `not_for_partners`, and as questions
do. Files and the database are read in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

import msgspec

from lakeward.alerts.listing import OPEN, overview
from lakeward.alerts.overview import account, verdict
from lakeward.analysis.today import Today
from lakeward.audit import Report
from lakeward.errors import LakewardError, Rejected
from lakeward.interaction import iso
from lakeward.lakedir import LakeDir
from lakeward.quarantine import Selection, newest
from lakeward.server import feed
from lakeward.server.acting import asked, refuse_partners, sentence
from lakeward.server.answer import Headers, Refusal, reply
from lakeward.server.asker import Asker
from lakeward.server.handler import GET, Handler
from lakeward.server.intake import Request
from lakeward.server.routes import Found, Part
from lakeward.server.sieve import Sieve
from lakeward.server.status import Status
from lakeward.server.tail import Tail
from lakeward.server.wire import Order
from lakeward.settings import Settings
from lakeward.store.alerts import AlertTable
from lakeward.store.database import Database
from lakeward.store.tellings import Tellings

PARTS: Final = (Part("overview", "/api/overview"),)
JSON: Final = b"application/json"
NOT_FOR_PARTNERS: Final = "The overview is of everybody together."
MOST_ALERTS: Final = 5
MOST_REFUSED: Final = 1000
LAST_BYTES: Final = 64 << 10
"""At the end of the log, in which the newest record is looked for."""
DAY: Final = timedelta(days=1)


class Health(msgspec.Struct, frozen=True):
    """The state of the data: whether all of it is accounted for, and how far behind what is."""

    ok: bool
    sentence: str
    ledger_ok: bool
    lag_seconds: float
    waiting: int
    """Records that a follower has not taken yet, of the one that is furthest behind."""
    stopped: tuple[str, ...]
    """Followers that retry or have stopped."""
    refused: int
    """Set aside since this time yesterday."""
    refused_is_least: bool
    last_at: str | None
    """When the newest record of the log came in."""


class Overview:
    """Answers for one worker."""

    parts = PARTS

    def __init__(
        self, asker: Asker, status: Status, lake: LakeDir, database: Database, settings: Settings,
        *, now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        self._asker = asker
        self._status = status
        self._lake = lake
        self._alerts = AlertTable(database)
        self._tellings = Tellings(database)
        self._settings = settings
        self._now = now

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The one answer."""
        return {"overview": Handler(GET, "read", self._answer)}

    async def _answer(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, NOT_FOR_PARTNERS)
        zone = asked(request).get("zone", ["UTC"])[-1]
        today, alerts, report = await asyncio.gather(
            self._today(zone, request.reader), self._incidents(), self._status.report()
        )
        health = await asyncio.to_thread(self._health, report)
        body = msgspec.json.encode(today | {"alerts": alerts, "health": health})
        etag = b'"' + blake2b(body, digest_size=16).hexdigest().encode() + b'"'
        said = [(b"etag", etag), (b"cache-control", b"no-cache, private")]
        same = request.headers.get(b"if-none-match") == etag
        await reply(request.send, 304 if same else 200, b"" if same else body, JSON, said)

    async def _today(self, zone: str, who: str) -> dict[str, msgspec.Raw]:
        at = self._now().replace(second=0, microsecond=0) + timedelta(minutes=1)
        try:
            study = Today(at=at, zone=zone, internal_is=tuple(self._settings.internal))
        except Rejected as error:
            raise Refusal(400, "bad_question", str(error)) from None
        word, answer = await self._asker.ask(
            Order(study.name, msgspec.Raw(msgspec.json.encode(study))), who
        )
        if word.status != 200:
            raise Refusal(word.status, word.code, word.message)
        parts = msgspec.json.decode(answer, type=dict[str, msgspec.Raw])
        parts.pop("took_ms", None)  # another one each time, which no ETag could bear
        return parts

    async def _incidents(self) -> dict[str, Any]:
        now_ms = round(self._now().timestamp() * 1000)
        try:
            shown, told = await asyncio.gather(
                asyncio.to_thread(
                    overview, self._alerts, self._tellings, now_ms, states=OPEN, most=MOST_ALERTS
                ),
                asyncio.to_thread(account, self._lake, self._settings),
            )
        except LakewardError as error:
            return {"incidents": [], "counts": {}, "verdict": None, "sentence": sentence(error)}
        counts = shown["counts"]
        said = verdict(told, sum(counts[state] for state in OPEN), now_ms)
        return {
            "incidents": shown["incidents"], "counts": counts, "sentence": "",
            "verdict": msgspec.to_builtins(said),
        }  # fmt: skip

    def _health(self, report: Report) -> Health:
        refused = newest(
            self._lake, Selection(since=iso(round((self._now() - DAY).timestamp() * 1000))),
            MOST_REFUSED,
        )  # fmt: skip
        alive = [ring.keeper_age_ms / 1000 for ring in report.rings if ring.alive]
        state = self._status.health()
        stopped = tuple(one.name for one in report.followers if one.state != "running")
        sentence_ = _sentence(state, report, stopped)
        return Health(
            ok=not sentence_,
            sentence=sentence_ or "Everything that was offered is accounted for.",
            ledger_ok=report.ok,
            lag_seconds=round(max(alive, default=0.0)),
            waiting=max((one.waiting for one in report.followers), default=0),
            stopped=stopped,
            refused=len(refused),
            refused_is_least=len(refused) == MOST_REFUSED,
            last_at=_last(self._lake),
        )


def _sentence(state: Mapping[str, Any], report: Report, stopped: tuple[str, ...]) -> str:
    """What is wrong, the worst first; empty when nothing is."""
    if state["status"] != "ok":
        return str(state["message"])
    if not report.ok:
        return "What was offered is not what arrived: `lakeward doctor` says what is missing."
    if stopped:
        return f"Behind, as it retries or has stopped: {', '.join(stopped)}."
    return ""


def _last(lake: LakeDir) -> str | None:
    """When the newest record came in, as it says itself."""
    tail = Tail(lake)
    end = tail.end()
    if end is None:
        return None
    found = feed.newest(tail, end, Sieve(), 1, LAST_BYTES)
    return found[-1].row.received_at or found[-1].row.timestamp if found else None
