"""Incidents, their series and changes, what is told of them, and snoozes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INCIDENTS = "lakeward_incidents"
SERIES = "lakeward_alert_series"
CHANGES = "lakeward_alert_changes"
TELLINGS = "lakeward_tellings"
SNOOZES = "lakeward_snoozes"


def upgrade() -> None:
    """Make five tables."""
    _incidents()
    _series()
    _changes()
    _tellings()
    _snoozes()


def _incidents() -> None:
    op.create_table(
        INCIDENTS,
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(8), nullable=False),
        sa.Column("series", sa.JSON(), nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at", sa.BigInteger()),
        sa.Column("snoozed_until", sa.BigInteger()),
        sa.Column("flapping", sa.BigInteger(), nullable=False),
        sa.Column("flips", sa.JSON(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("signal", sa.JSON(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", name=op.f(f"pk_{INCIDENTS}")),
        sa.CheckConstraint(
            "state IN ('opened', 'ongoing', 'acknowledged', 'snoozed', 'resolved')",
            name=op.f(f"ck_{INCIDENTS}_state"),
        ),
    )
    op.create_index(op.f(f"ix_{INCIDENTS}_state_changed_at"), INCIDENTS, ["state", "changed_at"])


def _series() -> None:
    op.create_table(
        SERIES,
        sa.Column("series_id", sa.String(32), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("severity", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("series_id", name=op.f(f"pk_{SERIES}")),
        sa.CheckConstraint(
            "status IN ('wrong', 'well', 'dismissed')",
            name=op.f(f"ck_{SERIES}_status"),
        ),
    )
    op.create_index(op.f(f"ix_{SERIES}_incident_id"), SERIES, ["incident_id"])


def _changes() -> None:
    op.create_table(
        CHANGES,
        sa.Column("change_id", sa.String(36), nullable=False),
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(12), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("severity", sa.String(8), nullable=False),
        sa.Column("signal", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(128)),
        sa.Column("recorded_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("change_id", name=op.f(f"pk_{CHANGES}")),
        sa.UniqueConstraint("incident_id", "seq", name=op.f(f"uq_{CHANGES}_incident_id_seq")),
    )
    op.create_index(op.f(f"ix_{CHANGES}_recorded_at"), CHANGES, ["recorded_at"])


def _tellings() -> None:
    op.create_table(
        TELLINGS,
        sa.Column("telling_id", sa.String(36), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("what", sa.String(8), nullable=False),
        sa.Column("incident_id", sa.String(36)),
        sa.Column("seq", sa.BigInteger()),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.String(36)),
        sa.Column("leased_until", sa.BigInteger()),
        sa.Column("final_at", sa.BigInteger()),
        sa.Column("reason", sa.String(255)),
        sa.PrimaryKeyConstraint("telling_id", name=op.f(f"pk_{TELLINGS}")),
        sa.UniqueConstraint("key", name=op.f(f"uq_{TELLINGS}_key")),
        sa.CheckConstraint(
            "state IN ('queued', 'told', 'failed')",
            name=op.f(f"ck_{TELLINGS}_state"),
        ),
        sa.CheckConstraint(
            "what IN ('incident', 'digest', 'test')",
            name=op.f(f"ck_{TELLINGS}_what"),
        ),
    )
    op.create_index(
        op.f(f"ix_{TELLINGS}_channel_state_due_at"), TELLINGS, ["channel", "state", "due_at"]
    )
    op.create_index(op.f(f"ix_{TELLINGS}_incident_id"), TELLINGS, ["incident_id"])


def _snoozes() -> None:
    op.create_table(
        SNOOZES,
        sa.Column("pattern", sa.String(512), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("pattern", name=op.f(f"pk_{SNOOZES}")),
    )
