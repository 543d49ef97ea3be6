"""Partners, and the people who speak of them, over HTTP.

    GET  /api/partners                             those that there are; of a partner, itself
    POST /api/partners                             {"partners": [{"partner_id": …, "name": …}, …]}
    GET  /api/partners/{id}
    POST /api/partners/{id}/remove                 {}
    GET  /api/partners/{id}/invitations            how many were asked; for the team, who
    POST /api/partners/{id}/invitations            {"form": "employee", "people": [{"phone": …}]}
    POST /api/partners/{id}/employee-feedback      {"person": {…}, "scores": {…}, "key": …}
    POST /api/partners/{id}/customer-references    the same; "form": "quarterly" for the survey's
    POST /api/partners/{id}/demo-reviews           {"demo_id": …, "scores": {"clarity": 8, …}}
    GET  /api/partners/{id}/confidence             the score, and what it is made of
    GET  /api/partners/{id}/consistency            what CEO, employees, customers and demos say
    GET  /api/partners/{id}/history                every score there was
    POST /api/invitations/{id}/withdraw            {}
    POST /api/witnesses/{id}/remove                {}

In: requests of the team, of a partner for itself, or of the platform by a write key. Out: JSON.
Says no with 400, 401, 403, 404, 409, 413, 415, 503. Who is a partner reads no name and no answer
here: `confidence` shows what may be seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, Protocol, TypeVar

import msgspec

from lakeward.confidence import link, view
from lakeward.confidence.desk import Desk, Told
from lakeward.confidence.sending import manner_of
from lakeward.errors import LakewardError, Rejected
from lakeward.interaction import iso
from lakeward.server import acting
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.store.invitations import Form, Invitation
from lakeward.store.partners import Partner
from lakeward.store.responses import Answers
from lakeward.store.witnesses import Witness

PARTS: Final = (
    Part(
        "partners", "/api/partners",
        ("", "/{id}", "/{id}/remove", "/{id}/invitations", "/{id}/employee-feedback",
         "/{id}/customer-references", "/{id}/demo-reviews", "/{id}/confidence",
         "/{id}/consistency", "/{id}/history"),
    ),
    Part("invitations", "/api/invitations", ("/{id}/withdraw",)),
    Part("witnesses", "/api/witnesses", ("/{id}/remove",)),
)  # fmt: skip
MOST_BYTES: Final = 1 << 20
MOST_PARTNERS: Final = 1000
MOST_PEOPLE: Final = 200
CHANGE: Final = "confidence_change"
RATED: Final = ("clarity", "relevance", "proof")
"""What a demo is rated by: whether one understands it, whether it shows what the CEO says that the
company offers, and whether it shows that this works."""
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


class Person(Told, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person as a request tells of one."""


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """People to invite."""

    form: Form
    people: list[Person]
    deliver: Literal["message", "link"] = "message"
    """link: the answer has each person's link, and nothing is sent."""


class Fed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What somebody answered elsewhere."""

    person: Person
    key: str
    """The sender's own name of this answer: sent twice, it is one."""
    form: Form | None = None
    scores: dict[str, int] = {}
    nps: int | None = None
    texts: dict[str, str] = {}
    months: int | None = None
    may_quote: bool = False
    at: str | None = None


class Reviewed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody of the team says of a demo."""

    demo_id: str
    scores: dict[str, int]
    comments: str = ""


class Look(Protocol):
    """One way to look at a partner."""

    def __call__(self, desk: Desk, partner_id: str, *, whole: bool) -> dict[str, Any]:
        """Plain objects."""


class PartnerRoom:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, desk: Desk, guard: Guard, intake: Intake) -> None:
        self._desk = desk
        self._guard = guard
        self._intake = intake

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """Lists are read by readers; whoever changes something is asked in each."""
        return {
            "partners": Handler((*GET, *POST), None, self._partners),
            "partners/{id}": Handler(GET, "read", self._partner),
            "partners/{id}/remove": Handler(POST, None, self._remove),
            "partners/{id}/invitations": Handler((*GET, *POST), None, self._invitations),
            "partners/{id}/employee-feedback": Handler(POST, None, self._employee),
            "partners/{id}/customer-references": Handler(POST, None, self._customer),
            "partners/{id}/demo-reviews": Handler(POST, None, self._review),
            "partners/{id}/confidence": Handler(GET, "read", self._confidence),
            "partners/{id}/consistency": Handler(GET, "read", self._consistency),
            "partners/{id}/history": Handler(GET, "read", self._history),
            "invitations": Handler(POST, None, self._withdraw),
            "witnesses": Handler(POST, None, self._forget),
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
        acting.refuse_others(request.passed.partner if request.passed else None, which)
        await reply_json(request.send, plain(await self._aside(self._desk.partners.get, which)))

    async def _remove(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        doer = await self._team(request, found)
        await acting.said(request, self._intake, acting.Nothing, "The body must be {}.")
        which = found.steps["id"]
        gone = await self._aside(lambda: self._desk.partners.remove(which, actor=doer.actor))
        await reply_json(request.send, plain(gone))

    async def _invitations(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        which = found.steps["id"]
        if request.method == "POST":
            await self._invite(request, which)
            return
        partner = await self._reader(request)
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

    async def _employee(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._fed(request, found, ("employee",), "employee_feedback")

    async def _customer(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._fed(request, found, ("reference", "quarterly"), "customer_reference")

    async def _fed(
        self, request: Request, found: Found[Handler], forms: tuple[Form, ...], kind: str
    ) -> None:
        doer = await acting.doer(request, self._guard, kind)
        if doer.partner is not None:
            raise Refusal(403, "not_for_partners", "Partners do not answer for their witnesses.")
        wanted = "The body must have a `person`, a `key` and `scores`."
        asked = await acting.said(request, self._intake, Fed, wanted, MOST_BYTES)
        form = asked.form or forms[0]
        if form not in forms:
            raise Refusal(400, "bad_answer", f"`form` must be {' or '.join(forms)}.")
        answers = Answers(scores=asked.scores, nps=asked.nps, texts=asked.texts,
                          months=asked.months, may_quote=asked.may_quote)  # fmt: skip
        response, new = await self._aside(
            lambda: self._desk.import_answer(
                found.steps["id"], form, asked.person, answers, key=_key(asked.key),
                actor=doer.actor, at_ms=_moment(asked.at),
            )
        )  # fmt: skip
        said = {"response_id": response.response_id, "new": new,
                "completeness": response.completeness}  # fmt: skip
        await reply_json(request.send, said, 201 if new else 200)

    async def _review(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        doer = await acting.doer(request, self._guard, CHANGE)
        if doer.partner is not None:
            raise Refusal(403, "not_for_partners", "Partners do not rate their own demos.")
        wanted = f"The body must have a `demo_id` and `scores`: {', '.join(RATED)}, 1 to 10."
        asked = await acting.said(request, self._intake, Reviewed, wanted, 64 << 10)
        if not asked.scores or any(name not in RATED for name in asked.scores):
            raise Refusal(400, "bad_review", wanted)
        if any(not 1 <= score <= 10 for score in asked.scores.values()):
            raise Refusal(400, "bad_review", "`scores` are whole numbers from 1 to 10.")
        review = await self._aside(
            lambda: self._desk.review(
                found.steps["id"], asked.demo_id, asked.scores, asked.comments, doer.actor
            )
        )
        await reply_json(request.send, {"review_id": review.review_id}, 201)

    async def _confidence(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._viewed(request, found, view.confidence)

    async def _consistency(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._viewed(request, found, view.consistency)

    async def _history(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._viewed(request, found, view.history)

    async def _viewed(self, request: Request, found: Found[Handler], look: Look) -> None:
        """All of it for the team; for the partner what is released."""
        partner = request.passed.partner if request.passed else None
        acting.refuse_others(partner, found.steps["id"])
        whole = partner is None
        said = await self._aside(lambda: look(self._desk, found.steps["id"], whole=whole))
        await reply_json(request.send, said)

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
        erase = f"lakeward erase {' '.join(f'--user {name}' for name in names)}"
        said = {"witness_id": gone.witness_id, "removed": True, "lake": erase}
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

    async def _aside(self, work: Callable[..., T], *args: object) -> T:
        return await acting.beside(refused, work, *args)


def plain(partner: Partner) -> dict[str, Any]:
    """A partner as JSON has it."""
    said = {name: getattr(partner, name) for name in Given.__struct_fields__}
    return said | {"created_at": iso(partner.created_at), "updated_at": iso(partner.updated_at)}


def _plain(row: Invitation, witness: Witness | None) -> dict[str, Any]:
    """An invitation as the team sees it; never its link or what was filled in so far."""
    times = ("created_at", "expires_at", "sent_at", "delivered_at", "opened_at", "answered_at")
    same = (
        "invitation_id", "witness_id", "form", "period", "state", "reason", "sends", "channel",
    )  # fmt: skip
    said = {name: getattr(row, name) for name in same}
    said |= {name: iso(value) if (value := getattr(row, name)) else None for name in times}
    return said | {"name": witness.name if witness else "", "role": witness.role if witness else ""}


def _key(text: str) -> str:
    if not (0 < len(text) <= 48 and text.isprintable()):
        raise Refusal(400, "bad_answer", "`key` must have 1 to 48 printable characters.")
    return text


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return round(msgspec.convert(text, datetime).timestamp() * 1000)
    except (msgspec.ValidationError, ValueError, OverflowError):
        raise Refusal(400, "bad_answer", "`at` must be like 2026-11-27T09:30:00Z.") from None


def refused(error: LakewardError) -> Refusal:
    """A refusal of what the stores do not take."""
    text = str(error)
    if "there is no such partner" in text:
        return Refusal(404, "no_such_partner", "There is no such partner.")
    if "there is no such person" in text:
        return Refusal(404, "no_such_person", "There is no such person.")
    return Refusal(400, "bad_request", acting.sentence(error))
