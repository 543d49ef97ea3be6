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
FLOW: Final = ("outcomes.flow", "outcomes.step", "outcomes.step_index")
TO_A_DEAL: Final = ("partner_match", "demo_booking", "deal_closed")
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
        types = await self._trend(request, by=["interaction_type"], top=MOST)
        declared, note = await asyncio.to_thread(_declared, self._settings)
        seen = _seen([row for row in steps["rows"] if row[3]])
        told = [
            *(_flow(flow.name, flow.steps, "declared", seen.get(flow.name)) for flow in declared),
            *(
                _flow(name, list(steps), "seen", steps)
                for name, steps in seen.items()
                if len(steps) > 1 and name not in {flow.name for flow in declared}
            ),
            *_to_a_deal({row[0]: row[1] for row in types["rows"]}),
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


def _seen(rows: Sequence[Sequence[Any]]) -> dict[str, dict[str, int]]:
    """Steps of flows with how often they came, in their order: by their place, where one is told,
    else by how often they came."""
    places: dict[str, dict[str, tuple[float, int]]] = {}
    for flow, step, index, events in rows:
        if flow is None or step is None:
            continue
        of = places.setdefault(flow, {})
        place, count = of.get(step, (float("inf"), 0))
        of[step] = (min(place, float(index)) if index is not None else place, count + events)
    return {
        flow: {
            step: of[step][1] for step in sorted(of, key=lambda s: (of[s][0], -of[s][1], s))
        }
        for flow, of in places.items()
    }  # fmt: skip


def _flow(
    name: str, steps: Sequence[str], source: str, seen: Mapping[str, int] | None
) -> dict[str, Any]:
    told = [
        {
            "event": "flow_step", "label": step,
            "where": {"all": [
                {"field": "outcomes.flow", "values": [name]},
                {"field": "outcomes.step", "values": [step]},
            ]},
        }
        for step in steps[:MOST_STEPS]
    ]  # fmt: skip
    return {"name": name, "source": source, "events": sum((seen or {}).values()), "steps": told}


def _to_a_deal(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    steps = [{"event": name} for name in TO_A_DEAL if counts.get(name)]
    events = sum(counts[step["event"]] for step in steps)
    return [{"name": "match to deal", "source": "outcomes", "events": events, "steps": steps}]
