"""Partners over HTTP, and how each stands.

    GET  /api/partners                             those that there are; of a partner, itself
    POST /api/partners                             {"partners": [{"partner_id": …, "name": …}, …]}
    GET  /api/partners/{id}
    POST /api/partners/{id}/remove                 {}
    GET  /api/partners/{id}/confidence             the score, and what it is made of
    GET  /api/partners/{id}/consistency            what CEO, employees, customers and demos say
    GET  /api/partners/{id}/history                every score there was

In: requests of the team, of a partner for itself, or of the platform by a write key. Out: JSON.
Says no with 400, 401, 403, 404, 413, 415, 503. A partner reads what is released, and of nobody
else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

import msgspec

from lakeward.confidence import view
from lakeward.confidence.desk import Desk
from lakeward.errors import LakewardError, Rejected
from lakeward.interaction import iso
from lakeward.server import acting
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.store.partners import Partner

PARTS: Final = (
    Part(
        "partners", "/api/partners",
        ("", "/{id}", "/{id}/remove", "/{id}/confidence", "/{id}/consistency", "/{id}/history"),
    ),
)  # fmt: skip
MOST_BYTES: Final = 1 << 20
MOST_PARTNERS: Final = 1000
CHANGE: Final = "confidence_change"
T = TypeVar("T")


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A partner as a platform tells of one; what is left out stays as it is."""

    partner_id: str
    name: str | None = None
    category: str | None = None
    proposition: str | None = None
    language: str | None = None
    zone: str | None = None


class Several(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Partners to make or change."""

    partners: list[Given]


class Look(Protocol):
    """One way to look at a partner."""

    def __call__(self, desk: Desk, partner_id: str, *, whole: bool) -> dict[str, Any]:
        """Plain objects."""


class DeskRoom:
    """What every room has that serves PowerConfidence to people and platforms."""

    def __init__(self, desk: Desk, guard: Guard, intake: Intake) -> None:
        self._desk = desk
        self._guard = guard
        self._intake = intake

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    async def _aside(self, work: Callable[..., T], *args: object) -> T:
        return await acting.beside(refused, work, *args)


class PartnerRoom(DeskRoom):
    """Answers for one worker."""

    parts = PARTS

    def handlers(self) -> dict[str, Handler]:
        """Lists are read by readers; whoever changes something is asked in each."""
        return {
            "partners": Handler((*GET, *POST), None, self._partners),
            "partners/{id}": Handler(GET, "read", self._partner),
            "partners/{id}/remove": Handler(POST, None, self._remove),
            "partners/{id}/confidence": Handler(GET, "read", self._confidence),
            "partners/{id}/consistency": Handler(GET, "read", self._consistency),
            "partners/{id}/history": Handler(GET, "read", self._history),
        }

    async def _partners(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        if request.method == "POST":
            await self._upsert(request)
            return
        partner = await self._reader(request)
        shown = await self._aside(view.standings, self._desk, partner)
        await reply_json(request.send, {"partners": shown})

    async def _upsert(self, request: Request) -> None:
        doer = await acting.doer(request, self._guard, CHANGE)
        wanted = "The body must have `partners`: a list of objects with `partner_id` and `name`."
        asked = await acting.said(request, self._intake, Several, wanted, MOST_BYTES)
        if not 0 < len(asked.partners) <= MOST_PARTNERS:
            raise Refusal(400, "bad_partner", f"Send 1 to {MOST_PARTNERS} partners at once.")
        for given in asked.partners:
            acting.refuse_others(doer.partner, given.partner_id)

        def keep() -> list[dict[str, Any]]:
            done = []
            for place, given in enumerate(asked.partners):
                fields = {**msgspec.structs.asdict(given)}
                try:
                    one, what = self._desk.partners.upsert(**fields, actor=doer.actor)
                except Rejected:
                    raise
                except LakewardError as error:
                    raise Rejected(f"partner {place + 1} of the list: {error}") from None
                done.append({"partner_id": one.partner_id, "change": what})
            return done

        await reply_json(request.send, {"partners": await self._aside(keep)})

    async def _partner(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        which = found.steps["id"]
        acting.refuse_others(acting.partner_of(request), which)
        await reply_json(request.send, plain(await self._aside(self._desk.partners.get, which)))

    async def _remove(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        doer = await self._team(request, found)
        await acting.said(request, self._intake, acting.Nothing, "The body must be {}.")
        which = found.steps["id"]
        gone = await self._aside(lambda: self._desk.partners.remove(which, actor=doer.actor))
        await reply_json(request.send, plain(gone))

    async def _confidence(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._viewed(request, found, view.confidence)

    async def _consistency(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._viewed(request, found, view.consistency)

    async def _history(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._viewed(request, found, view.history)

    async def _viewed(self, request: Request, found: Found[Handler], look: Look) -> None:
        """All of it for the team; for the partner what is released."""
        partner = acting.partner_of(request)
        acting.refuse_others(partner, found.steps["id"])
        whole = partner is None
        said = await self._aside(lambda: look(self._desk, found.steps["id"], whole=whole))
        await reply_json(request.send, said)

    async def _team(self, request: Request, found: Found[Handler]) -> acting.Doer:
        doer = await acting.doer(request, self._guard, CHANGE)
        if doer.partner is not None:
            raise Refusal(403, "not_for_partners", "The team removes partners.")
        return doer

    async def _reader(self, request: Request) -> str | None:
        """Whose things only are shown; None: everybody's."""
        passed = await self._guard.admit_reader(request.scope, request.headers, request.base)
        return passed.partner


def plain(partner: Partner) -> dict[str, Any]:
    """A partner as JSON has it."""
    said = {name: getattr(partner, name) for name in Given.__struct_fields__}
    return said | {"created_at": iso(partner.created_at), "updated_at": iso(partner.updated_at)}


def refused(error: LakewardError) -> Refusal:
    """A refusal of what the stores do not take."""
    text = str(error)
    if "there is no such partner" in text:
        return Refusal(404, "no_such_partner", "There is no such partner.")
    if "there is no such person" in text:
        return Refusal(404, "no_such_person", "There is no such person.")
    return Refusal(400, "bad_request", acting.sentence(error))
