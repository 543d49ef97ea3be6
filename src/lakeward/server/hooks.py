"""Webhooks of message providers: what became of messages, and who wants none.

    POST /hooks/twilio             status callbacks; TwiML comes back
    POST /hooks/twilio/incoming    what people answer, of which STOP and START are heeded
    POST /hooks/sendgrid           the Event Webhook, signed

In: requests that a provider signed; nothing else opens them. Out: 200, also for what was told
before. Says no with 400, 403 for a signature that is none or too old, or without the setting or the
extra to check it with, 413, 503 while the database is away: providers come again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lakeward.confidence import hooks
from lakeward.confidence.desk import Desk
from lakeward.errors import LakewardError, MissingExtra, SettingError
from lakeward.server import acting, body
from lakeward.server.answer import Headers, Refusal, reply, reply_json
from lakeward.server.handler import POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part

PARTS: Final = (Part("hooks", "/hooks", ("/twilio", "/twilio/incoming", "/sendgrid")),)
MOST_BYTES: Final = 1 << 20
NOTHING: Final = b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'


class HookRoom:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, desk: Desk, intake: Intake) -> None:
        self._desk = desk
        self._intake = intake

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """One for each kind."""
        return {
            "hooks": Handler(POST, None, self._twilio),
            "hooks/sendgrid": Handler(POST, None, self._sendgrid),
        }

    async def _twilio(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        raw = await self._body(request)
        signature = request.headers.get(b"x-twilio-signature", b"").decode("latin-1")
        address = self._address(request)
        read = hooks.answered_by_sms if found.below.endswith("incoming") else hooks.told_by_twilio

        def work() -> None:
            fields = hooks.fields_of(raw)
            hooks.check_twilio(self._desk, address, fields, signature)
            hooks.heed(self._desk, read(self._desk, fields))

        await acting.beside(_refused, work)
        await reply(request.send, 200, NOTHING, b"text/xml")

    async def _sendgrid(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        raw = await self._body(request)

        def work() -> int:
            events = hooks.told_by_sendgrid(self._desk, request.headers, raw)
            return hooks.heed(self._desk, events)

        new = await acting.beside(_refused, work)
        await reply_json(request.send, {"new": new})

    async def _body(self, request: Request) -> bytes:
        self._intake.slow_down(request)
        with self._intake.shelf.lent(self._intake.client(request)) as lent:
            return await body.read(request.receive, request.headers, MOST_BYTES, lent)

    def _address(self, request: Request) -> str:
        """As the provider called it: what a proxy changed is put right by the settings."""
        public = self._desk.settings.public_url.rstrip("/")
        path = request.scope["path"].removeprefix(request.prefix)
        query = f"?{request.query.decode('latin-1')}" if request.query else ""
        return f"{public or request.base}{path}{query}"


def _refused(error: LakewardError) -> Refusal:
    if isinstance(error, hooks.Forged):
        return Refusal(403, "bad_signature", acting.sentence(error))
    if isinstance(error, SettingError | MissingExtra):
        return Refusal(403, "not_set_up", acting.sentence(error))
    return Refusal(400, "bad_hook", acting.sentence(error))
