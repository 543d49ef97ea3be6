"""Saved views of the dashboard."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

VIEWS = "lakeward_views"


def upgrade() -> None:
    """Make one table."""
    op.create_table(
        VIEWS,
        sa.Column("view_id", sa.String(36), nullable=False),
        sa.Column("page", sa.String(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("view_id", name=op.f(f"pk_{VIEWS}")),
        sa.UniqueConstraint("page", "name", name=op.f(f"uq_{VIEWS}_page_name")),
    )
