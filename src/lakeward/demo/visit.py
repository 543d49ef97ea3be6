"""One visit: the acts of a plan, done with hands that are a program's or a browser's.

In: a visitor, hands, staff's client. Out: every act done once. Fails with `Unexpected` when the
platform answers otherwise than it must, and with `Gone` when it does not answer.

Slots and codes are found on the way: the code in the inbox, a slot among those that are offered.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Final, Protocol

from lakeward.demo.acts import Act, Fields
from lakeward.demo.client import OK, Client, Hands, Page
from lakeward.demo.experiment import CONTROL, SHOWN
from lakeward.demo.partners import PARTNERS, Partner
from lakeward.demo.plan import OF_BOOKINGS, Visitor, done, shown
from lakeward.errors import Rejected

CODE: Final = re.compile(r"\b([0-9]{6})\b")
TURN: Final = re.compile(r'"turn"(?::| value=)"([0-9a-f-]{36})"')
CONVERSATION: Final = re.compile(r'name="conversation" value="([^"]+)"')
SLOT: Final = re.compile(r'<option value="([0-9T:-]+)"')
INBOX_SECONDS: Final = 20.0
TRIES: Final = 8
REFUSED: Final = 422
TAKEN: Final = 409
CLOSED: Final = 403
UNVERIFIED: Final = 401


class Unexpected(Rejected):
    """The platform answered otherwise than it must."""


class Reading(Protocol):
    """Lets readers of the API through, except while it is switched off."""

    def __call__(self) -> AbstractContextManager[None]:
        """Hold the API open while the block runs."""


class Visit:
    """A visitor at work."""

    def __init__(
        self, visitor: Visitor, hands: Hands, staff: Client, reading: Reading,
        pause: Callable[[], None], partners: Collection[Partner] = PARTNERS.values(),
    ) -> None:  # fmt: skip
        self._visitor, self._hands, self._staff = visitor, hands, staff
        self._reading, self._pause, self._partners = reading, pause, partners
        self._dice = random.Random(visitor.number)  # noqa: S311 - slots, not secrets
        self._at = Page(0, "", "")
        self._booking = self._code = self._conversation = ""
        self._is_verified = self._gave_feedback = False
        self.arm = ""
        """The variant of the page of matches that was shown."""

    def all(self) -> None:
        """Do everything that is planned, for whom it is planned."""
        for act in self._visitor.acts:
            if act.kind in OF_BOOKINGS and act not in done(self._visitor, self.arm or CONTROL):
                continue
            self._do(act)
            self._pause()

    def _do(self, act: Act) -> None:
        match act.kind:
            case "page":
                closed = act.path == "/coach" and not self._gave_feedback
                self._open(act.path, CLOSED if closed else OK)
            case "mistake":
                self._open(self._start_path(act.path))
                self._send(act.path, act.fields, REFUSED)
            case "start":
                if not self._at.path.startswith("/start"):
                    self._open(self._start_path("/start"))
                self._send("/start", act.fields)
            case "wrong_code":
                self._code = self._received()
                self._send("/verify", (("code", f"{(int(self._code) + 1) % 10**6:06d}"),), REFUSED)
            case "code":
                self._send("/verify", (("code", self._code or self._received()),))
                self._is_verified = True
            case "focus" | "profile" | "join":
                self._send(f"/{act.kind}", act.fields)
                if found := SHOWN.search(self._at.text):
                    self.arm = found[1]
            case "choose":
                self._send("/matches", (("partner", self._partner(act)),))
            case "join_focus" | "proposition" | "review":
                self._send(f"/join/{act.kind.removeprefix('join_')}", act.fields)
            case "feedback":
                self._open("/feedback")
                self._send("/feedback", act.fields)
                self._gave_feedback = True
            case "coach":
                self._ask(act)
            case "rate":
                self._send("/coach/ratings", (("turn", self._turn()), *act.fields))
            case "content":
                self._open(act.path)
                self._send(act.path, act.fields)
            case "api":
                with self._reading():
                    self._open(act.path, OK if self._is_verified else UNVERIFIED)
            case "away":
                self._hands.close()
                self._pause()
                self._open("/")
            case _:
                self._book(act)

    def _book(self, act: Act) -> None:
        """What has to do with a booking; staff's part, too."""
        match act.kind:
            case "book":
                path = f"/partners/{self._partner(act)}/book"
                self._booking = self._slotted(path, path).path.rpartition("/")[2]
            case "reschedule":
                here = f"/bookings/{self._booking}"
                self._slotted(here, f"{here}/reschedule")
            case "cancel":
                here = f"/bookings/{self._booking}"
                if self._at.path != here:
                    self._open(here)
                self._send(f"{here}/cancel", act.fields)
            case "held" | "no_show":
                how = act.kind.replace("_", "-")
                self._told(self._staff.send(f"/staff/bookings/{self._booking}/{how}", ()), 303)
            case "deal":
                fields = (("booking", self._booking), *act.fields)
                self._told(self._staff.send("/staff/deals", fields), 303)
            case _:
                raise Unexpected(f"nobody knows how to do `{act.kind}`")

    def _slotted(self, where: str, path: str) -> Page:
        """Send a form with one of the slots that are offered, until it is one's own."""
        for _ in range(TRIES):
            self._open(where)
            slots = SLOT.findall(self._at.text)
            if not slots:
                break
            self._at = self._hands.send(path, (("slot", self._dice.choice(slots)),))
            if self._at.status != TAKEN:
                return self._told(self._at, OK)
        raise Unexpected(f"visitor {self._visitor.number} found no free time at {where}")

    def _ask(self, act: Act) -> None:
        if not self._at.path.startswith("/coach"):
            self._open("/coach")
        if found := CONVERSATION.search(self._at.text):
            self._conversation = found[1]
        fields = (("conversation", self._conversation), *act.fields)
        self._send("/coach/messages", fields)

    def _turn(self) -> str:
        """The answer that came last."""
        answers = TURN.findall(self._at.text)
        if not answers:
            raise Unexpected(f"visitor {self._visitor.number} got no answer to rate")
        return str(answers[-1])

    def _received(self) -> str:
        """The code, as soon as the message is there."""
        deadline = time.monotonic() + INBOX_SECONDS
        wait = 0.05
        while True:
            self._open("/inbox")
            _, _, messages = self._at.text.partition("data-message")
            if found := CODE.search(messages):
                self._open("/verify")
                return found[1]
            if time.monotonic() > deadline:
                raise Unexpected(f"visitor {self._visitor.number} got no code by SMS")
            time.sleep(wait)
            wait = min(2 * wait, 0.5)

    def _partner(self, act: Act) -> str:
        return shown(self._visitor, self._partners)[act.place].partner.partner_id

    def _start_path(self, path: str) -> str:
        """The way in from the landing page, once."""
        return "/start?cta=hero" if path == "/start" and self._at.path == "/" else path

    def _open(self, path: str, status: int = OK) -> Page:
        self._at = self._told(self._hands.open(path), status)
        return self._at

    def _send(self, path: str, fields: Fields, status: int = OK) -> Page:
        self._at = self._told(self._hands.send(path, fields), status)
        return self._at

    def _told(self, page: Page, status: int) -> Page:
        if page.status != status:
            raise Unexpected(
                f"visitor {self._visitor.number} met {page.status} at {page.path}, "
                f"where {status} was due"
            )
        return page
