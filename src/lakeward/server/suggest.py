"""Suggestions: what can be picked as a step of a funnel or the value of a filter.

    GET /api/suggest?field=route      values with how often they come, those with most first
        &q=match                      … that contain this, whatever the case of letters
        &event=page_view              … of this type
        &since=…&until=…&zone=…&most=50
    GET /api/suggest/funnels          ready funnels: the flows that are declared, those that were
                                      seen, and the way from a match to a deal

In: requests of who may read everything. Out: JSON. Both are the question `trend`, so roll-ups
answer where they can. Says no with 400 for a field that is none, 403 `not_for_partners`, and as
questions do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from lakeward import flows
from lakeward.analysis.registry import question_of
from lakeward.errors import LakewardError, Rejected
from lakeward.server.acting import asked, refuse_partners
from lakeward.server.answer import Headers, Refusal, reply
from lakeward.server.asker import Asker
from lakeward.server.handler import GET, Handler
from lakeward.server.intake import Request
from lakeward.server.routes import Found, Part
from lakeward.server.wire import Order
from lakeward.settings import Settings

PARTS: Final = (Part("suggest", "/api/suggest", ("", "/funnels")),)
NOT_FOR_PARTNERS: Final = "What can be picked is of everybody together."
MOST: Final = 200
USUAL: Final = 50
MOST_STEPS: Final = 20
MOST_SEEN: Final = 1000
FLOW: Final = ("outcomes.flow", "outcomes.step", "outcomes.step_index", "outcomes.status")
WEEK, QUARTER = 604_800, 7_776_000
"""Seconds in which people go through a flow; and from a match to a deal."""
NOT_DONE: Final = ("entered", "skipped", "failed", "back")
"""What else `flow_step` tells of a step; without a word it was done."""
TO_A_DEAL: Final[tuple[dict[str, Any], ...]] = (
    {"event": "partner_match", "label": "matched"},
    {"event": "demo_booking", "label": "demo booked",
     "where": {"field": "outcomes.status", "values": ["booked"]}},
    {"event": "deal_closed", "label": "deal closed"},
)  # fmt: skip
KNOWN: Final = frozenset({"field", "q", "event", "since", "until", "zone", "most"})


class Suggest:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, asker: Asker, settings: Settings) -> None:
        self._asker = asker
        self._settings = settings

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """Values, and ready funnels."""
        return {
            "suggest": Handler(GET, "read", self._values),
            "suggest/funnels": Handler(GET, "read", self._funnels),
        }

    async def _values(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, NOT_FOR_PARTNERS)
        query = _query(request)
        field, most = query.get("field", ""), _most(query.get("most", str(USUAL)))
        series = {"event": query["event"]} if query.get("event") else {}
        where = None
        if text := query.get("q"):
            where = {"field": field, "op": "contains", "values": [text]}
        told = await self._trend(request, by=[field], top=most + 1, series=[series], where=where)
        rows = sorted(
            (row for row in told["rows"] if row[0] is not None), key=lambda row: (-row[1], row[0])
        )
        values = [{"value": value, "events": events} for value, events in rows[:most]]
        said = {"field": field, "values": values, "source": told["source"]}
        await reply(request.send, 200, msgspec.json.encode(said))

    async def _funnels(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, NOT_FOR_PARTNERS)
        steps = await self._trend(
            request, by=list(FLOW), top=MOST_SEEN, series=[{"event": "flow_step"}]
        )
        deals = await self._trend(request, series=list(TO_A_DEAL))
        declared, note = await asyncio.to_thread(_declared, self._settings)
        seen = _seen([row for row in steps["rows"] if row[4]])
        told = [
            *(_flow(flow.name, flow.steps, "declared", seen.get(flow.name)) for flow in declared),
            *(
                _flow(name, list(steps), "seen", steps)
                for name, steps in seen.items()
                if name not in {flow.name for flow in declared}
            ),
            _to_a_deal([events or 0 for events in deals["rows"][0]]),
        ]
        ready = [each for each in told if len(each["steps"]) > 1]
        await reply(request.send, 200, msgspec.json.encode({"funnels": ready, "note": note}))

    async def _trend(self, request: Request, **parameters: Any) -> dict[str, Any]:
        query: Mapping[str, str] = _query(request)
        span = {name: query[name] for name in ("since", "until", "zone") if name in query}
        try:
            question = question_of("trend", {**span, "grain": None, **parameters}, self._settings)
        except Rejected as error:
            raise Refusal(400, "bad_question", str(error)[:500]) from None
        content = msgspec.Raw(msgspec.json.encode(question))
        word, answer = await self._asker.ask(Order("trend", content), request.reader)
        if word.status != 200:
            raise Refusal(word.status, word.code, word.message)
        return msgspec.json.decode(answer, type=dict[str, Any])


def _query(request: Request) -> dict[str, str]:
    found = {name: values[-1] for name, values in asked(request).items()}
    if unknown := sorted(set(found) - KNOWN):
        sentence = f"`{unknown[0][:40]}` is none of {', '.join(sorted(KNOWN))}."
        raise Refusal(400, "bad_query", sentence)
    return found


def _most(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST:
        return int(text[:9])
    raise Refusal(400, "bad_number", f"`most` must be from 1 to {MOST}.")


def _declared(settings: Settings) -> tuple[Sequence[flows.Flow], str | None]:
    try:
        return flows.read(settings).flows, None
    except (LakewardError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return (), f"The declared flows cannot be read: {why}."


class _Step(msgspec.Struct):
    """One step of a flow as it was seen."""

    place: float = float("inf")
    """The least that was told."""
    events: int = 0
    statuses: set[str | None] = set()


def _seen(rows: Sequence[Sequence[Any]]) -> dict[str, dict[str, _Step]]:
    """Steps of flows in their order: by their place, where one is told, else by how often they
    came."""
    flows: dict[str, dict[str, _Step]] = {}
    for flow, step, index, status, events in rows:
        if flow is None or step is None:
            continue
        of = flows.setdefault(flow, {}).setdefault(step, _Step())
        of.place = min(of.place, float("inf") if index is None else float(index))
        of.events += events
        of.statuses.add(status)
    return {
        flow: dict(sorted(of.items(), key=lambda item: (item[1].place, -item[1].events, item[0])))
        for flow, of in flows.items()
    }


def _flow(
    name: str, steps: Sequence[str], source: str, seen: Mapping[str, _Step] | None
) -> dict[str, Any]:
    """A funnel of who finished each step; before them, where it is told, who came to the first."""
    seen = seen or {}
    told = [_step(name, step, _done(seen.get(step)), step) for step in steps]
    if told and "entered" in seen.get(steps[0], _Step()).statuses:
        came = {"field": "outcomes.status", "values": ["entered"]}
        told.insert(0, _step(name, steps[0], came, f"{steps[0]} begun"))
    events = sum(step.events for step in seen.values())
    return {
        "name": name, "source": source, "events": events, "within": WEEK,
        "steps": told[:MOST_STEPS],
    }  # fmt: skip


def _step(flow: str, step: str, status: Mapping[str, Any], label: str) -> dict[str, Any]:
    return {
        "event": "flow_step", "label": label,
        "where": {"all": [
            {"field": "outcomes.flow", "values": [flow]},
            {"field": "outcomes.step", "values": [step]},
            status,
        ]},
    }  # fmt: skip


def _done(seen: _Step | None) -> dict[str, Any]:
    """The condition that a step was finished."""
    if seen is not None and None not in seen.statuses:
        return {"field": "outcomes.status", "values": ["completed"]}
    return {"field": "outcomes.status", "op": "is_not", "values": list(NOT_DONE)}


def _to_a_deal(counts: Sequence[int]) -> dict[str, Any]:
    steps = [step for step, events in zip(TO_A_DEAL, counts, strict=True) if events]
    return {
        "name": "match to deal", "source": "outcomes", "events": sum(counts), "within": QUARTER,
        "steps": steps,
    }  # fmt: skip
