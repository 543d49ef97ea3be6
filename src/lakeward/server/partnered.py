"""Partnered: who may see and send what belongs to one partner.

In: a request that the guard let read, and a partner's id. Out: who acts, as the audit has it. Says
no with 403. Admins and this machine see and do everything; a person of a partner, what is of that
partner; a read key sees as much as it may and does nothing. What is another partner's is not there.
"""

from __future__ import annotations

from lakeward.server.acting import ACTOR_LENGTH, MACHINE, own_email
from lakeward.server.answer import Refusal
from lakeward.server.guard import Guard
from lakeward.server.intake import Request


def may_see(request: Request, partner_id: str) -> bool:
    """Whether what belongs to this partner is shown."""
    return request.passed is not None and request.passed.partner in (None, partner_id)


def partner_of(request: Request) -> str | None:
    """Whose things alone are shown; None: everybody's."""
    return None if request.passed is None else request.passed.partner


def is_admin(request: Request) -> bool:
    """Whether everything is shown."""
    return request.passed is not None and request.passed.partner is None


def may_act(request: Request, guard: Guard) -> bool:
    """Whether a person asks, from a page of our own."""
    passed = request.passed
    if passed is None or not guard.is_own_page(request.headers):
        return False
    return passed.login is not None or (passed.key_id is None and guard.open)


def actor(request: Request, guard: Guard) -> str:
    """Who acts; a page of another origin never does, nor does a key."""
    if not guard.is_own_page(request.headers):
        raise Refusal(403, "foreign_origin", "Pages of other origins change nothing here.")
    if not may_act(request, guard):
        raise Refusal(403, "not_a_person", "A read key reads; log in to change something.")
    return (own_email(request) or MACHINE)[:ACTOR_LENGTH]
