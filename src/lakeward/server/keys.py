"""Keys over HTTP: `GET /api/keys` lists them, and people make and revoke them.

    GET  /api/keys                all of them, the revoked ones too; never a secret
    POST /api/keys                {"kind": "write", "name": "web", "types": […], "origins": […]}
    POST /api/keys/{id}/revoke    {}

In: requests of who may read everything; an admin or this machine makes and revokes. Out: the new
key's secret once, in the answer that made it. Says no with 400 for what is no key, 403, 404, 409
for a name that is taken and a key that is revoked already, 503 while the database is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from lakeward.errors import LakewardError
from lakeward.interaction import iso
from lakeward.server import acting
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.store.database import Database
from lakeward.store.keys import Key, Keys

PARTS: Final = (Part("keys", "/api/keys", ("", "/{id}/revoke")),)
MOST_BYTES: Final = 16 << 10
WHY: Final = "Keys are the business of admins."
WANTED: Final = (
    "The body must have a `kind`, read or write, and a `name`; and may have `types`, `origins` and "
    "a `partner_id`."
)


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to make."""

    kind: Literal["write", "read"]
    name: str
    types: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    partner_id: str | None = None


class KeyRoom:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, database: Database, guard: Guard, intake: Intake) -> None:
        self._keys = Keys(database)
        self._guard = guard
        self._intake = intake

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The list, and the end of one."""
        return {
            "keys": Handler((*GET, *POST), "read", self._answer),
            "keys/{id}/revoke": Handler(POST, "read", self._revoke),
        }

    async def _answer(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        if request.method == "POST":
            await self._make(request)
            return
        acting.refuse_partners(request, WHY)
        rows = await acting.beside(_refused, self._keys.all)
        listed = {
            "keys": list(map(plain, rows)),
            "may_change": acting.may_act(request, self._guard),
        }
        await reply_json(request.send, listed)

    async def _make(self, request: Request) -> None:
        actor = acting.actor(request, self._guard, WHY)
        asked = await acting.said(request, self._intake, Asked, WANTED, MOST_BYTES)
        key, secret = await acting.beside(
            _refused, self._keys.create, asked.kind, asked.name, actor=actor,
            origins=asked.origins, types=asked.types, partner_id=asked.partner_id,
        )  # fmt: skip
        await reply_json(request.send, {**plain(key), "secret": secret}, 201)

    async def _revoke(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        actor = acting.actor(request, self._guard, WHY)
        await acting.said(request, self._intake, acting.Nothing, "The body must be {}.")
        key = await acting.beside(_refused, self._keys.revoke, found.steps["id"], actor=actor)
        await reply_json(request.send, plain(key))


def plain(key: Key) -> dict[str, Any]:
    """A key as JSON has it."""
    revoked = None if key.revoked_at is None else iso(key.revoked_at)
    times = {"created_at": iso(key.created_at), "revoked_at": revoked}
    return msgspec.structs.asdict(key) | times | {"public": key.kind == "write" and key.public}


def _refused(error: LakewardError) -> Refusal | None:
    if "there is no key" in str(error):
        return Refusal(404, "no_such_key", "There is no such key.")
    if "is in force" in str(error):
        return Refusal(409, "name_taken", acting.sentence(error))
    if "revoked already" in str(error):
        return Refusal(409, "over", acting.sentence(error))
    return Refusal(400, "bad_key", acting.sentence(error))
