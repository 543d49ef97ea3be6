"""Saved views over HTTP: `GET /api/views` lists them, and people save, rename and remove them.

    GET  /api/views                 ?page=funnels: those of one page
    POST /api/views                 {"name": …, "page": "funnels", "query": "range=7d"}
    POST /api/views/{id}/rename     {"name": …}
    POST /api/views/{id}/remove     {}

In: requests of who may read everything; an admin or this machine changes. Says no with 400, 403,
404, 409 for a name that is taken or a view too many, 503 while the database is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lakeward.errors import LakewardError
from lakeward.interaction import iso
from lakeward.server import acting
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.assets import VIEWS as PAGES
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.store.database import Database
from lakeward.store.views import View, Views

PARTS: Final = (Part("views", "/api/views", ("", "/{id}/rename", "/{id}/remove")),)
MOST_BYTES: Final = 16 << 10
WHY: Final = "Saved views are of pages that partners do not have."
WANTED: Final = "The body must have a `name`, a `page`, and may have a `query`."


class Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A view to save."""

    name: str
    page: str
    query: str = ""


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another name."""

    name: str


class ViewRoom:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, database: Database, guard: Guard, intake: Intake) -> None:
        self._views = Views(database)
        self._guard = guard
        self._intake = intake

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The list, and what is done to one."""
        return {
            "views": Handler((*GET, *POST), "read", self._answer),
            "views/{id}/rename": Handler(POST, "read", self._rename),
            "views/{id}/remove": Handler(POST, "read", self._remove),
        }

    async def _answer(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        if request.method == "POST":
            await self._save(request)
            return
        acting.refuse_partners(request, WHY)
        page = acting.asked(request).get("page", [""])[-1]
        if page and page not in PAGES:
            raise Refusal(400, "bad_page", f"`page` must be one of {', '.join(PAGES)}.")
        views = await acting.beside(_refused, self._views.all)
        shown = [plain(view) for view in views if page in ("", view.page)]
        may_change = acting.may_act(request, self._guard)
        await reply_json(request.send, {"views": shown, "may_change": may_change})

    async def _save(self, request: Request) -> None:
        actor = acting.actor(request, self._guard, WHY)
        asked = await acting.said(request, self._intake, Saved, WANTED, MOST_BYTES)
        if asked.page not in PAGES:
            raise Refusal(400, "bad_page", f"`page` must be one of {', '.join(PAGES)}.")
        view = await acting.beside(
            _refused, self._views.make, asked.page, asked.name, asked.query, actor=actor
        )
        await reply_json(request.send, plain(view), 201)

    async def _rename(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        actor = acting.actor(request, self._guard, WHY)
        wanted = "The body must have a `name`."
        asked = await acting.said(request, self._intake, Named, wanted)
        which = found.steps["id"]
        view = await acting.beside(_refused, self._views.rename, which, asked.name, actor=actor)
        await reply_json(request.send, plain(view))

    async def _remove(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        actor = acting.actor(request, self._guard, WHY)
        await acting.said(request, self._intake, acting.Nothing, "The body must be {}.")
        view = await acting.beside(_refused, self._views.remove, found.steps["id"], actor=actor)
        await reply_json(request.send, plain(view))


def plain(view: View) -> dict[str, Any]:
    """A view as JSON has it."""
    return msgspec.structs.asdict(view) | {"created_at": iso(view.created_at)}


def _refused(error: LakewardError) -> Refusal | None:
    text = str(error)
    if "no such view" in text:
        return Refusal(404, "no_such_view", "There is no such view: it may have been removed.")
    if "is there already" in text:
        return Refusal(409, "name_taken", acting.sentence(error))
    if "views already" in text:
        return Refusal(409, "too_many", acting.sentence(error))
    return Refusal(400, "bad_view", acting.sentence(error))
