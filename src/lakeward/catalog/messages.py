"""SMS and e-mail: what the app sent, and what became of it. Never an address or a text."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET

from lakeward.catalog.spec import (
    Amount,
    Count,
    Currency,
    Id,
    Moment,
    Name,
    Opt,
    Text,
    TypeSpec,
    doc,
    spec,
)


class MessageSent(msgspec.Struct, frozen=True, kw_only=True):
    """The outbox handed one message to its provider, or gave up."""

    channel: Annotated[Literal["sms", "email"], doc("How it travels.")]
    status: Annotated[
        Opt[Literal["sent", "failed", "suppressed"]],
        doc("What happened; suppressed: opted out, quiet hours or cap. Sent when absent."),
    ] = UNSET
    provider: Annotated[Opt[Name], doc("Who carries it: twilio, sendgrid or console.")] = UNSET
    template: Annotated[Opt[Name], doc("Which template, such as `invitation`.")] = UNSET
    template_version: Annotated[Opt[Name], doc("Version of the template.")] = UNSET
    purpose: Annotated[Opt[Name], doc("What for, such as reminder, alert or sign-in.")] = UNSET
    message_id: Annotated[Opt[Id], doc("The provider's id of the message.")] = UNSET
    outbox_id: Annotated[Opt[Id], doc("The outbox's id of the message.")] = UNSET
    recipient_hash: Annotated[
        Opt[Name], doc("Keyed hash of the recipient's address.", personal="pseudonymous")
    ] = UNSET
    attempt: Annotated[Opt[Count], doc("Attempts so far, this one included.", "attempts")] = UNSET
    segments: Annotated[Opt[Count], doc("Parts an SMS was cut into.", "parts")] = UNSET
    price: Annotated[Opt[Amount], doc("What the provider charges.", "`currency`")] = UNSET
    currency: Annotated[Opt[Currency], doc("Currency of the price.", "ISO 4217")] = UNSET
    language: Annotated[Opt[Name], doc("Language of the message.")] = UNSET
    reason: Annotated[Opt[Text], doc("Why it failed or was suppressed.")] = UNSET


class MessageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's webhook told what became of a message."""

    channel: Annotated[Literal["sms", "email"], doc("How it travelled.")]
    event: Annotated[
        Literal[
            "queued",
            "sent",
            "delivered",
            "deferred",
            "undelivered",
            "bounced",
            "dropped",
            "failed",
            "opened",
            "clicked",
            "replied",
            "spam_report",
            "unsubscribed",
            "resubscribed",
        ],
        doc("What happened; unsubscribed includes an SMS STOP."),
    ]
    provider: Annotated[Opt[Name], doc("Who told: twilio or sendgrid.")] = UNSET
    message_id: Annotated[Opt[Id], doc("The provider's id of the message.")] = UNSET
    outbox_id: Annotated[Opt[Id], doc("The outbox's id of the message.")] = UNSET
    event_id: Annotated[Opt[Id], doc("The provider's id of the event; repeats carry it.")] = UNSET
    occurred_at: Annotated[Opt[Moment], doc("When, by the provider's clock.", "ISO 8601")] = UNSET
    recipient_hash: Annotated[
        Opt[Name], doc("Keyed hash of the recipient's address.", personal="pseudonymous")
    ] = UNSET
    link: Annotated[
        Opt[Text], doc("The link that was clicked, scrubbed.", personal="pseudonymous")
    ] = UNSET
    error_code: Annotated[Opt[Name], doc("The provider's code.")] = UNSET
    reason: Annotated[Opt[Text], doc("The provider's reason, scrubbed.", personal="content")] = (
        UNSET
    )


SPECS: tuple[TypeSpec, ...] = (
    spec(
        "message_sent",
        MessageSent,
        "properties",
        "messages",
        example={
            "user_id": "u1",
            "channel": "sms",
            "status": "sent",
            "provider": "twilio",
            "template": "invitation",
            "message_id": "SM1a2b",
            "segments": 1,
        },
    ),
    spec(
        "message_event",
        MessageEvent,
        "properties",
        "messages",
        example={
            "channel": "email",
            "event": "delivered",
            "provider": "sendgrid",
            "message_id": "msg-7",
            "occurred_at": "2025-08-14T16:11:28Z",
        },
    ),
)
