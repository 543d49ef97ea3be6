"""Sending invitations: whom to ask now, by what, and when to ask once more.

In: an invitation whose time has come, the person, and the clocks there. Out: a message in the
outbox, another time, or an end with its reason. Fails as the database does. A process that is
killed between outbox and invitation leaves a message under the same key, which the next one finds.

    SMS first where there is a number; the next message goes by e-mail where there is an address,
    and so on by turns. What bounced or was stopped is no way any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec

from lakeward.confidence import link
from lakeward.errors import SettingError
from lakeward.hours import Quiet, minute_of
from lakeward.messaging.message import Channel
from lakeward.settings import Settings
from lakeward.store.invitations import Invitation, Invitations
from lakeward.store.opt_outs import OptOuts
from lakeward.store.partners import Partner
from lakeward.store.witnesses import Witness, Witnesses

DAY_MS: Final = 86_400_000
CAP_DAYS: Final = 30
MOST_A_DAY: Final = 500
"""Messages of one partner in a day, whoever asks for them."""
TEMPLATES: Final = Path(__file__).parent / "messages"
PATH: Final = "/w"
"""Where the server shows forms, unless its paths are renamed."""


class Manner(msgspec.Struct, frozen=True):
    """How people are asked."""

    lasts_ms: int
    reminders: tuple[int, ...]
    """Days after the first message."""
    quiet: tuple[int, int] | None
    zone: str
    cap: int
    address: str
    """Of the server, such as `https://data.example.com`, with the forms' path."""


def manner_of(settings: Settings) -> Manner:
    """As the settings say; SettingError for what will not do."""
    try:
        days = tuple(sorted({int(day) for day in settings.invite_reminders}))
    except ValueError:
        days = (0,)
    if any(not 1 <= day < settings.invite_days for day in days):
        raise SettingError(
            "LAKEWARD_INVITE_REMINDERS must be whole days below LAKEWARD_INVITE_DAYS, such as 4,10"
        )
    named = (entry.partition("=") for entry in settings.paths)
    root = {name.strip(): path.strip() for name, _, path in named}.get("witness", PATH)
    public = settings.public_url.rstrip("/")
    return Manner(
        settings.invite_days * DAY_MS, days, _quiet(settings.invite_quiet), settings.invite_zone,
        settings.invite_cap, public + root if public and root else "",
    )  # fmt: skip


def _quiet(text: str) -> tuple[int, int] | None:
    if not text.strip():
        return None
    begins, dash, ends = text.partition("-")
    first, last = minute_of(begins), minute_of(ends)
    if not dash or first is None or last is None or first == last:
        raise SettingError("LAKEWARD_INVITE_QUIET must be like 20:00-09:00, or empty")
    return first, last


class Post(Protocol):
    """What is asked of `lakeward.messaging.Messages`."""

    def send(
        self, template: str, *, channel: Channel, to: str, values: Mapping[str, str | int | float],
        user_id: str, purpose: str, key: str, language: str, unsubscribe: str | None,
    ) -> str | None:  # fmt: skip
        """Put a message into the outbox; its id, None when it was refused."""


class Sending:
    """Sees one invitation after the other a step further."""

    def __init__(
        self, invitations: Invitations, witnesses: Witnesses, opt_outs: OptOuts, post: Post, *,
        manner: Manner, secret: bytes, channels: Sequence[Channel], now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self._invitations = invitations
        self._witnesses = witnesses
        self._opt_outs = opt_outs
        self._post = post
        self._manner = manner
        self._secret = secret
        self._channels = channels
        self._now_ms = now_ms

    def step(self, seen: Invitation, witness: Witness, partner: Partner) -> str:
        """Send, wait or end; a word that says which, for whoever watches."""
        now = self._now_ms()
        if now >= seen.expires_at:
            return self._ended(seen, "expired", "")
        if partner.removed_at is not None:
            return self._ended(seen, "withdrawn", "partner removed")
        ways = self._ways(seen, witness)
        if isinstance(ways, str):
            return self._ended(seen, "failed", ways)
        if seen.sends > len(self._manner.reminders) + len(bounced(seen)):
            self._invitations.postpone(seen, None)
            return "asked often enough"
        way = ways[seen.sends % len(ways)]
        digest = self._digest(witness, way)
        if (later := self._later(witness, partner, digest, now)) is not None:
            self._invitations.postpone(seen, later)
            return "later"
        return self._send(seen, witness, partner, way, digest, now)

    def _digest(self, witness: Witness, way: Channel) -> str:
        address = witness.phone if way == "sms" else (witness.email or "").lower()
        return self._witnesses.digest(address or "")

    def _ended(self, seen: Invitation, state: Literal["expired", "withdrawn", "failed"],
               reason: str) -> str:  # fmt: skip
        self._invitations.end(seen, state, reason)
        return state

    def _ways(self, seen: Invitation, witness: Witness) -> list[Channel] | str:
        """How the person can be reached, the better way first; or why not."""
        there: dict[Channel, str] = {}
        if witness.phone:
            there["sms"] = witness.phone
        if witness.email:
            there["email"] = witness.email.lower()
        if not there:
            return "no address"
        digests = {way: self._witnesses.digest(text) for way, text in there.items()}
        stopped = self._opt_outs.among(digests.values())
        willing = [way for way in there if digests[way] not in stopped]
        if not willing:
            return "opted out"
        lost = bounced(seen)
        able = [way for way in willing if way in self._channels and way not in lost]
        return able or ("bounced" if lost & set(willing) else "no channel")

    def _later(self, witness: Witness, partner: Partner, digest: str, now: int) -> int | None:
        """When the person may be sent something; None: now."""
        manner = self._manner
        if manner.quiet is not None:
            zone = witness.zone or partner.zone or manner.zone
            until = Quiet(*manner.quiet, zone).until(now)
            if until is not None:
                return until
        if self._invitations.sent_since(now - CAP_DAYS * DAY_MS, digest=digest) >= manner.cap:
            return now + DAY_MS
        day = self._invitations.sent_since(now - DAY_MS, partner_id=partner.partner_id)
        return now + DAY_MS // 24 if day >= MOST_A_DAY else None

    def _send(
        self, seen: Invitation, witness: Witness, partner: Partner, way: Channel, digest: str,
        now: int,
    ) -> str:  # fmt: skip
        address = f"{self._manner.address}/{link.token(seen, self._secret)}"
        stop = f"{self._manner.address}/{link.stop_token(seen, self._secret)}/stop"
        hello = f"Hello {witness.name}, " if witness.name else ""
        until = datetime.fromtimestamp(seen.expires_at / 1000, UTC).date().isoformat()
        outbox_id = self._post.send(
            f"{'remind' if seen.sends > len(bounced(seen)) else 'invite'}-{seen.form}", channel=way,
            to=(witness.phone if way == "sms" else witness.email) or "",
            values={
                "hello": hello if way == "sms" else hello.strip() or "Hello,",
                "partner": partner.name, "link": address, "until": until,
                "stop": stop,
            },
            user_id=witness.user_id or witness.witness_id, purpose="confidence",
            key=f"invitation {seen.invitation_id} {seen.nonce} {seen.sends}",
            language=witness.language, unsubscribe=stop if way == "email" else None,
        )  # fmt: skip
        if outbox_id is None:
            return self._ended(seen, "failed", "the message was refused")
        self._invitations.sent(seen, way, outbox_id, self._next(seen, now), digest)
        return "sent"

    def _next(self, seen: Invitation, now: int) -> int | None:
        """When it is to be looked at again; reminders count from the first message."""
        reminders = self._manner.reminders
        number = seen.sends - len(bounced(seen))
        if number >= len(reminders):
            return None
        before = reminders[number - 1] if number else 0
        due = now + (reminders[number] - before) * DAY_MS
        return due if due < seen.expires_at else None


def bounced(seen: Invitation) -> set[str]:
    """Ways by which a message could not be delivered: they stand behind the word."""
    word, *ways = seen.reason.split()[:3] or [""]
    return set(ways) if word == "bounced" else set()
