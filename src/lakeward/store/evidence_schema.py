"""Tables of PowerConfidence: partners, who speaks of them, what they say, and what came of it.

The rules of `schema` hold here, too. Nothing that a person wrote stands in two tables but a quote
in an analysis, which names its witness; whoever erases a person looks in these places.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from lakeward.store.metadata import METADATA

PARTNERS = Table(
    "lakeward_partners",
    METADATA,
    Column("partner_id", String(128), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("category", String(64), nullable=False),
    Column("proposition", Text, nullable=False),
    Column("language", String(16), nullable=False),
    Column("zone", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
    Index(None, "category"),
)
"""Partners as the platform has them; `proposition` is what their CEO says that they offer."""

WITNESSES = Table(
    "lakeward_witnesses",
    METADATA,
    Column("witness_id", String(36), primary_key=True),
    Column("partner_id", String(128), ForeignKey(PARTNERS.c.partner_id), nullable=False),
    Column("role", String(8), nullable=False),
    Column("contact", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("phone", String(32)),
    Column("email", String(254)),
    Column("company", String(200)),
    Column("user_id", String(256)),
    Column("language", String(16), nullable=False),
    Column("zone", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    UniqueConstraint("partner_id", "role", "contact"),
    CheckConstraint("role IN ('employee', 'customer')", name="role"),
    Index(None, "email"),
    Index(None, "phone"),
    Index(None, "user_id"),
)
"""People who may speak of a partner; `contact` is a keyed digest of their addresses."""

INVITATIONS = Table(
    "lakeward_invitations",
    METADATA,
    Column("invitation_id", String(36), primary_key=True),
    Column("partner_id", String(128), ForeignKey(PARTNERS.c.partner_id), nullable=False),
    Column("witness_id", String(36), ForeignKey(WITNESSES.c.witness_id), nullable=False),
    Column("form", String(16), nullable=False),
    Column("period", String(8), nullable=False),
    Column("state", String(12), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("nonce", String(32), nullable=False),
    Column("sends", BigInteger, nullable=False),
    Column("channel", String(8)),
    Column("outbox_id", String(36)),
    Column("draft", JSON, nullable=False),
    Column("created_by", String(128), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("created_at", "expires_at")),
    *(
        Column(name, BigInteger)
        for name in ("due_at", "sent_at", "delivered_at", "opened_at", "answered_at")
    ),
    UniqueConstraint("witness_id", "form", "period"),
    CheckConstraint("form IN ('employee', 'reference', 'quarterly')", name="form"),
    CheckConstraint(
        "state IN ('waiting', 'sent', 'opened', 'answered', 'expired', 'withdrawn', 'failed')",
        name="state",
    ),
    Index(None, "state", "due_at"),
    Index(None, "partner_id"),
    Index(None, "outbox_id"),
)
"""One person asked for one form in one period; its link is signed over `nonce`."""

RESPONSES = Table(
    "lakeward_responses",
    METADATA,
    Column("response_id", String(36), primary_key=True),
    Column("partner_id", String(128), ForeignKey(PARTNERS.c.partner_id), nullable=False),
    Column("witness_id", String(36), ForeignKey(WITNESSES.c.witness_id), nullable=False),
    Column("invitation_id", String(36), ForeignKey(INVITATIONS.c.invitation_id)),
    Column("key", String(64), nullable=False),
    Column("form", String(16), nullable=False),
    Column("period", String(8), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("answers", JSON, nullable=False),
    Column("verified", BigInteger, nullable=False),
    Column("completeness", Float, nullable=False),
    Column("seconds", Float),
    Column("channel", String(8), nullable=False),
    Column("address", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("released", BigInteger),
    Column("quotable", JSON(none_as_null=True)),
    Column("created_by", String(128), nullable=False),
    UniqueConstraint("partner_id", "key"),
    CheckConstraint("form IN ('employee', 'reference', 'quarterly')", name="form"),
    Index(None, "partner_id", "at"),
    Index(None, "witness_id"),
)
"""What one person answered; `address` and `device` are keyed digests, which only tell equal from
unequal. `key` makes a response one however often it is sent; `released` is the number of the group
in which the partner may see it, given once, and `quotable` its words without the names of then."""

REVIEWS = Table(
    "lakeward_reviews",
    METADATA,
    Column("review_id", String(36), primary_key=True),
    Column("partner_id", String(128), ForeignKey(PARTNERS.c.partner_id), nullable=False),
    Column("demo_id", String(36), nullable=False),
    Column("reviewer", String(128), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("scores", JSON, nullable=False),
    Column("comments", Text, nullable=False),
    UniqueConstraint("demo_id", "reviewer"),
    Index(None, "partner_id"),
)
"""What somebody who watched a demo says of it, the newest word of each reviewer."""

CLAIMS = Table(
    "lakeward_claims",
    METADATA,
    Column("claim_id", String(36), primary_key=True),
    Column("partner_id", String(128), ForeignKey(PARTNERS.c.partner_id), nullable=False),
    Column("source", String(8), nullable=False),
    Column("speaker", String(36), nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    CheckConstraint("source IN ('ceo', 'employee', 'customer', 'demo')", name="source"),
    Index(None, "partner_id"),
    Index(None, "speaker"),
)
"""What was said, claim by claim; the speaker is a witness, a demo, or, of the CEO, the partner."""

ANALYSES = Table(
    "lakeward_analyses",
    METADATA,
    Column("analysis_id", String(36), primary_key=True),
    Column("partner_id", String(128), ForeignKey(PARTNERS.c.partner_id), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("statements", String(64), nullable=False),
    Column("model", String(128), nullable=False),
    Column("overall", Float),
    Column("report", JSON, nullable=False),
    Column("released", JSON, nullable=False),
    Index(None, "partner_id", "at"),
)
"""Comparisons of what is said; `statements` is a digest of what was compared."""

SCORES = Table(
    "lakeward_scores",
    METADATA,
    Column("score_id", String(36), primary_key=True),
    Column("partner_id", String(128), ForeignKey(PARTNERS.c.partner_id), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("trigger", String(12), nullable=False),
    Column("evidence", String(64), nullable=False),
    Column("stamp", String(64), nullable=False),
    Column("formula_version", String(32), nullable=False),
    *(Column(name, Float, nullable=False) for name in ("value", "low", "high")),
    Column("provisional", BigInteger, nullable=False),
    Column("score", JSON, nullable=False),
    Column("released", JSON(none_as_null=True)),
    Column("waiting", JSON, nullable=False),
    UniqueConstraint("partner_id", "seq"),
    CheckConstraint("trigger IN ('evidence', 'schedule', 'correction', 'erasure')", name="trigger"),
)
"""Every score that a partner ever had, whole; a row is added and never changed, but for the ids of
people who were erased. `evidence` is a digest of what it was made of, `stamp` one by which it is
seen without reading all of it whether that may have changed, `released` the score of what the
partner may see, `waiting` how many answers it may not see yet."""

SENDS = Table(
    "lakeward_sends",
    METADATA,
    Column("send_id", String(36), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("partner_id", String(128), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "digest", "at"),
    Index(None, "partner_id", "at"),
)
"""Messages that invitations sent, by keyed digest of the address: what the caps count."""

OPT_OUTS = Table(
    "lakeward_opt_outs",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("channel", String(8), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("how", String(16), nullable=False),
    CheckConstraint("channel IN ('sms', 'email')", name="channel"),
)
"""Addresses that want no messages, as keyed digests, so that they are known when they come again
and by nothing else."""

RECEIPTS = Table(
    "lakeward_receipts",
    METADATA,
    Column("receipt_id", String(64), primary_key=True),
    Column("provider", String(16), nullable=False),
    Column("message_id", String(128), nullable=False),
    Column("status", String(24), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Index(None, "received_at"),
)
"""What providers told of messages that went, each told once: the id is a digest of the telling."""

CHANGES = Table(
    "lakeward_changes",
    METADATA,
    Column("change_id", String(36), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("type", String(64), nullable=False),
    Column("fields", JSON, nullable=False),
    Column("recorded_at", BigInteger),
    Index(None, "recorded_at", "at"),
)
"""Interactions that the lake has to hear of, written with the change that they tell; once it has
heard, the fields go."""
