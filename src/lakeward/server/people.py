"""People over HTTP: `GET /api/people` lists who may log in, and admins let people in and out.

    GET  /api/people                 everybody, the removed ones too
    POST /api/people                 {"email": …, "role": "admin"}   in, and the one-time link
    POST /api/people/{id}/link       {}     another one-time link
    POST /api/people/{id}/role       {"role": "partner", "partner_id": …}
    POST /api/people/{id}/remove     {}     out at once; the row stays, and `restore` lets in again
    POST /api/people/{id}/restore    {}

In: requests of an admin, or of this machine. Out: a one-time link in the answer that made it, good
once, within a day. Says no with 400, 403 (read keys, too: addresses are personal), 404, 409 for an
address that is there, for the last admin, and for one's own login, 503 while the database is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from lakeward.errors import LakewardError, Terminal
from lakeward.interaction import iso
from lakeward.server import acting
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.settings import Settings
from lakeward.store.database import Database
from lakeward.store.link import HOURS, Links
from lakeward.store.people import People, Person

VERBS: Final = ("link", "role", "remove", "restore")
PARTS: Final = (Part("people", "/api/people", ("", *(f"/{{id}}/{verb}" for verb in VERBS))),)
WHY: Final = "People are the business of admins."
WANTED: Final = (
    "The body must have an `email`; and may have a `role`, admin or partner, and of a partner the "
    "`partner_id`."
)
ROLE_WANTED: Final = "The body must have a `role`: admin, or partner and its `partner_id`."


class Invited(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody to let in."""

    email: str
    role: Literal["admin", "partner"] = "admin"
    partner_id: str | None = None


class Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another role."""

    role: Literal["admin", "partner"]
    partner_id: str | None = None


class PeopleRoom:
    """Answers for one worker."""

    parts = PARTS

    def __init__(
        self, database: Database, settings: Settings, guard: Guard, intake: Intake
    ) -> None:  # fmt: skip
        self._people = People(database)
        self._links = Links(database)
        self._public = settings.public_url.rstrip("/")
        self._guard = guard
        self._intake = intake
        self._paths: Mapping[str, str] = {}

    def moved(self, paths: Mapping[str, str]) -> None:
        """Where links lead to."""
        self._paths = paths

    def handlers(self) -> dict[str, Handler]:
        """The list, and what is done to one."""
        return {
            "people": Handler((*GET, *POST), "read", self._answer),
            "people/{id}/link": Handler(POST, "read", self._link),
            "people/{id}/role": Handler(POST, "read", self._role),
            "people/{id}/remove": Handler(POST, "read", self._remove),
            "people/{id}/restore": Handler(POST, "read", self._restore),
        }

    async def _answer(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        if request.method == "POST":
            await self._invite(request)
            return
        acting.refuse_partners(request, WHY)
        acting.refuse_keys(request, self._guard, "People are shown to admins who are logged in.")
        rows, last = await acting.beside(_refused, self._listed)
        me = acting.own_email(request)
        people = [plain(p, last.get(p.person_id)) | {"you": p.email == me} for p in rows]
        await reply_json(request.send, {"people": people, "may_change": True})

    def _listed(self) -> tuple[list[Person], dict[str, int]]:
        return self._people.all(), self._people.last_logins()

    async def _invite(self, request: Request) -> None:
        actor = acting.actor(request, self._guard, WHY)
        asked = await acting.said(request, self._intake, Invited, WANTED)
        self._refuse_linkless()
        person, ticket = await acting.beside(_refused, self._invited, asked, actor)
        await reply_json(request.send, plain(person) | self._way_in(request, ticket), 201)

    def _invited(self, asked: Invited, actor: str) -> tuple[Person, str]:
        if asked.role == "partner" and not any(map(_is_admin, self._people.all())):
            raise Terminal("the first person must be an admin, or nobody could let others in")
        person = self._people.add(
            asked.email, asked.role, actor=actor, partner_id=asked.partner_id
        )  # fmt: skip
        return person, self._links.make(person.person_id, actor=actor)

    async def _link(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        actor = await self._actor(request)
        self._refuse_linkless()
        person, ticket = await acting.beside(_refused, self._linked, found.steps["id"], actor)
        await reply_json(request.send, plain(person) | self._way_in(request, ticket))

    def _linked(self, who: str, actor: str) -> tuple[Person, str]:
        person = self._people.find(who)
        if person.disabled_at is not None:
            raise Terminal("this person is removed: restore comes first")
        return person, self._links.make(person.person_id, actor=actor)

    async def _role(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        actor, own = acting.actor(request, self._guard, WHY), acting.own_email(request)
        asked = await acting.said(request, self._intake, Role, ROLE_WANTED)

        def change() -> Person:
            return self._people.change_role(
                self._other(found.steps["id"], own), asked.role, actor=actor,
                partner_id=asked.partner_id, leaves_admin=True,
            )  # fmt: skip

        await reply_json(request.send, plain(await acting.beside(_refused, change)))

    async def _remove(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        actor, own = await self._actor(request), acting.own_email(request)

        def remove() -> Person:
            who = self._other(found.steps["id"], own)
            return self._people.disable(who, actor=actor, leaves_admin=True)

        await reply_json(request.send, plain(await acting.beside(_refused, remove)))

    async def _restore(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        actor, who = await self._actor(request), found.steps["id"]
        person = await acting.beside(_refused, self._people.enable, who, actor=actor)
        await reply_json(request.send, plain(person))

    async def _actor(self, request: Request) -> str:
        """Who acts, with a body that says nothing more."""
        actor = acting.actor(request, self._guard, WHY)
        await acting.said(request, self._intake, acting.Nothing, "The body must be {}.")
        return actor

    def _other(self, who: str, own: str | None) -> str:
        """The id of somebody else than who acts."""
        person = self._people.find(who)
        if person.email == own:
            raise Terminal("this is your own login: ask another admin to change or remove it")
        return person.person_id

    def _refuse_linkless(self) -> None:
        """Before anybody is added: a link leads to the page, and is used up by the way in."""
        if not {"page", "welcome"} <= set(self._paths):
            raise Refusal(
                409, "no_page",
                "This server has no page on which a link could be used: see LAKEWARD_PATHS.",
            )  # fmt: skip

    def _way_in(self, request: Request, ticket: str) -> dict[str, Any]:
        base = self._public or request.base
        return {
            "link": f"{base}{self._paths['page'].rstrip('/')}/?welcome={ticket}",
            "hours": HOURS,
        }


def _is_admin(person: Person) -> bool:
    return person.role == "admin" and person.disabled_at is None


def plain(person: Person, last_login: int | None = None) -> dict[str, Any]:
    """A person as JSON has it."""
    return {
        "person_id": person.person_id,
        "email": person.email,
        "role": person.role,
        "partner_id": person.partner_id,
        "provider": person.subject is not None,
        "created_at": iso(person.created_at),
        "created_by": person.created_by,
        "last_login_at": None if last_login is None else iso(last_login),
        "removed_at": None if person.disabled_at is None else iso(person.disabled_at),
    }


def _refused(error: LakewardError) -> Refusal | None:
    text = str(error)
    if "no such person" in text:
        return Refusal(404, "no_such_person", "There is no such person.")
    for mark, code in (
        ("with this e-mail address already", "is_there"), ("be an admin any more", "last_admin"),
        ("must be an admin", "last_admin"),
        ("your own login", "own_login"), ("is removed", "removed"),
    ):  # fmt: skip
        if mark in text:
            return Refusal(409, code, acting.sentence(error))
    return Refusal(400, "bad_person", acting.sentence(error))
