"""People, their logins and one-time links; keys of a partner."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make four tables, and one column more for keys."""
    op.add_column("lakeward_keys", sa.Column("partner_id", sa.String(128)))
    _people()
    for name, owner in (("lakeward_links", True), ("lakeward_logins", False)):
        op.create_table(
            name,
            sa.Column("digest", sa.String(64), nullable=False),
            sa.Column("person_id", sa.String(36), nullable=owner),
            sa.Column("created_at", sa.BigInteger(), nullable=False),
            sa.Column("expires_at", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("digest", name=op.f(f"pk_{name}")),
            sa.ForeignKeyConstraint(
                ["person_id"],
                ["lakeward_people.person_id"],
                name=op.f(f"fk_{name}_person_id_lakeward_people"),
            ),
        )
        op.create_index(op.f(f"ix_{name}_person_id"), name, ["person_id"])
    op.create_table(
        "lakeward_attempts",
        sa.Column("attempt_id", sa.String(36), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", "digest", name=op.f("pk_lakeward_attempts")),
    )
    op.create_index(op.f("ix_lakeward_attempts_digest_at"), "lakeward_attempts", ["digest", "at"])


def _people() -> None:
    op.create_table(
        "lakeward_people",
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("partner_id", sa.String(128)),
        sa.Column("password", sa.String(255)),
        sa.Column("issuer", sa.String(255)),
        sa.Column("subject", sa.String(255)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_lakeward_people")),
        sa.UniqueConstraint("email", name=op.f("uq_lakeward_people_email")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_lakeward_people_issuer_subject")),
        sa.CheckConstraint(
            "role = 'admin' AND partner_id IS NULL OR role = 'partner' AND partner_id IS NOT NULL",
            name=op.f("ck_lakeward_people_role"),
        ),
    )
