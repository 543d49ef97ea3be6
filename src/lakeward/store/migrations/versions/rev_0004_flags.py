"""Flags with their history, and sticky assignments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FLAGS = "lakeward_flags"
ASSIGNMENTS = "lakeward_assignments"


def upgrade() -> None:
    """Make two tables."""
    op.create_table(
        FLAGS,
        sa.Column("row_id", sa.String(36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("definition", sa.JSON(none_as_null=True)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("row_id", name=op.f(f"pk_{FLAGS}")),
        sa.UniqueConstraint("version", name=op.f(f"uq_{FLAGS}_version")),
        sa.CheckConstraint("kind IN ('flag', 'group')", name=op.f(f"ck_{FLAGS}_kind")),
    )
    op.create_index(op.f(f"ix_{FLAGS}_kind_name_version"), FLAGS, ["kind", "name", "version"])
    op.create_table(
        ASSIGNMENTS,
        sa.Column("attribute", sa.String(64), nullable=False),
        sa.Column("value", sa.String(256), nullable=False),
        sa.Column("experiment", sa.String(255), nullable=False),
        sa.Column("variation", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("attribute", "value", "experiment", name=op.f(f"pk_{ASSIGNMENTS}")),
    )
    op.create_index(op.f(f"ix_{ASSIGNMENTS}_value"), ASSIGNMENTS, ["value"])
