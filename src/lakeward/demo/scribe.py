"""One client of the platform, as its calls are recorded: a visitor, staff, or a program.

In: what is opened and sent, and when. Out: the `api_call` of it, and a `Cause` that what happens in
the call joins. A visitor whose browser runs the SDK also tells what the SDK tells (`sight.py`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from lakeward.demo.sight import Sight, Told
from lakeward.interaction import foreign_id, iso

__all__ = ["Cause", "Scribe", "Told"]

ORIGIN: Final = "http://127.0.0.1:8000"
NOBODY: Final = {"user_id": "anonymous", "user_type": "unknown"}
MEDIANS: Final = {"/coach/messages": 1300.0, "/profile": 52.0, "/matches": 34.0, "/start": 27.0}
"""How long an answer takes, in milliseconds; others take `MEDIAN`."""
MEDIAN: Final = 14.0


TEMPLATES: Final = {
    "verification": ("sms", "sign-in"), "introduction": ("email", "booking"),
    "moved": ("email", "booking"),
}  # fmt: skip
"""Channel and purpose of each message."""


class Cause(msgspec.Struct, frozen=True):
    """A call under way; what is recorded in it joins its trace."""

    scribe: Any
    user: Mapping[str, str]
    session: str
    call_id: str
    trace_id: str

    def told(self, kind: str, at: int, **fields: Any) -> Told:
        """A record of something that happened in the call."""
        return kind, {
            "interaction_id": self.scribe.id(at), "timestamp": iso(at), **self.user,
            "session_id": self.session, "parent_interaction_id": self.call_id,
            "trace_id": self.trace_id, **fields,
        }  # fmt: skip

    def of(self, user: Mapping[str, str]) -> Cause:
        """The same call, for what concerns somebody else."""
        return msgspec.structs.replace(self, user=dict(user))


class Scribe:
    """Writes down one client's calls."""

    def __init__(
        self, name: str, agent: str, address: str, *, referrer: str = "", browser: bool = False,
        came: int = 0,
    ) -> None:  # fmt: skip
        self._name, self._agent, self._address = name, agent, address
        self._dice = random.Random(f"{name}/scribe")  # noqa: S311 - times, not secrets
        self._n = 0
        self._came_from, self._before = referrer, ""
        self.at = ""
        """The path of the page that is open."""
        self.user: Mapping[str, str] = NOBODY
        self.known: dict[str, Any] = {}
        """What a company has told of itself."""
        self.session_of_calls = self._hash("session", 16)
        self._sight = Sight(ORIGIN, name, agent, address, came) if browser else None

    def begins(self, at: int) -> None:
        """A visit begins."""
        self.at = self._before = ""
        if self._sight:
            self._sight.begins(at)

    def ends(self, at: int, fields: int) -> Iterator[Told]:
        """The visit is over; of a form that is open so many fields were filled in."""
        if self._sight:
            if fields:
                yield from self._sight.begun(at - 2_500, fields)
            yield from self._sight.left(at)

    def call(
        self, at: int, method: str, path: str, status: int = 200, *, route: str = "",
        query: Mapping[str, str] | None = None, sent: int | None = None, click: str = "",
    ) -> tuple[Told, Cause]:  # fmt: skip
        """One call, and what joins it; `click`: the id of the click that sent it."""
        call_id = self.id(at)
        trace = (click or call_id).replace("-", "")
        session = self._sight.session if click and self._sight else self.session_of_calls
        took = self.times(MEDIANS.get(path, MEDIAN))
        fields: dict[str, Any] = {
            "interaction_id": call_id, "timestamp": iso(at), "method": method, "path": path,
            **self.user, "response_status": status, "response_time_ms": took,
            "ip_address": self._address, "user_agent": self._agent, "session_id": session,
            "route": route or path, "trace_id": trace, "ttfb_ms": took,
            "response_bytes": 0 if status == 303 else 18 if click else 1377,
        }  # fmt: skip
        if query:
            fields["query_params"] = dict(query)
        if referrer := self._before or self._came_from:
            fields["referrer"] = referrer
        if click:
            fields["parent_interaction_id"] = click
        if sent is not None:
            fields["request_bytes"] = sent
        if status >= 500:
            fields["error_type"] = "Problem"
        return ("api_call", fields), Cause(self, dict(self.user), session, call_id, trace)

    def open(
        self, at: int, path: str, status: int = 200, *, route: str = "",
        query: Mapping[str, str] | None = None,
    ) -> tuple[Cause, list[Told]]:  # fmt: skip
        """A page is opened."""
        if path.startswith("/library/"):
            route = "/library/{content_id}"
        referrer = self._before or self._came_from
        call, cause = self.call(at, "GET", path, status, route=route, query=query)
        told = [call]
        if self._sight:
            told += self._sight.opened(path, at + 60, referrer)
        self.at, self._before = path, f"{ORIGIN}{path}"
        return cause, told

    def sending(
        self, at: int, path: str, route: str | None = None, status: int = 303, *, sent: int,
    ) -> tuple[Cause, list[Told]]:  # fmt: skip
        """The form of the page is sent: by the page's script, where there is one."""
        told: list[Told] = []
        click = ""
        if self._sight:
            told += self._sight.sent(at)
            click = told[-1][1]["interaction_id"]
            status = 200 if status == 303 else status
        call, cause = self.call(at, "POST", path, status, route=route or "", sent=sent, click=click)
        return cause, [*told, call]

    def send(
        self, at: int, path: str, route: str | None, status: int, *, sent: int
    ) -> Iterator[Told]:
        """The same, where nothing comes of it."""
        yield from self.sending(at, path, route, status, sent=sent)[1]

    def follows(self, cta: str, text: str, to: str, at: int, hero: bool) -> Iterator[Told]:
        """A call to action is followed, where the SDK sees it."""
        if self._sight and hero:
            yield self._sight.followed(cta, text, to, at)

    def identifies(self, at: int) -> Iterator[Told]:
        """The page says who is here, from now on."""
        if self._sight and self._sight.user != self.user:
            self._sight.user = dict(self.user)
            yield self._sight.identified(at)

    def named(self, user_id: str, user_type: str) -> None:
        """From now on the platform knows who calls."""
        self.user = {"user_id": user_id, "user_type": user_type}

    def message(self, cause: Cause, at: int, template: str, whom: str) -> Told:
        """A message is sent that the call asked for."""
        channel, purpose = TEMPLATES[template]
        outbox = self.id(at)
        kind, fields = cause.told("message_sent", at, properties={
            "channel": channel, "template": template, "template_version": "1",
            "purpose": purpose, "outbox_id": outbox, "provider": "inbox",
            "message_id": f"inbox-{outbox}", "recipient_hash": self.hashed(whom),
            "status": "sent", "attempt": 1,
        })  # fmt: skip
        return kind, fields | {"user_type": "unknown"}

    def times(self, median: float) -> float:
        """How long something takes, in milliseconds."""
        return round(self._dice.lognormvariate(0, 0.5) * median, 3)

    def id(self, at: int) -> str:
        """The id of the next record, at its moment."""
        self._n += 1
        return foreign_id("lakeward.demo", f"{self._name}/{self._n}", at)

    def token(self, n: int) -> str:
        """Twelve figures that nobody else has."""
        return self._hash(f"token/{n}", 6).replace("-", "")

    def hashed(self, text: str) -> str:
        """What stands for an address."""
        return blake2b(text.encode(), digest_size=16).hexdigest()

    def _hash(self, what: str, size: int) -> str:
        digest = blake2b(f"{self._name}/{what}".encode(), digest_size=size).hexdigest()
        if size < 16:
            return digest
        digest = f"{digest[:12]}8{digest[13:16]}a{digest[17:]}"
        return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))
