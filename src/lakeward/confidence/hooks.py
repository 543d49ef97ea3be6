"""What Twilio and SendGrid tell of messages: whether it is theirs, whether it is new, what follows.

In: a webhook's address, headers and body. Out: `Event`s, once each. `Forged` for what they did not
sign, or signed too long ago; `SettingError` where the setting to check it with is missing.

    Twilio    X-Twilio-Signature: base64 of HMAC-SHA1 over address and fields, by its auth token.
              It has no time in it: what was told once is not heard again for ninety days.
    SendGrid  X-Twilio-Email-Event-Webhook-Signature: ECDSA (P-256, SHA-256) over the header
              …-Timestamp and the body. Of more than ten minutes ago it is refused, and each event
              has an id.

What follows of an event may be done twice and is the same, so the event is noted as told after it:
a process that dies in between is told again by the provider.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec

from lakeward.confidence.desk import Desk
from lakeward.errors import MissingExtra, Rejected, SettingError, Terminal
from lakeward.interaction import iso

Kind = Literal[
    "queued", "sent", "delivered", "deferred", "undelivered", "bounced", "dropped", "failed",
    "opened", "clicked", "spam_report", "unsubscribed", "resubscribed",
]  # fmt: skip
FRESH_S: Final = 600
MOST_EVENTS: Final = 5000
TWILIO: Final[Mapping[str, Kind]] = {
    "accepted": "queued", "queued": "queued", "sending": "queued", "sent": "sent",
    "delivered": "delivered", "read": "opened", "undelivered": "undelivered", "failed": "failed",
}  # fmt: skip
SENDGRID: Final[Mapping[str, Kind]] = {
    "processed": "queued", "deferred": "deferred", "delivered": "delivered", "bounce": "bounced",
    "dropped": "dropped", "open": "opened", "click": "clicked", "spamreport": "spam_report",
    "unsubscribe": "unsubscribed", "group_unsubscribe": "unsubscribed",
    "group_resubscribe": "resubscribed",
}  # fmt: skip
STOP: Final = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"}
)
START: Final = frozenset({"start", "yes", "unstop"})
"""Words by which Twilio itself stops and starts; it tells of them all the same."""
LOST: Final = frozenset({"undelivered", "failed", "bounced", "dropped"})


class Forged(Terminal):
    """Nobody whom we know signed this, or it was signed too long ago."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a provider tells of one message or address."""

    receipt_id: str
    provider: Literal["twilio", "sendgrid"]
    channel: Literal["sms", "email"]
    kind: Kind
    message_id: str = ""
    outbox_id: str | None = None
    event_id: str | None = None
    address: str = ""
    at_ms: int
    code: str | None = None

    def __repr__(self) -> str:
        """Name it, and not the address."""
        return f"<Event {self.provider} {self.kind}>"


class _Sent(msgspec.Struct, frozen=True):
    """An event as SendGrid writes it; what else it writes is not read."""

    event: str
    email: str = ""
    timestamp: int = 0
    sg_event_id: str = ""
    sg_message_id: str = ""
    outbox_id: str | None = None
    type: str | None = None
    status: str | None = None


def fields_of(body: bytes) -> dict[str, str]:
    """The fields of a form that Twilio sent."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200))
    except ValueError:
        raise Rejected("the body is no form") from None


def check_twilio(desk: Desk, address: str, fields: Mapping[str, str], signature: str) -> None:
    """Forged unless Twilio sent these fields to this address."""
    token = desk.settings.twilio_auth_token
    if not token:
        raise SettingError("TWILIO_AUTH_TOKEN is not set, so nothing that Twilio tells is believed")
    try:
        from twilio.request_validator import RequestValidator
    except ImportError:
        raise MissingExtra("what Twilio tells of messages", "messaging") from None
    if not signature or not RequestValidator(token).validate(address, dict(fields), signature):
        raise Forged("the signature is not Twilio's for this address and these fields")


def told_by_twilio(desk: Desk, fields: Mapping[str, str]) -> list[Event]:
    """What became of a message."""
    message, status = fields.get("MessageSid", ""), fields.get("MessageStatus", "")
    kind = TWILIO.get(status)
    if not message or kind is None:
        return []
    return [
        Event(
            receipt_id=_id("twilio", message, status), provider="twilio", channel="sms", kind=kind,
            message_id=message, address=fields.get("To", ""), at_ms=desk.now_ms(),
            code=fields.get("ErrorCode") or None,
        )
    ]  # fmt: skip


def answered_by_sms(desk: Desk, fields: Mapping[str, str]) -> list[Event]:
    """What somebody wrote back, as far as it is a word for stopping or starting."""
    message, address = fields.get("MessageSid", ""), fields.get("From", "")
    said = fields.get("OptOutType") or fields.get("Body", "")
    word = said.strip().strip(".!").lower()
    if not (message and address) or word not in STOP | START:
        return []
    kind: Kind = "unsubscribed" if word in STOP else "resubscribed"
    return [
        Event(
            receipt_id=_id("twilio", message, kind), provider="twilio", channel="sms", kind=kind,
            message_id=message, address=address, at_ms=desk.now_ms(),
        )
    ]  # fmt: skip


def told_by_sendgrid(desk: Desk, headers: Mapping[bytes, bytes], body: bytes) -> list[Event]:
    """Events of mails, once it is sure that SendGrid sent them just now."""
    name = b"x-twilio-email-event-webhook-"
    signature = headers.get(name + b"signature", b"").decode("latin-1")
    moment = headers.get(name + b"timestamp", b"").decode("latin-1")
    _check_sendgrid(desk.settings.sendgrid_webhook_key, signature, moment, body)
    if not moment.isdigit() or abs(int(moment[:12]) - desk.now_ms() // 1000) > FRESH_S:
        raise Forged("it was signed too long ago, or by another clock")
    try:
        told = msgspec.json.decode(body, type=list[_Sent])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Rejected("the body is no list of events") from None
    return [
        Event(
            receipt_id=_id("sendgrid", one.sg_event_id or f"{one.sg_message_id} {one.timestamp}",
                           one.event),
            provider="sendgrid", channel="email", kind=SENDGRID[one.event],
            message_id=one.sg_message_id.partition(".")[0], outbox_id=one.outbox_id,
            event_id=one.sg_event_id[:128] or None, address=one.email,
            at_ms=one.timestamp * 1000 if 0 < one.timestamp < 1e11 else desk.now_ms(),
            code=one.status or one.type,
        )
        for one in told[:MOST_EVENTS]
        if one.event in SENDGRID
    ]  # fmt: skip


def _check_sendgrid(key: str, signature: str, moment: str, body: bytes) -> None:
    if not key:
        raise SettingError(
            "LAKEWARD_SENDGRID_WEBHOOK_KEY is not set, so nothing that SendGrid tells is believed"
        )
    try:
        from sendgrid.helpers.eventwebhook import EventWebhook
    except ImportError:
        raise MissingExtra("what SendGrid tells of messages", "messaging") from None
    try:
        hook = EventWebhook(public_key=key)
    except ValueError:
        raise SettingError(
            "LAKEWARD_SENDGRID_WEBHOOK_KEY is no public key as SendGrid shows it"
        ) from None
    try:
        genuine = hook.verify_signature(body.decode(), signature, moment)
    except ValueError:  # no base64, no text
        genuine = False
    if not genuine:
        raise Forged("the signature is not SendGrid's for this body")


def heed(desk: Desk, events: Sequence[Event]) -> int:
    """Do what follows of events that are new; how many were."""
    return sum(_heed(desk, event) for event in events)


def _heed(desk: Desk, event: Event) -> bool:
    if desk.opt_outs.is_told(event.receipt_id):
        return False
    outbox_id = event.outbox_id or desk.opt_outs.message(event.message_id)
    address = event.address.lower() if event.channel == "email" else event.address
    digest = desk.witnesses.digest(address) if address else ""
    if digest and event.kind in ("unsubscribed", "spam_report"):
        how: Literal["stop", "unsubscribed", "complained"] = "stop"
        if event.channel == "email":
            how = "complained" if event.kind == "spam_report" else "unsubscribed"
        desk.stop_at(event.channel, address, how)
    elif digest and event.kind == "resubscribed":
        desk.opt_outs.remove(digest)
    elif outbox_id and event.kind in LOST:
        desk.invitations.bounced(outbox_id, event.code or event.kind, desk.now_ms())
    elif outbox_id and event.kind in ("delivered", "opened"):
        desk.invitations.delivered(outbox_id, event.at_ms)
    return desk.opt_outs.tell(
        event.receipt_id, event.provider, event.message_id, event.kind, event.at_ms,
        _told(event, outbox_id),
    )  # fmt: skip


def _told(event: Event, outbox_id: str | None) -> dict[str, Any]:
    """The `message_event`."""
    fields: dict[str, Any] = {
        "channel": event.channel, "event": event.kind, "provider": event.provider,
        "message_id": event.message_id[:128] or None, "outbox_id": outbox_id and outbox_id[:128],
        "event_id": event.event_id, "occurred_at": iso(event.at_ms),
        "error_code": event.code and event.code[:64],
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value is not None}


def _id(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
