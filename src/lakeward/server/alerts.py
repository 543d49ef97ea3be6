"""Incidents over HTTP: `GET /api/alerts` lists them, and people act on them.

    GET  /api/alerts               ?state=open|all|resolved …  &most=100  &before=<moment>
    GET  /api/alerts/{id}          one, with its steps and who was told
    POST /api/alerts/{id}/ack      {}                  also /resolve
    POST /api/alerts/{id}/snooze   {"minutes": 60}       0 ends it

In: requests of who may read everything; what changes something needs a person with the role of an
admin, or a server that is open to its own machine. Says no with 400, 403 (partners, read keys,
pages of other origins), 404, 409 where an incident is over already or not snoozed, and 503 while
the database is away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import msgspec
from msgspec import Meta

from lakeward.alerts.acting import LONGEST_MINUTES, VERBS, Acts
from lakeward.alerts.listing import OPEN, overview, plain, whole
from lakeward.alerts.opening import told_by
from lakeward.alerts.recording import record
from lakeward.alerts.rules import read
from lakeward.alerts.telling import Telling
from lakeward.collector import Collector
from lakeward.errors import LakewardError, Terminal, Transient
from lakeward.interaction import parse_iso
from lakeward.server import body
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.settings import Settings
from lakeward.store.alerts import STATES, AlertTable, Incident
from lakeward.store.database import Database
from lakeward.store.tellings import Tellings

PARTS: Final = (Part("alerts", "/api/alerts", ("", "/{id}", "/{id}/{verb}")),)
MOST_BYTES: Final = 4 << 10
MOST: Final = 1000


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What comes with an act."""

    minutes: Annotated[float, Meta(ge=0, le=LONGEST_MINUTES)] = 60.0
    """How long a snooze lasts; 0 ends it."""

    def __post_init__(self) -> None:
        """Refuse what is neither."""
        if 0 < self.minutes < 1:
            raise ValueError("minutes must be 0, or at least 1")


class Alerts:
    """Answers for one worker."""

    parts = PARTS

    def __init__(
        self,
        database: Database,
        settings: Settings,
        collector: Collector,
        guard: Guard,
        intake: Intake,
    ) -> None:
        self._table = AlertTable(database)
        self._queue = Tellings(database)
        self._settings = settings
        self._collector = collector
        self._guard = guard
        self._intake = intake

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The list, one incident, and what is done to one."""
        return {
            "alerts": Handler(GET, "read", self._list),
            "alerts/{id}": Handler(GET, "read", self._one),
            "alerts/{id}/{verb}": Handler(POST, "read", self._act),
        }

    async def _list(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        _refuse_partners(request)
        asked = _asked(request)
        states: Any = asked.get("state", ["open"])
        states = OPEN if states == ["open"] else STATES if states == ["all"] else states
        if not set(states) <= set(STATES):
            raise Refusal(
                400, "bad_state", f"`state` must be open, all, or of {', '.join(STATES)}."
            )
        most = _number(asked.get("most", ["100"])[-1])
        before = _moment(asked["before"][-1]) if "before" in asked else None
        shown = await _run(
            overview, self._table, self._queue, _now_ms(), states=states, most=most, before=before
        )
        await reply_json(request.send, shown)

    async def _one(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        _refuse_partners(request)
        shown = await _run(whole, self._table, self._queue, found.steps["id"])
        await reply_json(request.send, shown)

    async def _act(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        actor = self._actor(request)
        verb = found.steps["verb"]
        if verb not in VERBS:
            raise Refusal(404, "not_found", f"An incident takes {', '.join(VERBS)}.")
        kind = request.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind != b"application/json":
            raise Refusal(415, "wrong_type", "Send application/json.")
        with self._intake.shelf.lent(self._intake.client(request)) as lent:
            raw = await body.read(request.receive, request.headers, MOST_BYTES, lent)
        try:
            asked = msgspec.json.decode(raw or b"{}", type=Asked)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refusal(
                400, "bad_body", 'The body must be {}, or {"minutes": 60} for a snooze.'
            ) from None
        incident = await _run(self._done, verb, found.steps["id"], asked, actor)
        await reply_json(request.send, plain(incident))

    def _done(self, verb: str, which: str, asked: Asked, actor: str) -> Incident:
        acts = Acts(self._table, self._telling(), _now_ms)
        whole_id = self._table.find(which).incident_id
        if verb == "ack":
            incident = acts.acknowledge(whole_id, actor=actor)
        elif verb == "resolve":
            incident = acts.resolve(whole_id, actor=actor)
        else:
            incident = acts.snooze(whole_id, asked.minutes, actor=actor)
        record(self._table, self._queue, self._collector, _now_ms())
        return incident

    def _telling(self) -> Telling:
        """Who hears that something is over; the keeper's look tells them."""
        try:
            return told_by(read(self._settings))
        except LakewardError:
            return Telling()

    def _actor(self, request: Request) -> str:
        """Who acts: a page of another origin never does, nor does whoever may only read."""
        _refuse_partners(request)
        passed = request.passed
        if not self._guard.is_own_page(request.headers):
            raise Refusal(403, "foreign_origin", "Pages of other origins change nothing here.")
        if passed is not None and passed.login is not None:
            return passed.login.person.email[:128]
        if passed is not None and passed.key_id is None and self._guard.open:
            return "this machine"
        raise Refusal(403, "not_a_person", "A read key reads; log in to change something.")


def _refuse_partners(request: Request) -> None:
    if request.passed is not None and request.passed.partner is not None:
        raise Refusal(403, "not_for_partners", "Alerts are of everybody together.")


async def _run(work: Any, *args: Any, **named: Any) -> Any:
    """Beside the loop; what the store says becomes an answer."""
    try:
        return await asyncio.to_thread(work, *args, **named)
    except Transient as error:
        raise Refusal(503, "busy", _sentence(error)) from None
    except Terminal as error:
        over = "resolved already" in str(error) or "is not snoozed" in str(error)
        known = over or "no incident" in str(error) or "several incidents" in str(error)
        if not known:
            raise
        code = "no_incident" if not over else "over" if "resolved" in str(error) else "not_snoozed"
        raise Refusal(409 if over else 404, code, _sentence(error)) from None


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + "."


def _asked(request: Request) -> dict[str, list[str]]:
    try:
        return parse_qs(request.query.decode("latin-1"), max_num_fields=8)
    except ValueError:
        raise Refusal(400, "bad_query", "There are more parameters than three.") from None


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST:
        return int(text[:9])
    raise Refusal(400, "bad_number", f"`most` must be from 1 to {MOST}.")


def _moment(text: str) -> int:
    try:
        return parse_iso(text)
    except (ValueError, OverflowError):
        sentence = "`before` must be a moment such as opened_at shows."
        raise Refusal(400, "bad_moment", sentence) from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
