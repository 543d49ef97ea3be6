"""Acting: who may change something over HTTP, and the body that comes with it.

In: a request that the guard let read. Out: the name of who acts, as the audit has it; the body as
its struct; what a thread made of it. Says no with 403 (partners, read keys, pages of other
origins), 400 and 415 for a body that will not do, 503 while the database is away.

A person who is an admin acts, and, on a server that is open to its own machine, whoever sits there:
"this machine". A page of another origin never does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar
from urllib.parse import parse_qs

import msgspec

from lakeward.errors import LakewardError, Transient, Unreadable
from lakeward.server import body
from lakeward.server.answer import Refusal
from lakeward.server.guard import Guard
from lakeward.server.intake import Intake, Request
from lakeward.store.changes import Actor
from lakeward.store.database import Unusable

MOST_BYTES: Final = 4 << 10
MOST_FIELDS: Final = 8
ACTOR_LENGTH: Final = 128
MACHINE: Final = "this machine"
"""Who acts where nobody has to log in."""

P = ParamSpec("P")
T = TypeVar("T")
B = TypeVar("B", bound=msgspec.Struct)


def refuse_partners(request: Request, why: str) -> None:
    """403 for who sees the records of one partner only; `why` is the sentence."""
    if partner_of(request) is not None:
        raise Refusal(403, "not_for_partners", why)


def own_email(request: Request) -> str | None:
    """The address of the person who asks; None where it is no person."""
    login = request.passed.login if request.passed is not None else None
    return None if login is None else login.person.email


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What comes with an act that needs no words."""


def partner_of(request: Request) -> str | None:
    """Whose things alone are shown; None: everybody's."""
    return None if request.passed is None else request.passed.partner


def may_see(request: Request, partner_id: str) -> bool:
    """Whether what belongs to this partner is shown."""
    return request.passed is not None and request.passed.partner in (None, partner_id)


def is_person(request: Request, guard: Guard) -> bool:
    """Whether a person asks, a partner's or the team's, or whoever sits at an open machine."""
    passed = request.passed
    if passed is None or not guard.is_own_page(request.headers):
        return False
    return passed.login is not None or (passed.key_id is None and guard.open)


def may_act(request: Request, guard: Guard) -> bool:
    """Whether who asks would be let change something of the team's."""
    return partner_of(request) is None and is_person(request, guard)


def refuse_keys(request: Request, guard: Guard, why: str) -> None:
    """403 for who would not be let change anything; `why` is the sentence."""
    if not may_act(request, guard):
        raise Refusal(403, "not_a_person", why)


def actor(request: Request, guard: Guard, why: str) -> str:
    """Who acts for the team; `why` is what partners are told."""
    refuse_partners(request, why)
    return person(request, guard)


def person(request: Request, guard: Guard) -> str:
    """Who acts, as the audit has it, of the team or a partner. A page of another origin never does,
    nor does whoever may only read."""
    if not guard.is_own_page(request.headers):
        raise Refusal(403, "foreign_origin", "Pages of other origins change nothing here.")
    if not is_person(request, guard):
        raise Refusal(403, "not_a_person", "A read key reads; log in to change something.")
    return (own_email(request) or MACHINE)[:ACTOR_LENGTH]


class Doer(msgspec.Struct, frozen=True):
    """Who changes something that partners change, too."""

    actor: Actor
    partner: str | None = None
    """Whose things only may be changed; None: everybody's."""


async def doer(request: Request, guard: Guard, kind: str) -> Doer:
    """Who acts: a person, this machine, or the platform's own program by a write key for
    interactions of this kind. A key that pages have is nobody's."""
    if guard.brings_key(request.scope, request.headers):
        passed = guard.admit(request.scope, request.headers, "write")
        if passed.key_id is not None:
            if passed.public or not passed.permits(kind):
                raise Refusal(403, "wrong_key", f"This needs a write key of a server for {kind}.")
            return Doer(Actor(f"key {passed.key_id}", "key"))
    if not guard.is_own_page(request.headers):
        raise Refusal(403, "foreign_origin", "Pages of other origins change nothing here.")
    passed = await guard.admit_login(request.headers, request.base)
    if passed.login is None:
        if guard.open:
            return Doer(Actor(MACHINE, "admin"))
        raise Refusal(401, "no_login", "Log in, or send a write key: Authorization: Bearer lwk_….")
    person = passed.login.person
    if person.partner_id is None:
        return Doer(Actor(person.email[:ACTOR_LENGTH], "admin"))
    return Doer(Actor(person.email[:ACTOR_LENGTH], "partner"), person.partner_id)


def refuse_others(partner: str | None, which: str) -> None:
    """403 for a partner who asks for another one, whether or not that exists."""
    if partner is not None and partner != which:
        raise Refusal(403, "not_for_partners", "Partners see themselves and nobody else.")


async def said(
    request: Request, intake: Intake, kind: type[B], wanted: str, most_bytes: int = MOST_BYTES
) -> B:
    """The body; `wanted` is the sentence for one that is not of this kind. JSON is asked for by
    its type, which no page of another origin may send without asking first."""
    media = request.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if media != b"application/json":
        raise Refusal(415, "wrong_type", "Send application/json.")
    with intake.shelf.lent(intake.client(request)) as lent:
        raw = await body.read(request.receive, request.headers, most_bytes, lent)
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "bad_body", wanted) from None


async def beside(
    refused: Callable[[LakewardError], Refusal | None],
    work: Callable[P, T],
    *args: P.args,
    **named: P.kwargs,
) -> T:
    """Work in a thread beside the loop; `refused` makes an answer of what will not do, or None of
    what nobody expected."""
    try:
        return await asyncio.to_thread(work, *args, **named)
    except Transient as error:
        raise Refusal(503, "busy", sentence(error)) from None
    except (Unusable, Unreadable):
        raise
    except LakewardError as error:
        refusal = refused(error)
        if refusal is None:
            raise
        raise refusal from None


def sentence(error: Exception) -> str:
    """An error's message as a sentence."""
    text = str(error)
    return text[:1].upper() + text[1:].rstrip(".") + "."


def asked(request: Request) -> dict[str, list[str]]:
    """The parameters behind the question mark."""
    try:
        return parse_qs(request.query.decode("latin-1"), max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Refusal(400, "bad_query", "There are more parameters than that.") from None
