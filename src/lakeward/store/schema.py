"""The tables of the app database, as they are after the newest migration.

Rules for every table: its name begins with `lakeward_`, because a PostgreSQL database may be shared
with the host app; a moment is an integer of milliseconds since 1970 (UTC); an id is a UUID as text;
lists and objects are JSON; constraints have names, because SQLite can only change what has one.
A change here comes with a migration and raises `REVISION`; a test holds the three equal.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from lakeward.store import demos_schema as demos_schema  # their tables belong to the schema
from lakeward.store import evidence_schema as evidence_schema
from lakeward.store.metadata import METADATA as METADATA

REVISION = "0009"
"""The newest migration; a database that is there needs no look at the migrations."""
REVISION_TABLE = "lakeward_revision"

KEYS = Table(
    "lakeward_keys",
    METADATA,
    Column("key_id", String(36), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("name", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("hint", String(16), nullable=False),
    Column("origins", JSON, nullable=False),
    Column("types", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("revoked_at", BigInteger),
    Column("partner_id", String(128)),
    UniqueConstraint("digest"),
    CheckConstraint("kind IN ('write', 'read')", name="kind"),
)
Index(  # a revoked key gives its name back
    "uq_lakeward_keys_name",
    KEYS.c.name,
    unique=True,
    sqlite_where=KEYS.c.revoked_at.is_(None),
    postgresql_where=KEYS.c.revoked_at.is_(None),
)

AUDIT = Table(
    "lakeward_audit",
    METADATA,
    Column("audit_id", String(36), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("details", JSON, nullable=False),
    Index(None, "at"),
)

PEOPLE = Table(
    "lakeward_people",
    METADATA,
    Column("person_id", String(36), primary_key=True),
    Column("email", String(254), nullable=False),
    Column("role", String(8), nullable=False),
    Column("partner_id", String(128)),
    Column("password", String(255)),
    Column("issuer", String(255)),
    Column("subject", String(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("disabled_at", BigInteger),
    UniqueConstraint("email"),
    UniqueConstraint("issuer", "subject"),
    CheckConstraint(
        "role = 'admin' AND partner_id IS NULL OR role = 'partner' AND partner_id IS NOT NULL",
        name="role",
    ),
)

LINKS = Table(
    "lakeward_links",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("person_id", String(36), ForeignKey(PEOPLE.c.person_id)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "person_id"),
)
"""One-time links that are not used yet; the one without a person makes the first admin."""

LOGINS = Table(
    "lakeward_logins",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("person_id", String(36), ForeignKey(PEOPLE.c.person_id), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "person_id"),
)

ATTEMPTS = Table(
    "lakeward_attempts",
    METADATA,
    Column("attempt_id", String(36), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Index(None, "digest", "at"),
)
"""Logins that failed or are being tried, by digests of e-mail and address, for a quarter hour."""

OUTBOX = Table(
    "lakeward_outbox",
    METADATA,
    Column("outbox_id", String(36), primary_key=True),
    Column("key", String(64), nullable=False),
    Column("state", String(8), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("template", String(64), nullable=False),
    Column("template_version", String(16), nullable=False),
    Column("purpose", String(64)),
    Column("language", String(16)),
    Column("user_id", String(256)),
    Column("session_id", String(256)),
    Column("trace_id", String(32)),
    Column("parent_interaction_id", String(36)),
    Column("recipient_hash", String(64), nullable=False),
    Column("twin", String(64), nullable=False),
    Column("address", String(320)),
    Column("subject", Text),
    Column("body", Text),
    Column("html", Text),
    Column("unsubscribe", Text),
    Column("attempts", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("lease", String(36)),
    Column("leased_until", BigInteger),
    Column("tried_at", BigInteger),
    Column("final_at", BigInteger),
    Column("recorded_at", BigInteger),
    Column("provider", String(32)),
    Column("message_id", String(128)),
    Column("segments", BigInteger),
    Column("price", String(32)),
    Column("currency", String(3)),
    Column("reason", String(255)),
    UniqueConstraint("key"),
    CheckConstraint("state IN ('queued', 'sending', 'unsure', 'sent', 'failed')", name="state"),
    CheckConstraint("kind IN ('console', 'live', 'own')", name="kind"),
    Index(None, "state", "due_at"),
    Index(None, "message_id"),
    Index(None, "twin"),
)
"""Messages, a row each; `store/outbox.py` draws the way of one through its states. `key` is a
digest of the app's own, `twin` of address and text: both end to mean anything when it is final."""

SECRETS = Table(
    "lakeward_secrets",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("value", String(64), nullable=False),
)
"""Random keys that all hosts of one app database share, each made once by whoever comes first."""

FLAGS = Table(
    "lakeward_flags",
    METADATA,
    Column("row_id", String(36), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("name", String(200), nullable=False),
    Column("definition", JSON(none_as_null=True)),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    UniqueConstraint("version"),
    CheckConstraint("kind IN ('flag', 'group')", name="kind"),
    Index(None, "kind", "name", "version"),
)
"""Feature flags and saved groups, a row for each change; the newest of a name is in force."""

ASSIGNMENTS = Table(
    "lakeward_assignments",
    METADATA,
    Column("attribute", String(64), primary_key=True),
    Column("value", String(256), primary_key=True),
    Column("experiment", String(255), primary_key=True),
    Column("variation", String(255), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "value"),
)
"""Which variation of an experiment a unit was given first."""

INCIDENTS = Table(
    "lakeward_incidents",
    METADATA,
    Column("incident_id", String(36), primary_key=True),
    Column("state", String(12), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("cause", Text, nullable=False),
    Column("severity", String(8), nullable=False),
    Column("series", JSON, nullable=False),
    Column("members", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("began_at", "opened_at", "changed_at")),
    *(Column(name, BigInteger) for name in ("resolved_at", "snoozed_until")),
    Column("flapping", BigInteger, nullable=False),
    *(Column(name, JSON, nullable=False) for name in ("flips", "told", "signal")),
    Column("seq", BigInteger, nullable=False),
    CheckConstraint(
        "state IN ('opened', 'ongoing', 'acknowledged', 'snoozed', 'resolved')", name="state"
    ),
    Index(None, "state", "changed_at"),
)
"""What is or was wrong, a row each; `alerts/incident.py` says what may follow what."""

ALERT_SERIES = Table(
    "lakeward_alert_series",
    METADATA,
    Column("series_id", String(32), primary_key=True),
    Column("key", Text, nullable=False),
    Column("incident_id", String(36), nullable=False),
    Column("status", String(12), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("severity", String(8), nullable=False),
    CheckConstraint("status IN ('wrong', 'well', 'dismissed')", name="status"),
    Index(None, "incident_id"),
)
"""The last that was said of each series that was ever wrong, and the incident it belongs to."""

ALERT_CHANGES = Table(
    "lakeward_alert_changes",
    METADATA,
    Column("change_id", String(36), primary_key=True),
    Column("incident_id", String(36), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("what", String(12), nullable=False),
    Column("state", String(12), nullable=False),
    Column("severity", String(8), nullable=False),
    Column("signal", JSON, nullable=False),
    Column("actor", String(128)),
    Column("recorded_at", BigInteger),
    UniqueConstraint("incident_id", "seq"),
    Index(None, "recorded_at"),
)
"""Each step of an incident; the lake hears of it once."""

TELLINGS = Table(
    "lakeward_tellings",
    METADATA,
    Column("telling_id", String(36), primary_key=True),
    Column("key", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("what", String(8), nullable=False),
    Column("incident_id", String(36)),
    Column("seq", BigInteger),
    Column("state", String(8), nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("content", JSON, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("attempts", "queued_at", "due_at")),
    Column("lease", String(36)),
    *(Column(name, BigInteger) for name in ("leased_until", "final_at")),
    Column("reason", String(255)),
    UniqueConstraint("key"),
    CheckConstraint("state IN ('queued', 'told', 'failed')", name="state"),
    CheckConstraint("what IN ('incident', 'digest', 'test')", name="what"),
    Index(None, "channel", "state", "due_at"),
    Index(None, "incident_id"),
)
"""What a channel is to be told, and what became of it; the channel is a digest of its table in the
file, so that no address stands here."""

SNOOZES = Table(
    "lakeward_snoozes",
    METADATA,
    Column("pattern", String(512), primary_key=True),
    Column("ends_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
)
"""Series of which nobody is told until then."""

VIEWS = Table(
    "lakeward_views",
    METADATA,
    Column("view_id", String(36), primary_key=True),
    Column("page", String(32), nullable=False),
    Column("name", String(128), nullable=False),
    Column("query", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    UniqueConstraint("page", "name"),
)
"""Saved addresses of the dashboard."""
