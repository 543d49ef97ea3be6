"""The outbox of messages, and secrets that hosts share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = "lakeward_outbox"
SECRETS = "lakeward_secrets"


def upgrade() -> None:
    """Make two tables."""
    op.create_table(
        NAME,
        sa.Column("outbox_id", sa.String(36), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("template", sa.String(64), nullable=False),
        sa.Column("template_version", sa.String(16), nullable=False),
        sa.Column("purpose", sa.String(64)),
        sa.Column("language", sa.String(16)),
        sa.Column("user_id", sa.String(256)),
        sa.Column("session_id", sa.String(256)),
        sa.Column("trace_id", sa.String(32)),
        sa.Column("parent_interaction_id", sa.String(36)),
        sa.Column("recipient_hash", sa.String(64), nullable=False),
        sa.Column("twin", sa.String(64), nullable=False),
        sa.Column("address", sa.String(320)),
        *(sa.Column(name, sa.Text()) for name in ("subject", "body", "html")),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("attempts", "created_at", "queued_at")
        ),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("lease", sa.String(36)),
        *(
            sa.Column(name, sa.BigInteger())
            for name in ("leased_until", "tried_at", "final_at", "recorded_at")
        ),
        sa.Column("provider", sa.String(32)),
        sa.Column("message_id", sa.String(128)),
        sa.Column("segments", sa.BigInteger()),
        sa.Column("price", sa.String(32)),
        sa.Column("currency", sa.String(3)),
        sa.Column("reason", sa.String(255)),
        sa.PrimaryKeyConstraint("outbox_id", name=op.f(f"pk_{NAME}")),
        sa.UniqueConstraint("key", name=op.f(f"uq_{NAME}_key")),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'unsure', 'sent', 'failed')",
            name=op.f(f"ck_{NAME}_state"),
        ),
        sa.CheckConstraint("kind IN ('console', 'live', 'own')", name=op.f(f"ck_{NAME}_kind")),
    )
    op.create_index(op.f(f"ix_{NAME}_state_due_at"), NAME, ["state", "due_at"])
    op.create_index(op.f(f"ix_{NAME}_message_id"), NAME, ["message_id"])
    op.create_index(op.f(f"ix_{NAME}_twin"), NAME, ["twin"])
    op.create_table(
        SECRETS,
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f(f"pk_{SECRETS}")),
    )
