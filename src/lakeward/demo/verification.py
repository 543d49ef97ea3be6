"""The first step of the contractor's flow: a name, an e-mail address, a number, and its code.

In: the forms of `/start` and `/verify`. Out: a visitor who is known by a number, so that the next
pages open. May fail: 422 for what was mistyped, 429 for codes without end.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from lakeward.demo import journey
from lakeward.demo.platform import Platform, Problem, name_user, onward, with_cookie

CODE_SECONDS: Final = 600.0
CODE_TRIES: Final = 5
MOST_CODES: Final = 10
EMAIL: Final = re.compile(r"[^@\s<>\"',;]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)
PHONE: Final = re.compile(r"\+[1-9][0-9]{7,14}")
NOTHING: Final = {"name": "", "email": "", "phone": ""}
Field = Annotated[str, Form(max_length=300)]


def routes(platform: Platform) -> APIRouter:
    """The pages of this step."""
    router = APIRouter()

    @router.get("/start")
    def start(request: Request, cta: str = "") -> Response:
        visitor, token = platform.welcome(request)
        owner = _contractor(platform, visitor)
        request.scope["demo.user"] = owner, "contractor"
        if cta in ("hero", "footer"):
            platform.outcomes.cta_clicked(
                cta="find_partner", placement=cta, path="/", user_id=owner, user_type="contractor"
            )
        journey.entered(platform, "contractor", "verification", owner)
        return with_cookie(request, platform.page(request, "start", given=NOTHING), token)

    @router.post("/start")
    def begin(
        request: Request, name: Field = "", email: Field = "", phone: Field = ""
    ) -> Response:  # fmt: skip
        visitor, token = platform.welcome(request)
        owner = _contractor(platform, visitor)
        given = {"name": _printable(name), "email": email.strip(), "phone": _dialled(phone)}
        error = _wrong(given)
        if error:
            return platform.page(request, "start", 422, error, given=given)
        _send_code(platform, visitor["token"], owner, given)
        return onward(request, "/verify", token)

    @router.get("/verify")
    def verify(request: Request) -> Response:
        _begun(platform, request)
        return platform.page(request, "verify")

    @router.post("/verify")
    def check(request: Request, code: Field = "") -> Response:
        visitor = _begun(platform, request)
        if visitor["verified_at"] is not None and visitor["code"] is None:
            return onward(request, "/focus")  # the form was sent twice
        error = _tried(platform, visitor["token"], code.strip())
        if error:
            return platform.page(request, "verify", 422, error)
        owner = visitor["contractor_id"]
        if journey.completed(platform, "contractor", "verification", owner):
            platform.collector.record("identify", user_id=owner, user_type="contractor")
        return onward(request, "/focus")

    @router.post("/verify/again")
    def again(request: Request) -> Response:
        visitor = _begun(platform, request)
        given = {name: visitor[name] for name in ("name", "email", "phone")}
        _send_code(platform, visitor["token"], visitor["contractor_id"], given)
        return onward(request, "/verify")

    return router


def _contractor(platform: Platform, visitor: sqlite3.Row) -> str:
    """The visitor's id as a contractor, made at the first look at the form."""
    with platform.database.write() as connection:
        row = connection.execute(
            "UPDATE visitors SET contractor_id = coalesce(contractor_id, ?) WHERE token = ? "
            "RETURNING contractor_id",
            (f"c-{secrets.token_hex(6)}", visitor["token"]),
        ).fetchone()
    owner: str = row[0]
    return owner


def _begun(platform: Platform, request: Request) -> sqlite3.Row:
    visitor = platform.visitor(request)
    if visitor is None or visitor["phone"] is None:
        raise Problem(403, "Tell us your name, e-mail and telephone number first.")
    name_user(request.scope, visitor)
    return visitor


def _dialled(phone: str) -> str:
    """The number without what people put between its digits."""
    return re.sub(r"[\s().\-/]", "", phone)


def _printable(text: str) -> str:
    """The text on one line: it goes into the subject of an e-mail."""
    return "".join(letter for letter in text if letter.isprintable()).strip()


def _wrong(given: dict[str, str]) -> str:
    if not given["name"]:
        return "Please tell us your name."
    if not EMAIL.fullmatch(given["email"]):
        return "That does not look like an e-mail address."
    if not PHONE.fullmatch(given["phone"]):
        return "Write your number with its country code, such as +1 512 555 0100."
    return ""


def _send_code(platform: Platform, token: str, owner: str, given: dict[str, str]) -> None:
    code = f"{secrets.randbelow(10**6):06d}"
    with platform.database.write() as connection:
        row = connection.execute(
            "UPDATE visitors SET name = ?, email = ?, phone = ?, code = ?, code_until = ?, "
            "code_tries = 0, codes = codes + 1, "
            "verified_at = CASE WHEN phone = ? THEN verified_at END "
            "WHERE token = ? AND codes < ? RETURNING codes",
            (given["name"], given["email"], given["phone"], code,
             platform.now() + CODE_SECONDS, given["phone"], token, MOST_CODES),
        ).fetchone()  # fmt: skip
    if row is None:
        raise Problem(429, "You asked for too many codes: please come back another day.")
    platform.post.code(owner, given["phone"], code, row["codes"])


def _tried(platform: Platform, token: str, code: str) -> str:
    """What is wrong with a code; each try counts before it is looked at."""
    with platform.database.write() as connection:
        row = connection.execute(
            "UPDATE visitors SET code_tries = code_tries + 1 WHERE token = ? "
            "RETURNING code, code_until, code_tries",
            (token,),
        ).fetchone()
        if row["code"] is None or row["code_tries"] > CODE_TRIES:
            return "That was tried too often: ask for a new code."
        if platform.now() > row["code_until"]:
            return "That code is too old: ask for a new one."
        if not secrets.compare_digest(row["code"].encode(), code.encode()):
            return "That is not the code that we sent you."
        connection.execute(
            "UPDATE visitors SET verified_at = ?, code = NULL WHERE token = ?",
            (platform.now(), token),
        )
    return ""
