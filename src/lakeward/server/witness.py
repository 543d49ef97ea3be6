"""The pages on which witnesses speak of a partner: a form, and the wish to be left alone.

    GET  /w/{token}          the form, with what was saved
    POST /w/{token}          act=send or act=keep, and the fields
    GET  /w/{token}/stop     asks once more
    POST /w/{token}/stop     no more messages; of a mail program, too (RFC 8058)
    GET  /w/style.css

In: requests of anybody who has a link. Out: HTML that works without JavaScript, whatever is wrong:
404 for a link that is none of ours, 410 for one that has ended, 422 for what is missing, 403 for a
page of another origin, 413, 429, 503. The link is the only secret; no cookie says who somebody is,
and the one there is only tells browsers apart. So a mail program's one click is heard wherever it
comes from: some run in browsers, on a page of another origin.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import parse_qsl

from lakeward.confidence import page
from lakeward.confidence.desk import Desk
from lakeward.confidence.form import TEXT_LENGTH, names, read
from lakeward.errors import LakewardError, MissingExtra
from lakeward.messaging.unsubscribe import is_one_click
from lakeward.server import acting, body
from lakeward.server.answer import Headers, Refusal, reply
from lakeward.server.guard import Guard, cookie_of
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.store.invitations import OPEN, Invitation

PARTS: Final = (Part("witness", "/w", ("/style.css", "/{token}", "/{token}/stop")),)
MOST_BYTES: Final = 64 << 10
MOST_FIELDS: Final = 40
COOKIE: Final = "lakeward-device"
COOKIE_SECONDS: Final = 365 * 86_400
QUICKEST_MS: Final = 3000
"""Nobody reads and answers a form in less."""
HTML: Final = b"text/html; charset=utf-8"
SAFE: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
        b"frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"referrer-policy", b"same-origin"),
    (b"x-robots-tag", b"noindex"),
)
T = TypeVar("T")


class WitnessRoom:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, desk: Desk, guard: Guard, intake: Intake) -> None:
        self._desk = desk
        self._guard = guard
        self._intake = intake
        self._root = "/w"

    def moved(self, paths: Mapping[str, str]) -> None:
        """Where the style is."""
        self._root = paths.get("witness", "/w")

    def handlers(self) -> dict[str, Handler]:
        """The form, and the wish to be left alone."""
        return {
            "witness": Handler((*GET, *POST), None, self._form),
            "witness/style.css": Handler(GET, None, self._style),
            "witness/{token}/stop": Handler((*GET, *POST), None, self._stop),
        }

    async def _style(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        cached = ((b"cache-control", b"public, max-age=3600"),)
        await reply(request.send, 200, page.style_sheet(), b"text/css; charset=utf-8", cached)

    async def _form(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        try:
            self._intake.slow_down(request)
            seen = await self._seen(found)
            if request.method == "POST":
                await self._sent(request, seen)
            elif seen.state == "answered":
                await self._thanks(request, seen)
            else:
                if request.method == "GET":
                    await self._aside(self._desk.invitations.opened, seen)
                await self._shown(request, seen, seen.draft, {})
        except Refusal as refusal:
            await self._refused(request, refusal)
        except MissingExtra as error:
            await reply(request.send, 501, acting.sentence(error).encode(), b"text/plain")

    async def _stop(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        try:
            self._intake.slow_down(request)
            seen = await self._invitation(found, self._desk.by_stop_link)
            partner = await self._partner(seen)
            if request.method != "POST":
                shown = page.stop_page(partner, self._style_of(request))
                await reply(request.send, 200, shown, HTML, SAFE)
                return
            if not await self._one_click(request):
                self._own(request)
            await self._aside(self._stopped, seen)
            await self._word(request, 200, "You will not hear from us again",
                             "We have noted it, and write to you no more.", partner)  # fmt: skip
        except Refusal as refusal:
            await self._refused(request, refusal)

    def _stopped(self, seen: Invitation) -> None:
        desk = self._desk
        desk.stop(desk.witnesses.get(seen.witness_id), "link")
        desk.invitations.end(seen, "withdrawn", "opted out")

    async def _sent(self, request: Request, seen: Invitation) -> None:
        self._own(request)
        fields = await self._fields(request)
        began = self._began(fields.get("began", ""), seen)
        filled = {
            name: fields[name][: TEXT_LENGTH + 1] for name in names(seen.form) if fields.get(name)
        }
        if seen.state == "answered":
            await self._thanks(request, seen)
        elif fields.get("act") == "keep":
            await self._kept(request, seen, filled)
        elif fields.get("website"):
            say = {"website": "Something filled in a field that people do not see: send it again."}
            await self._shown(request, seen, filled, say, 422)
        elif began is None or self._desk.now_ms() - began < QUICKEST_MS:
            say = {"quick": "That was quicker than anybody can read: look at it and send it again."}
            await self._shown(request, seen, filled, say, 422)
        else:
            await self._answered(request, seen, filled, (self._desk.now_ms() - began) / 1000)

    async def _answered(
        self, request: Request, seen: Invitation, filled: dict[str, str], seconds: float
    ) -> None:
        answer = read(seen.form, filled)
        if answer.wrong:
            await self._aside(self._desk.invitations.keep, seen, filled)
            await self._shown(request, seen, filled, answer.wrong, 422)
            return
        device = cookie_of(request.headers, COOKIE)
        address = self._intake.client(request) or ""
        await self._aside(
            lambda: self._desk.answer(
                seen, answer, seconds=seconds, address=address, device=device[:64]
            )
        )
        await self._thanks(request, seen)

    async def _kept(self, request: Request, seen: Invitation, filled: dict[str, str]) -> None:
        if not await self._aside(self._desk.invitations.keep, seen, filled):
            raise Refusal(410, "ended", "This link has ended.")
        until = page.day(seen.expires_at)
        await self._word(request, 200, "Saved",
                         f"Come back by the same link until {until}; nothing was sent yet.",
                         await self._partner(seen))  # fmt: skip

    async def _thanks(self, request: Request, seen: Invitation) -> None:
        await self._word(request, 200, "Thank you",
                         "Your answers are in. You can close this page.",
                         await self._partner(seen))  # fmt: skip

    async def _shown(
        self, request: Request, seen: Invitation, filled: Mapping[str, str],
        wrong: Mapping[str, str], status: int = 200,
    ) -> None:  # fmt: skip
        shown = page.form_page(
            seen, await self._partner(seen), began=self._begin(seen), filled=filled, wrong=wrong,
            style=self._style_of(request),
        )  # fmt: skip
        device = cookie_of(request.headers, COOKIE) or secrets.token_hex(16)
        secure = "; Secure" if self._guard.is_secure(request.base) else ""
        cookie = (
            f"{COOKIE}={device[:64]}; Path={request.prefix}{self._root}; HttpOnly; SameSite=Lax; "
            f"Max-Age={COOKIE_SECONDS}{secure}"
        )
        said = (*SAFE, (b"set-cookie", cookie.encode("latin-1", "replace")))
        await reply(request.send, status, shown, HTML, said)

    async def _word(
        self, request: Request, status: int, title: str, text: str, lead: str = ""
    ) -> None:
        shown = page.word_page(title, text, self._style_of(request), lead=lead)
        await reply(request.send, status, shown, HTML, SAFE)

    async def _refused(self, request: Request, refusal: Refusal) -> None:
        title = "This link has ended" if refusal.status == 410 else "That did not work"
        shown = page.word_page(title, refusal.message, self._style_of(request))
        await reply(request.send, refusal.status, shown, HTML, (*SAFE, *refusal.headers()))

    def _style_of(self, request: Request) -> str:
        return f"{request.prefix}{self._root}/style.css"

    def _own(self, request: Request) -> None:
        if not self._guard.is_own_page(request.headers):
            raise Refusal(403, "foreign_origin", "Pages of other sites cannot answer for you.")

    async def _one_click(self, request: Request) -> bool:
        kind = request.headers.get(b"content-type", b"").decode("latin-1")
        return is_one_click(kind, await self._raw(request))

    async def _raw(self, request: Request) -> bytes:
        with self._intake.shelf.lent(self._intake.client(request)) as lent:
            return await body.read(request.receive, request.headers, MOST_BYTES, lent)

    async def _fields(self, request: Request) -> dict[str, str]:
        raw = await self._raw(request)
        try:
            pairs = parse_qsl(
                raw.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS
            )
        except ValueError:
            raise Refusal(400, "bad_form", "That was no form of ours.") from None
        return dict(pairs)

    async def _invitation(
        self, found: Found[Handler], by: Callable[[str], Invitation | None] | None = None
    ) -> Invitation:  # fmt: skip
        seen = await self._aside(by or self._desk.by_link, found.steps["token"])
        if seen is None:
            raise Refusal(404, "no_such_link", "There is no such link: was it copied whole?")
        return seen

    async def _seen(self, found: Found[Handler]) -> Invitation:
        seen = await self._invitation(found)
        if seen.state == "answered":
            return seen
        if seen.state not in OPEN or self._desk.now_ms() >= seen.expires_at:
            raise Refusal(410, "ended", "It was good until then, or is not needed any more.")
        return seen

    async def _partner(self, seen: Invitation) -> str:
        partner = await self._aside(self._desk.partners.get, seen.partner_id)
        return partner.name

    def _begin(self, seen: Invitation) -> str:
        """When the form was shown, in a form that nobody but us can write."""
        now = str(self._desk.now_ms())
        return f"{now}.{self._signed(now, seen)}"

    def _began(self, text: str, seen: Invitation) -> int | None:
        now, _, signature = text.partition(".")
        if not (now.isascii() and now.isdigit() and len(now) < 16):
            return None
        genuine = hmac.compare_digest(signature.encode(), self._signed(now, seen).encode())
        return int(now) if genuine else None

    def _signed(self, now: str, seen: Invitation) -> str:
        said = f"began|{seen.invitation_id}|{now}".encode()
        return hmac.digest(self._desk.secret, said, "sha256").hex()[:24]

    async def _aside(self, work: Callable[..., T], *args: object) -> T:
        return await acting.beside(_refused, work, *args)


def _refused(error: LakewardError) -> Refusal | None:
    if "no answer may come" in str(error):
        return Refusal(410, "ended", "This link has ended.")
    if "there is no such" in str(error):
        return Refusal(410, "ended", "It is not needed any more.")
    return None
