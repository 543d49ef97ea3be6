"""What is watched, drawn: series with the band that was expected, over HTTP.

    GET /api/alerts/{id}/series          an incident's; ?series=<one of its names>
    GET /api/alerts/watched              all series, how they are, what was left out
    GET /api/alerts/watched/series       ?series=<name>   one of them, of late
    GET /api/alerts/budgets              what of each budget is spent in this day or month

In: requests of who may read everything. Out: JSON, with columns and rows as a question's answer
has them; the asker's processes work them out. Says no with 403 to partners, 400 without a name,
404 for what is not there, and as `Asker` does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lakeward.alerts.listing import OPEN
from lakeward.alerts.memory import Entry, looked_at
from lakeward.alerts.overview import account, sentence, verdict, watched
from lakeward.alerts.picture import Picture, View, budget_of, of_incident, of_series
from lakeward.alerts.rules import Rules, read
from lakeward.errors import LakewardError, SettingError
from lakeward.interaction import iso
from lakeward.lakedir import LakeDir
from lakeward.server import acting
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.asker import Asker
from lakeward.server.handler import GET, Handler
from lakeward.server.intake import Request
from lakeward.server.routes import Found
from lakeward.server.wire import Order
from lakeward.settings import Settings
from lakeward.store.alerts import AlertTable

PATHS: Final = ("/budgets", "/watched", "/watched/series", "/{id}/series")
EVERYBODY: Final = "Alerts are of everybody together."
Document = dict[str, Any]


class Bands:
    """Answers for one worker, below the root of the alerts."""

    def __init__(self, table: AlertTable, lake: LakeDir, settings: Settings, asker: Asker) -> None:
        self._table = table
        self._lake = lake
        self._settings = settings
        self._asker = asker

    def handlers(self) -> dict[str, Handler]:
        """By part and path."""
        return {
            "alerts/budgets": Handler(GET, "read", self._budgets),
            "alerts/watched": Handler(GET, "read", self._watched),
            "alerts/watched/series": Handler(GET, "read", self._series),
            "alerts/{id}/series": Handler(GET, "read", self._incident),
        }

    async def _watched(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        acting.refuse_partners(request, EVERYBODY)
        await reply_json(request.send, await acting.beside(_missing, self._all))

    def _all(self) -> Document:
        shown: Document = msgspec.to_builtins(watched(self._lake))
        told = account(self._lake, self._settings)
        rules = _rules(self._settings)
        incidents = {key.split(":", 2)[-1]: which for key, which in self._table.wrong().items()}
        counts = self._table.counts()
        for series in shown["series"]:
            series["incident_id"] = incidents.get(series["series"])
        return shown | {
            "verdict": verdict(told, sum(counts[state] for state in OPEN), _now_ms()),
            "sentence": sentence(told), "refused": told.refused, "zone": rules.watch.zone,
            "groups": list(rules.watch.series), "sensitivity": rules.watch.sensitivity,
            "excluded": [
                {"series": one.series, "from": iso(one.begin_ms), "until": iso(one.end_ms)}
                for one in rules.excluded
            ],
            "rules": [
                *({"kind": "threshold", "name": one.name, "of": one.series} for one
                  in rules.thresholds),
                *({"kind": "budget", "name": one.name, "of": f"AI cost per {one.per}"} for one
                  in rules.budgets),
                *({"kind": "silent", "name": one.name, "of": f"type:{one.name}"} for one
                  in rules.silences),
            ],
        }  # fmt: skip

    async def _series(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        acting.refuse_partners(request, EVERYBODY)
        name = (acting.asked(request).get("series") or [""])[-1]
        if not name:
            raise Refusal(400, "no_series", "`series` must name one: /api/alerts/watched has them.")
        picture = await acting.beside(_missing, self._of_series, name)
        await reply_json(request.send, await self._drawn(picture, request.reader))

    def _of_series(self, name: str) -> Picture:
        return of_series(self._view(), name)

    async def _incident(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        acting.refuse_partners(request, EVERYBODY)
        named = acting.asked(request).get("series")
        picture = await acting.beside(
            _missing, self._of_incident, found.steps["id"], named[-1] if named else None
        )
        await reply_json(request.send, await self._drawn(picture, request.reader))

    def _of_incident(self, which: str, series: str | None) -> Picture:
        incident = self._table.find(which)
        history = self._table.history(incident.incident_id)
        return of_incident(self._view(), incident, history, series)

    def _view(self) -> View:
        entries: Mapping[str, Entry] = {}
        with looked_at(self._lake) as memory:
            if memory is not None:
                entries = memory.entries
        return View(_rules(self._settings), self._settings, entries, _now_ms())

    async def _drawn(self, picture: Picture, who: str) -> Document:
        """The picture with its points."""
        shown: Document = msgspec.to_builtins(msgspec.structs.replace(picture, question=None))
        shown |= {"columns": [], "rows": []}
        if picture.question is not None:
            shown |= await self._asked(picture.question, who)
        return shown

    async def _asked(self, question: Any, who: str) -> dict[str, msgspec.Raw]:  # any drawn one
        order = Order(question.name, msgspec.Raw(msgspec.json.encode(question)))
        word, answer = await self._asker.ask(order, who)
        if word.status != 200:
            raise Refusal(word.status, word.code, word.message)
        return msgspec.json.decode(answer, type=dict[str, msgspec.Raw])

    async def _budgets(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        acting.refuse_partners(request, EVERYBODY)
        rules = await acting.beside(_missing, _rules, self._settings)
        now_ms, zone = _now_ms(), rules.watch.zone
        shown = []
        for budget in rules.budgets:
            # a minute's steps: whoever asks at once asks the same
            question = budget_of(budget, now_ms, zone, now_ms - now_ms % 60_000 + 60_000)
            answer = await self._asked(question, request.reader)
            rows = msgspec.json.decode(answer["rows"])
            shown.append(_spent(msgspec.to_builtins(budget), question.since.isoformat(), rows))
        await reply_json(request.send, {"zone": zone, "budgets": shown})


def _spent(budget: Document, since: str, rows: list[Any]) -> Document:
    used = float(rows[-1][1])
    share = used / budget["amount"]
    state = "over" if share > 1 else "warned" if share >= budget["warn_at"] else "within"
    return budget | {"since": since, "used": used, "share": share, "state": state,
                     "left": budget["amount"] - used}  # fmt: skip


def _rules(settings: Settings) -> Rules:
    """The rules; the usual ones where the file says nothing sensible, which the overview says."""
    try:
        return read(settings)
    except SettingError:
        return Rules()


def _missing(error: LakewardError) -> Refusal | None:
    text = str(error)
    if "no incident" in text or "several incidents" in text:
        return Refusal(404, "no_incident", acting.sentence(error))
    if text.startswith("no series"):
        return Refusal(404, "no_series", acting.sentence(error))
    return None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
