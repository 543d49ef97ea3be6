"""The demo's carrier: what Twilio and SendGrid are elsewhere, on this machine's loopback.

In: messages as Lakeward's own carriers hand them over, in the protocols of the two. Out: what came
for whom, in memory. SMS to numbers that are out of reach are refused as Twilio refuses them. No
message leaves the machine.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Annotated, Final, Self
from urllib.parse import parse_qs

import msgspec

from lakeward.errors import Transient

HOST: Final = "127.0.0.1"
MOST_BYTES: Final = 1 << 20
SMS: Final = re.compile(r"/2010-04-01/Accounts/[^/]+/Messages\.json")
MAIL: Final = "/v3/mail/send"
UNREACHABLE: Final = {
    "code": 21610, "status": 400, "message": "The number cannot be reached.",
    "more_info": "",
}  # fmt: skip


class Carrier:
    """Listens until the block ends."""

    def __init__(self, unreachable: Collection[str] = ()) -> None:
        self._unreachable = frozenset(unreachable)
        self._came: dict[str, list[str]] = {}
        self._changed = threading.Condition()
        self.account = f"AC{secrets.token_hex(16)}"
        self.secret = secrets.token_hex(16)
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        """Where it listens, once it does."""
        assert self._server is not None
        return f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"carrier": self})
        self._server = ThreadingHTTPServer((HOST, 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def environ(self) -> dict[str, str]:
        """Settings by which messages come here."""
        return {
            "LAKEWARD_MESSAGES": "live",
            "LAKEWARD_TWILIO_ENDPOINT": self.address,
            "LAKEWARD_SENDGRID_ENDPOINT": self.address,
            "TWILIO_ACCOUNT_SID": self.account,
            "TWILIO_AUTH_TOKEN": self.secret,
            "TWILIO_PHONE_NUMBER": "+13035550199",
            "SENDGRID_API_KEY": self.secret,
            "SENDGRID_FROM_EMAIL": "platform@demo.example",
        }

    def takes(self, to: str, text: str) -> bool:
        """Keep a message; False where nobody can be reached."""
        if to in self._unreachable:
            return False
        with self._changed:
            self._came.setdefault(to, []).append(text)
            self._changed.notify_all()
        return True

    def received(self, addresses: Collection[str], seconds: float) -> str:
        """The first message at one of these; Transient when none comes in time."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for one in addresses:
                    if one in self._came:
                        return self._came[one][0]
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Transient("an invitation did not come: nobody was sent a link in time")
                self._changed.wait(left)


class _Handler(BaseHTTPRequestHandler):
    """The two protocols, as far as they are spoken here."""

    carrier: Carrier

    def do_POST(self) -> None:
        """Take a message."""
        length = self.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self._answer(413, {"message": "too large"})
            return
        body = self.rfile.read(int(length))
        if SMS.fullmatch(self.path):
            fields = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
            self._sms(fields.get("To", ""), fields.get("Body", ""))
        elif self.path == MAIL:
            self._mail(body)
        else:
            self._answer(404, {"message": "not spoken here"})

    def do_GET(self) -> None:
        """Which SMS came: none that anybody asks for again."""
        self._answer(200, {"messages": [], "next_page_uri": None})

    def log_message(self, *args: object) -> None:
        """Say nothing: addresses stand in the requests."""

    def _sms(self, to: str, text: str) -> None:
        if self.carrier.takes(to, text):
            sid = f"SM{secrets.token_hex(16)}"
            self._answer(201, {"sid": sid, "status": "queued", "num_segments": "1", "to": to})
        else:
            self._answer(400, UNREACHABLE)

    def _mail(self, body: bytes) -> None:
        try:
            mail = msgspec.json.decode(body, type=_Mail)
        except msgspec.DecodeError:
            self._answer(400, {"errors": [{"message": "no message"}]})
            return
        for person in mail.personalizations:
            for one in person.to:
                self.carrier.takes(one.email, mail.content[0].value)
        self._answer(202, None)

    def _answer(self, status: int, body: dict[str, object] | None) -> None:
        raw = b"" if body is None else msgspec.json.encode(body)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.send_header("x-message-id", secrets.token_hex(8))
        self.end_headers()
        self.wfile.write(raw)


class _Address(msgspec.Struct, frozen=True):
    email: str


class _Person(msgspec.Struct, frozen=True):
    to: list[_Address]


class _Content(msgspec.Struct, frozen=True):
    value: str


class _Mail(msgspec.Struct, frozen=True):
    personalizations: list[_Person]
    content: Annotated[list[_Content], msgspec.Meta(min_length=1)]
