"""Incidents over HTTP: `GET /api/alerts` lists them, and people act on them.

    GET  /api/alerts               ?state=open|all|resolved …  &most=100  &since=  &before=<moment>
    GET  /api/alerts/{id}          one, with its steps and who was told
    POST /api/alerts/{id}/ack      {}                  also /resolve
    POST /api/alerts/{id}/snooze   {"minutes": 60}       0 ends it
    GET  …                         what `bands` draws

In: requests of who may read everything; what changes something needs a person with the role of an
admin, or a server that is open to its own machine. Says no with 400, 403 (partners, read keys,
pages of other origins), 404, 409 where an incident is over already or not snoozed, and 503 while
the database is away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, ParamSpec, TypeVar

import msgspec
from msgspec import Meta

from lakeward.alerts.acting import LONGEST_MINUTES, VERBS, Acts
from lakeward.alerts.listing import OPEN, overview, plain, whole
from lakeward.alerts.opening import told_by
from lakeward.alerts.recording import record
from lakeward.alerts.rules import read
from lakeward.alerts.telling import Telling
from lakeward.collector import Collector
from lakeward.errors import LakewardError
from lakeward.interaction import parse_iso
from lakeward.server import acting
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.bands import PATHS, Bands
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.settings import Settings
from lakeward.store.alerts import STATES, AlertTable, Incident
from lakeward.store.database import Database
from lakeward.store.tellings import Tellings

PARTS: Final = (Part("alerts", "/api/alerts", ("", *PATHS, "/{id}", "/{id}/{verb}")),)
MOST: Final = 1000
EVERYBODY: Final = "Alerts are of everybody together."

P = ParamSpec("P")
T = TypeVar("T")


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
        bands: Bands,
    ) -> None:
        self._table = AlertTable(database)
        self._queue = Tellings(database)
        self._settings = settings
        self._collector = collector
        self._guard = guard
        self._intake = intake
        self._bands = bands

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The list, one incident, and what is done to one."""
        return self._bands.handlers() | {
            "alerts": Handler(GET, "read", self._list),
            "alerts/{id}": Handler(GET, "read", self._one),
            "alerts/{id}/{verb}": Handler(POST, "read", self._act),
        }

    async def _list(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        acting.refuse_partners(request, EVERYBODY)
        asked = acting.asked(request)
        states: Any = asked.get("state", ["open"])
        states = OPEN if states == ["open"] else STATES if states == ["all"] else states
        if not set(states) <= set(STATES):
            raise Refusal(
                400, "bad_state", f"`state` must be open, all, or of {', '.join(STATES)}."
            )
        most = _number(asked.get("most", ["100"])[-1])
        before, since = (
            _moment(name, asked[name][-1]) if name in asked else None
            for name in ("before", "since")
        )
        shown = await _run(
            overview, self._table, self._queue, _now_ms(), states=states, most=most, before=before,
            since=since,
        )  # fmt: skip
        await reply_json(request.send, shown)

    async def _one(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        acting.refuse_partners(request, EVERYBODY)
        shown = await _run(whole, self._table, self._queue, found.steps["id"])
        await reply_json(request.send, shown)

    async def _act(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        actor = acting.actor(request, self._guard, EVERYBODY)
        verb = found.steps["verb"]
        if verb not in VERBS:
            raise Refusal(404, "not_found", f"An incident takes {', '.join(VERBS)}.")
        wanted = 'The body must be {}, or {"minutes": 60} for a snooze.'
        asked = await acting.said(request, self._intake, Asked, wanted)
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


async def _run(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    return await acting.beside(_refused, work, *args, **named)


def _refused(error: LakewardError) -> Refusal | None:
    """What the store says as an answer."""
    over = "resolved already" in str(error) or "is not snoozed" in str(error)
    known = over or "no incident" in str(error) or "several incidents" in str(error)
    if not known:
        return None
    code = "no_incident" if not over else "over" if "resolved" in str(error) else "not_snoozed"
    return Refusal(409 if over else 404, code, acting.sentence(error))


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST:
        return int(text[:9])
    raise Refusal(400, "bad_number", f"`most` must be from 1 to {MOST}.")


def _moment(name: str, text: str) -> int:
    try:
        return parse_iso(text)
    except (ValueError, OverflowError):
        sentence = f"`{name}` must be a moment such as opened_at shows."
        raise Refusal(400, "bad_moment", sentence) from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
