"""Invitations of a partner's witnesses, and the witnesses, over HTTP.

    GET  /api/partners/{id}/invitations            how many were asked; for the team, who
    POST /api/partners/{id}/invitations            {"form": "employee", "people": [{"phone": …}]}
    POST /api/invitations/{id}/withdraw            {}
    POST /api/witnesses/{id}/remove                {}

In: requests of the team, of a partner for itself, or of the platform by a write key. Out: JSON.
Says no with 400, 401, 403, 404, 409, 413, 415, 503. A partner reads no name here, not who was asked
before, and not how far anybody is.
"""

from __future__ import annotations

import shlex
from collections import Counter
from typing import Any, Final, Literal

import msgspec

from lakeward.confidence import link
from lakeward.confidence.desk import Told
from lakeward.confidence.sending import manner_of
from lakeward.interaction import iso
from lakeward.server import acting
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Request
from lakeward.server.partners import CHANGE, MOST_BYTES, DeskRoom
from lakeward.server.routes import Found, Part
from lakeward.store.invitations import Form, Invitation
from lakeward.store.witnesses import Witness

PARTS: Final = (
    Part("partner_invitations", "/api/partners", ("/{id}/invitations",)),
    Part("invitations", "/api/invitations", ("/{id}/withdraw",)),
    Part("witnesses", "/api/witnesses", ("/{id}/remove",)),
)
MOST_PEOPLE: Final = 200


class Person(Told, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person as a request tells of one."""


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """People to invite."""

    form: Form
    people: list[Person]
    deliver: Literal["message", "link"] = "message"
    """link: the answer has each person's link, and nothing is sent."""


class InvitationRoom(DeskRoom):
    """Answers for one worker."""

    parts = PARTS

    def handlers(self) -> dict[str, Handler]:
        """Whoever changes something is asked in each."""
        return {
            "partner_invitations": Handler((*GET, *POST), None, self._invitations),
            "invitations": Handler(POST, None, self._withdraw),
            "witnesses": Handler(POST, None, self._forget),
        }

    async def _invitations(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        which = found.steps["id"]
        if request.method == "POST":
            await self._invite(request, which)
            return
        passed = await self._guard.admit_reader(request.scope, request.headers, request.base)
        partner = passed.partner
        acting.refuse_others(partner, which)
        await self._aside(self._desk.partners.get, which)
        rows = await self._aside(self._desk.invitations.of, which)
        if partner is not None:  # how far they are would tell who answered, and when
            said: dict[str, Any] = {"invited": dict(Counter(row.form for row in rows))}
        else:
            counted = {
                form: dict(Counter(row.state for row in rows if row.form == form))
                for form in dict.fromkeys(row.form for row in rows)
            }
            said = {"counts": counted}
            people = {
                one.witness_id: one for one in await self._aside(self._desk.witnesses.of, which)
            }
            said["invitations"] = [_plain(row, people.get(row.witness_id)) for row in rows]
            said["optouts"] = await self._aside(self._desk.opt_outs.count)
        await reply_json(request.send, said)

    async def _invite(self, request: Request, which: str) -> None:
        doer = await acting.doer(request, self._guard, CHANGE)
        acting.refuse_others(doer.partner, which)
        wanted = "The body must have a `form` (employee, reference, quarterly) and `people`."
        asked = await acting.said(request, self._intake, Asked, wanted, MOST_BYTES)
        if not 0 < len(asked.people) <= MOST_PEOPLE:
            raise Refusal(400, "bad_invitation", f"Invite 1 to {MOST_PEOPLE} people at once.")
        if asked.deliver == "link" and doer.partner is not None:
            raise Refusal(403, "not_for_partners", "Links are sent to people, not to partners.")
        send = asked.deliver == "message"
        done = await self._aside(
            lambda: self._desk.invite(which, asked.form, asked.people, doer.actor, send=send)
        )
        rows = [{"invitation_id": one.invitation_id, "state": one.state, "new": new}
                for one, new in done]  # fmt: skip
        said: dict[str, Any] = {"invitations": rows}
        if doer.partner is not None:  # who was asked before, and answered, is not for partners
            said = {"accepted": len(rows)}
        address = manner_of(self._desk.settings).address
        if asked.deliver == "link":
            address = address or f"{request.base}/w"
            for row, (one, _) in zip(rows, done, strict=True):
                if one.channel is None and one.due_at is None:  # none that a message has
                    row["link"] = f"{address}/{link.token(one, self._desk.secret)}"
        elif not address:
            said["waits"] = "LAKEWARD_PUBLIC_URL must be set: nobody could follow a link yet."
        await reply_json(request.send, said, 201)

    async def _withdraw(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        doer = await acting.doer(request, self._guard, CHANGE)
        await acting.said(request, self._intake, acting.Nothing, "The body must be {}.")
        seen = await self._aside(self._desk.invitations.find, found.steps["id"])
        if seen is None:
            acting.refuse_others(doer.partner, "")
            raise Refusal(404, "no_such_invitation", "There is no such invitation.")
        acting.refuse_others(doer.partner, seen.partner_id)
        ended = await self._aside(
            lambda: self._desk.invitations.end(seen, "withdrawn", "withdrawn", doer.actor)
        )
        if not ended:
            raise Refusal(409, "ended", "It has ended already, or something was sent just now.")
        await reply_json(request.send, {"invitation_id": seen.invitation_id, "state": "withdrawn"})

    async def _forget(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        doer = await acting.doer(request, self._guard, CHANGE)
        if doer.partner is not None:
            raise Refusal(403, "not_for_partners", "The team removes people.")
        await acting.said(request, self._intake, acting.Nothing, "The body must be {}.")
        gone = await self._aside(
            lambda: self._desk.witnesses.remove(found.steps["id"], actor=doer.actor)
        )
        names = dict.fromkeys(filter(None, (gone.witness_id, gone.user_id)))
        erase = " ".join(f"--user {shlex.quote(name)}" for name in names)
        said = {"witness_id": gone.witness_id, "removed": True, "lake": f"lakeward erase {erase}"}
        await reply_json(request.send, said)


def _plain(row: Invitation, witness: Witness | None) -> dict[str, Any]:
    """An invitation as the team sees it; never its link or what was filled in so far."""
    times = ("created_at", "expires_at", "sent_at", "delivered_at", "opened_at", "answered_at")
    same = (
        "invitation_id", "witness_id", "form", "period", "state", "reason", "sends", "channel",
    )  # fmt: skip
    said = {name: getattr(row, name) for name in same}
    said |= {name: iso(value) if (value := getattr(row, name)) else None for name in times}
    return said | {"name": witness.name if witness else "", "role": witness.role if witness else ""}
